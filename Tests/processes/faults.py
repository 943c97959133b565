"""A disk that fails: full, refusing, stalling, damaged, read-only, or another's.

The faults are those of Tests/interpose; the values are self-checking, so that a wrong one shows.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import support
import truth

KEYS = 400
#: A memory hit while the disk stands still: so much longer than one before that, which says how
#: slow the machine is. Who waits for a sync of two seconds takes longer.
HIT_SECONDS_ALLOWED, TIMES_ALLOWED = 1.0, 10


class _Faulty(support.Server):
    """A server whose disk obeys `rules`."""

    def __init__(self, place, *arguments, **options):
        self.control = place / "faults"
        self.control.write_text("")
        (place / "store").mkdir(exist_ok=True)
        environment = {"FAULTS_DIR": str(place / "store"), "FAULTS_CONTROL": str(self.control),
                       **options.pop("environment", {})}
        super().__init__(
            *arguments, store=place / "store", environment=environment, preload="faults.so",
            **options)

    def rules(self, text):
        fresh = self.control.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.control)


def _fill(client, version, keys=KEYS):
    for index in range(keys):
        key = b"k%d" % index
        assert client.set(key, truth.value_of(key, version)) == b"STORED"


def _compare(client, version, keys=KEYS, missing=0):
    found = {}
    for start in range(0, keys, 50):
        names = [b"k%d" % index for index in range(start, min(keys, start + 50))]
        found.update(client.get_many(names))
    for key, value in found.items():
        assert value == truth.value_of(key, version), (key, value[:40])
    assert len(found) >= keys - missing, f"{keys - len(found)} of {keys} are missing"


def _committed(server):
    start = time.time()
    support.wait_for(
        "a commit", lambda: int(server.stats()["brim_last_commit_began_us"]) / 1e6 > start
        or not _touch(server), support.REPLY_SECONDS_MAX, 0.05)


def _touch(server):
    """Gives the next commit something to do."""
    with server.client() as client:
        return client.set(b"touch", b"1") == b"STORED"


def _survives(rule, durability="interval"):
    """Serves from memory while a rule holds, stores again when it is gone, and keeps it all."""
    with support.folder() as place:
        with _Faulty(place, "-m", 64, "--durability", durability) as server:
            with server.client() as client:
                _fill(client, 1)
                _committed(server)
                server.rules(rule)
                if durability == "interval":
                    _fill(client, 2)
                    support.wait_for(
                        "the failure", lambda: client.stats()["brim_disk_failing"] == "yes")
                    for _ in range(3):
                        _compare(client, 2)
                        time.sleep(0.3)
                    _fill(client, 3)
                    _compare(client, 3)
                else:
                    _is_cut_off(server)
                    _compare(client, 1)
                assert int(client.stats()["brim_commits_failed"]) > 0
                failures = re.findall(r"error store\.commit_failed ", server.log())
                assert len(failures) == 1, server.log()
                server.rules("")
                support.wait_for(
                    "the disk's recovery", lambda: client.stats()["brim_disk_failing"] == "no")
                _fill(client, 4, keys=50)
                _committed(server)
                assert "store.commits_resumed " in server.log()
                server.kill()
        with support.Server("-m", 64, store=place / "store") as server:
            server.wait_for_recovery()
            with server.client() as client:
                _compare(client, 4, keys=50)
                if durability == "interval":
                    for index in range(50, KEYS):
                        key = b"k%d" % index
                        assert client.get(key) == truth.value_of(key, 3), key
            assert "store.moved_aside" not in server.log(), server.log()


def _is_cut_off(server):
    """With ack, nobody is told that a write succeeded which did not: the connection closes."""
    with server.client() as client:
        client.send(b"set k0 0 0 1\r\nx\r\n")
        try:
            line = client.line()
            raise AssertionError(f"answered while the disk fails: {line}")
        except (support.Closed, ConnectionResetError):
            pass
    assert int(server.stats()["brim_closed_failed_commit"]) > 0
    with server.client() as client:
        value = truth.value_of(b"k0", 1)
        client.send(b"set k0 0 0 %d noreply\r\n%s\r\nmn\r\n" % (len(value), value))
        assert client.line() == b"MN"


def no_space():
    _survives("write enospc\ntruncate enospc\n")


def failed_sync():
    _survives("sync eio\n")


def failed_writes():
    _survives("write eio\n")


def failed_meta_pages():
    _survives("write eio below=8192\n")


def torn_writes():
    _survives("write short 4096 times=3\nwrite eio\n")


def no_space_and_ack():
    _survives("write enospc\n", "ack")


def failed_sync_and_ack():
    _survives("sync eio\n", "ack")


def _slowest(server, prefix):
    """The longest that one of these takes, in seconds: hits, and sets of less than memory holds,
    which are taken at once."""
    slowest = [0.0, 0.0, 0.0]

    def measure(who, ask):
        start = time.monotonic()
        ask()
        slowest[who] = max(slowest[who], time.monotonic() - start)

    def read(who):
        with server.client() as client:
            for turn in range(1000):
                key = b"k%d" % (turn % KEYS)
                measure(who, lambda: _hit(client, key))

    def write(who):
        with server.client() as client:
            for index in range(100):
                key = prefix + b"%d" % index
                measure(who, lambda: _stored(client, key))

    support.in_threads([lambda: read(0), lambda: write(1), lambda: read(2)], 60)
    return max(slowest)


def _hit(client, key):
    assert client.get(key) == truth.value_of(key, 1)


def _stored(client, key):
    assert client.set(key, b"x" * 1000) == b"STORED"


def stalled_disk():
    """A sync that takes seconds costs who waits for the disk, and nobody else."""
    with support.folder() as place, _Faulty(place, "-m", 64, "-t", 2) as server:
        with server.client() as first:
            _fill(first, 1)
        slowest = [_slowest(server, b"sound"), 0.0]
        server.rules("sync stall 2000\n")
        commits = int(server.stats()["brim_commits"])
        # As often as some syncs take: two commits that were begun since have ended.
        while int(server.stats()["brim_commits"]) < commits + 2:
            slowest[1] = max(slowest[1], _slowest(server, b"w"))
        print("the slowest hit or set took {:.0f} ms on a sound disk, {:.0f} ms on this".format(
            *(1000 * seconds for seconds in slowest)))
        assert slowest[1] < HIT_SECONDS_ALLOWED + TIMES_ALLOWED * slowest[0]
        server.rules("")
        _committed(server)


def stalled_disk_and_a_flood():
    """Who sets more than memory holds while the disk stands still waits; others are served."""
    with support.folder() as place, _Faulty(place, "-m", 64, "-t", 2) as server:
        with server.client() as first:
            _fill(first, 1)
        sound = _slowest(server, b"sound")
        server.rules("sync stall 1500\n")
        stop, slowest, flooded = threading.Event(), [0.0], [0]

        def flood():
            value = os.urandom(60_000)
            with server.client(60) as client:
                for index in range(1600):
                    line = client.set(b"flood%d" % (index % 800), value)
                    assert line in (b"STORED", b"SERVER_ERROR out of memory storing object"), line
                    flooded[0] += line == b"STORED"
            stop.set()

        def read():
            with server.client() as client:
                while not stop.is_set():
                    for index in range(0, KEYS, 7):
                        key = b"k%d" % index
                        start = time.monotonic()
                        found = client.get(key)
                        assert found is None or found == truth.value_of(key, 1), found[:40]
                        if found:
                            slowest[0] = max(slowest[0], time.monotonic() - start)
                    time.sleep(0.01)

        support.in_threads([flood, read], 100)
        waits = int(server.stats()["brim_waits_for_memory"])
        print(f"{flooded[0]} of 1600 stored, {waits} waits, slowest hit {slowest[0] * 1000:.0f} ms")
        assert waits > 0 and flooded[0] > 1000
        assert slowest[0] < HIT_SECONDS_ALLOWED + TIMES_ALLOWED * sound
        server.rules("")
        support.wait_for(
            "a commit", lambda: server.stats()["brim_disk_failing"] == "no")


def dead_disk_and_a_flood():
    """A disk that takes nothing while ten times the memory is set: every set of any legal size
    succeeds, nothing older comes back, neither now nor after a restart."""
    with support.folder() as place:
        arguments = ("-m", 64, "-t", 2, "-I", "8m")
        with _Faulty(place, *arguments) as server:
            with server.client(60) as client:
                _fill(client, 1)
                _committed(server)
                server.rules("write eio\n")
                _fill(client, 2, keys=KEYS // 2)
                for index in range(KEYS // 2, KEYS // 2 + 50):
                    assert client.ask(b"delete k%d" % index) == b"DELETED"
                value, large = os.urandom(60_000), os.urandom(7 << 20)
                for index in range(8000):
                    assert client.set(b"flood%d" % index, value) == b"STORED", index
                    if index % 1000 == 0:
                        assert client.set(b"large", large) == b"STORED", index
                        assert client.get(b"large") == large
                assert client.get(b"flood7999") == value
                _is_not_stale(client, KEYS // 2, 50)
                stats = client.stats()
                print("given up: %s segments, %s records" % (
                    stats["brim_disk_segments_given_up"], stats["brim_disk_records_given_up"]))
                assert int(stats["brim_disk_segments_given_up"]) > 0
                assert stats["brim_disk_failing"] == "yes"
                if server.log().count("store.giving_up ") != 1:
                    raise AssertionError(server.log())
                server.rules("")
                support.wait_for(
                    "the disk's recovery", lambda: client.stats()["brim_disk_failing"] == "no")
                _is_not_stale(client, KEYS // 2, 50)
                _fill(client, 3, keys=20)
                _committed(server)
                server.kill()
        with support.Server(*arguments, store=place / "store") as server:
            server.wait_for_recovery()
            with server.client() as client:
                _compare(client, 3, keys=20)
                for index in range(20, KEYS // 2):
                    found = client.get(b"k%d" % index)
                    assert found in (None, truth.value_of(b"k%d" % index, 2)), index
                for index in range(KEYS // 2, KEYS // 2 + 50):
                    assert client.get(b"k%d" % index) is None, index
            assert "store.moved_aside" not in server.log(), server.log()


def stop_while_the_disk_takes_nothing():
    """What was written last is lost: the log says so, and so does the exit code."""
    with support.folder() as place, _Faulty(place, "-m", 64) as server:
        with server.client() as client:
            assert client.set(b"a", b"1") == b"STORED"
            _committed(server)
            server.rules("write eio\n")
            assert client.set(b"a", b"2") == b"STORED"
        code, spent = server.stop()
        assert code == 74 and spent < support.STOP_SECONDS_PROMISED, (code, spent)
        log = server.log()
        assert "store.stopped_uncommitted" in log, log
        assert "server.failed exit_code=74" in log, log


def _is_not_stale(client, changed, removed):
    for index in range(changed):
        key = b"k%d" % index
        assert client.get(key) in (None, truth.value_of(key, 2)), index
    for index in range(changed, changed + removed):
        assert client.get(b"k%d" % index) is None, index


def damaged_file():
    """Truncated anywhere, bits flipped anywhere: moved aside or served, and never a wrong value."""
    generator = random.Random(5)
    with support.folder() as place:
        with support.Server("-m", 64, "-I", "4m", store=place / "good") as server:
            with server.client() as client:
                for version in (1, 2, 3, 4):
                    _fill(client, version, 2000)
                    time.sleep(0.12)
        outcomes = []
        for turn in range(24):
            store = place / "bad"
            shutil.rmtree(store, ignore_errors=True)
            shutil.copytree(place / "good", store)
            _damage(store / "data.mdb", turn, generator)
            with support.Server("-m", 64, store=store) as server:
                server.wait_for_recovery()
                with server.client() as client:
                    outcomes.append(_served(client, 2000))
                    assert client.set(b"fresh", b"1") == b"STORED"
                if "store.moved_aside" in server.log():
                    assert any("unusable" in name for name in os.listdir(store))
                    assert outcomes[-1] == 0
                    outcomes[-1] = "aside"
        print(f"found of 2000, by damage: {outcomes}")


def _served(client, count):
    found = 0
    for start in range(0, count, 50):
        for key, value in client.get_many([b"k%d" % n for n in range(start, start + 50)]).items():
            assert value in [truth.value_of(key, version) for version in (1, 2, 3, 4)], value[:60]
            found += 1
    return found


def _damage(path, turn, generator):
    size = path.stat().st_size
    with open(path, "r+b") as file:
        if turn % 4 == 0:
            file.truncate(generator.choice((0, 1, 4096, 8192, generator.randrange(size))))
        elif turn % 4 == 1:
            for _ in range(generator.choice((1, 20, 400))):
                _flip(file, generator.randrange(size), generator)
        elif turn % 4 == 2:
            file.seek(generator.randrange(size) & ~4095)
            file.write(generator.randbytes(4096 * generator.randrange(1, 4)))
        else:
            _flip(file, generator.randrange(3 * 4096), generator)


def _flip(file, offset, generator):
    file.seek(offset)
    byte = file.read(1)
    file.seek(offset)
    file.write(bytes([byte[0] ^ 1 << generator.randrange(8)]))


def damaged_values():
    """Bits that flip on disk while the server runs are misses and a number, never a value."""
    with support.folder() as place, support.Server("-m", 64, store=place / "store") as server:
        value = {
            index: b"value of v%d:" % index + os.urandom(8000) for index in range(12_000)}
        with server.client() as client:
            for index, data in value.items():
                answer = client.set(b"v%d" % index, data)
                assert answer == b"STORED", (index, answer)
            _committed(server)
            damaged = _damage_values(place / "store" / "data.mdb")
            assert damaged > 0
            missing = []
            for index, data in value.items():
                found = client.get(b"v%d" % index)
                assert found is None or found == data, index
                if found is None:
                    missing.append(index)
            counted = int(client.stats()["brim_disk_damaged_reads"])
            print(f"{damaged} damaged, {len(missing)} missing, {counted} reads counted")
            sound = [index for index in missing if index % 10 != 0]
            assert not sound, f"{len(sound)} of {len(missing)} missing are sound: {sound[:20]}"
            assert 0 < len(missing) <= counted


def _damage_values(path):
    """Damages every tenth value in the file; how many copies of values were hit.

    A copy may be an old one, in pages that are free and partly in use again. So what is damaged
    lies in the page where the key was found, which belongs to that copy as a whole.
    """
    page = 4096
    data = path.read_bytes()
    damaged = 0
    with open(path, "r+b") as file:
        for match in re.finditer(rb"v(\d{1,5})value of v\1:", data):
            if int(match.group(1)) % 10 == 0 and match.end() % page <= page - len(b"damage"):
                file.seek(match.end())
                file.write(b"damage")
                damaged += 1
    return damaged


def _complains(*arguments, store, prefix=()):
    """A start that must fail in one line; the line and the exit code."""
    server = support.Server(*arguments, store=store, prefix=prefix, ready=False)
    try:
        code = server.process.wait(support.START_SECONDS_MAX)
    finally:
        if server.process.poll() is None:
            server.kill()
    lines = [line for line in server.log().splitlines() if " error " in line]
    assert code != 0 and len(lines) == 1, server.log()
    assert "--store" in lines[0] and str(store) in lines[0], lines
    return lines[0], code


def unwritable_folder():
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
    with support.folder() as place:
        (place / "store").mkdir()
        (place / "store").chmod(0o555)
        print(_complains("-m", 64, store=place / "store", prefix=prefix))
        (place / "file").write_text("")
        print(_complains("-m", 64, store=place / "file"))
        print(_complains("-m", 64, store=place / "file" / "below"))


def store_of_another():
    with support.folder() as place, support.Server("-m", 64, store=place / "store") as server:
        with server.client() as client:
            assert client.set(b"a", b"1") == b"STORED"
            line, code = _complains("-m", 64, store=place / "store")
            print(line, code)
            assert f"process {server.pid}" in line
            assert client.get(b"a") == b"1"
        # One that was killed leaves no lock behind.
        server.kill()
        with support.Server("-m", 64, store=place / "store") as next_one:
            next_one.wait_for_recovery()
        server.start()

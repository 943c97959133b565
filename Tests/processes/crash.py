"""Kills a writing server again and again, and holds what comes back against what it had promised.

Each writer owns its keys, so a key's history is a list of changes in one order. A change is in
doubt until it was answered. What is found after a restart must be the state after some change that
is no older than the last one which the server had promised to keep. Chance comes from a seed; the
moments of the kills do not.
"""

import random
import threading
import time
import zlib

import support

SEED = 7_200_000
KILLS = 25
WRITERS, KEYS, COUNTERS, BATCH = 4, 250, 30, 32
#: The server's clock counts seconds; so near to its end a value may be there or not.
BLUR_SECONDS = 3
_noise = random.Random(1).randbytes(4 << 20)


class Change:
    """One change of one key: the state after it, and when it was answered (None: in doubt)."""

    __slots__ = ("version", "expiry", "answered", "is_quiet", "is_settled")

    def __init__(self, version, expiry=0, is_quiet=False):
        self.version, self.expiry = version, expiry
        self.answered, self.is_quiet, self.is_settled = None, is_quiet, False

    def presence(self, asked):
        """Whether the value should be there for a request that was sent then, and was answered by
        now: True, False, or None for either."""
        if self.version is None:
            return False
        if not self.expiry or time.time() < self.expiry - BLUR_SECONDS:
            return True
        return False if asked > self.expiry + BLUR_SECONDS else None


def value_of(key, version):
    """A value that names its key and version and has a checksum; the bytes follow from both."""
    if key.startswith(b"n"):
        return b"%d" % version
    head = b"%s %d " % (key, version)
    chance = zlib.crc32(head)
    count = chance >> 8 & 0xFF
    if chance & 0xFF < 40:
        count += chance >> 8 & 0x3FFF
    elif chance & 0xFFF == 0xFFF:
        count += chance >> 8 & 0x1FFFFF
    start = chance & 0xFFFFF
    body = head + _noise[start:start + count]
    return b"%s %d" % (body, zlib.crc32(body))


class Writer:
    """The keys of one connection, and what happened to each."""

    def __init__(self, number, generator):
        self.generator, self.lock = generator, threading.Lock()
        self.histories = {b"k%d-%d" % (number, index): [Change(None)] for index in range(KEYS)}
        self.histories.update(
            {b"n%d-%d" % (number, index): [Change(None)] for index in range(COUNTERS)})
        self.keys = list(self.histories)
        self.versions, self.sent, self.failure = 0, 0, None

    def run(self, server, is_known, stop):
        try:
            with server.client() as client:
                while not stop.is_set():
                    with self.lock:
                        self.batch(client, is_known)
        except (support.Closed, OSError):
            assert stop.is_set(), "the server closed a connection"
        except AssertionError as failure:
            self.failure = failure

    def batch(self, client, is_known):
        request, awaited = bytearray(), []
        for _ in range(BATCH):
            self.add(request, awaited, is_known)
        request += b"mn\r\n"
        asked = time.time()
        client.send(bytes(request))
        self.sent += len(awaited)
        quiet = []
        for kind, key, change, prior in awaited:
            if change is not None and change.is_quiet:
                quiet.append(change)
                continue
            if kind == "get":
                found = client.values().get(key)
                if found is not None or not self.is_tight:
                    check(key, found, [prior], asked)
                continue
            line = client.line()
            self.settle(kind, key, change, prior, line, asked)
            change.answered = time.time()
        assert client.line() == b"MN"
        for change in quiet:
            change.answered = time.time()

    def add(self, request, awaited, is_known):
        """One more request; only sets and deletes while what is there is not known."""
        chance, key = self.generator.random(), self.generator.choice(self.keys)
        history = self.histories[key]
        prior, counts = history[-1], key.startswith(b"n")
        if is_known and chance < 0.25:
            request += b"get %s\r\n" % key
            awaited.append(("get", key, None, prior))
            return
        if is_known and chance < 0.35 and not counts:
            kind, change = "touch", Change(prior.version, self.expiry())
            request += b"touch %s %d\r\n" % (key, change.expiry)
        elif is_known and chance < 0.8 and counts and prior.version is not None:
            kind, change = "incr", Change(prior.version + 3)
            request += b"incr %s 3\r\n" % key
        elif chance < 0.45:
            kind, change = "delete", Change(None)
            request += b"delete %s\r\n" % key
        else:
            self.versions += 1
            quiet = self.generator.random() < 0.05
            kind, change = "set", Change(self.versions, 0 if counts else self.expiry(), quiet)
            value = value_of(key, change.version)
            ending = b" noreply" if quiet else b""
            request += b"set %s 0 %d %d%s\r\n%s\r\n" % (
                key, change.expiry, len(value), ending, value)
        history.append(change)
        awaited.append((kind, key, change, prior))

    def expiry(self):
        return int(time.time()) + self.generator.choice(
            (8, 20, 1000, 100_000)) if self.generator.random() < 0.2 else 0

    def settle(self, kind, key, change, prior, line, asked):
        if kind == "set":
            assert line == b"STORED", (key, line)
        elif kind == "delete":
            assert line in (b"DELETED", b"NOT_FOUND"), (key, line)
            presence = None if self.is_tight else prior.presence(asked)
            assert presence is None or not self.is_known or presence == (line == b"DELETED"), (
                key, line, prior.version)
        elif line == b"NOT_FOUND" and self.is_tight:
            # It had to leave; should a crash bring it back, it is what it was.
            change.version, change.expiry = prior.version, prior.expiry
        elif line == b"NOT_FOUND":
            assert not prior.presence(asked), (kind, key, prior.version)
            change.version = None
        elif kind == "touch":
            assert line == b"TOUCHED", (key, line)
            assert prior.presence(asked) is not False, (key, "touched", prior.expiry)
            change.version = prior.version
        else:
            assert line == b"%d" % change.version, (key, line, change.version)

    is_known = False
    is_tight = False


def check(key, found, allowed, asked):
    """Whether what was found is the state after one of the changes."""
    for change in allowed:
        presence = change.presence(asked)
        if found is None and not presence:
            return change
        if found is not None and presence is not False and found == value_of(key, change.version):
            return change
    what = "nothing" if found is None else repr(found[:60])
    raise AssertionError(
        f"{key.decode()}: found {what}; allowed: "
        + ", ".join(f"{c.version} until {c.expiry} answered {c.answered}" for c in allowed[-8:])
        + f" ({len(allowed)} in all)")


class Run:
    """A store, and the servers that open it one after the other."""

    def __init__(self, place, mode, seed, options=()):
        self.options, self.is_tight = options, bool(options)
        self.place, self.mode, self.generator = place, mode, random.Random(seed)
        self.writers = [Writer(n, random.Random(seed + n + 1)) for n in range(WRITERS)]
        for writer in self.writers:
            writer.is_tight = self.is_tight
        self.lost_age, self.lost, self.flushes, self.checked, self.recovery = 0.0, 0, 0, 0, 0.0
        self.committed = 0.0

    def server(self, **options):
        memory = self.generator.choice((64, 96, 128, 256))
        return support.Server(
            "-m", memory, "-t", self.generator.choice((1, 2, 3, 4)), "-I", "4m",
            "--durability", self.mode, *self.options, store=self.place / "store", **options)

    def round(self):
        if self.generator.random() < 0.2:
            # Dies while it starts. Only one such start in a row: after three it would give up.
            early = self.server(ready=False)
            time.sleep(self.generator.random() * 0.15)
            early.kill()
        with self.server() as server:
            is_known = self.generator.random() < 0.75
            if is_known:
                start = time.monotonic()
                server.wait_for_recovery()
                self.recovery = max(self.recovery, time.monotonic() - start)
                self.check(server)
            self.write(server, is_known)
            assert "store.moved_aside" not in server.log(), server.log()

    def write(self, server, is_known):
        """Lets everybody write for a while, then kills."""
        stop = threading.Event()
        for writer in self.writers:
            writer.is_known = is_known
        jobs = [lambda w=w: w.run(server, is_known, stop) for w in self.writers]
        jobs.append(lambda: self.watch(server, stop))
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(0.05 + self.generator.random() * 0.5)
        if self.generator.random() < 0.4:
            self.flush(server)
            time.sleep(self.generator.random() * 0.3)
        server.still_runs()
        killed = time.time()
        stop.set()
        server.kill()
        for thread in threads:
            thread.join(support.REPLY_SECONDS_MAX)
            assert not thread.is_alive()
        for writer in self.writers:
            if writer.failure:
                raise writer.failure
        self.settle(killed)

    def watch(self, server, stop):
        """Reads when the last commit that was completed began."""
        try:
            with server.client() as client:
                while not stop.is_set():
                    self.committed = max(
                        self.committed, int(client.stats()["brim_last_commit_began_us"]) / 1e6)
                    time.sleep(0.02)
        except (support.Closed, OSError):
            pass

    def flush(self, server):
        """Everybody stands still, so it has one place in every history."""
        for writer in self.writers:
            writer.lock.acquire()
        try:
            with server.client() as client:
                change = Change(None)
                for writer in self.writers:
                    for history in writer.histories.values():
                        history.append(change)
                assert client.ask(b"flush_all") == b"OK"
                change.answered = time.time()
                self.flushes += 1
        finally:
            for writer in self.writers:
                writer.lock.release()

    def is_promised(self, change):
        if change.answered is None or change.is_settled:
            return False
        if self.mode == "ack" and not change.is_quiet:
            return True
        return change.answered < self.committed

    def settle(self, killed):
        """Forgets what can no longer come back, and remembers when the rest was answered."""
        self.killed = killed
        for writer in self.writers:
            for key, history in writer.histories.items():
                floor = max(
                    (n for n, change in enumerate(history) if self.is_promised(change)), default=0)
                writer.histories[key] = history[floor:]
        # What this life of the server had not promised, no later one can make up for.
        for writer in self.writers:
            for history in writer.histories.values():
                for change in history:
                    change.is_settled = True

    def check(self, server):
        with server.client() as client:
            for writer in self.writers:
                for start in range(0, len(writer.keys), 40):
                    keys, asked = writer.keys[start:start + 40], time.time()
                    found = client.get_many(keys)
                    for key in keys:
                        self.compare(writer, key, found.get(key), asked)
        self.checked += 1

    def compare(self, writer, key, found, asked):
        history = writer.histories[key]
        if found is None and self.is_tight:
            return  # It may have had to leave. What comes later may not be older.
        there = check(key, found, list(reversed(history)), asked)
        lost = [c.answered for c in history[history.index(there) + 1:] if c.answered]
        if lost:
            self.lost += 1
            self.lost_age = max(self.lost_age, self.killed - min(lost))
        kept = Change(there.version if found is not None else None, there.expiry)
        kept.answered = 1.0  # It came from the disk.
        writer.histories[key] = [kept]

    def last(self):
        """A stop in good order keeps everything that was answered."""
        with self.server() as server:
            server.wait_for_recovery()
            self.check(server)
            stop = threading.Event()
            for writer in self.writers:
                writer.is_known = True
                with server.client() as client:
                    for _ in range(20):
                        writer.batch(client, True)
            stop.set()
        self.committed = time.time() + 1
        self.settle(time.time())
        with self.server() as server:
            server.wait_for_recovery()
            before = self.lost
            self.check(server)
            assert self.lost == before


def _kill_and_look(mode, seed, kills=KILLS, options=()):
    with support.folder() as place:
        run = Run(place, mode, seed, options)
        for number in range(kills):
            try:
                run.round()
            except AssertionError:
                print(f"seed {seed}, kill {number}, committed up to {run.committed}")
                raise
        run.last()
        sent = sum(writer.sent for writer in run.writers)
        print(
            f"{kills} kills, {sent} requests, {run.flushes} flushes, {run.checked} times compared;"
            f" answered and not kept: {run.lost}, at most {run.lost_age * 1000:.0f} ms old;"
            f" slowest recovery {run.recovery:.2f} s")
        if mode == "ack":
            return
        assert run.lost_age < 60, "what is older than a minute was lost"


def interval():
    _kill_and_look("interval", SEED + 10 * support.turn)


def acknowledged():
    _kill_and_look("ack", SEED + 10 * support.turn + 1)


def small_store():
    """So little room on disk that segments leave all the time: a miss, but nothing older."""
    _kill_and_look("interval", SEED + 10 * support.turn + 2, 12, ("--store-size", "64m"))


def memory_shrinks():
    """What shared segments larger than this run's is there for a get, and for a change at once."""
    with support.folder() as place:
        values = {b"large%d" % number: _noise[number:number + 200_000] for number in range(30)}
        with support.Server("-m", 1024, "-t", 1, store=place) as server:
            with server.client() as client:
                for key, value in values.items():
                    assert client.set(key, value) == b"STORED"
        with support.Server("-m", 64, "-t", 8, store=place) as server:
            server.wait_for_recovery()
            with server.client() as client:
                assert client.ask(b"touch large3 1000") == b"TOUCHED"
                assert client.set(b"large4", b"x", command=b"append") == b"STORED"
                values[b"large4"] += b"x"

                def missing():
                    found = {key: client.get(key) for key in values}
                    for key, value in found.items():
                        assert value is None or value == values[key], key
                    return sum(value is None for value in found.values())

                first = missing()
                support.wait_for("every value", lambda: missing() == 0)
                loads = int(client.stats()["brim_disk_loads"])
        print(f"{first} of {len(values)} missed at first, {loads} moves asked for")
        assert loads > 0, "the segments of this run were large enough"
        with support.Server("-m", 1024, "-t", 2, store=place) as server:
            server.wait_for_recovery()
            with server.client() as client:
                assert all(client.get(key) == value for key, value in values.items())

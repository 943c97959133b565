"""What operators and their tools ask of a server that runs."""

import re
import shutil
import struct
import subprocess

import support


def lists_of_items():
    """Every item comes once, however many there are, and a client that does not read costs none."""
    with support.Server("-m", 64) as server, server.client() as client:
        # There is no store, and whoever counts what one has is told of nothing.
        assert client.ask(b"stats extstore") == b"END"
        keys = {b"list-%d" % number for number in range(20_000)}
        for key in keys:
            client.send(b"set %s 1 1000 10 noreply\r\n0123456789\r\n" % key)
        client.ask(b"mn")
        with server.client() as idle:
            idle.send(b"lru_crawler metadump all\r\n" * 50)
            client.send(b"lru_crawler metadump all\r\n")
            found = []
            while (line := client.line_of(b"\n")) != b"END\r":
                match = re.fullmatch(
                    rb"key=(\S+) exp=\d+ la=\d+ cas=\d+ fetch=no cls=1 size=\d+", line)
                assert match, line
                found.append(match.group(1))
            assert len(found) == len(keys) and set(found) == keys, len(found)
            client.send(b"lru_crawler mgdump hash\r\n")
            names = set()
            while (line := client.line()) != b"EN":
                names.add(line.removeprefix(b"mg "))
            assert names == keys
            assert client.ask(b"mn") == b"MN"
            client.send(b"stats cachedump 1 100\r\n")
            for _ in range(100):
                assert re.fullmatch(rb"ITEM \S+ \[10 b; \d+ s\]", client.line())
            assert client.line() == b"END"


def lists_after_a_restart():
    """With a store, lists have what lies on disk only, too: all of it after a restart."""
    with support.folder() as place:
        arguments = ("-m", 64, "--store-size", "512m", "--flush-interval", "50")
        with support.Server(*arguments, store=place / "store") as server, \
                server.client(120) as client:
            sizes = {}
            for number in range(30_000):
                key = b"list-%d" % number
                sizes[key] = number % 97 if number % 2 else 4000 + number % 97
                client.send(b"set %s %d %d %d noreply\r\n%s\r\n" % (
                    key, number % 3, 100_000 if number % 5 == 0 else 0, sizes[key],
                    bytes(sizes[key])))
                if number % 1000 == 0:
                    assert client.ask(b"mn") == b"MN"
            for number in range(0, 30_000, 7):
                assert client.ask(b"delete list-%d" % number) == b"DELETED"
                del sizes[b"list-%d" % number]
            for life in range(2):
                form = re.compile(
                    rb"key=(\S+) exp=(-1|\d+) la=\d+ cas=(\d+) fetch=(?:yes|no) cls=1 size=(\d+)")
                client.send(b"lru_crawler metadump all\r\n")
                found = {}
                while (line := client.line_of(b"\n")) != b"END\r":
                    key, expiry, cas, size = form.fullmatch(line).groups()
                    assert key not in found, key
                    found[key] = expiry, cas, int(size)
                assert set(found) == set(sizes), (life, len(found), len(sizes))
                for key, (expiry, cas, size) in found.items():
                    number = int(key[5:])
                    assert (expiry == b"-1") == (number % 5 != 0), (key, expiry)
                    assert size > sizes[key], (key, size)
                    if number % 101 == 0:
                        assert client.ask(b"mg %s c s" % key) == b"HD c%s s%d" % (
                            cas, sizes[key]), key
                client.send(b"lru_crawler mgdump hash\r\n")
                names = []
                while (line := client.line()) != b"EN":
                    names.append(line.removeprefix(b"mg "))
                assert sorted(names) == sorted(sizes), (life, len(names))
                if life:
                    break
                server.stop()
                server.start()
                server.wait_for_recovery()
                client = server.client(120)


def lists_are_refused():
    with support.Server("-m", 64, "-X") as server, server.client() as client:
        client.set(b"a", b"1")
        assert client.ask(b"lru_crawler metadump all") == b"ERROR metadump not allowed"
        assert client.ask(b"stats cachedump 1 0") == b"CLIENT_ERROR stats cachedump not allowed"


def memory_limit():
    """Lowered, items leave and memory with them; raised, it is filled again."""
    with support.Server("-m", 128) as server, server.client() as client:
        def fill():
            for number in range(11_000):
                client.send(b"set fill-%d 0 0 10000 noreply\r\n%s\r\n" % (number, bytes(10_000)))
                if number % 1000 == 0:
                    assert client.ask(b"mn") == b"MN"
            assert client.ask(b"mn") == b"MN"
            return int(client.stats()["curr_items"])
        whole = fill()
        assert server.status("RssAnon") > 100 << 10
        assert client.ask(b"cache_memlimit 64") == b"OK"
        assert client.stats()["limit_maxbytes"] == str(64 << 20)
        support.wait_for("less memory", lambda: server.status("RssAnon") < 64 << 10)
        lowered = int(client.stats()["curr_items"])
        assert 0 < lowered < whole * 0.6, (whole, lowered)
        assert fill() < whole * 0.6
        assert client.ask(b"cache_memlimit 128") == b"OK"
        support.wait_for("as many as before", lambda: fill() > whole * 0.95)
        assert client.ask(b"cache_memlimit 129").startswith(b"MEMLIMIT_ADJUST_FAILED")
        refused = client.ask(b"cache_memlimit 1")
        least = int(re.fullmatch(rb".* to less than (\d+)m", refused).group(1))
        assert client.ask(b"cache_memlimit %d" % (least - 1)) == refused
        assert client.ask(b"cache_memlimit %d" % least) == b"OK"
        assert client.set(b"large", bytes(1_000_000)) == b"STORED"
        assert client.get(b"large") == bytes(1_000_000)


def evictions_are_watched():
    """What leaves memory, or with a store the disk, is told; and it has left."""
    form = re.compile(
        rb"ts=\d+\.\d+ gid=\d+ type=eviction key=(evict-\d+) fetch=(?:yes|no) ttl=-1 la=\d+"
        rb" clsid=1 size=10000")
    with support.folder() as place:
        for store in (None, place / "store"):
            size = ("--store-size", "64m", "--flush-interval", "50") if store else ()
            with support.Server("-m", 64, *size, store=store) as server, \
                    server.client() as client, server.client() as watcher:
                assert watcher.ask(b"watch evictions") == b"OK"
                told = set()

                def read():
                    while len(told) < 200:
                        line = watcher.line_of(b"\n").rstrip(b"\n")
                        if not line.startswith(b"skipped="):
                            told.add(form.fullmatch(line).group(1))

                def fill():
                    for number in range(60_000):
                        key = b"evict-%d" % number
                        assert client.set(key, bytes(10_000)) == b"STORED"
                        if number % 100 == 0 and len(told) >= 200:
                            return
                support.in_threads([read, fill], 100)
                assert len(told) >= 200
                found = client.get_many(sorted(told)[:100])
                assert not found, sorted(found)[:5]
                assert int(client.stats()["evictions"]) >= len(told)


def _set_packet(key, value):
    """A set of the binary protocol."""
    body = bytes(8) + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, 1, len(key), 8, 0, 0, len(body), 0, 0) + body


def nothing_is_made_without_room():
    """-M: a meta get that would make an item misses, as in memcached, until there is room; a set
    that is refused takes the old value with it, in the binary protocol, too."""
    with support.Server("-m", 64, "-M") as server, server.client() as client:
        number = 0
        for key in (b"old", b"older"):
            assert client.set(key, b"value") == b"STORED"
        for size in (100_000, 10_000, 1000, 100, 0):
            while client.set(b"full-%d" % number, bytes(size)) == b"STORED":
                number += 1
        assert client.ask(b"mg fresh N30 v k") == b"EN kfresh"
        assert client.ask(b"mg fresh N30 v q\r\nmn") == b"MN"
        with server.client(60) as binary:
            for key, size in ((b"old", 10_000), (b"older", 300_000)):
                assert client.get(key) == b"value"
                binary.send(_set_packet(key, bytes(size)))
                head = binary.exactly(24)
                assert head[6:8] == b"\0\x82", head
                binary.exactly(int.from_bytes(head[8:12], "big"))
                assert client.get(key) is None
        assert client.ask(b"flush_all") == b"OK"
        support.wait_for("room", lambda: client.ask(b"mg fresh N30 s") == b"HD s0 W")


def counted_requests():
    """stats detail and stats hotkeys count while they are on, and only then."""
    with support.Server("-m", 64) as server, server.client() as client:
        client.get(b"user:0")
        assert client.ask(b"stats detail on") == b"OK" == client.ask(b"stats hotkeys on")
        client.set(b"user:1", b"x")
        for _ in range(640):
            client.get(b"user:1")
        client.get(b"user:2")
        client.ask(b"delete user:1")
        assert client.ask(b"stats detail off") == b"OK"
        client.get(b"user:1")
        assert client.ask(b"stats detail dump") == b"PREFIX user get 641 hit 640 set 1 del 1"
        assert client.line() == b"END"
        assert client.ask(b"stats reset") == b"RESET"
        assert client.ask(b"stats detail dump") == b"END"
        assert client.ask(b"stats hotkeys 1") == b"STAT user:1 640"
        assert client.line() == b"END"


def prefixes_of_an_own_kind():
    """With -D, prefixes end at its character, and are counted from the start."""
    with support.Server("-m", 64, "-D", ".") as server, server.client() as client:
        settings = client.stats("settings")
        assert settings["stat_key_prefix"] == "." and settings["detail_enabled"] == "yes", settings
        client.set(b"user:1.name", b"x")
        client.get(b"user:1.name")
        client.get(b"user:1")
        assert client.ask(b"stats detail dump") == b"PREFIX user:1 get 1 hit 1 set 1 del 0"
        assert client.line() == b"END"
        assert client.ask(b"stats detail off") == b"OK"
        client.get(b"user:1.name")
        assert client.ask(b"stats detail dump") == b"PREFIX user:1 get 1 hit 1 set 1 del 0"
        assert client.line() == b"END"


def verbosity():
    with support.Server("-m", 64) as server, server.client() as client:
        for level in (b"2", b"0"):
            assert client.ask(b"verbosity " + level) == b"OK"
            assert client.stats("settings")["verbosity"] == level.decode()


def tools():
    """memcached-tool and memcdump end, and say what is there."""
    with support.Server("-m", 64) as server, server.client() as client:
        client.set(b"a", b"1")
        place = f"127.0.0.1:{server.port}"
        for command in (["memcdump", f"--servers={place}"], ["memcstat", f"--servers={place}"]):
            program = shutil.which(command[0])
            assert program, f"{command[0]} is not installed"
            done = subprocess.run(
                [program] + command[1:], capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done

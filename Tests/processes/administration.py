"""What operators and their tools ask of a server that runs."""

import re
import shutil
import subprocess

import support


def lists_of_items():
    """Every item comes once, however many there are, and a client that does not read costs none."""
    with support.Server("-m", 64) as server, server.client() as client:
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
        before = server.status("RssAnon")
        assert client.ask(b"cache_memlimit 64") == b"OK"
        assert client.stats()["limit_maxbytes"] == str(64 << 20)
        support.wait_for("less memory", lambda: server.status("RssAnon") < before - (55 << 10))
        lowered = int(client.stats()["curr_items"])
        assert 0 < lowered < whole * 0.6, (whole, lowered)
        assert fill() < whole * 0.6
        assert client.ask(b"cache_memlimit 128") == b"OK"
        support.wait_for("as many as before", lambda: fill() > whole * 0.95)
        assert client.ask(b"cache_memlimit 129").startswith(b"MEMLIMIT_ADJUST_FAILED")


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
        assert client.ask(b"stats hotkeys 1") == b"STAT user:1 640"
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
        assert client.ask(b"stats reset") == b"RESET"
        assert client.ask(b"stats detail dump") == b"END"

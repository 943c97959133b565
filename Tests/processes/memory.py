"""-m bounds the process: what it holds privately stays within it and the stated fixed part."""

import os
import random
import threading
import time

import support

LIMIT_MIB = 64
#: What operating.md states for two workers.
FIXED_MIB = 8 + 2 * 0.5
#: Their values are several times what memory holds.
REQUESTS = 60_000
#: Only a server that hangs takes so long for them.
HANG_SECONDS = 120


class _Watch:
    """The most private memory that was seen."""

    def __init__(self, server):
        self.server, self.most, self.stop = server, 0, threading.Event()
        #: With the pages of files, as ps shows it.
        self.resident = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.wait(0.02):
            try:
                self.most = max(self.most, self.server.status("RssAnon"))
                self.resident = max(self.resident, self.server.status("VmRSS"))
            except OSError:
                return

    def check(self, allowed_mib=LIMIT_MIB + FIXED_MIB):
        self.stop.set()
        self.thread.join(5)
        print(f"at most {self.most / 1024:.1f} MiB of {allowed_mib}"
              f", resident {self.resident / 1024:.1f} MiB")
        assert self.most <= allowed_mib * 1024, f"{self.most / 1024:.1f} MiB"
        # What the executable itself has in memory is in it, and the mapped file.
        assert self.resident <= (LIMIT_MIB + 64) * 1024, f"{self.resident / 1024:.1f} MiB"


_noise = os.urandom(1 << 21)


def _value(chance):
    kind = chance.random()
    size = chance.randrange(10, 300)
    if kind < 0.1:
        size = chance.randrange(300, 20_000)
    elif kind < 0.11:
        size = chance.randrange(20_000, 1_000_000)
    start = chance.randrange(1 << 20)
    return _noise[start:start + size]


def _work(server, seed, stop, counts):
    """Works all the time; counts how often its connection is closed, which should be never."""
    chance = random.Random(seed)
    while not stop.is_set():
        try:
            _converse(server, chance, stop, counts)
        except (support.Closed, ConnectionError):
            counts[1] += 1


def _converse(server, chance, stop, counts):
    """Sets of mixed sizes and gets of many keys, pipelined."""
    with server.client() as client:
        while not stop.is_set():
            request = bytearray()
            for _ in range(20):
                key = b"m%d" % int(chance.paretovariate(0.3) % 300_000)
                if chance.random() < 0.5:
                    value = _value(chance)
                    request += b"set %s 0 0 %d noreply\r\n%s\r\n" % (key, len(value), value)
                else:
                    request += b"get %s\r\n" % b" ".join(
                        b"m%d" % chance.randrange(300_000) for _ in range(chance.randrange(1, 30)))
            request += b"mn\r\n"
            client.send(bytes(request))
            while client.line() != b"MN":
                pass
            counts[0] += 20
            if counts[0] >= REQUESTS:
                stop.set()


def _load(server):
    stop = threading.Event()
    idle = [server.client() for _ in range(150)]
    deaf = []
    for _ in range(20):
        client = server.client()
        client.set(b"deaf", _noise[:600_000])
        client.socket.setblocking(False)
        for _ in range(40):
            try:
                client.socket.send(b"get deaf\r\n" * 50)
            except BlockingIOError:
                break
        deaf.append(client)
    for number in range(8):
        # Values that never come to their end.
        client = server.client()
        client.send(b"set half%d 0 0 900000\r\n" % number)
        client.socket.setblocking(False)
        try:
            client.socket.send(_noise[:700_000])
        except BlockingIOError:
            pass
        deaf.append(client)
    counts = [0, 0]
    jobs = [lambda s=s: _work(server, s, stop, counts) for s in range(8)]
    try:
        support.in_threads(jobs, HANG_SECONDS)
    finally:
        stop.set()
        for client in idle + deaf:
            client.close()
    print(f"{counts[0]} requests, {counts[1]} connections closed meanwhile")
    assert counts[1] == 0, "who sends and reads all the time is not closed"


def with_a_store():
    with support.folder() as place, \
            support.Server("-m", LIMIT_MIB, "-t", 2, store=place / "store") as server:
        watch = _Watch(server)
        _load(server)
        watch.check()


def without_a_store():
    with support.Server("-m", LIMIT_MIB, "-t", 2) as server:
        watch = _Watch(server)
        _load(server)
        watch.check()


def while_it_recovers():
    with support.folder() as place:
        with support.Server("-m", 256, "-t", 2, store=place / "store") as server:
            with server.client() as client:
                for start in range(0, 400_000, 1000):
                    client.send(b"".join(
                        b"set r%d 0 0 100 noreply\r\n%s\r\n" % (n, _noise[n:n + 100])
                        for n in range(start, start + 1000)))
                assert client.ask(b"mn") == b"MN"
            assert server.stop()[0] == 0
        with support.Server("-m", LIMIT_MIB, "-t", 2, store=place / "store") as server:
            watch = _Watch(server)
            server.wait_for_recovery()
            with server.client() as client:
                found = client.get_many([b"r%d" % n for n in range(0, 400_000, 4001)])
                assert found == {b"r%d" % n: _noise[n:n + 100] for n in range(0, 400_000, 4001)}
            watch.check()


def a_large_set_always_finds_room():
    """When memory is full a set of the largest size succeeds all the same."""
    for options in ({"store": True}, {}):
        with support.folder() as place:
            options = {"store": place / "store"} if options else {}
            with support.Server("-m", LIMIT_MIB, "-t", 2, "-I", "8m", **options) as server, \
                    server.client() as client:
                watch = _Watch(server)
                chance = random.Random(3)
                for turn in range(400):
                    for number in range(200):
                        value = _noise[number:number + chance.randrange(1, 500)]
                        client.send(b"set s%d-%d 0 0 %d noreply\r\n%s\r\n" % (
                            turn, number, len(value), value))
                    if turn % 10 == 0:
                        size = chance.choice(
                            (1, 16 << 10, 600_000, 1 << 20, 3 << 20, (8 << 20) - 200))
                        value = (_noise * 4)[:size]
                        line = client.set(b"large", value)
                        assert line == b"STORED", (turn, size, line)
                        assert client.get(b"large") == value, (turn, size)
                watch.check()


def large_sets_outrun_the_disk():
    """Twenty send large values faster than a disk takes them, over and over: all wait a little,
    none is refused, the file holds what it must, and the stop commits the rest."""
    with support.folder() as place, \
            support.Server("-m", 128, "-t", 1, "--store-size", "512m",
                           store=place / "store") as server:
        answers, failures = {}, []

        def work(number, size, count):
            try:
                with server.client() as client:
                    for turn in range(count):
                        line = client.set(b"l%d-%d" % (number, turn % 15), _noise[:size])
                        answers[line] = answers.get(line, 0) + 1
            except Exception as error:
                failures.append(error)

        for size, count in ((16_000, 400), (60_000, 60), (1_000_000, 45)):
            threads = [threading.Thread(target=work, args=(number, size, count), daemon=True)
                       for number in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(100)
            print(size, answers)
            assert not failures, failures[0]
            assert answers == {b"STORED": 20 * count}, (size, answers)
            answers.clear()
        assert int(server.stats("brim")["brim_commits_failed"]) == 0

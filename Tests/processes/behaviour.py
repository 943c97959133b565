"""How the server treats its connections, and its signals."""

import os
import random
import re
import select
import signal
import socket
import threading
import time

import faults
import support
import truth

PIPELINED = 100_000
#: Of others, while somebody misbehaves: so much more than of a server that nobody troubles, which
#: is asked in the same moments and says how slow the machine is.
REPLY_SECONDS_ALLOWED, TIMES_ALLOWED = 2.0, 10
#: At a stop, who waits for a reply to be read does so for two seconds, and the 0.3 s that are
#: waited for half a request are in both times that are compared.
UNREAD_SECONDS_ALLOWED = 1.0


class _Others:
    """Somebody who asks all the time, and how long the slowest answer took, of this server and of
    one beside it."""

    def __init__(self, server, count=2):
        self.servers = server, support.Server("-m", 64, "-t", 1)
        self.stop, self.slowest, self.turns = threading.Event(), [0.0, 0.0], 0
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True)
                        for n in range(count)]

    def run(self, number):
        try:
            with self.servers[0].client() as client, self.servers[1].client() as beside:
                while not self.stop.is_set():
                    for which, asked in enumerate((client, beside)):
                        start = time.monotonic()
                        key = b"other-%d" % number
                        assert asked.set(key, b"%d" % self.turns) == b"STORED"
                        assert asked.get(key) is not None
                        self.slowest[which] = max(
                            self.slowest[which], time.monotonic() - start)
                    self.turns += 1
                    time.sleep(0.002)
        except BaseException as failure:
            self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(support.REPLY_SECONDS_MAX)
        self.servers[1].kill()
        if kind is None:
            if self.failures:
                raise self.failures[0]
            assert self.turns > 0
            here, beside = self.slowest
            print(f"{self.turns} others' turns, the slowest took {here * 1000:.0f} ms,"
                  f" beside {beside * 1000:.0f} ms")
            assert here < REPLY_SECONDS_ALLOWED + TIMES_ALLOWED * beside


def connections_are_spread_evenly():
    with support.Server("-m", 64, "-t", 4) as server:
        clients = [server.client() for _ in range(49)]
        for client in clients:
            assert client.ask(b"mn") == b"MN"
        with server.client() as last:
            found = last.stats()
            spread = [int(found[f"brim_worker_{n}_connections"]) for n in range(4)]
            assert sum(spread) == 50 and max(spread) - min(spread) <= 1, spread
            # And again after half of them went.
            for client in clients[::2]:
                client.close()
            support.wait_for("closing", lambda: last.stats()["curr_connections"] == "25")
            clients = clients[1::2] + [server.client() for _ in range(25)]
            for client in clients:
                assert client.ask(b"mn") == b"MN"
            found = last.stats()
            spread = [int(found[f"brim_worker_{n}_connections"]) for n in range(4)]
            assert sum(spread) == 50 and max(spread) - min(spread) <= 1, spread
        for client in clients:
            client.close()


def pipelines_that_nobody_reads():
    """100,000 requests are sent before one reply is read: that costs its own connection only."""
    with support.folder() as place, \
            support.Server("-m", 64, "-t", 2, store=place / "store") as server:
        with server.client() as client:
            assert client.set(b"big", b"v" * 2000) == b"STORED"
        with _Others(server, 4):
            sent = [0]
            deaf = server.client(5)

            def pour():
                try:
                    for _ in range(PIPELINED // 1000):
                        deaf.send(b"get big\r\n" * 1000)
                        sent[0] += 1000
                except (socket.timeout, ConnectionError):
                    pass  # It is no longer read from, or was closed: both are in order.

            pour()
            time.sleep(1.5)
            memory = server.status("RssAnon")
            assert memory < (64 + 24) << 10, f"{memory} KiB"
            deaf.close()
        server.still_runs()


def pipelines_that_are_read():
    """100,000 requests at once, read by another thread meanwhile, are all answered in order."""
    with support.Server("-m", 64, "-t", 2) as server, server.client() as client, \
            _Others(server):
        request = b"".join(
            b"set p%d 0 0 %d noreply\r\n%d\r\nget p%d\r\n" % (n % 997, len(str(n)), n, n % 997)
            for n in range(PIPELINED // 2))
        sender = threading.Thread(target=client.send, args=(request,), daemon=True)
        sender.start()
        for number in range(PIPELINED // 2):
            found = client.values()
            assert found == {b"p%d" % (number % 997): b"%d" % number}, (number, found)
        sender.join(support.REPLY_SECONDS_MAX)
        assert not sender.is_alive()


def slow_readers():
    """Large values to those who take them slowly: they get them whole, and nobody waits."""
    with support.folder() as place, \
            support.Server("-m", 64, "-t", 2, store=place / "store") as server:
        value = os.urandom((1 << 20) - 200)
        with server.client() as client:
            assert client.set(b"large", value) == b"STORED"

        def slow():
            with server.client() as client:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                client.send(b"get large\r\n" * 4)
                received = b""
                while len(received) < 3 << 20:
                    received += client.socket.recv(1 << 16)
                    time.sleep(0.02)
                client.received = bytearray(received)
                for _ in range(4):
                    assert client.values() == {b"large": value}

        with _Others(server):
            support.in_threads([slow] * 6, 60)
        with server.client() as client:
            support.wait_for("the pins", lambda: client.stats()["brim_frames_pinned"] == "0")


def slow_writers():
    """A value that trickles in holds up nobody, and is there when it is complete."""
    with support.Server("-m", 64, "-t", 2) as server:
        value = os.urandom(700_000)

        def trickle(number):
            with server.client() as client:
                client.send(b"set slow%d 0 0 %d\r\n" % (number, len(value)))
                for start in range(0, len(value), 35_000):
                    client.send(value[start:start + 35_000])
                    time.sleep(0.05)
                client.send(b"\r\n")
                assert client.line() == b"STORED"
                assert client.get(b"slow%d" % number) == value

        def vanish():
            client = server.client()
            client.send(b"set gone 0 0 %d\r\n%s" % (len(value), value[:300_000]))
            time.sleep(0.3)
            client.close()

        with _Others(server):
            support.in_threads([lambda n=n: trickle(n) for n in range(4)] + [vanish] * 3, 60)
        with server.client() as client:
            assert client.get(b"gone") is None


def large_gat_waits_for_its_commit():
    """With `ack` a value that was touched is answered when the touch is on disk, at any size."""
    value = os.urandom(700_000)
    with support.folder() as place, \
            faults._Faulty(place, "-m", 64, "--durability", "ack") as server:
        with server.client() as client:
            assert client.set(b"a", value) == b"STORED"
            assert client.set(b"b", value[:100]) == b"STORED"
            server.rules("sync stall 1500\n")
            for key, expected in ((b"a", value), (b"b", value[:100])):
                start = time.monotonic()
                client.send(b"gat 1000 %s\r\n" % key)
                assert client.values() == {key: expected}
                spent = time.monotonic() - start
                assert spent > 0.7, f"{key}: answered after {spent:.2f} s, before the commit"
            start = time.monotonic()
            client.send(b"gat -1 a\r\n")
            assert client.values() == {b"a": value}
            assert time.monotonic() - start > 0.7
            server.rules("")
            assert client.get(b"a") is None


def half_close():
    """Who says that nothing more comes still gets every answer."""
    with support.Server("-m", 64) as server:
        with server.client() as client:
            value = os.urandom(500_000)
            client.send(
                b"set a 0 0 %d\r\n%s\r\n" % (len(value), value) + b"get a\r\n" * 20 + b"mn\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            time.sleep(0.1)
            assert client.line() == b"STORED"
            for _ in range(20):
                assert client.values() == {b"a": value}
            assert client.line() == b"MN"
            assert client.socket.recv(1) == b""
        with server.client() as client:
            # What is incomplete is not answered.
            client.send(b"mn\r\nset b 0 0 10\r\nabc")
            client.socket.shutdown(socket.SHUT_WR)
            assert client.line() == b"MN"
            assert client.socket.recv(1) == b""
        with server.client() as client:
            assert client.get(b"b") is None


def _stop_under_load(number, mode):
    with support.folder() as place:
        server = support.Server(
            "-m", 64, "-t", 2, "--durability", mode, store=place / "store")
        acknowledged, stop = [{} for _ in range(8)], threading.Event()

        def write(index):
            try:
                with server.client() as client:
                    version = 0
                    while not stop.is_set():
                        version += 1
                        key = b"t%d-%d" % (index, version % 200)
                        asked = truth.value_of(key, version)[:60_000]
                        if client.set(key, asked) != b"STORED":
                            return
                        acknowledged[index][key] = version
            except (support.Closed, OSError):
                pass

        threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(8)]
        for thread in threads:
            thread.start()
        enough = 20 if mode == "ack" else 150
        support.wait_for("writes", lambda: all(len(keys) >= enough for keys in acknowledged))
        code, spent = server.stop(number)
        stop.set()
        for thread in threads:
            thread.join(support.REPLY_SECONDS_MAX)
        assert code == 0, f"{code}\n{server.log()}"
        assert spent < support.STOP_SECONDS_PROMISED, spent
        with support.Server("-m", 64, store=place / "store") as again:
            again.wait_for_recovery()
            with again.client() as client:
                count = 0
                for versions in acknowledged:
                    for key, version in versions.items():
                        found = client.get(key)
                        # The one after it may have been stored without the reply being read.
                        allowed = [truth.value_of(key, v)[:60_000]
                                   for v in (version, version + 200)]
                        assert found in allowed, (key, version, found and found[:40])
                        count += 1
        print(f"{mode}, signal {number}: {count} values kept, stopped in {spent:.2f} s")


def stops_under_load():
    _stop_under_load(signal.SIGTERM, "interval")
    _stop_under_load(signal.SIGTERM, "ack")
    _stop_under_load(signal.SIGINT, "interval")
    _stop_under_load(signal.SIGUSR1, "interval")


def _stops(value, is_unread):
    """How long a stop takes with idle connections and half a request, and an unread reply."""
    with support.Server("-m", 64, "-t", 2) as server:
        clients = [server.client() for _ in range(20)]
        assert clients[0].set(b"a", value) == b"STORED"
        clients[1].send(b"set b 0 0 100\r\nabc")
        clients[3].send(b"get")
        if is_unread:
            clients[2].send(b"get a\r\n" * 50)
            support.wait_for("the reply", lambda: clients[2].socket.recv(1, socket.MSG_PEEK))
        code, spent = server.stop()
        assert code == 0 and spent < support.STOP_SECONDS_PROMISED, (code, spent)
        for client in clients:
            client.close()
        return spent


def stops_with_open_connections():
    """Idle ones, half a request, an unread reply: none of them keeps the server from ending."""
    value, plain, unread = os.urandom((1 << 20) - 200), [], []
    # A machine that is busy in one moment is not so in the same moment of each of five.
    while len(unread) < 5 and (not unread or min(unread) > min(plain) + UNREAD_SECONDS_ALLOWED):
        plain.append(_stops(value, False))
        unread.append(_stops(value, True))
    print(f"stopped in {min(plain):.2f} s, with an unread reply in {min(unread):.2f} s")
    assert min(unread) <= min(plain) + UNREAD_SECONDS_ALLOWED, (plain, unread)


def hangup():
    """A hangup is told in the log, once for each, and changes nothing else."""
    with support.Server("-m", 64) as server, server.client() as client, _Others(server):
        assert client.set(b"kept", b"value") == b"STORED"
        settings = server.stats("settings")
        # More of them in a second would be summed up.
        for number in range(1, 10):
            server.send_signal(signal.SIGHUP)
            support.wait_for(
                f"hangup {number} in the log", lambda: server.log().count("hangup") == number)
            assert client.ask(b"mn") == b"MN"
        assert client.get(b"kept") == b"value"
        assert server.stats("settings") == settings
        server.still_runs()


#: A line that answers something, but for those that a value follows.
_ANSWER = re.compile(
    rb"ERROR|(CLIENT_ERROR|SERVER_ERROR:?) [ -~]+|ERROR Too many open connections"
    rb"|EN|(HD|NS|EX|NF|NM|OK)( [ -~]*)?|ME [ -~]+|END|RESET|STORED|NOT_STORED|EXISTS"
    rb"|NOT_FOUND|DELETED|TOUCHED|MN|\d+|STAT \S+ [ -~]*")
_VALUE = re.compile(rb"VALUE [^ ]{1,250} \d+ (\d+)( \d+)?|VA (\d+)( [ -~]*)?")


def _read_answers(data, counts):
    """Counts the answers by their first words; what is none of the protocol's fails."""
    while data:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return  # The connection was closed in the middle of it.
        value = _VALUE.fullmatch(line)
        assert value or _ANSWER.fullmatch(line), line
        if value:
            size = int(value.group(1) or value.group(3))
            assert data[size:size + 2] in (b"\r\n", b"\r", b""), (line, data[:size + 2][-20:])
            data = data[size + 2:]
        word = line.split(b" ")[0].decode()
        word = "number" if word.isdigit() else word
        counts[word] = counts.get(word, 0) + 1


def _converse(client, data):
    """Sends everything and then no more, reads all the while; what came until the end."""
    received, sent, is_closed = bytearray(), 0, False
    client.socket.setblocking(False)
    deadline = time.monotonic() + support.REPLY_SECONDS_MAX
    while time.monotonic() < deadline:
        waiting = [client.socket] if sent < len(data) and not is_closed else []
        readable, writable, _ = select.select([client.socket], waiting, [], 1)
        try:
            if readable:
                piece = client.socket.recv(1 << 18)
                if not piece:
                    return bytes(received)
                received += piece
        except BlockingIOError:
            continue
        except OSError:
            return bytes(received)  # Closed by the server, as a line without an end has to be.
        try:
            if writable:
                sent += client.socket.send(data[sent:sent + (1 << 16)])
                if sent == len(data):
                    client.socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            continue
        except OSError:
            is_closed = True  # What it answered before is there to be read.
    raise AssertionError(f"not ended after {len(received)} bytes of answers")


def random_bytes():
    """Whatever is sent: every answer is one of the protocol's, every connection ends, what others
    stored stays as it was, and a well-formed request is answered as ever."""
    generator = random.Random(9)
    words = [b"get", b"gets", b"set", b"cas", b"incr", b"touch", b"gat", b"stats",
             b"mn", b"mg", b"verbosity", b"delete", b"append", b" ", b"  ", b"\r\n", b"\n", b"\0",
             b"-1", b"0", b"1", b"4294967296", b"18446744073709551616", b"noreply", b"k" * 251,
             b"a", b"b", b"\x80\x01", b"settings", b"items", b"\xff", b"x" * 3000]
    counts = {}
    with support.folder() as place, \
            support.Server("-m", 64, "-t", 2, store=place / "store") as server:
        def throw(seed):
            chance, found = random.Random(seed), {}
            for _ in range(60):
                pieces = [b"mn\r\n"]
                for _ in range(chance.randrange(1, 40)):
                    pieces.append(b"".join(
                        chance.choice(words) + chance.choice((b"", b" ", b" ", b"\r\n"))
                        for _ in range(chance.randrange(1, 30))))
                    if chance.random() < 0.1:
                        pieces.append(chance.randbytes(chance.randrange(5000)))
                with server.client() as client:
                    _read_answers(_converse(client, b"".join(pieces)), found)
            for word, count in found.items():
                counts[word] = counts.get(word, 0) + count

        with server.client() as client:
            kept = {b"kept-%d" % number: os.urandom(1000) for number in range(50)}
            for key, value in kept.items():
                assert client.set(key, value) == b"STORED"
            with _Others(server):
                seeds = [generator.randrange(1 << 30) for _ in range(4)]
                support.in_threads([lambda s=s: throw(s) for s in seeds], 120)
            assert client.get_many(kept) == kept
            support.wait_for("the end of all other connections", lambda: int(
                client.stats()["curr_connections"]) == 1)
        server.still_runs()
    print("answers to random bytes: ", *(f"{word}={counts[word]}" for word in sorted(counts)))
    # The well-formed request before each, and refusals of most of what followed.
    assert counts["MN"] >= 4 * 60 and counts["ERROR"] > 500 and counts["CLIENT_ERROR"] > 50, counts


def major_faults_of_workers():
    """Reading from disk faults no page in on a worker: that would stop all its connections."""
    with support.folder() as place, \
            support.Server("-m", 64, "-t", 2, store=place / "store") as server:
        value = os.urandom(4000)
        with server.client() as client:
            for number in range(30_000):
                client.send(b"set f%d 0 0 %d noreply\r\n%s\r\n" % (number, len(value), value))
            assert client.ask(b"mn") == b"MN"
            faults._committed(server)
            # The file leaves the kernel's cache, as far as it lets go of it.
            with open(place / "store" / "data.mdb", "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            before = _major_faults(server)
            for number in range(0, 30_000, 3):
                found = client.get(b"f%d" % number)
                assert found is None or found == value
            assert int(client.stats()["brim_disk_reads"]) > 1000
            after = _major_faults(server)
            assert after == before, f"{after} after {before}"


def _major_faults(server):
    faults = {}
    for task in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{task}/stat") as stat:
            name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
        if name.startswith("brim-worker"):
            faults[name] = int(rest.split()[9])
    assert faults, "no worker was found"
    return faults

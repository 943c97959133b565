#!/usr/bin/env python3
"""Measures what small requests wait for while hundreds of other peers behave badly.

    peers.py BRIM [--memcached PATH] [--only KIND,...] [--seconds N]

Brim without a store, Brim with one and memcached are started with `-m 256 -t 2 -c 1024`. For each
kind of bad peer, and each server in turn, twenty connections send a get or a set of 20 bytes at a
fixed rate, whatever is answered, and each answer is timed from the moment at which its request was
due. The kinds `uploads` and `readers` are honest and slow: a thousand of them, beside the small
requests, and all of them must come to an end.

A line is printed for each. What fails is said in it and makes the exit code 1: a request without
an answer, a slow peer that was not served, or a p99 above 50 ms that is also more than twice
memcached's. The generator shares the machine with the servers: compare lines, not machines.
"""

import argparse
import collections
import contextlib
import multiprocessing
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

FLAGS = ["-l", "127.0.0.1", "-m", "256", "-t", "2", "-c", "1024"]
SMALL_CONNECTIONS = 20
SMALL_PER_SECOND = 1000
SMALL_KEYS = 50
LARGE_COUNT = 80
LARGE = b"B" * 1_000_000
DISK_COUNT = 19_000
DISK_VALUE = b"d" * 20_000
SLOW_SECONDS_MAX = 45
P99_MILLISECONDS_MAX = 50
LINGER_RESETS = struct.pack("ii", 1, 0)

Answered = collections.namedtuple("Answered", "count p50 p99 worst lost")


def connect(port, receive_bytes=None):
    """A connection that does not block; with a small window if its peer is not to take much."""
    peer = socket.socket()
    if receive_bytes:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    peer.connect(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setblocking(False)
    return peer


def ask(port, requests, end):
    """Sends all of it and waits for the end of the answers."""
    with connect(port) as peer:
        peer.settimeout(60)
        peer.sendall(requests)
        received = b""
        while not received.endswith(end):
            part = peer.recv(1 << 16)
            if not part:
                raise OSError("closed by the server")
            received += part


def stored(key, value):
    return b"set %s 0 0 %d noreply\r\n%s\r\n" % (key, len(value), value)


# MARK: Bad peers

def beginning(kind, number):
    """What a bad peer sends at once."""
    match kind:
        case "stalled" | "half-closed":
            return b"".join(b"get L%d\r\n" % ((number * 3 + at) % LARGE_COUNT) for at in range(3))
        case "half uploads":
            return b"set u%d 0 0 16000\r\n" % number + b"x" * 2000
        case "large uploads":
            return b"set u%d 0 0 1000000\r\n" % number + b"x" * 2000
        case "pipelines":
            return b"get v16\r\n" * 400
        case "deaf on disk":
            keys = (b"d%d" % ((number * 40 + at) % DISK_COUNT) for at in range(40))
            return b"get " + b" ".join(keys) + b"\r\n"
        case "resets":
            return b"set u%d 0 0 16000\r\n" % number + b"x" * 9000
        case "lines":
            return b"g"
    raise ValueError(kind)


#: How many there are of each kind, and the bytes that each sends four times a second.
KINDS = {
    "none": (0, b""),
    "stalled": (300, b""),
    "half-closed": (300, b""),
    "lines": (500, b"e"),
    "half uploads": (500, b"x"),
    "large uploads": (300, b"x"),
    "pipelines": (300, b""),
    "deaf on disk": (300, b""),
    "resets": (300, None),
}


def behave_badly(kind, port, until):
    """The peers of one kind; who is closed comes again, not more than a few in a moment."""
    count, crumb = KINDS[kind]
    peers = [None] * count

    def begin(number):
        with contextlib.suppress(OSError):
            peers[number] = connect(port, 4096)
            peers[number].send(beginning(kind, number))
            if kind == "half-closed":
                peers[number].shutdown(socket.SHUT_WR)

    def go_on(number):
        if peers[number] is None:
            return begin(number)
        try:
            if crumb is None:
                peers[number].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESETS)
                raise ConnectionError
            if crumb:
                peers[number].send(crumb)
        except BlockingIOError:
            pass
        except OSError:
            peers[number].close()
            peers[number] = None

    for number in range(count):
        begin(number)
    number = 0
    while time.monotonic() < until:
        time.sleep(0.02)
        for _ in range(count // 12):
            go_on(number % count)
            number += 1


def pipe_sets(port, until):
    """Sixty pipelines of sets of 10 KB, as fast as the server takes them."""
    requests = b"".join(stored(b"w%d" % at, b"y" * 10_000) for at in range(30))
    poll = select.poll()
    peers = {}
    for _ in range(60):
        peer = connect(port)
        peers[peer.fileno()] = [peer, 0]
        poll.register(peer, select.POLLOUT)
    while time.monotonic() < until:
        for descriptor, _ in poll.poll(10):
            peer, at = peers[descriptor]
            with contextlib.suppress(BlockingIOError):
                part = peer.send(memoryview(requests)[at:at + 65_536])
                peers[descriptor][1] = (at + part) % len(requests)


# MARK: Slow and honest peers

def upload(peer, state, elapsed):
    """Sends at 4 KB/s; True at the end, which is right or raises."""
    request = state.setdefault("request", b"set %s 0 0 15000\r\n" % state["key"] + b"z" * 15_000
                               + b"\r\n")
    sent = state.get("sent", 0)
    due = min(int(elapsed * 4000), len(request)) - sent
    if due >= 400 or 0 < due == len(request) - sent:
        state["sent"] = sent + peer.send(request[sent:sent + due])
    elif sent == len(request):
        answer = peer.recv(100)
        if answer != b"STORED\r\n":
            raise OSError(f"answered by {answer[:40]}")
        return True
    return False


def download(peer, state, elapsed):
    """Reads at 100 KB/s; True at the end, which is right or raises."""
    if "read" not in state:
        peer.send(b"get %s\r\n" % state["key"])
        state["read"] = 0
    due = int(elapsed * 100_000) - state["read"]
    if due < 16_000 and state["read"] < len(LARGE):
        return False
    part = peer.recv(max(due, 16_000))
    if not part:
        raise OSError("closed by the server")
    state["read"] += len(part)
    # The end may come in two pieces.
    state["end"] = (state.get("end", b"") + part)[-5:]
    if state["end"] != b"END\r\n":
        return False
    if state["read"] < 100:
        raise OSError("a miss")
    return state["read"] > len(LARGE)


def be_slow(step, port, keys, results):
    """A thousand slow peers to their end: how many were served, failed, and are still there."""
    peers = []
    for key in keys:
        peers.append((connect(port, 16_384 if step is download else None), {"key": key}))
    began = time.monotonic()
    served, complaints = 0, collections.Counter()
    while peers and time.monotonic() - began < SLOW_SECONDS_MAX:
        left = []
        for peer, state in peers:
            try:
                if step(peer, state, time.monotonic() - began):
                    served += 1
                    peer.close()
                else:
                    left.append((peer, state))
            except BlockingIOError:
                left.append((peer, state))
            except OSError as error:
                complaints[str(error)] += 1
        peers = left
        time.sleep(0.01)
    results.put((served, dict(complaints), len(peers), time.monotonic() - began))


# MARK: Small requests

class Small:
    """Twenty connections that ask at a fixed rate."""

    def __init__(self, port):
        self.poll = select.poll()
        self.peers = [connect(port) for _ in range(SMALL_CONNECTIONS)]
        self.by_number = {peer.fileno(): peer for peer in self.peers}
        self.due = {peer: collections.deque() for peer in self.peers}
        self.times, self.lost = [], 0
        for peer in self.peers:
            self.poll.register(peer, select.POLLIN)

    def run(self, seconds):
        began = time.monotonic()
        count = 0
        while (elapsed := time.monotonic() - began) < seconds:
            while count < elapsed * SMALL_PER_SECOND:
                self.send(count, began + count / SMALL_PER_SECOND)
                count += 1
            self.take(1)
        while any(self.due.values()) and time.monotonic() - began < seconds + 6:
            self.take(10)
        self.lost += sum(len(due) for due in self.due.values())
        times = sorted(self.times) or [float("inf")]
        shares = [times[min(int(len(times) * at), len(times) - 1)] * 1e3 for at in (0.5, 0.99, 1)]
        return Answered(len(self.times), *shares, self.lost)

    def send(self, number, due):
        peer = self.peers[number % SMALL_CONNECTIONS]
        key = b"h%d" % (number // 3 % SMALL_KEYS)
        set_it = number % 4 == 0
        request = b"set %s 0 0 20\r\n%s\r\n" % (key, b"a" * 20) if set_it else b"get %s\r\n" % key
        try:
            peer.send(request)
            self.due[peer].append(due)
        except OSError:
            self.lost += 1

    def take(self, milliseconds):
        for descriptor, _ in self.poll.poll(milliseconds):
            peer = self.by_number[descriptor]
            try:
                received = peer.recv(1 << 16)
            except OSError:
                received = b""
            if not received:
                self.poll.unregister(peer)
            now = time.monotonic()
            for _ in range(received.count(b"STORED\r\n") + received.count(b"END\r\n")):
                self.times.append(now - self.due[peer].popleft())


def ask_small(port, seconds, results):
    results.put(Small(port).run(seconds))


# MARK: Servers

class Server:
    """A server on a port of its own, with what the kinds ask for."""

    def __init__(self, name, command, folder):
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(os.path.join(folder, name), "wb") as log:
            self.process = subprocess.Popen(
                [*command, "-p", str(self.port)], stdout=log, stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError):
                connect(self.port).close()
                break
            time.sleep(0.05)
        if name == "store":
            for first in range(0, DISK_COUNT, 500):
                values = [stored(b"d%d" % at, DISK_VALUE)
                          for at in range(first, min(first + 500, DISK_COUNT))]
                ask(self.port, b"".join(values) + b"mn\r\n", b"MN\r\n")
        sets = [stored(b"v16", b"v" * 16_384)]
        sets += [stored(b"h%d" % at, b"a" * 20) for at in range(SMALL_KEYS)]
        ask(self.port, b"".join(sets) + b"mn\r\n", b"MN\r\n")
        self.fill_large()

    def fill_large(self):
        for at in range(LARGE_COUNT):
            ask(self.port, stored(b"L%d" % at, LARGE) + b"mn\r\n", b"MN\r\n")

    def end(self):
        self.process.terminate()
        self.process.wait()


def measure(server, kind, seconds):
    """The small requests' times beside one kind; and what became of slow peers."""
    results, slow_results = multiprocessing.Queue(), multiprocessing.Queue()
    until = time.monotonic() + seconds + 2
    is_slow = kind in ("uploads", "readers")
    if is_slow:
        server.fill_large()
        keys = [b"s%d" % at if kind == "uploads" else b"L%d" % (at % LARGE_COUNT)
                for at in range(1000)]
        step = upload if kind == "uploads" else download
        target, arguments = be_slow, (step, server.port, keys, slow_results)
    elif kind == "bulk sets":
        target, arguments = pipe_sets, (server.port, until)
    else:
        target, arguments = behave_badly, (kind, server.port, until)
    others = multiprocessing.Process(target=target, args=arguments)
    others.start()
    time.sleep(1)
    small = multiprocessing.Process(target=ask_small, args=(server.port, seconds, results))
    small.start()
    answered = results.get()
    small.join()
    slow = slow_results.get() if is_slow else None
    others.join()
    time.sleep(0.3)
    return answered, slow


def tell(kind, server, answered, slow, oracle):
    """Prints a line; True if all is well."""
    limit = max(P99_MILLISECONDS_MAX, 2 * oracle.p99) if oracle else float("inf")
    if kind == "bulk sets" and oracle:
        limit = 2 * oracle.p99
    is_well = answered.lost == 0 and answered.p99 <= limit
    text = (f"{kind:<14}{server.name:<11}{answered.count:6} answers  p50 {answered.p50:6.2f}"
            f"  p99 {answered.p99:8.2f}  worst {answered.worst:8.2f} ms  lost {answered.lost}")
    if slow:
        served, complaints, left, seconds = slow
        is_well = is_well and served == 1000
        text += f"  served {served} in {seconds:.1f} s, left {left} {complaints or ''}"
    print(text, "" if is_well else " FAILED", flush=True)
    return is_well


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("brim")
    parser.add_argument("--memcached", default="memcached")
    parser.add_argument("--only", help="kinds, separated by commas")
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    kinds = options.only.split(",") if options.only else [
        *KINDS, "bulk sets", "uploads", "readers"]
    folder = tempfile.mkdtemp(prefix="brim-peers-")
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "nobody")
    servers, is_well = [], True
    try:
        servers.append(Server("memcached", [options.memcached, *FLAGS, *as_user], folder))
        servers.append(Server("brim", [options.brim, *FLAGS, *as_user, "--no-store"], folder))
        store = ["--store", os.path.join(folder, "data"), "--store-size", "2g"]
        servers.append(Server("store", [options.brim, *FLAGS, *as_user, *store], folder))
        for kind in kinds:
            oracle = None
            for server in servers:
                if kind == "deaf on disk" and server.name != "store":
                    continue
                answered, slow = measure(server, kind, options.seconds)
                if server.name == "memcached":
                    oracle = answered
                    tell(kind, server, answered, slow, None)
                else:
                    is_well = tell(kind, server, answered, slow, oracle) and is_well
    finally:
        for server in servers:
            server.end()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())

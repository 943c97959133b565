#!/usr/bin/python3 -B
"""Compares hit ratios at equal resident memory: Brim without a store, and memcached.

Usage: against-memcached.py BRIM MEMCACHED [-m MIB] [--rounds N] [--load NAME]

Both answer the same look-aside stream (what is missed is set) from one connection. memcached's -m
is chosen so that its resident anonymous memory at the end is within 2 % of Brim's (pages of the
executables are left out: the kernel shares and drops them). Counts, no timings: a busy machine
does not change them. Keys have 16 bytes, values 500 or, where mixed, 50 to 8192.
"""

import argparse
import bisect
import itertools
import random
import re
import socket
import subprocess
import sys
import time

BATCH = 32
LOADS = ["zipf 0.9", "zipf 0.99", "hot set and scan", "mixed sizes", "half sets"]


def weights(count, exponent):
    return list(itertools.accumulate((r + 1) ** -exponent for r in range(count)))


def mixed_bytes(key):
    return min(max(int(300 * 2.718281828 ** (1.1 * random.Random(key).gauss(0, 1))), 50), 8192)


class Stream:
    """Batches of (key, is_set), the same each time."""

    def __init__(self, load, held, rounds):
        self.load, self.held, self.rounds = load, held, rounds
        self.mixed = load == "mixed sizes"
        if self.mixed:
            self.held = held * 548 // 600
        self.objects = self.held * 5

    def value_bytes(self, key):
        return mixed_bytes(key) if self.mixed else 500

    def batches(self):
        chance = random.Random(1)
        total = self.held * self.rounds
        exponent = 0.99 if self.load == "zipf 0.99" else 0.9
        table = weights(self.objects, exponent)
        scanned = 0
        for _ in range(total // BATCH):
            if self.load == "hot set and scan":
                hot = self.held * 3 // 5
                keys = [chance.randrange(hot) for _ in range(BATCH // 2)]
                for _ in range(BATCH // 2):
                    scanned += 1
                    keys.append(hot + scanned % (self.held * 10))
            else:
                top = table[-1]
                keys = [bisect.bisect(table, chance.random() * top) for _ in range(BATCH)]
            sets = []
            if self.load == "half sets":
                keys, sets = keys[: BATCH // 2], keys[BATCH // 2 :]
            yield keys, sets


class Server:
    """A server process, and one connection to it."""

    def __init__(self, command, port):
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit(f"no server: {' '.join(command)}")
                time.sleep(0.05)

    def ask(self, lines, end):
        self.socket.sendall(lines)
        answer = b""
        while not answer.endswith(end):
            part = self.socket.recv(1 << 20)
            if not part:
                sys.exit("a server closed the connection")
            answer += part
        return answer

    def resident(self):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) / 1024

    def stop(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()


def run(command, port, stream):
    """Hit ratio over the second half, and anonymous resident MiB at the end."""
    server = Server(command, port)
    value = b"v" * 8192
    gets = hits = 0
    batches = stream.held * stream.rounds // BATCH
    for number, (keys, sets) in enumerate(stream.batches()):
        names = [b"%016x" % key for key in keys]
        answer = server.ask(b"get " + b" ".join(names) + b"\r\n", b"END\r\n")
        there = set(re.findall(rb"VALUE (\S+) ", answer))
        if number >= batches // 2:
            gets += len(names)
            hits += sum(name in there for name in names)
        lines = []
        missing = [k for k, n in zip(keys, names) if n not in there]
        for key in dict.fromkeys(missing + sets):
            size = stream.value_bytes(key)
            lines.append(b"set %016x 0 0 %d noreply\r\n%s\r\n" % (key, size, value[:size]))
        server.ask(b"".join(lines) + b"mn\r\n", b"MN\r\n")
    resident = server.resident()
    server.stop()
    return hits / gets, resident


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("brim")
    parser.add_argument("memcached")
    parser.add_argument("-m", type=int, default=32, help="Brim's -m, in MiB")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--load", default="")
    options = parser.parse_args()
    held = (options.m << 20) // 548
    print("load                 brim hits   MiB     memcached hits  -m   MiB")
    limit = options.m
    for load in [load for load in LOADS if options.load in load]:
        stream = Stream(load, held, options.rounds)
        port = free_port()
        ours, resident = run(
            [options.brim, "--no-store", "-t", "1", "-m", str(options.m), "-p", str(port)],
            port, stream)
        best = None
        for _ in range(4):
            port = free_port()
            theirs, used = run(
                [options.memcached, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1",
                 "-u", "nobody", "-m", str(limit)],
                port, stream)
            best = (theirs, limit, used)
            if abs(used - resident) <= 0.02 * resident:
                break
            limit += round(resident - used) or (1 if used < resident else -1)
        else:
            print("(not within 2 %)", end=" ")
        theirs = f"{best[0]:10.4f} {best[1]:7} {best[2]:6.1f}"
        print(f"{load:20} {ours:8.4f} {resident:7.1f}     {theirs}", flush=True)


main()

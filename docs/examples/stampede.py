#!/usr/bin/env python3
"""Many clients want what one should make: python3 stampede.py [HOST:PORT]

Three recipes against stampedes, in one request of the meta protocol, `mg KEY v N30 R5`:

- Early refresh. An item that expires in less than 5 seconds (R5) is given to everybody, and one
  client is told to make it anew (W) while it still answers.
- A herd on a miss. A missing item is made, empty and for 30 seconds (N30); the client that made it
  is told to fill it (W). The others are told that somebody does (Z), and ask again soon.
- Invalidate, but serve. `md KEY I T30` marks an item as stale, and leaves it for 30 seconds more.
  One client is told to make it anew (W); the others get the old value at once (X, Z).

What was won holds over restarts. A client that dies with it is replaced when the item expires, or
after the server's --win-timeout.
"""

import socket
import sys
import threading
import time

#: Clients that ask at the same moment.
CLIENTS = 64
#: Seconds that a value lives, for which a winner may work, and before the end when one is chosen.
LIFETIME, HOLD, EARLY = 300, 30, 5


class Cache:
    """One connection that speaks the meta protocol."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.replies = self.socket.makefile("rb")

    def ask(self, line, value=None):
        """The code of the reply, its flags, and its value if it has one."""
        block = b"" if value is None else value + b"\r\n"
        self.socket.sendall(line.encode() + b"\r\n" + block)
        code, *words = self.replies.readline().decode().split()
        if code != "VA":
            return code, words, None
        found = self.replies.read(int(words[0]) + 2)[:-2]
        return code, words[1:], found

    def get(self, key, make):
        """The value of a key; of all who ask, one at a time calls `make` for it."""
        while True:
            code, flags, value = self.ask(f"mg {key} v N{HOLD} R{EARLY}")
            if code != "VA":
                raise RuntimeError(f"mg was answered with {code}")
            if "W" in flags:
                value = make()
                self.set(key, value)
                return value
            if "Z" in flags and not value:
                # Somebody makes the first one.
                time.sleep(0.01)
                continue
            return value

    def set(self, key, value, lifetime=LIFETIME):
        code, _, _ = self.ask(f"ms {key} {len(value)} T{lifetime}", value)
        if code != "HD":
            raise RuntimeError(f"ms was answered with {code}")

    def invalidate(self, key):
        self.ask(f"md {key} I T{HOLD}")

    def close(self):
        self.replies.close()
        self.socket.close()


def crowd(address, key):
    """What all clients get who ask at the same moment, and how often one had to make it."""
    made, got = [], []
    start = threading.Barrier(CLIENTS)

    def make():
        made.append(key)
        time.sleep(0.2)
        return b"new"

    def one():
        cache = Cache(address)
        start.wait()
        got.append(cache.get(key, make))
        cache.close()

    threads = [threading.Thread(target=one) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(made), got


def check(what, made, got, allowed):
    values = {value: got.count(value) for value in set(got)}
    print(f"{what}: made {made} time, {len(got)} clients got {values}")
    if made != 1 or len(got) != CLIENTS or not set(got) <= allowed:
        sys.exit(f"{what}: wrong")


def main(address):
    cache = Cache(address)
    cache.ask("md example:herd")
    check("a herd on a miss", *crowd(address, "example:herd"), {b"new"})

    cache.set("example:early", b"old", lifetime=EARLY - 1)
    check("early refresh", *crowd(address, "example:early"), {b"old", b"new"})

    cache.set("example:stale", b"old")
    cache.invalidate("example:stale")
    check("invalidate, but serve", *crowd(address, "example:stale"), {b"old", b"new"})

    for key in ("herd", "early", "stale"):
        _, flags, value = cache.ask(f"mg example:{key} v")
        if (flags, value) != ([], b"new"):
            sys.exit(f"{key}: {flags} {value}")
    print("stampede: ok")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:11211")

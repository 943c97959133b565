#!/usr/bin/env python3
"""A client in Python, with pymemcache: python3 client.py [HOST:PORT]

Sets, gets, counts, compares and deletes; ends with 1 if an answer is not as it should be. Any
other memcached library serves as well: Brim speaks the classic text protocol.
"""

import sys

from pymemcache.client.base import Client


def main(address):
    # noreply is pymemcache's default for changes. With it nothing says whether a change was made,
    # and `--durability ack` does not wait for the disk: ask for replies where that matters.
    client = Client(address, connect_timeout=5, timeout=5, default_noreply=False)

    assert client.set("example:py:greeting", "hello", expire=60)
    assert client.get("example:py:greeting") == b"hello"
    # Many keys in one request: one way there and back.
    assert client.set_many({"example:py:a": "1", "example:py:b": "2"}) == []
    assert client.get_many(["example:py:a", "example:py:b", "example:py:none"]) == {
        "example:py:a": b"1", "example:py:b": b"2"}

    # A counter is a value of decimal digits; it has to be there before it is counted.
    client.set("example:py:visits", "0")
    assert client.incr("example:py:visits", 5) == 5

    # Change a value only if nobody else has changed it since it was read.
    value, cas = client.gets("example:py:greeting")
    assert client.cas("example:py:greeting", value + b", again", cas) is True
    assert client.cas("example:py:greeting", "too late", cas) is False

    assert client.delete("example:py:greeting")
    assert client.get("example:py:greeting") is None
    client.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:11211")
    print("python: ok")

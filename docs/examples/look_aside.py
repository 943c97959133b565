#!/usr/bin/env python3
"""A look-aside cache in Python, with pymemcache: python3 look_aside.py [HOST:PORT]

The application asks the cache, on a miss the database, and then fills the cache. What it changes
in the database it deletes in the cache: whoever reads next fills it anew. Two things are done
right here that are often left out:

- A fill uses `add`, which stores only what is not there: a slow reader does not overwrite what a
  later one has filled. A fill that was read before a change and comes after its delete is still
  old; the lifetime bounds how long.
- A cache that is down is a miss, not an error: the application goes on, only slower.
"""

import json
import sys

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError

#: Seconds after which a cached user is read from the database again.
LIFETIME = 300


class Users:
    """Users by number, from a database that is slow (here a dictionary that counts)."""

    def __init__(self, cache, database):
        self.cache, self.database, self.database_reads = cache, database, 0

    def get(self, number):
        key = f"example:user:{number}"
        try:
            cached = self.cache.get(key)
        except (MemcacheError, OSError):
            return self._read(number)
        if cached is not None:
            return json.loads(cached)
        user = self._read(number)
        try:
            self.cache.add(key, json.dumps(user), expire=LIFETIME)
        except (MemcacheError, OSError):
            pass
        return user

    def rename(self, number, name):
        self.database[number] = {"number": number, "name": name}
        # After the database, and with a reply: it must be gone before anybody is told. An error
        # here is the caller's to know: what is cached may then be old for up to LIFETIME.
        self.cache.delete(f"example:user:{number}", noreply=False)

    def _read(self, number):
        self.database_reads += 1
        return self.database[number]


def main(address):
    cache = Client(address, connect_timeout=1, timeout=1, default_noreply=False)
    users = Users(cache, {7: {"number": 7, "name": "Ada"}})
    cache.delete("example:user:7")

    assert users.get(7)["name"] == "Ada"
    assert users.get(7)["name"] == "Ada"
    assert users.database_reads == 1, "the second get should have been a hit"
    users.rename(7, "Grace")
    assert users.get(7)["name"] == "Grace"
    assert users.database_reads == 2

    # Nobody listens on port 1: every get is a miss, and the application does not notice.
    without = Users(Client("127.0.0.1:1", connect_timeout=1, timeout=1), users.database)
    assert without.get(7)["name"] == "Grace"


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:11211")
    print("look-aside: ok")

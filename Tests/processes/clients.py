"""Clients that people have: libmemcached's checks, and three Python libraries."""

import contextlib
import os
import shutil
import subprocess
import time

import memcache
import pylibmc
from pymemcache.client.base import Client as PyMemcache
from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError
from pymemcache.serde import PickleSerde

import support

CAPABLE_TESTS = 27
LARGEST = 1 << 20


@contextlib.contextmanager
def _servers():
    """With a store, then without."""
    with support.folder() as place:
        with support.Server("-m", 64, "-t", 2, store=place / "store") as server:
            yield server


def _capable(server):
    program = shutil.which("memccapable")
    assert program, "libmemcached-tools is not installed"
    for dialect in ("-a", "-b"):
        done = subprocess.run(
            [program, "-h", "127.0.0.1", "-p", str(server.port), dialect, "-t", "30"],
            capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert said.count("[pass]") == CAPABLE_TESTS, said
        assert "[FAIL]" not in said, said


def memccapable():
    with support.folder() as store, support.Server("-m", 64, store=store) as server:
        _capable(server)
    with support.Server("-m", 64) as server:
        _capable(server)


def pymemcache():
    with _servers() as server:
        client = PyMemcache(
            ("127.0.0.1", server.port), timeout=30, connect_timeout=30, default_noreply=False,
            serde=PickleSerde())
        assert client.version().count(b".") == 2
        _pymemcache_values(client)
        _pymemcache_changes(client)
        _pymemcache_times(client)
        _pymemcache_faults(server)
        statistics = client.stats()
        assert statistics[b"curr_items"] > 0 and statistics[b"threads"] == 2
        assert statistics[b"rusage_user"] >= 0.0
        settings = client.stats("settings")
        # Some versions turn memcached's "yes" into a truth value, some leave it.
        assert settings[b"cas_enabled"] in (True, b"yes"), settings[b"cas_enabled"]
        assert settings[b"maxbytes"] == 64 << 20
        assert client.stats("items") and client.stats("slabs")
        assert client.flush_all()
        assert client.get("a") is None
        client.quit()
        pooled = PooledClient(("127.0.0.1", server.port), max_pool_size=8, timeout=30)
        jobs = [lambda n=n: _pool_user(pooled, n) for n in range(8)]
        support.in_threads(jobs, 30)


def _pool_user(client, number):
    for turn in range(50):
        key = f"pool-{number}-{turn}"
        assert client.set(key, key * 3, noreply=False)
        assert client.get(key) == (key * 3).encode()


def _pymemcache_values(client):
    assert client.get("a") is None and client.get("a", "other") == "other"
    assert client.set("a", "text") and client.get("a") == "text"
    assert client.set("number", 123456) and client.get("number") == 123456
    assert client.set("object", {"list": [1, 2.5, None]})
    assert client.get("object") == {"list": [1, 2.5, None]}
    many = {f"many-{index}": f"value {index}" * (index + 1) for index in range(300)}
    assert client.set_many(many) == []
    assert client.get_many(list(many) + ["nobody"]) == many
    assert client.delete_many(list(many)[:100])
    assert set(client.get_many(many)) == set(list(many)[100:])
    for count in (0, 1, 1023, 16383, 16384, 16385, 70_000, 524_288, LARGEST - 600):
        value = os.urandom(count)
        assert client.set("large", value), count
        assert client.get("large") == value, count
    raw = b"\r\nEND\r\nset x 0 0 1\r\n\0\xff"
    assert client.set("raw", raw) and client.get("raw") == raw
    # The default: nobody answers, and the next reply is still the next request's.
    for turn in range(500):
        client.set(f"quiet-{turn}", turn, noreply=True)
    assert client.get("quiet-499") == 499 and client.get("quiet-0") == 0


def _pymemcache_changes(client):
    assert client.add("added", b"1") and not client.add("added", b"2")
    assert client.replace("added", b"3") and not client.replace("nobody", b"4")
    assert client.append("added", b">") and client.prepend("added", b"<")
    assert client.get("added") == b"<3>"
    assert not client.append("nobody", b"x")
    value, cas = client.gets("added")
    assert client.cas("added", b"new", cas) is True
    assert client.cas("added", b"late", cas) is False
    assert client.cas("nobody", b"x", cas) is None
    assert client.get("added") == b"new"
    both = client.gets_many(["added", "a", "nobody"])
    assert set(both) == {"added", "a"}
    assert client.set("count", b"10")
    assert client.incr("count", 5) == 15 and client.decr("count", 20) == 0
    assert client.incr("nobody", 1) is None
    assert client.set("count", b"18446744073709551615") and client.incr("count", 2) == 1
    assert client.delete("count") and not client.delete("count")


def _pymemcache_times(client):
    assert client.set("short", b"1", expire=1) and client.set("long", b"1", expire=3600)
    assert client.set("gone", b"1", expire=-1) and client.get("gone") is None
    assert client.set("stamp", b"1", expire=int(time.time()) + 3600)
    assert client.set("past", b"1", expire=int(time.time()) - 10)
    assert client.get("stamp") == b"1" and client.get("past") is None
    assert client.touch("long", 1) and client.set("kept", b"1", expire=1)
    assert client.touch("kept", 3600) and not client.touch("nobody", 1)
    support.wait_for("expiry", lambda: client.get("short") is None, 20)
    support.wait_for("expiry after a touch", lambda: client.get("long") is None, 20)
    assert client.get("kept") == b"1"
    assert client.set("later", b"1") and client.flush_all(1) and client.get("later") == b"1"
    support.wait_for("the delayed flush", lambda: client.get("later") is None, 20)
    assert client.set("after", b"1") and client.get("after") == b"1"


def _pymemcache_faults(server):
    client = PyMemcache(("127.0.0.1", server.port), timeout=30, default_noreply=False)
    client.set("small", b"1")
    try:
        client.set("small", b"x" * (LARGEST + 1))
        raise AssertionError("a value beyond the limit was stored")
    except MemcacheServerError as error:
        assert b"too large" in error.args[0], error
    assert client.get("small") is None, "what was there before is gone"
    client.set("text", b"abc")
    try:
        client.incr("text", 1)
        raise AssertionError("a text was counted up")
    except MemcacheClientError as error:
        assert b"non-numeric" in error.args[0], error
    assert client.get("text") == b"abc"
    client.close()


def libmc():
    """pylibmc: libmemcached, with its flags and behaviours."""
    _libmc(binary=False)


def libmc_binary():
    """The same in the binary protocol."""
    _libmc(binary=True)


def _libmc(binary):
    with _servers() as server:
        behaviors = {"tcp_nodelay": True, "cas": True}
        if not binary:
            behaviors["verify_keys"] = True
        client = pylibmc.Client(
            [f"127.0.0.1:{server.port}"], binary=binary, behaviors=behaviors)
        for value in (b"bytes", "text", 7, 1 << 60, True, 1.5, ["list"], {"a": 1}, b"", ""):
            assert client.set("typed", value) and client.get("typed") == value, value
        many = {f"key-{index}": "v" * index for index in range(500)}
        assert client.set_multi(many) == []
        assert client.get_multi(list(many) + ["nobody"]) == many
        assert client.delete_multi(list(many)[:10]) and client.get("key-3") is None
        value = os.urandom(LARGEST // 2)
        assert client.set("large", value) and client.get("large") == value
        text = "compress me " * 20_000
        assert client.set("packed", text, min_compress_len=100)
        assert client.get("packed") == text
        assert client.add("fresh", 1) and not client.add("fresh", 2)
        assert client.replace("fresh", 3) and client.get("fresh") == 3
        found, cas = client.gets("fresh")
        assert found == 3 and client.cas("fresh", 4, cas)
        assert not client.cas("fresh", 5, cas) and client.get("fresh") == 4
        assert client.incr("fresh", 10) == 14 and client.decr("fresh", 4) == 10
        assert client.set("text", "b") and client.append("text", "c")
        assert client.prepend("text", "a") and client.get("text") == "abc"
        assert client.touch("text", 1000) and not client.touch("nobody", 1)
        assert client.set("brief", 1, time=1)
        support.wait_for("expiry", lambda: client.get("brief") is None, 20)
        try:
            client.set("beyond", os.urandom(LARGEST + 10))
            raise AssertionError("a value beyond the limit was stored")
        except pylibmc.TooBig:
            pass
        (_, statistics), = client.get_stats()
        assert int(statistics["curr_items"]) > 0
        assert client.flush_all() and client.get("text") is None


def python_memcached():
    with _servers() as server:
        client = memcache.Client([f"127.0.0.1:{server.port}"], socket_timeout=30)
        for value in ("text", 7, 1 << 70, ["list", {"a": None}], b"bytes", True):
            assert client.set("typed", value) and client.get("typed") == value, value
        assert client.set_multi({f"key-{index}": index for index in range(200)}) == []
        assert client.get_multi([f"key-{index}" for index in range(250)]) == {
            f"key-{index}": index for index in range(200)}
        assert client.set("count", "10") and client.incr("count") == 11
        assert client.decr("count", 100) == 0
        assert client.add("added", 1) and not client.add("added", 1)
        assert client.replace("added", 2) and not client.replace("nobody", 2)
        client.cache_cas = True
        assert client.gets("added") == 2 and client.cas("added", 3)
        assert client.get("added") == 3
        assert client.delete("added") and client.get("added") is None
        assert client.touch("count", 100)
        value = os.urandom(LARGEST - 1000)
        assert client.set("large", value) and client.get("large") == value
        (name, statistics), = client.get_stats()
        assert int(statistics["get_hits"]) > 0, name
        client.flush_all()
        assert client.get("count") is None
        client.disconnect_all()


def unix_socket():
    with support.folder() as place:
        path = str(place / "brim.sock")
        with support.Server("-m", 64, "-s", path, "-a", "766", listen=False) as server:
            assert os.stat(path).st_mode & 0o777 == 0o766
            client = PyMemcache(path, timeout=30, default_noreply=False)
            value = os.urandom(300_000)
            assert client.set("a", value) and client.get("a") == value
            assert client.stats()[b"curr_connections"] == 1
            client.close()
            library = pylibmc.Client([path], binary=False)
            assert library.get("a") == value
            library.disconnect_all()
            with support.Client(path) as plain:
                assert b":brim" not in plain.ask(b"version")
                assert any("unix:" in line for line in plain.stats("conns").values())
            assert server.process.poll() is None
        assert not os.path.exists(path), "the socket's name stays behind"

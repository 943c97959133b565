"""newest.py NAME PORT [USER PASSWORD]: a client of newest.txt over its whole interface."""

import asyncio
import sys

ADDRESS = ("127.0.0.1", int(sys.argv[2]))
LONG = bytes(range(256)) * 3000


def pymemcache():
    """The text protocol, and the meta commands, which it passes on as they are."""
    from pymemcache.client.base import Client, PooledClient
    from pymemcache.client.hash import HashClient
    from pymemcache.exceptions import MemcacheClientError
    for client in (Client(ADDRESS, default_noreply=False, timeout=20),
                   PooledClient(ADDRESS, max_pool_size=4, default_noreply=False),
                   HashClient([ADDRESS], default_noreply=False)):
        assert client.set("a", b"1", expire=100) and client.get("a") == b"1"
        assert client.get("none") is None and client.get("none", 7) == 7
        assert client.add("a", b"2") is False and client.replace("a", b"2") is True
        assert client.append("a", b"3") and client.prepend("a", b"1")
        value, cas = client.gets("a")
        assert value == b"123" and client.cas("a", b"4", cas) is True
        assert client.cas("a", b"5", cas) is False and client.cas("none", b"5", cas) is None
        assert client.set_many({f"k{n}": b"%d" % n for n in range(500)}) == []
        found = client.get_many([f"k{n}" for n in range(500)] + ["none"])
        assert found == {f"k{n}": b"%d" % n for n in range(500)}
        assert len(client.gets_many(["k1", "k2"])) == 2
        assert client.set("long", LONG) and client.get("long") == LONG
        assert client.set("n", b"10") and client.incr("n", 5) == 15 and client.decr("n", 20) == 0
        assert client.incr("none", 1) is None
        assert client.touch("a", 50) is True and client.touch("none", 50) is False
        assert client.delete("a") is True and client.delete("a") is False
        client.set("quiet", b"1", noreply=True)
        assert client.get("quiet") == b"1" and client.delete_many(["k1", "k2"])
        assert client.flush_all() is not False and not client.get("long")
    client = Client(ADDRESS)
    assert client.set("g", b"1", expire=50, noreply=False)
    assert client.stats()[b"threads"] == 2 and client.stats("settings")[b"maxconns"] == 1024
    assert client.cache_memlimit(64) is True and client.version().startswith(b"1.6.")
    assert client.raw_command("mg g v t k", "\r\n1\r\n").startswith(b"VA 1 t")
    assert client.raw_command(b"ms m 2 T90 c\r\nhi").startswith(b"HD c")
    assert client.raw_command("mg m v", "\r\nhi\r\n") == b"VA 2"
    try:
        client.raw_command("ma m")
    except MemcacheClientError as refused:
        assert "non-numeric" in str(refused)
    else:
        raise AssertionError("what is no number was counted")
    assert client.raw_command("md m q\r\nmn") == b"MN" and client.raw_command("mg m") == b"EN"
    client.quit()


def bmemcached():
    """The binary protocol, with a user and a password."""
    import bmemcached
    wrong = bmemcached.Client(ADDRESS_TEXT, sys.argv[3], "wrong", socket_timeout=30)
    try:
        stored = wrong.set("a", "1")
    except bmemcached.exceptions.AuthenticationNotSupported:
        raise
    except Exception as fault:  # Which, depends on how far it had come.
        print(type(fault).__name__)
        stored = False
    assert not stored
    client = bmemcached.Client(ADDRESS_TEXT, sys.argv[3], sys.argv[4], socket_timeout=30)
    assert client.set("a", {"x": [1, 2]}, time=100) and client.get("a") == {"x": [1, 2]}
    assert client.get("none") is None and client.get("none", 7) == 7
    assert client.add("a", "2") is False and client.replace("a", "2") is True
    value, cas = client.gets("a")
    assert value == "2" and client.cas("a", "3", cas) is True
    assert client.cas("a", "4", cas) is False
    assert client.set_multi({f"k{n}": n for n in range(300)}) == []
    assert client.get_multi([f"k{n}" for n in range(300)] + ["none"]) == {
        f"k{n}": n for n in range(300)}
    assert client.set("long", LONG, compress_level=0) and client.get("long") == LONG
    assert client.incr("n", 1, default=10) == 10 and client.incr("n", 5) == 15
    assert client.decr("n", 20) == 0
    assert client.delete("a") is True and client.get("a") is None
    assert client.delete_multi(["k1", "k2"]) and client.get("k1") is None
    for what, name in ((None, "curr_items"), ("settings", "maxconns")):
        assert name in next(iter(client.stats(what).values()))
    assert client.flush_all() and client.get("k3") is None
    client.disconnect_all()


ADDRESS_TEXT = ("%s:%d" % ADDRESS,)


async def _raises(kind, awaited):
    try:
        await awaited
    except kind:
        return True
    return False


async def _aiomcache():
    import aiomcache
    client = aiomcache.Client(*ADDRESS, pool_size=4)
    assert await client.set(b"a", b"1", exptime=100) and await client.get(b"a") == b"1"
    assert await client.get(b"none") is None and await client.get(b"none", b"7") == b"7"
    assert not await client.add(b"a", b"2") and await client.replace(b"a", b"2")
    assert await client.append(b"a", b"3") and await client.prepend(b"a", b"1")
    value, cas = await client.gets(b"a")
    assert value == b"123" and await client.cas(b"a", b"4", cas)
    assert not await client.cas(b"a", b"5", cas)
    await asyncio.gather(*(client.set(b"k%d" % n, b"%d" % n) for n in range(300)))
    keys = [b"k%d" % n for n in range(300)]
    assert await client.multi_get(*keys) == tuple(b"%d" % n for n in range(300))
    assert await client.set(b"long", LONG) and await client.get(b"long") == LONG
    assert await client.set(b"n", b"10") and await client.incr(b"n", 5) == 15
    assert await client.decr(b"n", 20) == 0
    assert await _raises(aiomcache.ClientException, client.incr(b"none"))
    assert await client.touch(b"a", 50) and not await client.touch(b"none", 50)
    assert await client.delete(b"a") and not await client.delete(b"a")
    assert (await client.stats())[b"curr_items"] and (await client.version()).startswith(b"1.6.")
    assert await client.stats(b"settings")
    await client.flush_all()
    assert await client.get(b"long") is None
    await client.close()


async def _emcache():
    import emcache
    host = emcache.MemcachedHostAddress(*ADDRESS)
    client = await emcache.create_client([host], timeout=20.0, autobatching=True)
    await client.set(b"a", b"1", flags=7, exptime=100)
    found = await client.get(b"a", return_flags=True)
    assert found.value == b"1" and found.flags == 7 and await client.get(b"none") is None
    assert await _raises(emcache.NotStoredStorageCommandError, client.add(b"a", b"2"))
    await client.replace(b"a", b"2")
    await client.append(b"a", b"3")
    await client.prepend(b"a", b"1")
    found = await client.gets(b"a")
    assert found.value == b"123"
    await client.cas(b"a", b"4", found.cas)
    assert await _raises(emcache.StorageCommandError, client.cas(b"a", b"5", found.cas))
    await asyncio.gather(*(client.set(b"k%d" % n, b"%d" % n) for n in range(300)))
    keys = [b"k%d" % n for n in range(300)]
    assert len(await client.get_many(keys + [b"none"])) == 300
    assert all(item.cas for item in (await client.gets_many(keys)).values())
    # Gets at the same time are put into one line.
    items = await asyncio.gather(*(client.get(key) for key in keys))
    assert [item.value for item in items] == [b"%d" % n for n in range(300)]
    await client.set(b"long", LONG)
    assert (await client.get(b"long")).value == LONG
    await client.set(b"n", b"10")
    assert await client.increment(b"n", 5) == 15 and await client.decrement(b"n", 20) == 0
    assert await _raises(emcache.NotFoundCommandError, client.increment(b"none", 1))
    await client.touch(b"a", 50)
    assert await _raises(emcache.NotFoundCommandError, client.touch(b"none", 50))
    assert (await client.gat(50, b"a")).value == b"4" and (await client.gats(50, b"a")).cas
    assert len(await client.gat_many(50, keys)) == len(await client.gats_many(50, keys)) == 300
    await client.delete(b"a")
    assert await _raises(emcache.NotFoundCommandError, client.delete(b"a"))
    await client.set(b"quiet", b"1", noreply=True)
    assert (await client.version(host)).startswith("1.6.")
    assert "curr_items" in await client.stats(host)
    assert "maxconns" in await client.stats(host, "settings")
    await client.cache_memlimit(host, 64)
    await client.verbosity(host, 1)
    await client.flush_all(host)
    assert await client.get(b"long") is None
    await client.close()


def aiomcache():
    asyncio.run(_aiomcache())


def emcache():
    asyncio.run(_emcache())


{"pymemcache": pymemcache, "bmemcached": bmemcached, "aiomcache": aiomcache,
 "emcache": emcache}[sys.argv[1]]()
print("done")

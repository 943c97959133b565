"""django_cache.py PORT: Django's two cache back ends over the interface of its caches."""

import sys

import django
from django.conf import settings

ADDRESS = f"127.0.0.1:{sys.argv[1]}"
BACKENDS = {"pymemcache": "PyMemcacheCache", "pylibmc": "PyLibMCCache"}
settings.configure(CACHES={
    name if name != "pymemcache" else "default": {
        "BACKEND": f"django.core.cache.backends.memcached.{kind}", "LOCATION": ADDRESS,
        "KEY_PREFIX": name}
    for name, kind in BACKENDS.items()})
django.setup()

from django.core.cache import caches  # noqa: E402  (settings come first)


def check(cache):
    cache.set("a", {"x": [1, 2]}, 100)
    assert cache.get("a") == {"x": [1, 2]}
    assert cache.get("none") is None and cache.get("none", 7) == 7
    assert cache.add("a", 1) is False and cache.add("b", 1, 100) is True
    assert cache.get_or_set("made", lambda: "value", 100) == "value"
    values = {f"k{number}": "v" * number * 100 for number in range(100)}
    assert cache.set_many(values, 100) == []
    assert cache.get_many([*values, "none"]) == values
    cache.delete_many(["k1", "k2"])
    assert cache.get("k1") is None
    cache.set("counter", 10)
    assert cache.incr("counter", 5) == 15 and cache.decr("counter", 3) == 12
    try:
        cache.incr("nobody")
    except ValueError:
        pass
    else:
        raise AssertionError("a counter that is not there was counted")
    assert cache.touch("a", 100) is True and cache.touch("none", 100) is False
    assert cache.delete("a") is True and cache.delete("a") is False
    cache.set("over", 1, -1)
    assert cache.get("over") is None
    cache.set("versioned", 1, version=2)
    assert cache.get("versioned") is None and cache.get("versioned", version=2) == 1
    # A value that is too large takes the old one with it.
    cache.set("big", "old")
    try:
        cache.set("big", bytes(2 << 20))
    except Exception as fault:  # Each library has its own.
        print(type(fault).__name__)
    assert cache.get("big") is None
    cache.clear()
    assert cache.get("b") is None


check(caches["default"])
check(caches["pylibmc"])
print("done")

"""The statistics as the Prometheus exporter, Telegraf and others read them.

The rules are those of memcached_exporter and of the client library beneath it, written anew:
whoever breaks one is not scraped.
"""

import os
import re
import socket
import time

import support

GLOBAL = """version uptime time get_hits get_misses delete_hits delete_misses incr_hits incr_misses
    decr_hits decr_misses cas_hits cas_misses cas_badval touch_hits touch_misses cmd_set cmd_flush
    rusage_user rusage_system bytes limit_maxbytes curr_items total_items bytes_read bytes_written
    curr_connections total_connections rejected_connections conn_yields listen_disabled_num
    accepting_conns evictions reclaimed store_too_large store_no_memory lru_crawler_starts
    direct_reclaims crawler_items_checked crawler_reclaimed moves_to_cold moves_to_warm
    moves_within_lru""".split()
EXTSTORE = """compact_lost compact_rescues compact_skipped page_allocs page_evictions page_reclaims
    pages_free pages_used objects_evicted objects_read objects_written objects_used bytes_evicted
    bytes_written bytes_read bytes_used bytes_fragmented limit_maxbytes io_queue""".split()
ITEMS = "number age hits_to_hot hits_to_warm hits_to_cold hits_to_temp".split()
ITEMS_NEVER = "store_too_large store_no_memory".split()
SLABS = """get_hits delete_hits incr_hits decr_hits cas_hits touch_hits cas_badval cmd_set
    chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks
    free_chunks_end""".split()
OTHERS = """pid pointer_size cmd_get cmd_touch threads connection_structures max_connections
    libevent""".split()


def _lines(client, command):
    client.send(command + b"\r\n")
    lines = []
    while (line := client.line()) != b"END":
        assert not line.startswith((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")), line
        lines.append(line.decode())
    return lines


def _parse(lines):
    """By the library's rules: what has not three words is passed over; the names may have parts."""
    plain, slabs, items = {}, {}, {}
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or not words[0].startswith("STAT"):
            continue
        parts = words[1].split(":")
        if len(parts) == 1:
            plain[words[1]] = words[2]
        elif len(parts) == 2:
            slabs.setdefault(int(parts[0]), {})[parts[1]] = words[2]
        elif len(parts) == 3:
            assert parts[0] == "items", line
            items.setdefault(int(parts[1]), {})[parts[2]] = words[2]
    return plain, slabs, items


def _scrape(client):
    plain, _, _ = _parse(_lines(client, b"stats"))
    slab_plain, slabs, _ = _parse(_lines(client, b"stats slabs"))
    _, _, items = _parse(_lines(client, b"stats items"))
    settings = {}
    for line in _lines(client, b"stats settings"):
        found = re.fullmatch(r"STAT (\S+) (.*)", line)
        assert found, line
        settings[found.group(1)] = found.group(2)
    return plain, slab_plain, slabs, items, settings


def _number(text):
    value = float(text)
    assert value >= 0 and re.fullmatch(r"\d+(\.\d+)?", text), text
    return value


def _check(plain, slab_plain, slabs, items, settings, has_store):
    for name in GLOBAL + OTHERS + [f"extstore_{name}" for name in EXTSTORE if has_store]:
        assert name in plain, f"{name} is missing"
        if name not in ("version", "libevent"):
            _number(plain[name])
    assert re.fullmatch(r"\d+\.\d+\.\d+", plain["version"])
    for name in ("rusage_user", "rusage_system"):
        assert re.fullmatch(r"\d+\.\d{6}", plain[name]), plain[name]
    assert ("extstore_limit_maxbytes" in plain) == has_store
    assert "proxy_backend_total" not in plain
    assert "total_malloced" in slab_plain and "active_slabs" in slab_plain
    cas = sum(int(plain[name]) for name in ("cas_misses", "cas_hits", "cas_badval"))
    assert int(plain["cmd_set"]) >= cas, "a cas counts as a set"
    for number, fields in items.items():
        for name in ITEMS:
            assert name in fields, f"items:{number}:{name} is missing"
        assert not set(ITEMS_NEVER) & set(fields)
        for value in fields.values():
            _number(value)
    for number, fields in slabs.items():
        for name in SLABS:
            assert name in fields, f"{number}:{name} is missing"
        for value in fields.values():
            _number(value)
    assert not any("mem_requested" in f for f in slabs.values()) or not any(
        "mem_requested" in f for f in items.values()), "one metric in two places"
    _number(settings["maxconns"])
    if settings["lru_crawler"] == "yes":
        for name in ("lru_crawler_sleep", "lru_crawler_tocrawl", "hot_lru_pct", "warm_lru_pct",
                     "hot_max_factor", "warm_max_factor"):
            _number(settings[name])
    for name in ("cas_enabled", "flush_enabled", "dump_enabled", "lru_maintainer_thread"):
        assert settings[name] in ("yes", "no"), settings[name]


def _use(client):
    """A known number of each request."""
    for number in range(100):
        assert client.set(b"s%d" % number, b"x" * 100) == b"STORED"
    for number in range(150):
        client.get(b"s%d" % number)
    assert client.ask(b"delete s1") == b"DELETED" and client.ask(b"delete s1") == b"NOT_FOUND"
    assert client.set(b"n", b"5") == b"STORED"
    assert client.ask(b"incr n 1") == b"6" and client.ask(b"decr n 1") == b"5"
    assert client.ask(b"incr none 1") == b"NOT_FOUND" and client.ask(b"decr none 1") == b"NOT_FOUND"
    assert client.ask(b"touch n 100") == b"TOUCHED" and client.ask(b"touch none 1") == b"NOT_FOUND"
    client.send(b"gets n\r\n")
    cas = int(client.line().split()[4])
    assert client.line() == b"5" and client.line() == b"END"
    assert client.ask(b"cas n 0 0 1 %d\r\n7" % cas) == b"STORED"
    assert client.ask(b"cas n 0 0 1 %d\r\n8" % cas) == b"EXISTS"
    assert client.ask(b"cas none 0 0 1 1\r\n8") == b"NOT_FOUND"


def the_exporter_reads_them():
    with support.folder() as place:
        for options in ({"store": place / "store"}, {}):
            with support.Server("-m", 64, "-t", 2, **options) as server, \
                    server.client() as client:
                _check(*_scrape(client), "store" in options)
                _use(client)
                plain, slab_plain, slabs, items, settings = _scrape(client)
                _check(plain, slab_plain, slabs, items, settings, "store" in options)
                assert slabs and items, "a class is in use"
                expected = {
                    "cmd_set": 104, "get_hits": 101, "get_misses": 50, "delete_hits": 1,
                    "delete_misses": 1, "incr_hits": 1, "incr_misses": 1, "decr_hits": 1,
                    "decr_misses": 1, "cas_hits": 1, "cas_badval": 1, "cas_misses": 1,
                    "touch_hits": 1, "touch_misses": 1, "curr_items": 100}
                found = {name: int(plain[name]) for name in expected}
                assert found == expected, (found, expected)
                assert abs(int(plain["time"]) - time.time()) < 5
                assert int(plain["limit_maxbytes"]) == 64 << 20
                assert int(plain["pid"]) == server.pid
                assert sum(int(fields["number"]) for fields in items.values()) == 100


def ages_and_losses_are_told():
    """How old items are, where they are, and why gets missed."""
    with support.folder() as place:
        for options in ({"store": place / "store"}, {}):
            with support.Server("-m", 64, "-t", 2, **options) as server, \
                    server.client() as client:
                for number in range(20):
                    assert client.set(b"a%d" % number, b"x") == b"STORED"
                assert client.set(b"short", b"x", expiry=1) == b"STORED"
                fields = support.wait_for(
                    "an age", lambda: _scrape(client)[3] and (
                        lambda fields: int(fields["age"]) >= 2 and fields)(_scrape(client)[3][1]))
                assert int(fields["age_hot"]) == int(fields["age"]) < 60, fields
                parts = ("number_hot", "number_warm", "number_cold", "number_temp")
                assert sum(int(fields[name]) for name in parts) == int(fields["number"]), fields
                assert client.get(b"short") is None
                assert client.ask(b"flush_all") == b"OK"
                assert client.get(b"a1") is None and client.get(b"never") is None
                found = client.stats()
                # Whoever takes expired items away may have been faster than the get.
                assert int(found["get_expired"]) + int(found["reclaimed"]) >= 1, found
                assert int(found["get_flushed"]) <= 1 and int(found["get_misses"]) == 3
                assert int(found["get_flushed"]) + int(found["reclaimed"]) >= 1, found


def the_general_ones_fit_one_small_buffer():
    """collectd reads 4096 bytes, nginx's memcached module a page: whatever the numbers are."""
    with support.folder() as place, support.Server(
            "-m", 64, "--idle-timeout", 60, store=place / "store") as server, \
            server.client() as client:
        lines = _lines(client, b"stats")
        longest = 0
        for line in lines:
            head, name, value = line.split(" ", 2)
            digits = 20 if re.fullmatch(r"\d+", value) else len(value) + 10
            longest += len(head) + len(name) + digits + 4
        assert len(lines) > 80 and longest + 5 <= 3900, (len(lines), longest)
        own = client.stats("brim")
        assert own["brim_frames"] and not set(own) & {line.split(" ")[1] for line in lines}


def words_without_answers_end_too():
    """Whoever waits for END must see one; what is unknown is answered, in one line."""
    with support.Server("-m", 64) as server, server.client() as client:
        for word in (b"", b" ", b" brim", b" sizes", b" conns", b" settings", b" items", b" slabs"):
            client.send(b"stats%s\r\n" % word)
            while client.line() != b"END":
                pass
        assert client.ask(b"stats reset") == b"RESET"
        found = client.stats()
        assert found["cmd_get"] == found["total_connections"] == "0" or found["cmd_get"] == "0"
        for word in (b"maps", b"detail", b"cachedump 1 1", b"nonsense", b"items x y z"):
            client.send(b"stats %s\r\nmn\r\n" % word)
            while client.line() != b"MN":
                pass
    # A name that fills what the system has for it, and a peer without a name that ends.
    with support.folder() as place:
        path = str(place / "s").ljust(107, "s")
        with support.Server("-m", 64, "-s", path, listen=False) as server:
            peer = socket.socket(socket.AF_UNIX)
            peer.bind("\0" + os.urandom(8).hex().ljust(106, "p"))
            peer.connect(path)
            with peer:
                peer.sendall(b"stats conns\r\nmn\r\n")
                reply = b""
                while not reply.endswith(b"END\r\nMN\r\n"):
                    reply += peer.recv(1 << 16)
                assert b":listen_addr unix:%s\r\n" % path.encode() in reply, reply


def tools_read_them():
    """memcstat of libmemcached, as operators call it."""
    import shutil
    import subprocess
    program = shutil.which("memcstat")
    assert program, "libmemcached-tools is not installed"
    with support.Server("-m", 64) as server:
        done = subprocess.run(
            [program, f"--servers=127.0.0.1:{server.port}"], capture_output=True, text=True,
            timeout=30, env={**os.environ})
        assert done.returncode == 0, done.stderr
        for name in ("pid", "uptime", "curr_items", "limit_maxbytes", "threads"):
            assert re.search(rf"\b{name}: \d", done.stdout), done.stdout

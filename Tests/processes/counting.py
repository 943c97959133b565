"""What a worker asks of the allocator and of Swift's runtime while it serves: what
Bench/thresholds/allocations.json allows, and that is nothing.

The counts come from Tests/interpose/allocations.so, which sees a runtime that is linked
dynamically, as it is in the tests' build.
"""

import json
import random
import signal

import support

REQUESTS = 100_000
LIMITS = json.loads(
    (support.HERE.parent.parent / "Bench" / "thresholds" / "allocations.json").read_text())
SIGNAL_START, SIGNAL_STOP = signal.SIGRTMIN, signal.SIGRTMIN + 1


def _mixed(client, requests, seed):
    """Mixed requests, pipelined; every reply is read."""
    chance = random.Random(seed)
    values = [b"x" * size for size in (1, 10, 100, 1000, 4000, 15_000, 30_000, 200_000)]
    weights = [20, 20, 30, 10, 5, 2, 1, 0.2]
    done = 0
    while done < requests:
        request = bytearray()
        for _ in range(100):
            kind = chance.random()
            key = b"c%d" % chance.randrange(20_000)
            if kind < 0.5:
                request += b"get %s\r\n" % key
            elif kind < 0.55:
                request += b"gets %s\r\n" % b" ".join(
                    b"c%d" % chance.randrange(20_000) for _ in range(30))
            elif kind < 0.8:
                value = chance.choices(values, weights)[0]
                request += b"set %s 7 0 %d\r\n%s\r\n" % (key, len(value), value)
            elif kind < 0.84:
                request += b"delete %s\r\n" % key
            elif kind < 0.88:
                request += b"touch %s 1000\r\n" % key
            elif kind < 0.91:
                request += b"set n%d 0 0 2\r\n10\r\n" % (done % 100)
                request += b"incr n%d 5\r\n" % (done % 100)
            elif kind < 0.93:
                request += b"append %s 0 0 3\r\nabc\r\n" % key
            elif kind < 0.95:
                request += b"add %s 0 100 3\r\nabc\r\n" % key
            elif kind < 0.97:
                request += b"cas %s 0 0 3 17\r\nabc\r\n" % key
            elif kind < 0.98:
                request += b"gat 1000 %s\r\n" % key
            elif kind < 0.99:
                request += b"nonsense\r\n"
            else:
                request += b"set %s 0 0 3 noreply\r\nabc\r\n" % key
        request += b"mn\r\n"
        client.send(bytes(request))
        while client.line() != b"MN":
            pass
        done += 100


def _count(*arguments, **options):
    with support.folder() as place:
        out = place / "counts.json"
        if options.pop("has_store", False):
            options["store"] = place / "store"
        environment = {"ALLOCATIONS_OUT": str(out), "ALLOCATIONS_THREADS": "brim-worker"}
        with support.Server(*arguments, environment=environment, preload="allocations.so",
                            **options) as server:
            clients = [server.client() for _ in range(4)]
            for number, client in enumerate(clients):
                _mixed(client, REQUESTS // 4, number)
            before = server.stats()
            counts = _counted(server, out, lambda: [
                _mixed(client, REQUESTS // 4, 100 + n) for n, client in enumerate(clients)])
            after = server.stats()
            for name in ("get_hits", "cmd_set", "brim_disk_reads", "evictions"):
                if name in after:
                    print(name, int(after[name]) - int(before[name]))
            # Statistics are texts: they show that counts are counted.
            control = _counted(server, out, lambda: [server.stats() for _ in range(3)])
            for client in clients:
                client.close()
    assert control["total"]["malloc"] > 0 and control["total"]["swift_release"] > 0, control
    allowed = LIMITS["per_request"]
    assert set(counts["total"]) == set(allowed), "counted and limited are not the same things"
    above = {name: count for name, count in counts["total"].items()
             if count > allowed[name] * REQUESTS}
    assert not above, f"counted over {REQUESTS} requests: {above}"


def _counted(server, out, work):
    """What the workers' threads asked for while the work was done."""
    started = out.with_suffix(out.suffix + ".started")
    started.unlink(missing_ok=True)
    server.send_signal(SIGNAL_START)
    support.wait_for("the count's start", started.exists)
    work()
    out.unlink(missing_ok=True)
    server.send_signal(SIGNAL_STOP)
    support.wait_for("the counts", out.exists)
    counts = json.loads(out.read_text())
    assert all(thread["name"].startswith("brim-worker") for thread in counts["threads"])
    return counts


def from_memory():
    _count("-m", 256, "-t", 2)


def with_a_store():
    _count("-m", 256, "-t", 2, has_store=True)


def mostly_from_disk():
    _count("-m", 40, "-t", 2, has_store=True)

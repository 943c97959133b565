"""Ends a server that is written and read, again and again, and holds every answer of every life
against what it had promised, from the first moment after each start.

Each life has flags of its own, and those who talk to it (peers.py) have sent their first requests
before it begins. Chance comes from a seed; the moments of the ends do not.
"""

import random
import time

import peers
import support
import truth
from peers import Ballast, Lifetime, Writer
from truth import value_of

SEED = 7_200_000
LIVES = 25
WRITERS, KEYS, COUNTERS = 4, 250, 30
MEMORIES, THREADS, ITEM_SIZES = (64, 96, 128, 256, 512), (1, 2, 3, 4, 8), (1, 2, 4, 8)
#: With eight workers and little memory frames are smaller than a store's may be.
THREADS_MAX, MEMORY_FEW, SHARED_BYTES_MIN = 4, 256, 60_000
#: Values are so much longer where the store is to be turned over again and again.
LONGER_BYTES_MAX = 120_000
BALLAST_MAX = 8 * peers.BLOCKS
MIB = 1 << 20
_noise = random.Random(1).randbytes(4 << 20)


class Run:
    """A store, and the servers that open it one after the other."""

    def __init__(self, place, seed, sizes, value_of=value_of, life_bytes=0):
        self.place, self.sizes, self.generator = place, sizes, random.Random(seed)
        #: How much is written at least in a life that goes on for so long.
        self.life_bytes = life_bytes
        self.tokens, self.life, self.was_early = truth.Tokens(), truth.Life(0), True
        self.writers = [
            Writer(_keys(n, value_of), random.Random(seed + n + 1), self.tokens)
            for n in range(WRITERS)]
        self.ballast = Ballast(random.Random(seed - 1))
        self.peers = [*self.writers, self.ballast]
        #: When the last commit that was completed began.
        self.committed = 0.0
        self.kills = self.stops = self.flushes = self.met = self.cut = self.lives = 0
        self.lost, self.lost_seconds, self.recovery, self.left = 0, 0.0, 0, 0

    def draw_life(self):
        """The flags of the next life, and what they allow."""
        draw = self.generator.choice
        memory, threads, size = draw(MEMORIES), draw(THREADS), draw(self.sizes)
        item, durability = draw(ITEM_SIZES), draw(("interval", "ack"))
        self.flags = ("-m", memory, "-t", threads, "-I", f"{item}m", "--store-size", f"{size}m",
                      "--durability", durability)
        self.life = life(self.life.number + 1, durability, item, memory, threads)
        self.life.is_tight = size * MIB < 2 * self.written() + (1 << 30)

    def round(self, last=None):
        """One life, from its start to its end: while it starts, while it recovers, or later."""
        draw = self.generator
        self.draw_life()
        # A store that no start in a row of three has opened is moved aside.
        kind = last or draw.choices(
            ("early", "cut", "swept"), (0 if self.was_early else 15, 25, 60))[0]
        chance = {"early": 1, "cut": 0.6, "swept": 0.8}[kind]
        is_kill = draw.random() < chance and not last
        moment, flush = draw.random(), draw.random()
        self.was_early = kind == "early"
        self.tokens.begin_life()
        with Lifetime(
                self.peers, self.life, self.flags, self.place / "store", self.watch) as lifetime:
            if kind == "early":
                time.sleep(moment * 0.15)
            else:
                self.go_on(lifetime, kind, moment, flush if not last else 1)
            self.cut += lifetime.is_recovering
            ended, code = lifetime.end(is_kill)
            self.kills += is_kill
            self.stops += not is_kill
            log = lifetime.server.log()
            assert "store.moved_aside" not in log and "store.unreadable" not in log, log
            # One that could not keep all that memory held says so.
            assert code in (0, None) or code == 74 and self.life.is_tight, (code, log)
        self.settle(ended, is_kept=code == 0)

    def written(self):
        """Bytes that the servers may have written since the store is there."""
        return sum(writer.bytes for writer in self.writers) + self.ballast.bytes

    def go_on(self, lifetime, kind, moment, flush):
        enough = self.written() + self.life_bytes
        lifetime.await_all("answered")
        self.met += lifetime.is_recovering
        if self.met == 0 and self.lives > 3:
            # The machine was quicker than those who ask: more to recover from now on.
            self.ballast.wanted = min(2 * self.ballast.wanted, BALLAST_MAX)
        if flush < 0.06:
            self.flush(lifetime.server)
        if kind == "cut":
            time.sleep(moment * 0.03)
            return
        lifetime.await_all("was_swept")
        lifetime.wait_for("writes", lambda: self.written() >= enough)
        time.sleep(moment * 0.3)
        if 0.06 <= flush < 0.12:
            self.flush(lifetime.server)
            time.sleep(moment * 0.1)

    def watch(self, client):
        """Reads when the last commit that was completed began."""
        left = 0
        try:
            with client:
                while True:
                    found = client.stats()
                    left = int(found["extstore_objects_evicted"])
                    self.committed = max(
                        self.committed, int(found["brim_last_commit_began_us"]) / 1e6)
                    self.recovery = max(self.recovery, int(found["brim_recovery_milliseconds"]))
                    damage = [found[name] for name in (
                        "brim_damaged_segments", "brim_disk_damaged_reads",
                        "brim_commits_failed")]
                    if damage != ["0"] * 3 and not self.life.is_tight:
                        self.writers[0].failure = AssertionError(f"damage or failures: {damage}")
                    time.sleep(0.02)
        except (support.Closed, OSError):
            self.left += left

    def flush(self, server):
        """Everybody stands still, so it has one place in every history."""
        with peers.Peer.gate:
            for peer in self.peers:
                peer.lock.acquire()
            try:
                with server.client() as client:
                    changes = [change for peer in self.peers for change in peer.flush()]
                    assert client.ask(b"flush_all") == b"OK"
                    for change in changes:
                        change.answered = time.time()
                    self.flushes += 1
            finally:
                for peer in self.peers:
                    peer.lock.release()

    def settle(self, killed, is_kept):
        """Forgets what can no longer come back."""
        def is_promised(change):
            if change.answered is None:
                return False
            if is_kept or self.life.durability == "ack" and not change.is_quiet:
                return True
            return change.answered < self.committed

        for peer in self.peers:
            peer.end_life(is_promised, killed)
        for key in (key for writer in self.writers for key in writer.keys):
            if key.lost_seconds is not None:
                self.lost += 1
                self.lost_seconds = max(self.lost_seconds, key.lost_seconds)
                key.lost_seconds = None
        self.lives += 1

    def report(self):
        sent, early = (sum(getattr(peer, name) for peer in self.peers)
                       for name in ("sent", "sent_early"))
        print(
            f"{self.lives} lives, {self.kills} kills, {self.stops} stops, {self.flushes} flushes,"
            f" {sent} requests; {early} of them answered during {self.met} recoveries, with"
            f" {self.ballast.hits_early} small values; {self.cut} recoveries cut short;"
            f" answered and not kept: {self.lost}, at most {self.lost_seconds * 1000:.0f} ms old;"
            f" slowest recovery {self.recovery} ms; {self.left} records left for want of room")
        return early


def life(number, durability, item, memory, threads):
    """What a life with these flags may answer."""
    is_narrow = threads > THREADS_MAX and memory < MEMORY_FEW
    return truth.Life(
        number, durability, item * MIB, shared_bytes=SHARED_BYTES_MIN if is_narrow else None)


def _keys(number, value_of):
    names = [b"k%d-%d" % (number, index) for index in range(KEYS)]
    names += [b"n%d-%d" % (number, index) for index in range(COUNTERS)]
    return [truth.Key(name, value_of=value_of) for name in names]


def _live(seed, sizes, lives=LIVES, value_of=value_of, life_bytes=0):
    with support.folder() as place:
        run = Run(place, seed, sizes, value_of, life_bytes)
        try:
            for _ in range(lives):
                run.round()
            # A stop in good order keeps everything that was answered: all is looked at once more.
            run.round("swept")
            run.round("swept")
        except AssertionError:
            print(f"seed {seed}, life {run.life.number}: {run.flags},"
                  f" committed up to {run.committed}")
            run.report()
            raise
        assert run.report() > 0, "the server was never met while it recovered"
        return run


def _longer(key, version):
    """Values of which a small store holds few generations."""
    value = value_of(key, version)
    if key.startswith(b"n"):
        return value
    start = version % MIB
    return value + _noise[start:start + version * 7919 % LONGER_BYTES_MAX]


def roomy():
    """What was promised is there after every end, whatever the flags."""
    _live(SEED + 10 * support.turn, (6000, 8000, 10_000))


def any_size():
    """From one life to the next the store shrinks and grows: a miss, but nothing older."""
    _live(SEED + 10 * support.turn + 1, (64, 96, 256, 1000, 8000), value_of=_longer)


def small_store():
    """So little room on disk that segments leave all the time: a miss, but nothing older."""
    run = _live(SEED + 10 * support.turn + 2, (64, 80), 12, _longer, 20 * MIB)
    assert run.left > 0, "everything had room"


def memory_shrinks():
    """What shared segments larger than this run's is there for a get, and for a change at once."""
    with support.folder() as place:
        values = {b"large%d" % number: _noise[number:number + 200_000] for number in range(30)}
        with support.Server("-m", 1024, "-t", 1, store=place) as server:
            with server.client() as client:
                for key, value in values.items():
                    assert client.set(key, value) == b"STORED"
        with support.Server("-m", 64, "-t", 8, store=place) as server:
            server.wait_for_recovery()
            with server.client() as client:
                assert client.ask(b"touch large3 1000") == b"TOUCHED"
                assert client.set(b"large4", b"x", command=b"append") == b"STORED"
                values[b"large4"] += b"x"

                def missing():
                    found = {key: client.get(key) for key in values}
                    for key, value in found.items():
                        assert value is None or value == values[key], key
                    return sum(value is None for value in found.values())

                first = missing()
                support.wait_for("every value", lambda: missing() == 0)
                loads = int(client.stats()["brim_disk_loads"])
        print(f"{first} of {len(values)} missed at first, {loads} moves asked for")
        assert loads > 0, "the segments of this run were large enough"
        with support.Server("-m", 1024, "-t", 2, store=place) as server:
            server.wait_for_recovery()
            with server.client() as client:
                assert all(client.get(key) == value for key, value in values.items())

"""Power cuts: what the disk could hold after any of them must open, and hold what was promised.

The server's writes and syncs are recorded (Tests/interpose). When a reply is read, the record's
length is noted: whoever cuts the power after that must find what the reply promised. Then images
are made of what may have been on the disk at some cut, and a server is started on each, with flags
of its own, and read and written from its first moment on.
"""

import importlib.util
import os
import pathlib
import random
import shutil
import subprocess
import time

import crash
import support
import truth
from peers import Lifetime, Writer

SEED = 41
#: With what follows it a server takes it as it is started here.
VALUE_BYTES_MAX = 900_000
CONNECTIONS, KEYS, BATCH, TURNS = 3, 40, 12, 150
#: Records that make the recovery of an image last.
BALLAST = 20_000
#: Of a store, in MiB: nothing of an image has to leave it.
SIZE_ROOMY = 256


def _load():
    """The image maker; it has this file's name, so it is loaded under another."""
    path = support.HERE.parent / "interpose" / "powercut.py"
    specification = importlib.util.spec_from_file_location("powercut_images", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class _Story:
    """What was asked of the server, and how long the record was when it was answered."""

    keys, turns, deleted, flushes, keeps_all = KEYS, TURNS, 0.2, True, True

    def __init__(self, record, seed):
        self.record, self.generator, self.version = record, random.Random(seed), 0
        # By key: (version or None, time of the answer, the record's length then).
        self.changes = {b"p%d-%d" % (c, k): [(None, 0.0, 0)]
                        for c in range(CONNECTIONS) for k in range(self.keys)}
        # When a commit that had been completed by then began, and the record's length.
        self.commits = []
        # The CAS numbers that were handed out: key, version, and the record's length.
        self.tokens = {}

    def length(self):
        return os.stat(self.record).st_size

    def tell(self, server):
        clients = [server.client() for _ in range(CONNECTIONS)]
        for start in range(0, BALLAST, 1000):
            clients[0].send(b"".join(
                b"set b%d 0 0 9 noreply\r\nunchanged\r\n" % number
                for number in range(start, start + 1000)))
        for turn in range(self.turns):
            asked = [self.ask(client, number, turn) for number, client in enumerate(clients)]
            for client, keys in zip(clients, asked):
                for key, version in keys:
                    line = client.line()
                    expected = (b"DELETED", b"NOT_FOUND") if version is None else (b"STORED",)
                    assert line in expected, line
                    self.note([key], version)
            self.look(clients[0], self.owned(0, turn))
            if self.flushes and turn % 40 == 39:
                assert clients[0].ask(b"flush_all") == b"OK"
                self.note(self.changes, None)
            if turn % 3 == 0:
                began = int(clients[0].stats()["brim_last_commit_began_us"]) / 1e6
                self.commits.append((began, self.length()))
        for client in clients:
            client.close()

    @staticmethod
    def owned(number, _):
        """Whose keys a connection changes in a turn."""
        return number

    def removes(self, _):
        """Whether a connection's next request is a removal."""
        return self.generator.random() < self.deleted

    def ask(self, client, number, turn):
        request, keys = b"", []
        for _ in range(BATCH):
            key = b"p%d-%d" % (self.owned(number, turn), self.generator.randrange(self.keys))
            if self.removes(number):
                request += b"delete %s\r\n" % key
                keys.append((key, None))
                continue
            self.version += 1
            value = self.value(key, self.version)
            request += b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)
            keys.append((key, self.version))
        client.send(request)
        return keys

    @staticmethod
    def value(key, version):
        head = b"%s %d " % (key, version)
        return truth.value_of(key, version)[:VALUE_BYTES_MAX] + head * (version % 97)

    def note(self, keys, version):
        now, length = time.time(), self.length()
        for key in keys:
            self.changes[key].append((version, now, length))

    def allowed(self, key, length, mode):
        """The states in which a key may be found after a cut where the record was so long."""
        changes = self.changes[key]
        committed = max((began for began, noted in self.commits if noted <= length), default=0.0)
        floor = 0
        for number, (_, answered, noted) in enumerate(changes):
            if noted <= length and (mode == "ack" or answered < committed):
                floor = number
        return changes[floor:]

    def look(self, client, number):
        """Asks for CAS numbers, of which none may ever stand for anything else."""
        keys = [b"p%d-%d" % (number, self.generator.randrange(self.keys)) for _ in range(3)]
        client.send(b"".join(b"gets %s\r\n" % key for key in keys))
        for key in keys:
            for _, cas in client.items().values():
                self.tokens[cas] = key, self.changes[key][-1][0], self.length()

    def meet(self, arguments, life, store, length, mode, generator):
        """Asks of the server that opens an image from its first moment on, and until every key was
        looked at after its recovery: how many were there, and who has asked."""
        tokens = truth.Tokens()
        for cas, (key, version, noted) in self.tokens.items():
            if noted <= length:
                tokens.owners[cas] = key, (version, b"", b"")
                tokens.highest = max(tokens.highest, cas)
        tokens.begin_life()
        keys = []
        for name in self.changes:
            states = [truth.State(version, may_leave=not self.keeps_all)
                      for version, _, _ in self.allowed(name, length, mode)]
            keys.append(truth.Key(name, states, self.value))
        writers = [
            Writer(keys[n::2], random.Random(generator.random()), tokens, self.version)
            for n in range(2)]
        with Lifetime(writers, life, arguments, store) as lifetime:
            lifetime.await_all("was_swept")
            lifetime.end(is_kill=True)
        return writers


def _flags(generator, sizes):
    """With which flags an image is opened, and what they mean to who asks."""
    memory, threads = generator.choice(crash.MEMORIES), generator.choice(crash.THREADS)
    item, durability = generator.choice((1, 2, 4)), generator.choice(("interval", "ack"))
    size = generator.choice(sizes)
    flags = ("-m", memory, "-t", threads, "-I", f"{item}m", "--durability", durability,
             "--store-size", f"{size}m")
    life = crash.life(1, durability, item, memory, threads)
    life.is_tight = size < SIZE_ROOMY
    return flags, life


class _Churn(_Story):
    """Larger values than the store has room for: what is old may be gone, but not come back."""

    keys, turns, flushes, keeps_all = 100, 400, False, False

    @staticmethod
    def owned(number, turn):
        return (number + turn) % CONNECTIONS

    def removes(self, number):
        # The worker of the second connection fills many segments while the other's stays open:
        # removals lie in older segments than what they remove, and leave the disk before it.
        return number != 1

    @staticmethod
    def value(key, version):
        head = b"%s %d " % (key, version)
        return (
            head + truth.value_of(key, version)[:VALUE_BYTES_MAX] + head * (1500 + version % 97))


def _cut(mode, rounds):
    images, seed = _load(), SEED + 1000 * support.turn
    with support.folder() as place:
        (place / "store").mkdir()
        record = place / "record"
        story = _Story(record, seed)
        environment = {"POWERCUT_DIR": str(place / "store"), "POWERCUT_LOG": str(record)}
        with support.Server(
                "-m", 64, "-t", 2, "--durability", mode, "--flush-interval", 20,
                store=place / "store", environment=environment, preload="powercut.so") as server:
            story.tell(server)
        events, ends = images.read_record(record), []
        end = 0
        for event in events:
            end += images.HEAD.size + len(event.path.encode()) + len(event.data)
            ends.append(end)
        assert end == story.length(), "some events were passed over"
        generator, found = random.Random(seed), []
        syncs = [n for n, e in enumerate(events) if e.kind == images.SYNC or e.synchronous]
        for number in range(rounds):
            cut = generator.randrange(len(events) + 1)
            if number % 2:
                cut = min(len(events), max(0, generator.choice(syncs) + generator.choice((0, 1))))
            target = place / f"image-{number}"
            images.make_image(events, cut, seed + number, None).save(target)
            flags, life = _flags(generator, (64, 256, 1000, 4000))
            try:
                found += story.meet(
                    flags, life, target, ends[cut - 1] if cut else 0, mode, generator)
            except AssertionError:
                print(f"cut {cut} of {len(events)}, seed {seed + number}: {flags}")
                raise
            shutil.rmtree(target)
        _report(f"{rounds} images of {len(events)} events", found)


def _report(what, writers):
    sent, early = (sum(getattr(writer, name) for writer in writers)
                   for name in ("sent", "sent_early"))
    print(f"{what}; {sent} requests, {early} of them answered while a server recovered")
    assert early > 0, "no server was met while it recovered"


def full_map():
    """A map that is full over and over, because something else lies in it: a removed key must not
    come back because a segment left before what it owed was on disk."""
    images = _load()
    probe = pathlib.Path(support.brim).with_name("lmdb-probe")
    assert probe.exists(), "swift build --product lmdb-probe"
    seed = SEED + 1000 * support.turn
    arguments = ("-m", 32, "-t", 2, "--store-size", "64m")
    with support.folder() as place:
        base, store, record = place / "base", place / "store", place / "record"
        with support.Server(*arguments, store=base):
            pass
        subprocess.run([probe, "ballast", base, str(37 << 20)], check=True, timeout=60)
        shutil.copytree(base, store)
        story = _Churn(record, seed)
        environment = {"POWERCUT_DIR": str(store), "POWERCUT_LOG": str(record)}
        with support.Server(
                *arguments, "--flush-interval", 20, store=store, environment=environment,
                preload="powercut.so") as server:
            story.tell(server)
            stats = server.stats()
            assert int(stats["brim_commits_map_full"]) > 0, "the map was never full"
        events, ends = images.read_record(record), []
        end = 0
        for event in events:
            end += images.HEAD.size + len(event.path.encode()) + len(event.data)
            ends.append(end)
        generator, found = random.Random(seed), []
        syncs = [n for n, e in enumerate(events) if e.kind == images.SYNC or e.synchronous]
        for number in range(24):
            cut = min(len(events), generator.choice(syncs[len(syncs) // 4:]) + number % 2)
            target = place / f"image-{number}"
            images.make_image(events, cut, seed + number, str(base)).save(target)
            flags, life = _flags(generator, (64,))
            try:
                found += story.meet(
                    flags, life, target, ends[cut - 1] if cut else 0, "interval", generator)
            except AssertionError:
                print(f"cut {cut} of {len(events)}, seed {seed + number}: {flags}")
                raise
            shutil.rmtree(target)
        _report(f"{stats['brim_commits_map_full']} of {stats['brim_commits']} commits found the"
                f" map full", found)


def acknowledged():
    _cut("ack", 70)


def interval():
    _cut("interval", 40)

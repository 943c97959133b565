"""Those who talk to a server from the first moment of its life, and know what it may answer.

Each has connected, and sent its first requests, before the server is there: they are the first
that it executes, while it recovers what the lives before have left. Who owns a key knows what it
may hold (truth.py).
"""

import random
import threading
import time

import support
import truth

BATCH = 32
#: While the server recovers it is asked in small steps, so that many answers fall into that time.
LOOSE_BATCH = 8
#: With more of them a key is not changed by what depends on the one that it is in.
STATES_MAX = 40
JOINED_BYTES_MAX = 2000
#: What is longer is only set: it would be copied all the time.
CHANGED_BYTES_MAX = 300_000
#: What nobody reads yet has to fit into a socket.
FIRST_BYTES_MAX = 4000
#: Keys that make recovery last, in blocks that are written together.
BLOCKS, BLOCK, BLOCKS_AT_ONCE = 200, 500, 40
#: What counters are set to are multiples of it, which nobody counts up to.
COUNTED = 1000
#: How often each command is drawn.
_KINDS = {
    "get": 5, "gets": 8, "gat": 2, "gats": 3, "set": 14, "delete": 4, "touch": 4, "bury": 1,
    "add": 3, "replace": 3, "append": 3, "prepend": 2, "cas": 5}
_COUNTED = {
    "get": 3, "gets": 5, "gat": 1, "gats": 2, "set": 5, "delete": 2, "touch": 2, "bury": 1,
    "add": 2, "replace": 2, "incr": 20, "cas": 3}


class Peer:
    """Somebody who asks all the time, and is served from the first moment of a life."""

    #: Whoever wants all to stand still holds it, and then the lock of each.
    gate = threading.Lock()
    #: It asks over one of them at a time.
    connections = 1
    #: Between its requests, once it has seen all that it is to see.
    pause_seconds = 0

    def __init__(self, generator):
        self.generator, self.lock = generator, threading.Lock()
        self.failure, self.sent, self.sent_early = None, 0, 0
        self.answered, self.was_swept = threading.Event(), threading.Event()
        self.is_first, self.is_loose, self.was_recovering, self.open = True, True, False, []

    def begin(self, address, life):
        """Connects and asks, whoever serves that later."""
        self.life, self.is_first, self.is_loose, self.was_recovering = life, True, True, False
        self.answered.clear()
        self.was_swept.clear()
        self.lock.acquire()
        self.clients = [support.Client(address) for _ in range(self.connections)]
        self.ask()

    def run(self, ending):
        """Goes on until the server ends."""
        is_held = True
        try:
            while True:
                if not is_held:
                    with Peer.gate:
                        self.lock.acquire()
                    is_held = True
                    self.ask()
                self.take()
                self.lock.release()
                is_held = False
                if self.was_swept.is_set():
                    ending.wait(self.pause_seconds)
        except (support.Closed, OSError):
            if not ending.is_set():
                self.failure = AssertionError("the server closed a connection")
        except AssertionError as failure:
            self.failure = failure
        finally:
            if is_held:
                self.lock.release()
            for client in self.clients:
                client.close()

    def ask(self):
        # The last is seldom heard of, and another worker's: what is changed there lies in a segment
        # that was opened before that of what it replaces.
        self.client = self.clients[-1 if self.generator.random() < 0.2 else 0]
        request = self.compose()
        # Behind all others: it tells whether they came while the server recovered.
        request += b"stats\r\n" if self.is_loose else b"mn\r\n"
        self.asked = time.time()
        self.client.send(bytes(request))
        self.is_first = False

    def take(self):
        count = self.take_answers()
        self.sent += count
        if self.is_loose:
            self.was_recovering = self.client.statistics()["brim_recovering"] == "yes"
            self.is_loose = self.was_recovering
            self.sent_early += count * self.was_recovering
        else:
            assert self.client.line() == b"MN"
        self.conclude()
        self.answered.set()


class Writer(Peer):
    """The keys of one peer, and what happened to each."""

    connections = 2

    def __init__(self, keys, generator, tokens, versions=0):
        super().__init__(generator)
        self.keys, self.tokens, self.versions, self.sweep = keys, tokens, versions, []
        #: Bytes of values that the server may have written.
        self.bytes = 0

    def begin(self, address, life):
        for key in self.keys:
            key.begin_life(life)
        self.sweep = None
        super().begin(address, life)

    def compose(self):
        if self.sweep is None and not self.is_loose:
            self.sweep = list(self.keys)
        if self.sweep:
            kinds = [self.generator.choice(("get", "gets")) for _ in self.sweep[:BATCH]]
            requests = [truth.Request(kind, self.sweep.pop()) for kind in kinds]
        else:
            # Who waits for commits anyway asks more at once.
            is_small = self.is_loose and self.life.durability == "interval"
            requests = [self.draw() for _ in range(LOOSE_BATCH if is_small else BATCH)]
        for request in requests:
            request.is_loose, request.asked = self.is_loose, time.time()
        self.open = requests
        return bytearray().join(request.encode() for request in requests)

    def draw(self):
        key, chance = self.generator.choice(self.keys), self.generator
        kinds = _COUNTED if key.is_counter else _KINDS
        kind = chance.choices(list(kinds), kinds.values())[0]
        longest = max(len(state.head) + len(state.tail) for state in key.states)
        if kind not in ("get", "gets", "delete") and (
                len(key.states) > STATES_MAX or longest > JOINED_BYTES_MAX):
            kind = "set"
        if kind == "cas" and key.token is None:
            kind = "gets"
        if kind in ("set", "add", "replace", "cas"):
            return self.draw_value(kind, key)
        if kind in ("append", "prepend"):
            self.versions += 1
            joined = b"<%d>" % self.versions if kind == "append" else b"(%d)" % self.versions
            return truth.Request(kind, key, joined=joined)
        self.bytes += 1500
        expiry = self.expiry() if kind in ("touch", "gat", "gats") else 0
        return truth.Request(kind, key, expiry=expiry)

    def draw_value(self, kind, key):
        self.versions += 1
        version = self.versions * (COUNTED if key.is_counter else 1)
        count = len(key.value_of(key.name, version))
        if self.is_first and count > FIRST_BYTES_MAX:
            return truth.Request("delete" if self.generator.random() < 0.1 else "gets", key)
        if count > CHANGED_BYTES_MAX:
            kind = "set"
        self.bytes += count
        is_quiet = (kind == "set" and count < CHANGED_BYTES_MAX
                    and self.generator.random() < 0.05)
        expiry = self.expiry() if self.generator.random() < 0.2 else 0
        return truth.Request(kind, key, version, expiry=expiry, is_quiet=is_quiet)

    def expiry(self):
        return int(time.time()) + self.generator.choice((8, 20, 1000, 100_000))

    def take_answers(self):
        count, self.settled = len(self.open), []
        while self.open:
            request = self.open[0]
            answer = None if request.is_quiet else request.read(self.client)
            if request.is_quiet:
                answer = b"STORED"
            request.settle(answer, self.life, self.tokens)
            if request.change is not None:
                if not request.change.is_quiet:
                    request.change.answered = time.time()
                self.settled.append(request.change)
            self.open.pop(0)
        return count

    def conclude(self):
        for change in self.settled:
            change.answered = change.answered or time.time()
        if self.sweep == []:
            self.was_swept.set()

    def flush(self):
        """The change that flush_all is to each key."""
        return [key.change([truth.State(None, born=self.life.number)]) for key in self.keys]

    def end_life(self, is_promised, killed):
        doubted = {}
        for request in self.open:
            doubted.setdefault(request.key, []).append(request)
        for key in self.keys:
            key.end_life(is_promised, doubted.get(key, ()), self.life, killed)
        self.open = []


class Block:
    """Keys that are written together: the values that any of them may have, None for nothing."""

    def __init__(self):
        self.changes = [truth.Change([None], answered=0.0)]
        #: What was seen of which key since the last change.
        self.found = {}
        #: The values of which some may have left the disk.
        self.leaving, self.born = set(), 0

    def change(self, change, life):
        self.changes.append(change)
        self.found, self.born = {}, life.number
        if life.is_tight:
            self.leaving |= set(change.states)

    @property
    def states(self):
        return self.changes[-1].states

    def end_life(self, is_promised):
        floor = max(n for n, change in enumerate(self.changes) if n == 0 or is_promised(change))
        states = {state for change in self.changes[floor:] for state in change.states}
        self.changes, self.found = [truth.Change(list(states), answered=0.0)], {}
        self.leaving &= states


class Ballast(Peer):
    """So many small records that recovery lasts. They are read all the time, many at once, and
    written and deleted in blocks, without replies."""

    pause_seconds = 0.02

    def __init__(self, generator):
        super().__init__(generator)
        self.wanted, self.blocks, self.count, self.hits_early = BLOCKS, [], 0, 0
        #: What the server may have written of them.
        self.bytes = 0

    def begin(self, address, life):
        self.blocks += [Block() for _ in range(self.wanted - len(self.blocks))]
        for block in self.blocks:
            block.leaving |= set(block.states) if life.is_tight else set()
        self.checks = 0
        super().begin(address, life)

    def compose(self):
        chance = self.generator
        self.asked_for = [
            [chance.randrange(len(self.blocks) * BLOCK) for _ in range(24)] for _ in range(8)]
        request = bytearray().join(
            b"get %s\r\n" % b" ".join(b"b%d" % n for n in numbers) for numbers in self.asked_for)
        self.change, self.is_full = None, False
        numbers, is_removal = [chance.randrange(len(self.blocks))], chance.random() < 0.2
        if not self.is_loose:
            missing = [n for n, block in enumerate(self.blocks) if None in block.states]
            self.is_full = len(missing) <= len(self.blocks) // 8
            if not self.is_full:
                numbers, is_removal = missing[:BLOCKS_AT_ONCE], False
        if self.is_loose and chance.random() < 0.5 or self.is_full and chance.random() < 0.8:
            return request
        # The answers to the gets come before it, so they are of what was there until now.
        self.changed = numbers
        self.count += 1
        self.bytes += len(numbers) * BLOCK * 100
        generation = None if is_removal else self.count
        self.change = truth.Change([generation], is_quiet=True)
        names = [name for n in numbers for name in range(n * BLOCK, (n + 1) * BLOCK)]
        if is_removal:
            return request + b"".join(b"delete b%d noreply\r\n" % name for name in names)
        value = b"%d" % generation
        return request + b"".join(
            b"set b%d 0 0 %d noreply\r\n%d %s\r\n" % (
                name, len(value) + 1 + len(b"%d" % (name // BLOCK)), name // BLOCK, value)
            for name in names)

    def take_answers(self):
        for numbers in self.asked_for:
            found = self.client.values()
            self.hits_early += len(found) * self.is_loose
            for number in numbers:
                self.check(number, found.get(b"b%d" % number))
        if self.change is not None:
            for number in self.changed:
                self.blocks[number].change(self.change, self.life)
        return len(self.asked_for)

    def check(self, number, value):
        block = self.blocks[number // BLOCK]
        allowed = [block.found[number]] if number in block.found else block.states
        place = f"b{number}" + " while it recovered" * self.is_loose
        if value is None:
            if self.is_loose and block.born != self.life.number:
                return
            if not block.leaving.isdisjoint(allowed):
                return
            assert None in allowed, f"{place}: is missing; allowed: {allowed}"
            block.found[number] = None
            return
        named, generation = map(int, value.split())
        assert named == number // BLOCK and generation in allowed, (
            f"{place}: found {value}; allowed: {allowed}")
        block.found[number] = generation

    def conclude(self):
        if self.change is not None:
            self.change.answered = time.time()
        self.checks += not self.is_loose
        if self.is_full and self.checks > 3:
            self.was_swept.set()

    def flush(self):
        changes = []
        for block in self.blocks:
            changes.append(truth.Change([None]))
            block.change(changes[-1], self.life)
        return changes

    def end_life(self, is_promised, _):
        if self.change is not None and self.change.answered is None:
            for block in [self.blocks[number] for number in self.changed]:
                if self.change not in block.changes:
                    block.change(self.change, self.life)
        for block in self.blocks:
            block.end_life(is_promised)


class Lifetime:
    """One life of a server, and all who talk to it."""

    def __init__(self, peers, life, arguments, store, watch=None):
        self.peers, self.ending = peers, threading.Event()
        listener = support.listener()
        with listener:
            for peer in peers:
                peer.begin(listener.getsockname(), life)
            jobs = [lambda p=p: p.run(self.ending) for p in peers]
            if watch:
                client = support.Client(listener.getsockname())
                jobs.append(lambda: watch(client))
            self.server = support.Server(
                *arguments, store=store, listener=listener, ready=False)
        self.threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.ending.set()
        self.server.__exit__(*failure)

    @property
    def is_recovering(self):
        """Whether it was when somebody asked last."""
        return any(peer.was_recovering for peer in self.peers)

    def await_all(self, event):
        """Waits until it has come for everybody."""
        self.wait_for(event, lambda: all(getattr(peer, event).is_set() for peer in self.peers))

    def wait_for(self, what, condition):
        def holds():
            self.server.still_runs()
            self.check()
            return condition()
        support.wait_for(what, holds, pause=0.001)

    def check(self):
        for peer in self.peers:
            if peer.failure:
                raise peer.failure

    def end(self, is_kill):
        """Ends the server: when, and its exit code."""
        self.server.still_runs()
        self.ending.set()
        ended, code = time.time(), None
        if is_kill:
            self.server.kill()
        else:
            code, spent = self.server.stop()
            assert spent < support.STOP_SECONDS_PROMISED, (spent, self.server.log())
        for thread in self.threads:
            thread.join(support.REPLY_SECONDS_MAX)
            assert not thread.is_alive()
        self.check()
        return ended, code

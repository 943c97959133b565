"""What a key may hold, and what each answer of the server says about that.

A key's changes are in one order, because one connection makes them all. A state is in doubt until
its change was answered, and until a commit has it as the durability says. After a crash a key is in
one of the states since the last that was promised; which one, answers tell: whatever answers from a
state says that this was it, and from then on no other may be seen. A miss says nothing while the
server recovers what earlier lives left, nor where a record may have had to leave the disk.
"""

import collections
import random
import time
import zlib

#: The server's clock counts seconds; so near to its end a value may be there or not.
BLUR_SECONDS = 3
#: Whether a value so near to the largest that is taken is refused depends on what is counted.
BLUR_BYTES = 1024
LOOKS = ("get", "gets", "gat", "gats")
_noise = random.Random(1).randbytes(4 << 20)


def value_of(key, version):
    """A value that names its key and version and has a checksum; the bytes follow from both."""
    if key.startswith(b"n"):
        return b"%d" % version
    head = b"%s %d " % (key, version)
    chance = zlib.crc32(head)
    count = chance >> 8 & 0xFF
    if chance & 0xFF < 40:
        count += chance >> 8 & 0x3FFF
    elif chance & 0xFFF == 0xFFF:
        count += chance >> 8 & 0x1FFFFF
    start = chance & 0xFFFFF
    body = head + _noise[start:start + count]
    return b"%s %d" % (body, zlib.crc32(body))


class Life:
    """What of one life of a server decides what its answers may be."""

    def __init__(self, number=1, durability="interval", item_bytes=1 << 20, is_tight=False,
                 shared_bytes=None):
        self.number, self.durability, self.item_bytes = number, durability, item_bytes
        #: So little room on disk that records have to leave.
        self.is_tight = is_tight
        #: Of what is longer a get may miss until it was loaded; None: nothing is.
        self.shared_bytes = shared_bytes


class Tokens:
    """The CAS numbers that were seen: each stands for one state of one key, for ever."""

    def __init__(self):
        self.owners, self.highest, self.highest_before = {}, 0, 0

    def begin_life(self):
        self.highest_before = self.highest

    def note(self, cas, key, state, life):
        owner = self.owners.setdefault(cas, (key, state.content))
        assert owner == (key, state.content), (
            f"cas {cas} stands for {owner} and for {(key, state.content)}")
        if state.made == life.number:
            assert cas > self.highest_before, (
                f"{key} has cas {cas} of this life, {self.highest_before} is older")
        self.highest = max(self.highest, cas)


class State:
    """One state of one key. Version None: there is nothing."""

    __slots__ = ("version", "head", "tail", "expiry", "born", "made", "may_leave", "lost_seconds")

    def __init__(self, version, head=b"", tail=b"", expiry=0, born=0, made=0, may_leave=False):
        self.version, self.head, self.tail, self.expiry = version, head, tail, expiry
        #: The life that has made the record, and the one that has made the value.
        self.born, self.made = born, made
        self.may_leave, self.lost_seconds = may_leave, None

    @property
    def content(self):
        return self.version, self.head, self.tail

    def value(self, key, value_of):
        if self.version is None:
            return None
        return self.head + value_of(key, self.version) + self.tail

    def presence(self, asked):
        """Whether the value should be there for a request that was sent then, and was answered by
        now: True, False, or None for either."""
        if self.version is None:
            return False
        if not self.expiry or time.time() < self.expiry - BLUR_SECONDS:
            return True
        return False if asked > self.expiry + BLUR_SECONDS else None

    def __repr__(self):
        until = f" until {self.expiry}" if self.expiry else ""
        return f"{self.head.decode()}{self.version}{self.tail.decode()}{until} of {self.born}"


class Change:
    """The states of which the key is in one after a change, and when that was answered."""

    __slots__ = ("states", "answered", "is_quiet")

    def __init__(self, states, is_quiet=False, answered=None):
        self.states, self.is_quiet, self.answered = states, is_quiet, answered


class Key:
    """One key: what was done to it since the last state that is certainly on disk."""

    def __init__(self, name, states=None, value_of=value_of):
        self.name, self.value_of, self.token = name, value_of, None
        self.changes = [Change(states or [State(None)], answered=0.0)]
        self.is_counter = name.startswith(b"n")
        #: What was said of it last.
        self.told = collections.deque(maxlen=8)
        #: How long before the crash what it has cost was answered.
        self.lost_seconds = None

    @property
    def states(self):
        return self.changes[-1].states

    def narrow(self, kept, what):
        """It is in one of these."""
        assert kept, (
            f"{self.name.decode()}: {what}; allowed: {self.states[-12:]}; before: "
            + "; ".join(self.told))
        self.told.append(f"{what} {kept[-4:]}")
        if len(self.changes) == 1 and len(kept) < len(self.states):
            place = max(n for n, state in enumerate(self.states) if state in kept)
            lost = [s.lost_seconds for s in self.states[place + 1:] if s.lost_seconds is not None]
            self.lost_seconds = max(lost, default=None)
        self.changes[-1].states = kept

    def change(self, states, is_quiet=False):
        self.changes.append(Change(states, is_quiet))
        return self.changes[-1]

    def begin_life(self, life):
        """What is on disk may have to leave, or not come back, if there is little room for it."""
        if life.is_tight:
            for state in self.states:
                state.may_leave = True

    def end_life(self, is_promised, doubted, life, killed):
        """The server has ended: the key is in a state since the last that was promised, and what
        was not answered may have been done too."""
        floor = max(n for n, change in enumerate(self.changes) if n == 0 or is_promised(change))
        found = {}
        for change in self.changes[floor:]:
            for state in change.states:
                if change.answered and state.lost_seconds is None:
                    state.lost_seconds = killed - change.answered
                _add(found, state)
        states = list(self.states)
        for request in doubted:
            states += [made for state in states for made in request.results(state, life)]
            states = list({_identity(state): state for state in states}.values())
        for state in states:
            _add(found, state)
        self.changes = [Change(list(found.values()), answered=0.0)]


def _identity(state):
    return (*state.content, state.expiry)


def _add(found, state):
    """The later of two that are alike stands; each of what differs has its place."""
    old = found.pop(_identity(state), None)
    if old:
        state.may_leave |= old.may_leave
    found[_identity(state)] = state


class Request:
    """One command for one key."""

    __slots__ = ("kind", "key", "version", "joined", "expiry", "is_quiet", "is_loose", "asked",
                 "token", "change")

    def __init__(self, kind, key, version=None, joined=b"", expiry=0, is_quiet=False):
        self.kind, self.key, self.version, self.joined = kind, key, version, joined
        self.expiry, self.is_quiet = expiry, is_quiet
        #: Whether the server may not have recovered yet, and when the request was sent.
        self.is_loose, self.asked = True, 0.0
        self.token, self.change = key.token if kind == "cas" else None, None

    def __repr__(self):
        return f"{self.kind} {self.version or self.joined or ''}" + (
            f" until {self.expiry}" if self.expiry else "")

    def encode(self):
        kind, name = self.kind.encode(), self.key.name
        if self.kind in ("get", "gets"):
            return b"%s %s\r\n" % (kind, name)
        if self.kind in ("gat", "gats"):
            return b"%s %d %s\r\n" % (kind, self.expiry, name)
        if self.kind == "delete":
            return b"delete %s\r\n" % name
        if self.kind == "touch":
            return b"touch %s %d\r\n" % (name, self.expiry)
        if self.kind == "bury":
            return b"touch %s -1\r\n" % name
        if self.kind == "incr":
            return b"incr %s 3\r\n" % name
        value = self.joined or self.key.value_of(name, self.version)
        ending = b" %d" % self.token[0] if self.kind == "cas" else b""
        ending += b" noreply" if self.is_quiet else b""
        return b"%s %s 0 %d %d%s\r\n%s\r\n" % (
            kind, name, self.expiry, len(value), ending, value)

    # What it makes of a state

    def made(self, life):
        """The state after a value that it brings along."""
        return State(self.version, expiry=self.expiry, born=life.number, made=life.number,
                     may_leave=life.is_tight)

    def derived(self, state, life):
        """The state after a change of what is there."""
        head, tail, version, expiry = state.head, state.tail, state.version, state.expiry
        made = life.number
        if self.kind == "append":
            tail += self.joined
        elif self.kind == "prepend":
            head = self.joined + head
        elif self.kind == "incr":
            version += 3
        else:
            expiry, made = self.expiry, state.made
        return State(version, head, tail, expiry, life.number, made,
                     life.is_tight or state.may_leave)

    def refusal(self, life):
        """Whether the value is too large: True, False, or None for either."""
        excess = len(self.key.value_of(self.key.name, self.version)) - life.item_bytes
        return None if abs(excess) < BLUR_BYTES else excess > 0

    def results(self, state, life):
        """What a state may become of it, if it is executed."""
        absent = State(None, born=life.number, made=life.number)
        may_be = state.presence(self.asked) is not False
        if self.kind in ("get", "gets"):
            return []
        if self.kind in ("delete", "bury"):
            return [absent]
        if self.kind == "set":
            is_refused = self.refusal(life)
            return [absent] * (is_refused is not False) + [self.made(life)] * (not is_refused)
        if self.kind == "add":
            return [self.made(life)] if self.may_miss(state, life) else []
        if self.kind in ("replace", "cas"):
            return [self.made(life)] if may_be else []
        return [self.derived(state, life)] if may_be else []

    # What an answer says

    def may_miss(self, state, life):
        """Whether the key may be answered as if it were not there."""
        if state.may_leave or not state.presence(self.asked):
            return True
        return self.is_loose and state.born != life.number

    def may_look_missing(self, state, life):
        if self.may_miss(state, life):
            return True
        return life.shared_bytes is not None and state.born != life.number and len(
            state.value(self.key.name, self.key.value_of)) > life.shared_bytes

    def read(self, client):
        if self.kind in LOOKS:
            return client.items().get(self.key.name)
        return client.line()

    def settle(self, answer, life, tokens):
        """Draws the conclusions from an answer."""
        key, states = self.key, self.key.states
        there = [state for state in states if state.presence(self.asked) is not False]
        missing = [state for state in states if self.may_miss(state, life)]
        what = f"{self} was answered {str(answer)[:40]}" + " while it recovered" * self.is_loose
        if self.kind in LOOKS:
            self.settle_look(answer, life, tokens, there, what)
        elif self.kind == "set":
            self.settle_set(answer, life, what)
        elif self.kind in ("delete", "bury"):
            found = b"DELETED" if self.kind == "delete" else b"TOUCHED"
            assert answer in (found, b"NOT_FOUND"), (key.name, what)
            key.narrow(there if answer == found else missing, what)
            # A touch into the past is to keep out what was not reached, too; that this lasts is
            # promised by a commit.
            is_quiet = self.kind == "bury" and answer == b"NOT_FOUND"
            self.change = key.change([State(None, born=life.number, made=life.number)], is_quiet)
        elif self.kind == "add":
            assert answer in (b"STORED", b"NOT_STORED"), (key.name, what)
            key.narrow(missing if answer == b"STORED" else there, what)
            if answer == b"STORED":
                self.change = key.change([self.made(life)])
        elif answer == (b"NOT_STORED" if self.kind in ("append", "prepend", "replace")
                        else b"NOT_FOUND"):
            refused = [state for state in there if self.is_too_long(state, life)]
            key.narrow([s for s in states if s in missing or s in refused], what)
        else:
            self.settle_change(answer, life, there, what)

    def settle_look(self, answer, life, tokens, there, what):
        key = self.key
        if answer is None:
            key.narrow([s for s in key.states if self.may_look_missing(s, life)], what)
            return
        value, cas = answer
        there = [state for state in there if state.value(key.name, key.value_of) == value]
        key.narrow(there, what)
        if cas:
            tokens.note(cas, key.name, there[-1], life)
            key.token = cas, there[-1].content
        if self.kind in ("gat", "gats"):
            self.change = key.change([self.derived(state, life) for state in there])

    def settle_set(self, answer, life, what):
        is_refused, made = self.refusal(life), self.made(life)
        if answer == b"SERVER_ERROR object too large for cache":
            assert is_refused is not False, (self.key.name, what)
            # The old value must not outlive it; that this lasts is promised by a commit.
            made = State(None, born=life.number, made=life.number)
            self.change = self.key.change([made], is_quiet=True)
            return
        assert answer == b"STORED" and not is_refused, (self.key.name, what)
        self.change = self.key.change([made], self.is_quiet)

    def settle_change(self, answer, life, there, what):
        """A change of what is there was made, or refused because that is not what was meant."""
        key, kind = self.key, self.kind
        if kind == "cas" and answer == b"EXISTS":
            # A number that a crash has cost may have been counted up to again.
            key.narrow([
                s for s in there if key.is_counter or s.content != self.token[1]], what)
            return
        if kind == "cas":
            there = [state for state in there if state.content == self.token[1]]
        if kind == "incr":
            there = [state for state in there if answer == b"%d" % (state.version + 3)]
        else:
            expected = b"TOUCHED" if kind == "touch" else b"STORED"
            assert answer == expected, (key.name, what)
        key.narrow(there, what)
        makes = kind in ("replace", "cas")
        self.change = key.change(
            [self.made(life)] if makes else [self.derived(state, life) for state in there])

    def is_too_long(self, state, life):
        """Whether what it would join may be longer than an item."""
        if self.kind not in ("append", "prepend"):
            return False
        joined = len(state.value(self.key.name, self.key.value_of)) + len(self.joined)
        return joined > life.item_bytes - BLUR_BYTES

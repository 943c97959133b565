"""The same random commands, valid and malformed, to Brim and to the packaged memcached.

Seeded; both must answer alike, but for what docs/protocol.md lists as different, which `RULES` name
one by one. `DIFFERENTIAL_COMMANDS` and `DIFFERENTIAL_SEED` in the environment choose a longer run
than the suite's (`make differential`).
"""

import contextlib
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import support

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "6000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
#: Commands that are sent in one piece. With more than one, memcached counts down in a new item
#: while a reply still holds the old one, which shows in how many digits are left.
PIECE = 1
#: Its threads of maintenance hold an item while they look at it, and a counter that is held is
#: counted in a new item, which has lost what was known of the old one and shows it. Only `lru mode
#: flat` wants one of them; that is in the transcripts.
NO_THREADS = "no_lru_maintainer,no_lru_crawler"
WAIT_SECONDS = 20
KEYS = [b"a", b"b", b"c", b"n", b"k" * 250]
NUMBERS = [b"0", b"1", b"5", b"100", b"4294967295", b"-1", b"x", b"1x", b""]
VALUES = [b"", b"1", b"10", b"abc", b"18446744073709551615", b"x" * 3000]


class _Peer:
    def __init__(self, port):
        self.port, self.socket, self.received = port, None, b""
        self.open()

    def open(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)
        self.received = b""

    def until(self, mark):
        """What came before the mark, or all of it and False if the server closed."""
        while mark not in self.received:
            try:
                piece = self.socket.recv(1 << 18)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return self.received, False
            self.received += piece
        answer, _, self.received = self.received.partition(mark)
        return answer, True

    def ask(self, pieces, mark):
        """The answers to commands, each of which is followed by what is answered with `mark`."""
        try:
            self.socket.sendall(b"".join(pieces))
        except (BrokenPipeError, ConnectionResetError):
            pass  # What comes back tells.
        answers = []
        for _ in pieces:
            answer, goes_on = self.until(mark)
            answers.append(answer)
            if not goes_on:
                answers[-1] += b"<closed>"
                self.open()
                break
        return answers


# ------------------------------------------------------------------------------------- commands


def _text(generator):
    """One command of the classic or the meta dialect, with its value if it has one."""
    pick = generator.choice
    key = pick(KEYS) if generator.random() < 0.95 else pick([b"k" * 251, b""])
    number = pick(NUMBERS[:4]) if generator.random() < 0.8 else pick(NUMBERS)
    value = pick(VALUES)
    quiet = b" noreply" if generator.random() < 0.1 else b""
    store = [b"set", b"add", b"replace", b"append", b"prepend"]
    kind = generator.randrange(18)
    if kind < 4:
        name = pick([b"get", b"gets", b"gat 0", b"gats 100"])
        return b"%s %s" % (name, b" ".join(pick(KEYS) for _ in range(generator.randint(1, 4))))
    if kind < 8:
        expiry = pick([b"0", b"100", b"-1", b"0"])
        return b"%s %s %s %s %d%s\r\n%s" % (
            pick(store), key or b"a", pick([b"0", b"7"]), expiry, len(value), quiet, value)
    if kind == 8:
        return b"cas %s 0 0 %d %s%s\r\n%s" % (
            key or b"a", len(value), pick([b"0", b"1152921504606846976"]), quiet, value)
    if kind == 9:
        return b"delete %s%s%s" % (key, pick([b"", b"", b" 0", b" 1"]), quiet)
    if kind == 10:
        return b"%s %s %s%s" % (pick([b"incr", b"decr"]), key, number, quiet)
    if kind == 11:
        return b"touch %s %s%s" % (key, pick([b"0", b"100", b"-1", b"x"]), quiet)
    if kind == 12:
        return pick([
            b"flush_all", b"flush_all noreply", b"verbosity 0", b"verbosity", b"nonsense", b"get",
            b"set a 0 0", b"incr a", b"touch a", b"delete", b"gat", b"stats nonsense",
            b"slabs", b"lru", b"lru mode nothing", b"shutdown"])
    return _meta(generator)


def _meta(generator):
    pick = generator.choice
    key = pick(KEYS)
    flags = generator.sample(
        [b"v", b"k", b"f", b"s", b"t", b"O12", b"q"], generator.randint(0, 4))
    kind = generator.randrange(4)
    if kind == 0:
        flags += generator.sample([b"T100", b"N50", b"h"], generator.randint(0, 2))
        return b" ".join([b"mg", key] + flags)
    flags = [flag for flag in flags if flag in (b"k", b"O12", b"q")]
    if kind == 1:
        value = pick(VALUES)
        flags += generator.sample([b"T0", b"F5", b"MS"], generator.randint(0, 2))
        return b"%s\r\n%s" % (b" ".join([b"ms", key, b"%d" % len(value)] + flags), value)
    if kind == 2:
        return b" ".join([b"md", key] + flags + generator.sample([b"I", b"T30"], 1))
    return b" ".join(
        [b"ma", key] + flags + generator.sample([b"v", b"t", b"N30", b"J7", b"D2", b"MD"], 3))


def _packet(generator):
    opcode = generator.choice(
        list(range(0x00, 0x07)) + [0x08, 0x09, 0x0a, 0x0b] + list(range(0x0c, 0x10))
        + list(range(0x11, 0x17)) + [0x18, 0x19, 0x1a, 0x1c, 0x1d, 0x1e, 0x23, 0x24, 0x55])
    key, value = generator.choice(KEYS), b""
    quick = struct.pack(">I", generator.choice([0, 100]))
    extras = b""
    if opcode in (0x01, 0x02, 0x03, 0x11, 0x12, 0x13):
        extras, value = struct.pack(">II", generator.choice([0, 7]), 0), generator.choice(VALUES)
    elif opcode in (0x0e, 0x0f, 0x19, 0x1a):
        value = generator.choice(VALUES)
    elif opcode in (0x05, 0x06, 0x15, 0x16):
        extras = struct.pack(">QQI", generator.choice([0, 1, 50]), 7,
                             generator.choice([0, 0xffffffff]))
    elif opcode in (0x1c, 0x1d, 0x1e, 0x23, 0x24):
        extras = quick
    elif opcode in (0x08, 0x0a, 0x0b, 0x18, 0x55):
        key = b""
    # memcached drops the body of an unknown command twice, and takes a flush long ago for none.
    if generator.random() < 0.02 and opcode not in (0x55, 0x08, 0x18):
        key, extras = generator.choice([(b"", extras), (key, b"xx"), (key, extras + b"1234")])
    cas = generator.choice([0, 0, 0, 1 << 60])
    return struct.pack(
        ">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0,
        len(key) + len(value) + len(extras), 9, cas) + extras + key + value


# ---------------------------------------------------------------------------------- comparisons

#: What is different on purpose: a pattern of the command, what each server's answer becomes, why.
RULES = (
    (rb"", rb"(VALUE \S+ \d+ \d+) \d+", rb"\1 #", "a CAS is another number"),
    (rb"", rb"VERSION \S+", b"VERSION", "versions differ"),
    (rb"(set|add|replace|append|prepend|cas|ms) (k{251}|  )",
     rb"\AERROR\r\n|(format\r\n)(ERROR\r\n)+", rb"\1",
     "memcached takes the value of a refused line for a command"),
    (rb"ma .*\bq\b.*\bN30|ma .*\bN30.*\bq\b", rb"(?s).+", b"",
     "q is obeyed also where ma makes the number"),
    (rb"shutdown", rb"(SERVER_)?ERROR: ", b"", "the text is that of newer versions"),
)


def _plain(command, answer):
    for pattern, found, instead, _ in RULES:
        if re.match(pattern, command):
            answer = re.sub(found, instead, answer)
    # The clocks of two servers do not tick at the same moment.
    return re.sub(rb" t(\d+)", lambda t: b" t%d0" % ((int(t.group(1)) + 5) // 10), answer)


def _without_cas(answer):
    """Packets with their CAS made 1 or 0, and without the text of a version."""
    packets, rest = [], answer
    while len(rest) >= 24 and rest[0] == 0x81:
        count = 24 + struct.unpack(">I", rest[8:12])[0]
        packet, rest = rest[:count], rest[count:]
        has_cas = b"C" if any(packet[16:24]) else b"0"
        body = b"" if packet[1] == 0x0b else packet[24:]
        packets.append(packet[:16] + has_cas + body)
    return b"|".join(packets) + b"|" + rest


def _compare(ours, theirs, make, mark, sentinel, plain, count, generator):
    differences, seen = [], 0
    done = 0
    while done < count:
        commands = [make(generator) for _ in range(PIECE)]
        done += len(commands)
        pieces = [command + sentinel for command in commands]
        both = ours.ask(pieces, mark), theirs.ask(pieces, mark)
        for number, (mine, other) in enumerate(zip(*both)):
            if plain(commands[number], mine) != plain(commands[number], other):
                short = [text.replace(KEYS[-1], b"K") for text in (commands[number], mine, other)]
                differences.append([text[:160] for text in short])
                if number:
                    differences[-1][0] += b" (after %s)" % b"; ".join(
                        before.replace(KEYS[-1], b"K")[:60] for before in commands[:number])
                break
        if differences and len(differences) != seen:
            # What follows would differ, too.
            for peer in (ours, theirs):
                peer.open()
                peer.ask([b"flush_all\r\nmn\r\n"], b"MN\r\n")
                peer.open()
            seen = len(differences)
            continue
        if len(both[0]) != len(both[1]):
            differences.append((b"a piece of " + commands[0][:40], len(both[0]), len(both[1])))
        if len(both[0]) != len(pieces) or len(both[1]) != len(pieces):
            ours.open()
            theirs.open()
    return differences


@contextlib.contextmanager
def _memcached():
    program = shutil.which("memcached")
    assert program, "memcached is not installed"
    port = support.free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-o", NO_THREADS] + user,
            stderr=log)
        try:
            def answers():
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    return True
            support.wait_for("memcached", answers, 10)
            yield port
        finally:
            process.kill()
            process.wait()


def random_commands():
    generator = random.Random(SEED)
    with support.Server("-m", 64) as server, _memcached() as port:
        ours, theirs = _Peer(server.port), _Peer(port)
        differences = _compare(
            ours, theirs, _text, b"MN\r\n", b"\r\nmn\r\n", _plain, COMMANDS * 2 // 3, generator)
        ours.open()
        theirs.open()
        noop = struct.pack(">BBHBBHIIQ", 0x80, 0x0a, 0, 0, 0, 0, 0, 0xfeedbeef, 0)
        answer = b"\x81" + noop[1:]
        differences += _compare(
            ours, theirs, _packet, answer, noop, lambda _, found: _without_cas(found),
            COMMANDS // 3, generator)
        for command, mine, other in differences[:20]:
            print(f"sent {command!r}\n  Brim      {mine!r}\n  memcached {other!r}")
        assert not differences, f"{len(differences)} of {COMMANDS} (seed {SEED})"
        server.still_runs()

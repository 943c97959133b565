#!/usr/bin/env python3
"""Replays transcripts against a running server; README.md describes their format.

It holds one connection at a time, sends what a transcript sends, and compares what comes back.
It does not start a server.
"""

import argparse
import pathlib
import re
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
WAIT_SECONDS = 3.0
SLEEP_SECONDS_MAX = 3


class Difference(Exception):
    """What came back is not what the transcript says."""


class Skipped(Exception):
    """The rest of a section needs more patience than we have."""


def unescape(text, names=None):
    """Turns a text into parts: bytes that stand for themselves, and (name, other) to match."""
    parts, literal, index = [], bytearray(), 0
    simple = {"r": 13, "n": 10, "t": 9, "0": 0, "\\": 92}

    def escape(at):
        kind = text[at]
        if kind in simple:
            return bytes([simple[kind]]), at + 1
        if kind == "x":
            return bytes([int(text[at + 1 : at + 3], 16)]), at + 3
        if kind == "R":
            comma = text.index(",", at)
            count = int(text[at + 1 : comma])
            if text[comma + 1] == "\\":
                what, after = escape(comma + 2)
            else:
                what, after = text[comma + 1].encode(), comma + 2
            assert text[after] == ";", f"no ';' in {text!r}"
            return what * count, after + 1
        raise ValueError(f"unknown escape in {text!r}")

    while index < len(text):
        if text[index] == "\\":
            what, index = escape(index + 1)
            literal += what
        elif text[index] == "{":
            close = text.index("}", index)
            name, _, other = text[index + 1 : close].partition("!")
            index = close + 1
            if names is not None:
                literal += names[name]
            else:
                parts += [bytes(literal), (name, other)]
                literal = bytearray()
        else:
            literal += text[index].encode()
            index += 1
    return bytes(literal) if names is not None else parts + [bytes(literal)]


class Conversation:
    def __init__(self, address):
        self.address, self.names = address, {}
        self.socket, self.received = None, b""

    def open(self):
        self.socket = socket.create_connection(self.address, WAIT_SECONDS)
        self.socket.settimeout(WAIT_SECONDS)
        self.received = b""

    def send(self, text, ending):
        try:
            self.socket.sendall(unescape(text, self.names) + ending)
        except (BrokenPipeError, ConnectionResetError):
            pass  # What was expected tells more.

    def more(self):
        """Receives; False at the end of what the server sends."""
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        except socket.timeout:
            raise Difference(f"nothing more came in {WAIT_SECONDS:g} s") from None
        self.received += piece
        return bool(piece)

    def pattern(self, text, ending):
        pattern, fresh = b"", []
        for part in unescape(text):
            if isinstance(part, bytes):
                pattern += re.escape(part)
            elif part[0] == "*":
                pattern += rb"[^\r\n]*"
            elif part[0].startswith("*:"):
                pattern += b".{%d}" % int(part[0][2:])
            elif part[0] in self.names:
                pattern += re.escape(self.names[part[0]])
            else:
                fresh.append(part)
                pattern += rb"(\d+)"
        return re.compile(pattern + re.escape(ending), re.DOTALL), fresh

    def expect(self, text, ending, skips=False):
        if "{" not in text and not skips:
            return self.expect_bytes(unescape(text, self.names) + ending)
        pattern, fresh = self.pattern(text, ending)
        if "{*:" in text:
            return self.expect_packet(unescape(text), pattern)
        while True:
            while b"\n" not in self.received:
                if not self.more():
                    raise Difference(f"closed, after {self.received!r}")
            line, _, rest = self.received.partition(b"\n")
            match = pattern.fullmatch(line + b"\n")
            if match or not skips:
                break
            self.received = rest
        if not match:
            raise Difference(f"came: {line!r}")
        self.received = rest
        for (name, other), value in zip(fresh, match.groups()):
            if other and self.names[other] == value:
                raise Difference(f"{name} and {other} are both {value.decode()}")
            self.names[name] = value

    def expect_bytes(self, expected):
        while True:
            common = min(len(expected), len(self.received))
            if self.received[:common] != expected[:common]:
                raise Difference(f"came: {self.received[:200]!r}")
            if common == len(expected):
                self.received = self.received[common:]
                return
            if not self.more():
                raise Difference(f"closed, after {self.received[:200]!r}")

    def expect_packet(self, parts, pattern):
        count = sum(
            len(part) if isinstance(part, bytes) else int(part[0][2:]) for part in parts)
        while len(self.received) < count:
            if not self.more():
                raise Difference(f"closed, after {self.received[:200]!r}")
        packet, self.received = self.received[:count], self.received[count:]
        if not pattern.fullmatch(packet):
            raise Difference(f"came: {packet[:200]!r}")

    def expect_close(self):
        while self.more():
            pass
        if self.received:
            raise Difference(f"came: {self.received[:200]!r}")

    def wait(self, seconds):
        time.sleep(seconds)

    def finish(self):
        """Sends no more; the server must have nothing to say either."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.expect_close()
        self.socket.close()


def sections(path):
    """The sections of a file: name, then (line number, mark, text)."""
    name, steps = "start", []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        mark = re.match(r"---|>>?|<[<~]?|@|!", line)
        if not mark:
            raise ValueError(f"{path}:{number}: no mark")
        text = line[mark.end() :]
        text = text[1:] if text.startswith(" ") else text
        if mark.group() == "---":
            if steps:
                yield name, steps
            name, steps = text, []
        else:
            steps.append((number, mark.group(), text))
    yield name, steps


def step(conversation, mark, text):
    if mark == ">":
        conversation.send(text, b"\r\n")
    elif mark == ">>":
        conversation.send(text, b"")
    elif mark == "<":
        conversation.expect(text, b"\r\n")
    elif mark == "<<":
        conversation.expect(text, b"")
    elif mark == "<~":
        conversation.expect(text, b"\r\n", skips=True)
    elif mark == "!":
        conversation.expect_close()
    elif mark == "@":
        seconds = int(re.fullmatch(r"\+(\d+)s", text).group(1))
        if seconds > SLEEP_SECONDS_MAX:
            raise Skipped(f"waits for {seconds} s")
        conversation.wait(seconds)


def replay_section(conversation, path, name, steps):
    """The first difference as a text, or None."""
    conversation.open()
    number, mark, text = steps[0]
    try:
        for number, mark, text in steps:
            step(conversation, mark, text)
        number, mark, text = "end", "", "nothing more"
        conversation.finish()
    except Difference as difference:
        return f"{path}:{number}: [{name}] expected {mark} {text[:100]}\n    {difference}"
    except Skipped as skipped:
        print(f"{path}:{number}: [{name}] cut short: {skipped}")
    finally:
        conversation.socket.close()
    return None


def allowed_differences():
    allowed = {}
    for line in (HERE / "differences.txt").read_text().split("\n"):
        if line and not line.startswith("#"):
            file, name, reason = re.fullmatch(r"(\S+) \[(.*?)\] (.+)", line).groups()
            allowed[file, name] = reason
    return allowed


def main():
    parser = argparse.ArgumentParser(description="Replays transcripts against a server.")
    parser.add_argument("--oracle", action="store_true", help="allow for differences.txt")
    parser.add_argument("server", metavar="HOST:PORT")
    parser.add_argument("files", metavar="FILE", nargs="*")
    options = parser.parse_args()
    host, _, port = options.server.rpartition(":")
    address = host.strip("[]"), int(port)
    allowed = allowed_differences() if options.oracle else {}
    paths = [pathlib.Path(file).resolve() for file in options.files]
    paths = paths or sorted(HERE.glob("*/*.txt"))

    passed, differing, failed = 0, 0, 0
    for path in paths:
        file = path.relative_to(HERE).as_posix() if HERE in path.parents else path.name
        conversation = Conversation(address)
        conversation.open()
        conversation.send("flush_all", b"\r\n")
        conversation.expect("OK", b"\r\n")
        conversation.finish()
        for name, steps in sections(path):
            difference = replay_section(conversation, file, name, steps)
            reason = allowed.get((file, name))
            if difference and reason:
                differing += 1
            elif difference:
                failed += 1
                print(difference)
            elif reason:
                failed += 1
                print(f"{file}: [{name}] is listed as different, and is not: {reason}")
            else:
                passed += 1
    print(f"{passed} sections as expected, {differing} differ on purpose, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Transcripts over a real socket, cut in every way, and the same ones against the oracle."""

import contextlib
import random
import shutil
import socket
import subprocess
import sys
import time

import support

sys.path.insert(0, str(support.HERE.parent / "transcripts"))
import replay  # noqa: E402  (it lies in a folder of its own)

replay.print = lambda *_: None  # What it cuts short is known.
replay.WAIT_SECONDS = 20  # The machine may be busy; only a failure waits this long.

SEED = 20260101
#: A longer text is cut byte by byte at its ends only.
BYTEWISE_BYTES_MAX = 1500
MEMCACHED_SECONDS_MAX = 10


class _Pieces(replay.Conversation):
    """Sends each text in pieces, and lets the server see each piece alone now and then."""

    def __init__(self, address, cutting, generator):
        super().__init__(address)
        self.cutting, self.generator = cutting, generator

    def open(self):
        super().open()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, text, ending):
        data = replay.unescape(text, self.names) + ending
        try:
            start = 0
            for end in self.cutting(len(data), self.generator) + [len(data)]:
                self.socket.sendall(data[start:end])
                start = end
                if self.generator.random() < 0.02:
                    time.sleep(0.0005)
        except (BrokenPipeError, ConnectionResetError):
            pass  # What was expected tells more.


class _Timed(replay.Conversation):
    """Moves the server's clock instead of waiting."""

    def wait(self, seconds):
        with support.Client(self.address) as client:
            assert client.ask(b"debugtime %d" % seconds) == b"OK"


def _every_byte(count, _):
    if count <= BYTEWISE_BYTES_MAX:
        return list(range(1, count))
    return list(range(1, BYTEWISE_BYTES_MAX)) + list(range(count - 64, count))


def _somewhere(count, generator):
    return sorted(generator.randrange(count + 1) for _ in range(min(count, 3)))


def _in_one_piece(steps):
    """The steps with what is sent in a row moved to the front, as far as that is possible.

    A text that uses a number which came before it, and a wait, end a piece."""
    merged, sent, awaited, seen = [], [], [], False
    for number, mark, text in steps:
        waits = mark in "@!"
        if waits or (mark in (">", ">>") and "{" in text):
            merged += sent + awaited
            sent, awaited = [], []
        if waits:
            merged.append((number, mark, text))
        elif mark in (">", ">>"):
            sent.append((number, ">>", text + ("\\r\\n" if mark == ">" else "")))
        else:
            awaited.append((number, mark, text))
    pieces = []
    for number, mark, text in merged + sent + awaited:
        if mark == ">>" and pieces and pieces[-1][1] == ">>" and "{" not in text:
            pieces[-1] = (pieces[-1][0], ">>", pieces[-1][2] + text)
        else:
            pieces.append((number, mark, text))
    return pieces


def _replay(port, conversation_of, rewrite=lambda steps: steps, waits=False, files=None):
    """Replays the files, or all; fails with what differs. Returns how many sections did not."""
    address = ("127.0.0.1", port)
    differences, count = [], 0
    for path in files or sorted(replay.HERE.glob("*/*.txt")):
        name = path.relative_to(replay.HERE).as_posix()
        with support.Client(address) as client:
            assert client.ask(b"flush_all") == b"OK"
        conversation = conversation_of(address)
        for section, steps in replay.sections(path):
            if not waits and any(mark == "@" for _, mark, _ in steps):
                continue
            difference = replay.replay_section(conversation, name, section, rewrite(steps))
            count += 1
            if difference:
                differences.append(difference)
    assert not differences, "\n".join(differences)
    assert count > 50 or files, f"only {count} sections"
    return count


@contextlib.contextmanager
def _both():
    """A server with a store, one without; every scenario holds for both. Their clocks stand, but
    for what a transcript waits: nothing sleeps, and nothing comes too late."""
    options = ["-m", "64", "-t", "2", "--debug-clock"]
    with support.folder() as store, support.Server(*options, store=store) as first, \
            support.Server(*options) as second:
        for server in (first, second):
            with server.client() as client:
                assert client.ask(b"debugtime p") == b"OK"
        yield first, second


def as_written():
    files = sorted(replay.HERE.glob("*/*.txt"))
    counts = []

    def some(part):
        with _both() as servers:
            for server in servers:
                for path in part:
                    counts.append(_replay(server.port, _Timed, waits=True, files=[path]))

    support.in_threads([lambda n=n: some(files[n::4]) for n in range(4)], 120)
    print(f"{sum(counts)} sections as expected")


def in_one_piece():
    with _both() as servers:
        for server in servers:
            _replay(server.port, replay.Conversation, _in_one_piece)


def byte_by_byte():
    with _both() as servers:
        for server in servers:
            generator = random.Random(SEED)
            _replay(server.port, lambda address: _Pieces(address, _every_byte, generator))


def cut_somewhere():
    with _both() as servers:
        for server in servers:
            for seed in range(SEED, SEED + 4):
                generator = random.Random(seed)
                print(f"seed {seed}")
                _replay(server.port, lambda address: _Pieces(address, _somewhere, generator))


def _compare_with_memcached(program, files):
    port = support.free_port()
    options = ["-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1", "-u", "nobody"]
    with subprocess.Popen([program] + options) as child:
        try:
            def answers():
                try:
                    with support.Client(("127.0.0.1", port)) as client:
                        return client.ask(b"version").startswith(b"VERSION")
                except OSError:
                    return False
            support.wait_for("memcached", answers, MEMCACHED_SECONDS_MAX)
            arguments = [sys.executable, str(replay.HERE / "replay.py"), "--oracle"]
            # memcached's clock ticks once a second: what depends on one may be tried again.
            for _ in range(3):
                done = subprocess.run(
                    arguments + [f"127.0.0.1:{port}", *files], capture_output=True, text=True,
                    timeout=120)
                if done.returncode == 0:
                    break
                print("tried again:", done.stdout)
            assert done.returncode == 0, done.stdout + done.stderr
            print(done.stdout.splitlines()[-1])
        finally:
            child.terminate()
            child.wait(MEMCACHED_SECONDS_MAX)


def memcached_answers_alike():
    """The oracle: differences are listed with their reasons, or there are none."""
    program = shutil.which("memcached")
    assert program, "memcached is not installed"
    # Most of the time is waiting, so each file has a server of its own.
    files = sorted(str(path) for path in replay.HERE.glob("*/*.txt"))
    support.in_threads([lambda f=f: _compare_with_memcached(program, [f]) for f in files], 120)

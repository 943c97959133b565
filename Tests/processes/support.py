"""What the scenarios share: a server of their own, a small client, bounded waiting.

A server is started on a free port of the loopback address, dies with the scenario, and is ended by
its process number only. Nothing here knows what is tested.
"""

import contextlib
import ctypes
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
INTERPOSE = HERE.parent / "interpose" / ".build"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
#: What the server promises, and a little for a machine that is busy.
STOP_SECONDS_PROMISED = 6
REPLY_SECONDS_MAX = 30
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

#: The executable under test; run.py sets it.
brim = None
#: What every server is to use, unless a scenario says otherwise; run.py sets it.
engine = None
#: Which turn this is, where scenarios are run again and again: what is random is another then.
turn = 0


def seconds():
    return time.monotonic()


def wait_for(what, condition, timeout=REPLY_SECONDS_MAX, pause=0.01):
    """Waits until the condition holds and returns its value; fails after `timeout` seconds."""
    deadline = seconds() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert seconds() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(pause)


@contextlib.contextmanager
def folder():
    """A new folder, gone afterwards."""
    path = tempfile.mkdtemp(prefix="brim-process-")
    os.chmod(path, 0o755)
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def free_port():
    """A port that nobody listens at, and that no connection can get meanwhile: the system gives
    those numbers of a range to whoever connects, even to the very port that it connects to."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(low, 20_000))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def listener():
    """A socket that listens at a port of its own, for a server that is not there yet."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(64)
    return made


#: The number of io_uring_setup(2), on all architectures, and of prctl's seccomp option.
IO_URING_SETUP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 425, 38, 22, 2


class _Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8),
                ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_Filter))]


def refuse_rings(error):
    """Makes io_uring_setup fail from now on, as a container's seccomp profile does."""
    filters = (_Filter * 4)(
        _Filter(0x20, 0, 0, 0),  # load the number of the call
        _Filter(0x15, 0, 1, IO_URING_SETUP),  # if it is this one
        _Filter(0x06, 0, 0, 0x50000 | error),  # fail with the errno
        _Filter(0x06, 0, 0, 0x7FFF0000))  # else allow it
    program = _Program(4, filters)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


class Server:
    """One running brim; `with` ends it. `arguments` go after the port's;
    `refuse` is the errno that io_uring is to be refused with; `store` is its directory, None for
    no store, False to say nothing about it; `listener` is a socket that listens already, as a
    service manager gives it: who has connected to that is served from the first moment on."""

    def __init__(self, *arguments, store=None, environment=None, preload=None, limits=(),
                 prefix=(), listen=True, ready=True, refuse=None, listener=None):
        self.arguments = [str(argument) for argument in arguments]
        if store is not False:
            self.arguments += ["--store", str(store)] if store else ["--no-store"]
        if listen and not listener:
            self.arguments += ["-l", "127.0.0.1:0"]
        self.environment = {"HOME": "/nonexistent", "PATH": os.environ.get("PATH", "")}
        if engine:
            self.environment["BRIM_ENGINE"] = engine
        self.environment.update(environment or {})
        if preload:
            self.environment["LD_PRELOAD"] = str(INTERPOSE / preload)
            assert pathlib.Path(self.environment["LD_PRELOAD"]).exists(), "make -C Tests/interpose"
        self.limits, self.prefix, self.refuse = limits, list(prefix), refuse
        self.log_file = tempfile.NamedTemporaryFile(prefix="brim-log-")
        self.process, self.port, self.waits_for_ready = None, None, ready
        self.passed = ()
        if listener:
            # The variable names the process, so it is set in it; the descriptor is always 3.
            self.passed, self.port = (listener.fileno(),), listener.getsockname()[1]
            take = f'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&{listener.fileno()}'
            self.prefix = ["/bin/bash", "-c", take, "bash", *self.prefix]
        self.start()

    def start(self):
        parent = os.getpid()

        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            for which, soft, hard in self.limits:
                resource.setrlimit(which, (soft, hard))
            if self.refuse is not None:
                refuse_rings(self.refuse)

        self.log_file.truncate(0)
        with open(self.log_file.name, "ab") as log:
            self.process = subprocess.Popen(
                self.prefix + [str(brim)] + self.arguments, env=self.environment, stderr=log,
                stdout=log, stdin=subprocess.DEVNULL, preexec_fn=prepare, close_fds=True,
                pass_fds=self.passed)
        if self.waits_for_ready:
            self.wait_until_ready()

    def wait_until_ready(self):
        ready = self.wait_for_log(r" server\.ready [^\n]*", START_SECONDS_MAX)
        port = re.search(r"127\.0\.0\.1:(\d+)", ready.group())
        self.port = int(port.group(1)) if port else None

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return pathlib.Path(self.log_file.name).read_text(errors="replace")

    def wait_for_log(self, pattern, timeout=REPLY_SECONDS_MAX):
        def look():
            found = re.search(pattern, self.log())
            if not found and self.process.poll() is not None:
                found = re.search(pattern, self.log())
                assert found, f"ended with {self.process.returncode}:\n{self.log()}"
            return found
        return wait_for(f"{pattern!r} in the log", look, timeout, 0.005)

    def wait_for_recovery(self, timeout=REPLY_SECONDS_MAX):
        return wait_for("recovery", lambda: self.stats()["brim_recovering"] == "no", timeout, 0.02)

    def client(self, timeout=REPLY_SECONDS_MAX, receive_bytes=None):
        return Client(("127.0.0.1", self.port), timeout, receive_bytes)

    def stats(self, of=""):
        with self.client() as client:
            return client.stats(of)

    def status(self, name):
        """A number of /proc/PID/status, in its unit."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))

    def send_signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """What kill -9 does, and the wait for the end."""
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)

    def stop(self, number=signal.SIGTERM, timeout=STOP_SECONDS_MAX):
        """Orders a stop; the exit code and the seconds it took."""
        start = seconds()
        self.process.send_signal(number)
        code = self.process.wait(timeout)
        return code, seconds() - start

    def still_runs(self):
        assert self.process.poll() is None, f"ended: {self.process.returncode}\n{self.log()}"

    def __enter__(self):
        return self

    def __exit__(self, kind, failure, *_):
        if self.process.poll() is None:
            if kind is None:
                code, spent = self.stop()
                assert code == 0, f"exit code {code}:\n{self.log()}"
                assert spent < STOP_SECONDS_PROMISED, f"stopping took {spent:.1f} s:\n{self.log()}"
            else:
                self.kill()
        if kind is not None:
            # The failure first: a report that is cut short must not lose it behind the log.
            print(f"--- {kind.__name__}: {failure}"[:1000], flush=True)
            print(f"--- log of the server\n{self.log()[-3000:]}", flush=True)
        self.log_file.close()


class Closed(Exception):
    """The server closed the connection."""


class Client:
    """A connection that speaks the classic protocol, with every wait bounded. `receive_bytes`: how
    much the system may take in for it, instead of as much as it likes."""

    def __init__(self, address, timeout=REPLY_SECONDS_MAX, receive_bytes=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(address)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise Closed(bytes(self.received[:200]))
        self.received += piece

    def line_of(self, end):
        """The next line, which ends in these bytes."""
        while (place := self.received.find(end)) < 0:
            self.more()
        line = bytes(self.received[:place])
        del self.received[:place + len(end)]
        return line

    def line(self):
        start = 0
        while (end := self.received.find(b"\r\n", start)) < 0:
            start = max(0, len(self.received) - 1)
            self.more()
        line = bytes(self.received[:end])
        del self.received[:end + 2]
        return line

    def exactly(self, count):
        while len(self.received) < count:
            self.more()
        data = bytes(self.received[:count])
        del self.received[:count]
        return data

    def ask(self, line):
        """Sends a line and returns the one that answers it."""
        self.send(line + b"\r\n")
        return self.line()

    def set(self, key, value, flags=0, expiry=0, command=b"set"):
        self.send(b"%s %s %d %d %d\r\n%s\r\n" % (command, key, flags, expiry, len(value), value))
        return self.line()

    def items(self):
        """Reads a get's reply: value and cas by key; a cas that was not asked for is 0."""
        found = {}
        while (line := self.line()) != b"END":
            words = line.split(b" ")
            assert words[0] == b"VALUE", line
            count = int(words[3])
            data = self.exactly(count + 2)
            assert data.endswith(b"\r\n"), data[-20:]
            found[words[1]] = data[:-2], int(words[4]) if len(words) > 4 else 0
        return found

    def values(self):
        """Reads a get's reply: the values by key."""
        return {key: value for key, (value, _) in self.items().items()}

    def get(self, key):
        self.send(b"get %s\r\n" % key)
        return self.values().get(key)

    def get_many(self, keys):
        self.send(b"get %s\r\n" % b" ".join(keys))
        return self.values()

    def stats(self, of=""):
        """The statistics of that name; without one the general ones, and those of our own."""
        found = {}
        for name in [of] if of else ["", "brim"]:
            self.send(b"stats %s\r\n" % name.encode() if name else b"stats\r\n")
            found |= self.statistics()
        return found

    def statistics(self):
        """Reads the reply to stats."""
        found = {}
        while (line := self.line().decode()) != "END":
            head, name, value = line.split(" ", 2)
            assert head == "STAT", line
            found[name] = value
        return found

    def is_closed(self):
        """Waits for the server to close; what comes before that is dropped."""
        try:
            while self.socket.recv(1 << 18):
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def in_threads(jobs, timeout=60.0):
    """Runs the functions at the same time; the first failure is raised again."""
    failures = []

    def run(job):
        try:
            job()
        except BaseException as failure:  # Told to the scenario's thread below.
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    deadline = seconds() + timeout
    for thread in threads:
        thread.join(max(0.0, deadline - seconds()))
        assert not thread.is_alive(), f"a thread is still busy after {timeout:g} s"
    if failures:
        raise failures[0]

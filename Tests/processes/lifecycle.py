"""The life of a server under a service manager: what it tells, is given, drains and reads again."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import admin
import faults
import support


class _Manager:
    """The manager's end of $NOTIFY_SOCKET."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(support.REPLY_SECONDS_MAX)
        self.seen = []

    def next(self, wanted):
        """The next message that has this line; what comes before it is kept in `seen`."""
        while True:
            lines = self.socket.recv(65536).decode().split("\n")
            if any(line.startswith(wanted) for line in lines):
                return lines
            self.seen.append(lines)

    def waiting(self):
        self.socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            self.socket.settimeout(support.REPLY_SECONDS_MAX)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def the_manager_is_told():
    """Ready, reloading, stopping, in order, over a socket in the file system or an abstract one."""
    with support.folder() as place:
        file = place / "settings"
        for name in (str(place / "notify"), f"\0brim-{os.getpid()}"):
            file.write_text("threads: 1\n")
            with _Manager(name) as manager, support.Server(
                    "-m", 64, "--config", file,
                    environment={"NOTIFY_SOCKET": name.replace("\0", "@")}) as server:
                assert f"STATUS=serving on 127.0.0.1:{server.port}" in manager.next("READY=1")
                assert manager.seen == []
                server.send_signal(signal.SIGHUP)
                begun = int(manager.next("RELOADING=1")[1].removeprefix("MONOTONIC_USEC="))
                assert 0 <= time.monotonic_ns() // 1000 - begun < 60_000_000
                # What was said of the state stays.
                assert manager.next("READY=1") == ["READY=1"]
                server.stop()
                lines = manager.next("STOPPING=1")
                assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in lines)
                assert not any("READY" in text for text in manager.waiting())


def the_manager_hears_of_recovery():
    """That it goes on, if it does for so long, and in any case that it is over."""
    with support.folder() as place, _Manager(str(place / "notify")) as manager, support.Server(
            "-m", 64, store=place / "store",
            environment={"NOTIFY_SOCKET": str(place / "notify")}) as server:
        with server.client() as client:
            assert client.set(b"key", b"value") == b"STORED"
        server.stop()
        manager.waiting()
        server.start()
        over = f"STATUS=serving on 127.0.0.1:{server.port}"
        lines = manager.next("READY=1")
        assert lines[1].partition(",")[0] == over
        while over not in lines:
            assert re.fullmatch(over + r", recovering, \d+ items so far", lines[-1]), lines
            lines = manager.next("STATUS=")


def the_watchdog_hears_of_every_worker():
    """It hears nothing while a worker stands still, which /livez tells as well, and hears again."""
    with support.folder() as place, _Manager(str(place / "notify")) as manager, admin._server(
            "-m", 64, "-t", 2, environment={
                "NOTIFY_SOCKET": str(place / "notify"), "WATCHDOG_USEC": "4000000"}) as server:
        for _ in range(2):
            assert manager.next("WATCHDOG=1") == ["WATCHDOG=1"]
        with admin._held(server, "brim-worker-1"):
            manager.waiting()
            support.wait_for(
                "a dead worker", lambda: admin._ask(server, "/livez")[0] == 503, 15, 0.2)
            assert admin._ask(server, "/livez")[2].startswith("worker 1 stands still for ")
            # Told at most for a turn of before.
            assert len(manager.waiting()) <= 1
        manager.next("WATCHDOG=1")
        support.wait_for("life", lambda: admin._ask(server, "/livez")[0] == 200, 15, 0.2)
    for variables in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "1000"}):
        with support.folder() as place, _Manager(str(place / "notify")) as manager, support.Server(
                "-m", 64, environment={"NOTIFY_SOCKET": str(place / "notify"),
                                       "WATCHDOG_USEC": "4000000", **variables}) as server:
            manager.next("READY=1")
            assert ("server.watchdog_short" in server.log()) == ("WATCHDOG_USEC" in variables)


def a_hanging_disk_keeps_the_watchdog_fed():
    """While a commit hangs, four times as long as a worker may, the pings and /livez go on."""
    with support.folder() as place, _Manager(str(place / "notify")) as manager, faults._Faulty(
            place, "-m", 64, "-t", 2, "--admin-listen", "127.0.0.1:0", environment={
                "NOTIFY_SOCKET": str(place / "notify"), "WATCHDOG_USEC": "4000000"}) as server:
        admin._find(server)
        with server.client() as client:
            assert client.set(b"key", b"value") == b"STORED"
            faults._committed(server)
            server.rules("sync stall 60000\nwrite stall 60000\n")
            before = client.stats()["brim_last_commit_began_us"]
            assert client.set(b"other", b"value") == b"STORED"
            # Those of before are passed over: what comes now comes while the disk hangs.
            support.wait_for(
                "a commit that hangs", lambda: _sleeps(server, "brim-commit"), 15, 0.05)
            manager.waiting()
            for _ in range(4):
                assert manager.next("WATCHDOG=1") == ["WATCHDOG=1"]
                assert client.get(b"key") == b"value"
                assert admin._ask(server, "/livez")[::2] == (200, "ok\n")
            assert client.stats()["brim_last_commit_began_us"] == before
        server.kill()


def _sleeps(server, name):
    """Whether a thread sleeps in the stall of the interposer."""
    for entry in pathlib.Path(f"/proc/{server.pid}/task").iterdir():
        if (entry / "comm").read_text().strip().startswith(name):
            # nanosleep and clock_nanosleep.
            return (entry / "syscall").read_text().split()[0] in ("35", "230")
    return False


def _is_ready(port):
    """What the admin port says."""
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        answer = peer.recv(4096)
    assert re.match(rb"HTTP/1\.1 (200|503) ", answer), answer
    return answer.startswith(b"HTTP/1.1 200")


def sockets_are_taken_over():
    """As systemd gives them: a data port and the admin port, by name."""
    port, admin_port = support.free_port(), support.free_port()
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "-l",
               f"127.0.0.1:{admin_port}", "--fdname=brim:brim-admin", "-E", "HOME=/nonexistent"]
    with subprocess.Popen(
            command + [str(support.brim), "--no-store", "-m", "64"],
            stderr=subprocess.PIPE, text=True) as process:
        try:
            with support.wait_for("the port", lambda: _connected(port)) as client:
                assert client.set(b"key", b"value") == b"STORED"
                assert client.get(b"key") == b"value"
                # Who has been waiting is served before all that is ready has said so.
                support.wait_for("readiness", lambda: _is_ready(admin_port))
            process.send_signal(signal.SIGTERM)
            assert process.wait(support.STOP_SECONDS_MAX) == 0
        finally:
            process.kill()
    done = _given("-l", "127.0.0.1:0")
    assert done.returncode == 64 and "the service manager gives the sockets" in done.stderr, done
    # What is no socket that listens.
    done = _given(passed=os.open("/dev/null", os.O_RDONLY))
    assert done.returncode == 71 and "descriptor 3" in done.stderr, done


def _connected(port):
    try:
        return support.Client(("127.0.0.1", port))
    except ConnectionRefusedError:
        return None


def _given(*arguments, passed=0):
    def prepare():
        os.dup2(passed, 3)

    script = 'exec env -i HOME=/nonexistent LISTEN_FDS=1 LISTEN_PID=$$ "$@"'
    return subprocess.run(
        ["sh", "-c", script, "sh", str(support.brim), "--no-store", *arguments],
        capture_output=True, text=True, timeout=30, preexec_fn=prepare,
        close_fds=False)


def drain_delay_serves_on():
    """/readyz says no, clients are served; a second signal ends that."""
    with admin._server("-m", 64, "--drain-delay", 3600) as server, server.client() as client:
        assert client.set(b"key", b"value") == b"STORED"
        server.send_signal(signal.SIGTERM)
        server.wait_for_log(r"server\.stopping signal=terminate")
        assert admin._ask(server, "/readyz")[::2] == (503, "stopping\n")
        with server.client() as other:
            assert other.get(b"key") == b"value"
        assert client.get(b"key") == b"value"
        server.send_signal(signal.SIGTERM)
        assert server.process.wait(support.STOP_SECONDS_MAX) == 0
        assert "server.hurried" in server.log() and "server.stopped" in server.log()
        assert client.is_closed()


def drain_timeout_waits_for_half_a_request():
    """Who is between two requests is closed, who is in the middle of one is answered."""
    with support.Server("-m", 64, "--drain-timeout", 3600) as server:
        with server.client() as client, server.client() as idle, server.client() as second:
            assert idle.ask(b"mn") == b"MN"
            client.send(b"set half 0 0 5\r\nva")
            second.send(b"set large 0 0 200000\r\n" + b"x" * 100000)
            support.wait_for(
                "the halves", lambda: int(server.stats()["bytes_read"]) > 100000 or None)
            server.send_signal(signal.SIGTERM)
            assert idle.is_closed()
            client.send(b"lue\r\n")
            assert client.line() == b"STORED" and client.is_closed()
            second.send(b"x" * 100000 + b"\r\n")
            assert second.line() == b"STORED" and second.is_closed()
            assert server.process.wait(support.STOP_SECONDS_MAX) == 0
    # Whom nobody hurries has to be hurried.
    with support.Server("-m", 64, "--drain-timeout", 3600) as server:
        with server.client() as client:
            client.send(b"set half 0 0 5\r\nva")
            support.wait_for("the half", lambda: int(server.stats()["bytes_read"]) > 15 or None)
            server.send_signal(signal.SIGTERM)
            server.wait_for_log(r"server\.stopping")
            server.send_signal(signal.SIGTERM)
            assert server.process.wait(support.STOP_SECONDS_MAX) == 0


def logs_have_their_form():
    """Text, JSON and logfmt; the journal's form where the journal reads; a reader that does not."""
    for form in ("json", "logfmt"):
        with support.Server("-m", 64, "--log-format", form, ready=False) as server:
            server.wait_for_log(r"server\.ready.*\n")
            for line in server.log().splitlines():
                if form == "json":
                    record = json.loads(line)
                    assert {"ts", "level", "msg"} <= set(record), record
                    if record["msg"] == "server.ready":
                        assert record["workers"] >= 1 and record["store"] == "none", record
                else:
                    assert re.match(r"ts=\S+Z level=\w+ msg=[a-z]+\.[a-z_]+( |$)", line), line
    _journal()
    _blocked()


def _journal():
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    environment = {"HOME": "/nonexistent", "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    with theirs:
        done = subprocess.run(
            [str(support.brim), "--no-store", "-l", "203.0.113.1:9"], stderr=theirs,
            env=environment, timeout=30)
    assert done.returncode == 71
    ours.settimeout(30)
    text = b""
    while piece := ours.recv(65536):
        text += piece
    lines = text.decode().splitlines()
    assert lines and all(re.match(r"<[3467]>[a-z]+\.[a-z_]+", line) for line in lines), lines
    assert lines[-1].startswith("<3>server.failed exit_code=71 ")


def _blocked():
    """Standard error is a pipe that is full and that nobody reads: everybody is served."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"\n" * 65536)
    except BlockingIOError:
        os.set_blocking(writer, True)
    port = support.free_port()
    with subprocess.Popen(
            [str(support.brim), "--no-store", "-m", "64", "-l", f"127.0.0.1:{port}"],
            stderr=writer, env={"HOME": "/nonexistent"}) as process:
        try:
            os.close(writer)
            with support.wait_for("the port", lambda: _connected(port)) as client:
                for _ in range(20):
                    process.send_signal(signal.SIGHUP)
                    assert client.ask(b"mn") == b"MN"
            process.send_signal(signal.SIGTERM)
            # Once there is room, it says how much was lost.
            text = os.read(reader, 1 << 20)
            while b"log.dropped lines=" not in text:
                piece = os.read(reader, 65536)
                assert piece, text[-200:]
                text += piece
            assert process.wait(support.STOP_SECONDS_MAX) == 0
        finally:
            process.kill()
            os.close(reader)

"""The limits that are set for a server, and that others set for it."""

import errno
import os
import pwd
import re
import resource
import select
import subprocess
import time

import support


def connection_limit():
    with support.Server("-m", 64, "-c", 20, "-t", 2) as server:
        clients = [server.client() for _ in range(20)]
        for client in clients:
            assert client.ask(b"mn") == b"MN"
        with server.client() as refused:
            assert refused.line() == b"ERROR Too many open connections"
            assert refused.is_closed()
        found = clients[0].stats()
        assert int(found["rejected_connections"]) >= 1, found["rejected_connections"]
        assert int(found["curr_connections"]) == 20
        # One goes, another comes.
        clients.pop().close()

        def accepted():
            client = server.client()
            try:
                if client.ask(b"mn") == b"MN":
                    clients.append(client)
                    return True
            except (support.Closed, ConnectionError):
                pass
            client.close()
            return False

        support.wait_for("a free place", accepted, pause=0.1)
        spent = _processor_seconds(server)
        time.sleep(0.5)
        assert _processor_seconds(server) - spent < 0.3, "the acceptor spins"
        for client in clients:
            client.close()


def _processor_seconds(server):
    with open(f"/proc/{server.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_timeout():
    with support.Server("-m", 64, "--idle-timeout", 4) as server:
        idle, busy = server.client(), server.client()
        start = time.monotonic()
        assert idle.ask(b"mn") == b"MN"

        def is_over():
            assert busy.ask(b"mn") == b"MN"
            return select.select([idle.socket], [], [], 0.2)[0]
        support.wait_for("the end of the idle one", is_over)
        assert time.monotonic() - start >= 4
        assert idle.is_closed()
        found = busy.stats()
        assert int(found["idle_kicks"]) == 1, found.get("idle_kicks")
        assert int(found["brim_closed_idle"]) == 1
        busy.close()


def _connect_until_refused(server, clients):
    """Adds connections that are served until one is not; that one waits in the backlog."""
    def refusals():
        return int(clients[0].stats()["listen_disabled_num"])

    before = refusals() if clients else 0
    for _ in range(80):
        client = server.client()
        client.send(b"mn\r\n")
        # It is served, or the server says that nobody is for now.
        support.wait_for("an answer or none", lambda: select.select(
            [client.socket], [], [], 0.1)[0] or clients and refusals() > before)
        if not select.select([client.socket], [], [], 0)[0]:
            return client
        assert client.line() == b"MN"
        clients.append(client)
    raise AssertionError("descriptors never ran out")


def few_descriptors():
    """A hard limit that is too low for -c: the log says what fits, and so many are served.

    The next one waits, as with memcached: nobody is refused, nothing spins, the log says so once,
    and when a connection closes whoever waits is served.
    """
    limit = [(resource.RLIMIT_NOFILE, 64, 64)]
    prefix = _as_nobody()
    with support.Server("-m", 64, "-t", 2, "-c", 500, limits=limit, prefix=prefix) as server:
        room = re.search(
            r"server\.descriptors_short .*\bconnections=(\d+)", server.log())
        assert room, server.log()
        clients = []
        waiting = _connect_until_refused(server, clients)
        assert len(clients) >= max(int(room.group(1)) - 1, 10), (len(clients), room.group())
        assert clients[0].set(b"a", b"1") == b"STORED"
        spent = _processor_seconds(server)
        time.sleep(0.5)
        assert _processor_seconds(server) - spent < 0.3, "the acceptor spins"
        found = clients[0].stats()
        assert int(found["listen_disabled_num"]) >= 1 and found["rejected_connections"] == "0"
        clients.pop().close()
        assert waiting.line() == b"MN"
        # Again: the statistics count it, the log does not repeat it.
        waiting.close()
        support.wait_for(
            "closing", lambda: int(clients[0].stats()["curr_connections"]) == len(clients))
        waiting = _connect_until_refused(server, clients)
        assert int(clients[0].stats()["listen_disabled_num"]) > 1
        assert server.log().count("server.accept_paused ") == 1, server.log()
        for client in clients[1:] + [waiting]:
            client.close()
        support.wait_for("room", lambda: server.client().ask(b"mn") == b"MN")
        clients[0].close()


def rings_refused():
    """If io_uring is asked for: one line that names the error, the likely cause, what to do."""
    expected = {
        errno.EPERM: (r"\(EPERM\)", r"seccomp|io_uring_disabled",
                      r"--security-opt seccomp=|sysctl -w kernel.io_uring_disabled=0"),
        errno.EACCES: (r"\(EACCES\)", r"seccomp|io_uring_disabled",
                       r"--security-opt seccomp=|sysctl -w kernel.io_uring_disabled=0"),
        errno.ENOSYS: (r"\(ENOSYS\)", r"gVisor|old kernels|a seccomp profile",
                       r"run on Linux 6\.1 or newer|--security-opt seccomp="),
    }
    with support.folder() as place:
        for error, patterns in expected.items():
            done = subprocess.run(
                [str(support.brim), "-m", "64", "-l", "127.0.0.1:0",
                 "--store", str(place / "store"), "--engine", "io_uring"],
                preexec_fn=lambda error=error: support.refuse_rings(error), capture_output=True,
                text=True, timeout=support.START_SECONDS_MAX, env={"HOME": "/nonexistent"})
            lines = [line for line in (done.stdout + done.stderr).splitlines()
                     if "running as root" not in line]
            assert done.returncode == os.EX_OSERR, (done.returncode, lines)
            assert len(lines) == 1, lines
            for pattern in patterns:
                assert re.search(pattern, lines[0]), (pattern, lines[0])
            assert not (place / "store").exists(), "nothing is begun before that is clear"


def epoll_where_rings_are_refused():
    """Whatever a kernel or a container says no with: one warning, and the same service."""
    refusals = ("EPERM", "EACCES", "ENOSYS", "EOPNOTSUPP", "EINVAL", "ENOMEM")
    with support.folder() as place:
        for name in refusals:
            for turn in range(2):
                with support.Server("-m", 64, "-t", 2, store=place / name,
                                    refuse=getattr(errno, name),
                                    environment={"BRIM_ENGINE": ""}) as server:
                    log = server.log()
                    assert log.count("ring.fallback") == 1, log
                    assert re.search(rf"ring\.fallback error={name} reason=", log), log
                    assert "ring.features engine=epoll" in log, log
                    server.wait_for_recovery()
                    with server.client() as client:
                        if turn == 0:
                            assert client.set(b"a", b"1" * 100_000) == b"STORED"
                        assert client.get(b"a") == b"1" * 100_000
                        assert client.stats()["brim_engine"] == "epoll"


def _as_nobody():
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
            "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]


def unprivileged():
    """As an ordinary user meets it: no memory to lock, 1024 descriptors."""
    limits = [(resource.RLIMIT_MEMLOCK, 65_536, 65_536), (resource.RLIMIT_NOFILE, 1024, 1024)]
    with support.folder() as place:
        (place / "state").mkdir()
        if os.geteuid() == 0:
            os.chmod(place / "state", 0o777)
        for turn in range(2):
            with support.Server("-m", 128, "-t", 4, limits=limits, prefix=_as_nobody(),
                                store=place / "state" / "store") as server:
                assert "running as root" not in server.log()
                server.wait_for_recovery()
                clients = [server.client() for _ in range(200)]
                for number, client in enumerate(clients):
                    key = b"u%d" % number
                    if turn:
                        assert client.get(key) == key * 100
                    assert client.set(key, key * 100) == b"STORED"
                for client in clients:
                    client.close()


def no_place_for_a_store():
    """Where nobody asked for a store, and there is no place for one, memory alone serves. One that
    was asked for, or is there and cannot be used, ends the start."""
    nowhere = {"HOME": "/proc/none"}
    with support.Server("-m", 64, store=False, environment=nowhere) as server:
        assert re.search(
            r'warning server\.store_absent path="/proc/none/\.local/state/brim" reason="\w',
            server.log()), server.log()
        assert re.search(r"server\.ready .* store=none", server.log())
        with server.client() as client:
            assert client.set(b"a", b"1") == b"STORED" and client.get(b"a") == b"1"
    with support.folder() as place:
        (place / ".local" / "state").mkdir(parents=True)
        (place / ".local" / "state" / "brim").write_text("no directory")
        for environment, asked in (
                (nowhere, ("--store-size", "64m")), (nowhere, ("--durability", "ack")),
                (nowhere, ("--store", "/proc/none/store")), ({"HOME": place}, ()),
                ({"STATE_DIRECTORY": "/proc/none"}, ())):
            with support.Server("-m", 64, *asked, store=False, environment=environment,
                                ready=False) as server:
                server.process.wait(support.START_SECONDS_MAX)
                assert server.process.returncode == os.EX_CANTCREAT, (asked, server.log())
                assert "store_absent" not in server.log()


def _start_within(address_bytes, store):
    """Starts a server that may map so many bytes. Its log if it ended by itself; None if it was
    ready, and then has been stopped."""
    limits = [(resource.RLIMIT_AS, address_bytes, address_bytes)]
    server = support.Server("-m", 64, "-t", 2, "--store-size", "64m", store=store, limits=limits,
                            ready=False)
    with server:
        support.wait_for(
            "its end, or that it is ready",
            lambda: server.process.poll() is not None or "server.ready" in server.log())
        if server.process.poll() is None:
            return None
        assert server.process.returncode in (os.EX_OSERR, os.EX_CANTCREAT), (
            address_bytes, server.process.returncode, server.log())
        return server.log()


def _loads_within(address_bytes):
    """Whether the system can load the program and its libraries at all."""
    def prepare():
        resource.setrlimit(resource.RLIMIT_AS, (address_bytes, address_bytes))
    done = subprocess.run([str(support.brim), "--version"], preexec_fn=prepare, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def little_address_space():
    """Where the system refuses memory at the start, it ends with one line that says so; from the
    least with which it is loaded to the most that is too little, with a store and without."""
    mib = 1 << 20
    least = next(count for count in range(8, 200) if _loads_within(count * mib)) * mib
    with support.folder() as place:
        for store in (None, place / "store"):
            tries, step = 0, 8 * mib
            refused = least
            # In ever smaller steps towards the least that is enough.
            while step >= mib // 32:
                log = _start_within(refused, store)
                assert log is not None or refused > least, "everything is enough"
                if log is None:
                    refused -= step
                    step //= 4
                else:
                    tries += 1
                    lines = [line for line in log.splitlines() if "running as root" not in line]
                    found = [line for line in lines if " server.failed " in line]
                    assert len(found) == 1 and lines[-1] == found[0], lines
                    assert re.search("memory|no thread", found[0]), found
                refused += step
                assert refused < 4096 * mib, "nothing is enough"
            assert tries > 5, tries


def _answers_as(user, path):
    """Whether a process of that user is served at a unix socket."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            with support.Client(path) as client:
                code = 0 if client.ask(b"mn") == b"MN" else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def unix_socket_of_another_user():
    """With -u, the socket is that user's: it may connect, and the server removes it at the end."""
    if os.geteuid() != 0:
        print("not root: there is no user to become")
        return
    nobody = pwd.getpwnam("nobody")
    with support.folder() as place:
        # As /tmp: whoever owns a file there may remove it.
        os.chmod(place, 0o1777)
        path = str(place / "brim.sock")
        with support.Server("-m", 64, "-s", path, "-u", "nobody", listen=False) as server:
            found = os.stat(path)
            assert (found.st_uid, found.st_gid) == (nobody.pw_uid, nobody.pw_gid), found
            assert found.st_mode & 0o777 == 0o700, oct(found.st_mode)
            assert _answers_as(nobody, path), "its own user cannot connect"
            assert server.process.poll() is None
        assert not os.path.exists(path), "the socket's name stays behind"

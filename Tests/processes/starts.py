"""Starts that meet a full disk, a slow one, a file that is none, or that the store ends."""

import os
import shutil
import signal
import subprocess

import faults
import support


def no_regular_file():
    """A pipe or a folder where the data file should be ends the start, and does not hold it up."""
    with support.folder() as place:
        for name, make in (("pipe", os.mkfifo), ("folder", os.mkdir)):
            store = place / name
            store.mkdir()
            make(store / "data.mdb")
            line, code = faults._complains("-m", 64, store=store)
            print(line, code)
            assert "no regular file" in line and code == 73
            # Nor do pipes beside it.
            shutil.rmtree(store / "data.mdb") if name == "folder" else (store / "data.mdb").unlink()
            os.mkfifo(store / "starting")
            with support.Server("-m", 64, store=store) as server, server.client() as client:
                assert client.set(b"a", b"1") == b"STORED"


#: Runs a server in a mount namespace, with a full disk of its own: $0 is where that is mounted, $1
#: a folder that lies on it, in a store, before it is filled, $2 how many bytes are left.
_ON_A_FULL_DISK = """
mount -t tmpfs -o size=24m tmpfs "$0" && cp -a "$1" "$0/store" || exit 99
dd if=/dev/zero of="$0/filler" bs=4096 2>/dev/null
truncate -s -"$2" "$0/filler"
shift 2
exec "$@"
"""


def _namespace(place):
    """How a program gets mounts of its own; None where nobody may."""
    flags = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    trial = flags + ["mount", "-t", "tmpfs", "tmpfs", str(place)]
    may = subprocess.run(trial, capture_output=True, check=False).returncode == 0
    return flags if may else None


def full_disk_at_start():
    """A start on a full disk serves, from memory if it must. It moves nothing aside but a store
    that it cannot open, whose `lock.mdb` was not copied with it: what that run changes, and the
    store does not learn, is not old again at the next start."""
    with support.folder() as place:
        (place / "disk").mkdir()
        (place / "empty").mkdir()
        prefix = _namespace(place / "disk")
        if prefix is None:
            print("skipped: no mounts here")
            return
        with support.Server("-m", 64, "--store-size", "64m", store=place / "old") as server:
            with server.client() as client:
                faults._fill(client, 1)
            assert server.stop()[0] == 0
        shutil.copytree(place / "old", place / "copied")
        (place / "copied" / "lock.mdb").unlink()
        outcomes = []
        for given in ("empty", "old", "copied"):
            for left in range(0, 40961, 4096):
                script = ["sh", "-c", _ON_A_FULL_DISK, str(place / "disk"), str(place / given),
                          str(left)]
                with support.Server(
                        "-m", 64, "--store-size", "64m", store=place / "disk" / "store",
                        prefix=prefix + script) as server:
                    server.wait_for_recovery()
                    with server.client() as client:
                        found = faults._served(client, faults.KEYS)
                        assert client.set(b"fresh", b"1") == b"STORED"
                        assert client.get(b"fresh") == b"1"
                    log = server.log()
                    without = "store.without_space" in log
                    is_left = without and given == "copied"
                    if is_left:
                        mounted = f"/proc/{server.pid}/root{place}/disk/store"
                        shutil.rmtree(place / "left", ignore_errors=True)
                        shutil.copytree(mounted, place / "left")
                    # A stop would tell that not everything is on the disk.
                    server.kill()
                    assert ("store.moved_aside" in log) == is_left, log
                    if is_left:
                        _finds_nothing(place / "left")
                    wanted = 0 if without or given == "empty" else faults.KEYS
                    assert found == wanted, (found, log)
                    outcomes.append((given, left, "memory" if without else found))
        print(outcomes)
        assert ("old", 0, faults.KEYS) in outcomes and ("copied", 0, "memory") in outcomes


def _finds_nothing(store):
    """The start after a run that went on without the store, with room on the disk."""
    assert any("unusable" in name for name in os.listdir(store))
    with support.Server("-m", 64, "--store-size", "64m", store=store) as server:
        server.wait_for_recovery()
        with server.client() as client:
            assert faults._served(client, faults.KEYS) == 0
            assert client.set(b"fresh", b"2") == b"STORED"
        assert server.stop()[0] == 0
        server.start()
        server.wait_for_recovery()
        with server.client() as client:
            assert client.get(b"fresh") == b"2"


def _killed_while_it_looks(server, number, count=1):
    """Starts a server whose disk stands still, and sends a signal as soon as it looks at it."""
    def looks():
        folder = f"/proc/{server.pid}/fd"
        try:
            files = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
        except FileNotFoundError:
            return False
        return any(name.endswith("/data.mdb") for name in files)

    for _ in range(count):
        server.start()
        support.wait_for("a look at the store", looks)
        os.kill(server.pid, number)
        assert server.process.wait(support.REPLY_SECONDS_MAX) == -number


def starts_that_are_killed():
    """Whoever kills a start that looks at a slow disk does not cost the store, however often."""
    quiet = {"SWIFT_BACKTRACE": "enable=no"}
    with support.folder() as place, faults._Faulty(place, "-m", 64, environment=quiet) as server:
        with server.client() as client:
            faults._fill(client, 1)
        assert server.stop()[0] == 0
        server.rules("read stall 20000 file=data.mdb\n")
        server.waits_for_ready = False
        _killed_while_it_looks(server, signal.SIGKILL, 4)
        # As a watchdog does.
        _killed_while_it_looks(server, signal.SIGABRT, 2)
        _killed_while_it_looks(server, signal.SIGSEGV, 2)
        server.rules("")
        server.waits_for_ready = True
        server.start()
        server.wait_for_recovery()
        with server.client() as client:
            faults._compare(client, 1)
        assert "store.moved_aside" not in server.log(), server.log()
        assert not (place / "store" / "starting").exists()


def starts_that_the_store_ends():
    """A store that ended three starts by a fault of theirs is moved aside by the next."""
    quiet = {"SWIFT_BACKTRACE": "enable=no"}
    with support.folder() as place, faults._Faulty(place, "-m", 64, environment=quiet) as server:
        with server.client() as client:
            faults._fill(client, 1)
        assert server.stop()[0] == 0
        server.waits_for_ready = False
        for turn in range(3):
            server.rules("read crash file=data.mdb\n")
            server.start()
            assert server.process.wait(support.START_SECONDS_MAX) == -signal.SIGSEGV
            # One that is killed in between neither counts nor takes anything back.
            server.rules(f"read stall {20000 + turn} file=data.mdb\n")
            if turn < 2:
                _killed_while_it_looks(server, signal.SIGKILL)
        server.rules("")
        server.waits_for_ready = True
        server.start()
        with server.client() as client:
            assert client.get(b"k1") is None
        assert 'store.moved_aside reason="it failed 3 starts"' in server.log(), server.log()

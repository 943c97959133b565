"""The programs of docs/examples, run against a server as their readers would run them.

A language that is not at hand is named and passed over; Python, bash and C must be there, since
the other tests need them too.
"""

import contextlib
import re
import shutil
import subprocess
import time

import support

EXAMPLES = support.HERE.parent.parent / "docs" / "examples"
SECONDS_MAX = 60
#: Each example: what runs it, what it prints at last, and whether it may be left out.
PROGRAMS = {
    "client.py": ("/usr/bin/python3", "python: ok", False),
    "look_aside.py": ("/usr/bin/python3", "look-aside: ok", False),
    "stampede.py": ("/usr/bin/python3", "stampede: ok", False),
    "client.sh": ("bash", "shell: ok", False),
    "client.c": ("cc", "c: ok", False),
    "client.mjs": ("node", "javascript: ok", True),
}


def _run(command):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=SECONDS_MAX)


def _command(name, language, place):
    """How an example is started; C is compiled first, strictly."""
    if language != "cc":
        return [language, "-B", EXAMPLES / name] if "python" in language else [
            language, EXAMPLES / name]
    program = place / "client"
    built = _run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, EXAMPLES / name])
    assert built.returncode == 0, built.stderr
    return [program]


def _run_all(address, place):
    """Runs every example; returns the names of those that ran."""
    ran = set()
    for name, (language, last, is_optional) in PROGRAMS.items():
        if shutil.which(language) is None:
            assert is_optional, f"{name}: {language} is not installed"
            print(f"{name}: skipped, {language} is not installed")
            continue
        done = _run([*_command(name, language, place), address])
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        assert done.stdout.splitlines()[-1:] == [last], f"{name}: {done.stdout!r}"
        ran.add(name)
    return ran


def every_example():
    """All of them, with a store and without; and each file of the folder is one of them."""
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    assert files == {"README.md", *PROGRAMS}, files
    with support.folder() as place:
        for store in (place / "store", None):
            with support.Server("-m", 64, store=store) as server:
                ran = _run_all(f"127.0.0.1:{server.port}", place)
                print(f"ran: {', '.join(sorted(ran))}")
                assert set(PROGRAMS) - {"client.mjs"} <= ran
                # They did talk to this server, and not to another one.
                assert int(server.stats()["cmd_set"]) >= 2 * 4


def examples_see_a_wrong_answer():
    """Each of them fails where nobody answers, so what passes above was looked at."""
    with support.folder() as place:
        nobody = f"127.0.0.1:{support.free_port()}"
        for name, (language, last, _) in PROGRAMS.items():
            if shutil.which(language) is None:
                continue
            done = _run([*_command(name, language, place), nobody])
            assert done.returncode != 0 and last not in done.stdout, f"{name}: {done.stdout}"


@contextlib.contextmanager
def _proxy(settings):
    """A running nutcracker; it has no word for being ready, so its port is asked."""
    child = subprocess.Popen(
        ["nutcracker", f"--conf-file={settings}", f"--output={settings.parent / 'proxy.log'}",
         f"--stats-port={support.free_port()}", "--stats-addr=127.0.0.1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(SECONDS_MAX)


def behind_a_proxy():
    """The settings of docs/examples/proxied, with three servers of this build."""
    if shutil.which("nutcracker") is None:
        print("proxied: skipped, nutcracker is not installed")
        return
    text = (EXAMPLES / "proxied" / "nutcracker.yaml").read_text()
    with support.folder() as place, contextlib.ExitStack() as servers:
        brims = [servers.enter_context(support.Server("-m", 64)) for _ in range(3)]
        for number, brim in enumerate(brims, 1):
            text, count = re.subn(rf"brim-{number}:11211", f"127.0.0.1:{brim.port}", text)
            assert count == 1
        port = support.free_port()
        text, count = re.subn(r"0\.0\.0\.0:11211", f"127.0.0.1:{port}", text)
        assert count == 1
        (place / "nutcracker.yaml").write_text(text)
        with _proxy(place / "nutcracker.yaml") as proxy:
            client = _connect(port, proxy)
            with client:
                keys = [b"proxied-%d" % number for number in range(300)]
                for key in keys:
                    assert client.set(key, key * 3) == b"STORED"
                for start in range(0, len(keys), 100):
                    part = keys[start:start + 100]
                    assert client.get_many(part) == {key: key * 3 for key in part}
            shares = [int(brim.stats()["curr_items"]) for brim in brims]
            print(f"proxied: shares {shares}")
            assert sum(shares) == len(keys) and min(shares) > 0, shares


def _connect(port, proxy):
    deadline = time.monotonic() + support.START_SECONDS_MAX
    while True:
        assert proxy.poll() is None, f"nutcracker ended with {proxy.returncode}"
        try:
            return support.Client(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nutcracker does not listen"
            time.sleep(0.01)

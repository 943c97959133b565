"""What README.md and the pages for operators show is run, and what it prints is compared.

    ```sh       run by bash in the package's folder; must succeed. Of `make TARGET` only the
                recipe is asked for: building everything is not a part of a test.
    ```console  lines after `$ ` are run, what follows them is what they must print
    ```python   run by python3; must succeed

against a server of this build: where the text says 127.0.0.1:11211 or 127.0.0.1:9150 its own ports
are meant. A comment before a block changes that: `<!-- not run: REASON -->` passes it over, and
`<!-- run: killed -->` kills the server before, with SIGKILL, and starts it again.
"""

import os
import re
import subprocess
import sys
import time

import support

PACKAGE = support.HERE.parent.parent
SECONDS_MAX = 60
LANGUAGES = ("sh", "console", "python")


def _blocks(page):
    """Line number, language, marker (or None), and lines of each fenced block."""
    lines = (PACKAGE / page).read_text().splitlines()
    place = 0
    while place < len(lines):
        if not lines[place].startswith("```"):
            place += 1
            continue
        end = lines.index("```", place + 1)
        above = next((line for line in reversed(lines[:place]) if line), "")
        marker = re.fullmatch(r"<!-- ((?:not )?run: .+) -->", above)
        yield place + 1, lines[place][3:], marker and marker.group(1), lines[place + 1:end]
        place = end + 1


class _Reader:
    """Follows a page as its reader would, with one server and its store."""

    def __init__(self, place):
        self.place = place
        self.folder = place / "bin"
        self.folder.mkdir()
        (self.folder / "brim").symlink_to(support.brim)
        self.admin = support.free_port()
        self.server = support.Server(
            "-m", 64, "--admin-listen", f"127.0.0.1:{self.admin}", store=place / "store")
        self.environment = {
            "PATH": f"{self.folder}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(place), "LC_ALL": "C.UTF-8"}

    def here(self, text):
        """The text, with this server's port and this build's program."""
        text = text.replace("127.0.0.1 11211", f"127.0.0.1 {self.server.port}")
        text = text.replace("127.0.0.1:11211", f"127.0.0.1:{self.server.port}")
        text = text.replace("127.0.0.1:9150", f"127.0.0.1:{self.admin}")
        return text.replace(".build/static/release/brim ", "brim ")

    def run(self, command):
        return subprocess.run(
            command, cwd=PACKAGE, env=self.environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=SECONDS_MAX)

    def killed(self):
        """What was said before the kill is on disk by then, as it is for a reader who types."""
        spoken = time.time()
        support.wait_for("a commit", lambda: int(
            self.server.stats()["brim_last_commit_began_us"]) > spoken * 1e6 or self.nudge())
        self.server.kill()
        self.server.start()
        self.server.wait_for_recovery()

    def nudge(self):
        """Something to commit: the last commit is not repeated for nothing."""
        with self.server.client() as client:
            client.set(b"of-this-test", b"")

    def sh(self, lines):
        for command in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
            command = self.here(command.partition(" #")[0].strip())
            if command.startswith("make "):
                command = command.replace("make ", "make --dry-run ", 1)
            done = self.run(["bash", "-euo", "pipefail", "-c", command])
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def console(self, lines):
        place = 0
        while place < len(lines):
            assert lines[place].startswith("$ "), f"not a command: {lines[place]}"
            command = self.here(lines[place][2:])
            end = place + 1
            while end < len(lines) and not lines[end].startswith("$ "):
                end += 1
            done = self.run(["bash", "-uo", "pipefail", "-c", command])
            said = done.stdout.replace("\r\n", "\n").splitlines()
            assert said == lines[place + 1:end], f"{command}\n{done.stdout}{done.stderr}"
            place = end

    def python(self, lines):
        done = self.run([sys.executable, "-B", "-c", self.here("\n".join(lines))])
        assert done.returncode == 0, done.stdout + done.stderr


def _follow(page):
    with support.folder() as place:
        reader = _Reader(place)
        count = 0
        with reader.server:
            for line, language, marker, lines in _blocks(page):
                where = f"{page}:{line}"
                if marker and marker.startswith("not run: "):
                    print(f"{where}: {marker}")
                    continue
                assert language in LANGUAGES, f"{where}: {language!r} is neither run nor marked"
                if marker == "run: killed":
                    reader.killed()
                else:
                    assert not marker, f"{where}: {marker}"
                try:
                    getattr(reader, language)(lines)
                except AssertionError as failure:
                    raise AssertionError(f"{where}: {failure}") from None
                count += 1
        print(f"{page}: {count} blocks run")
        return count


def readme():
    assert _follow("README.md") > 0


def operating():
    pages = sorted((PACKAGE / "docs/operating").glob("*.md"))
    assert len(pages) > 2
    assert _follow("docs/operating.md") > 0
    assert sum(_follow(f"docs/operating/{page.name}") for page in pages) > 0


def the_tour_names_what_is_there():
    """Files, functions and types that the pages for developers name are in the code."""
    files = [path for top in ("Sources", "Bench", "Tests") for path in (PACKAGE / top).rglob("*")
             if path.is_file() and ".build" not in path.parts]
    code = {path: set(re.findall(r"\w+", path.read_text(errors="replace"))) for path in files}
    words = set().union(*code.values(), re.findall(r"\w+", (PACKAGE / "Package.swift").read_text()))
    checked = 0
    for page in ("architecture", "internals/memory", "internals/disk", "internals/network",
                 "testing"):
        text = re.sub(r"```.*?```", "", (PACKAGE / f"docs/{page}.md").read_text(), flags=re.S)
        for line in text.splitlines():
            names = re.findall(r"`([\w/+.-]+)`", line)
            named = [(name, _files_named(name, files)) for name in names
                     if re.search(r"\.(swift|py|c|json)$", name)]
            for name, found in named:
                assert found, f"docs/{page}.md: {name} is no file"
            known = set().union(*(code[path] for _, found in named for path in found))
            # A row of a flow: the functions are in one of the files before them.
            is_flow = line.startswith("| `") and line.count(" | ") >= 2 and bool(named)
            for name in names:
                if "/" in name or any(name == file for file, _ in named):
                    continue
                is_function = is_flow and f"`{name}`" in line.split(" | ")[1]
                parts = [part for part in name.split(".") if part]
                if is_function or re.search(r"[a-z][A-Z]|^[A-Z]\w+\.", name):
                    missing = set(parts) - (known if is_function else words)
                    assert not missing, f"docs/{page}.md: {name}: {missing}"
                    checked += 1
    print(f"{checked} names")
    assert checked > 80, checked


def _files_named(name, files):
    return [path for path in files if str(path).endswith(f"/{name}")]


def flags_are_explained():
    """operating.md has the flags of the help, no others, and the defaults that are in effect."""
    text = (PACKAGE / "docs/operating.md").read_text()
    help_text = subprocess.run(
        [str(support.brim), "-h"], capture_output=True, text=True, timeout=SECONDS_MAX).stdout
    rows = re.findall(r"^\| ((?:`-{1,2}[\w-]+`(?:, |; )?)+) \| ([^|]*)\| ?([^|]*?) ?\|", text, re.M)
    said = {name for flags, _, _ in rows for name in re.findall(r"`(-{1,2}[\w-]+)`", flags)}
    known = set(re.findall(r"^  (?:(-\w), )?(--[\w-]+)", help_text, re.M))
    known = {name for pair in known for name in pair if name}
    # Those of memcached that are passed over have a table of their own.
    assert {name for name in known if name.startswith("--")} == \
        {name for name in said if name.startswith("--")}, known ^ said
    assert known - said == set(), known - said
    settings = dict(
        line.partition(" ")[::2] for line in subprocess.run(
            [str(support.brim), "--check-config"], capture_output=True, text=True,
            timeout=SECONDS_MAX).stdout.splitlines())
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    checked = 0
    for flags, _, default in rows:
        name = (re.findall(r"`--([\w-]+)`", flags) or [None])[0]
        shown = settings.get(name)
        number = re.fullmatch(r"(\d+)([kmg]?)", default)
        if shown is None or number is None:
            continue
        value = int(number.group(1)) * units.get(number.group(2), 1)
        if name == "memory-limit":
            value <<= 20
        assert int(shown) == value, f"--{name}: {default} is said, {shown} is in effect"
        checked += 1
    assert checked > 8, checked


def the_fixed_part_is_as_stated():
    """A server that was just started has touched little more than what does not depend on -m."""
    text = " ".join((PACKAGE / "docs/operating.md").read_text().split())
    stated = re.search(r"at most (\d+) MiB, and (\d+) KiB for each worker", text)
    base, worker = int(stated.group(1)) << 10, int(stated.group(2))
    for memory, workers in ((64, 1), (256, 2), (1024, 8)):
        for has_store in (False, True):
            with support.folder() as place, support.Server(
                    "-m", memory, "-t", workers,
                    store=place / "store" if has_store else None) as server:
                used = server.status("RssAnon")
                print(f"-m {memory} -t {workers} store {has_store}: {used} KiB")
                assert used <= base + workers * worker, f"{used} KiB"


def lines_of_the_log_have_their_form():
    with support.Server("-m", 64) as server:
        lines = server.log().splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    field = r'[a-z_]+=("([^"\\]|\\.)*"|[^\s"]+)'
    form = rf"{stamp} (debug|info|warning|error) [a-z]+\.[a-z_]+( {field})*"
    assert lines
    for line in lines:
        assert re.fullmatch(form, line), line

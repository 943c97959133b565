#!/usr/bin/env python3
# run.py: runs test files of memcached's own suite (t/*.t, of memcached's sources) against Brim.
#
#   run.py --brim .build/static/release/brim --suite ~/memcached-1.6.45 [names]
#
# The suite is not part of this project: get memcached's sources elsewhere. What stands here is what
# looks to it like the `memcached-debug` that it would have built: Brim from memory alone, with the
# clock that the suite moves. Which files pass, and why others cannot, is in docs/protocol.md.
import argparse
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

SECONDS_MAX = 120

# About slab classes, LRU threads, extstore, the proxy, TLS, memory files, or how it is built.
OTHER = re.compile(
    r"^(slab|lru|extstore|chunked-extstore|binary-extstore|error-extstore|proxy|ssl_|restart"
    r"|64bit|whitespace|misbehave|stress|refhang)")

# Options that the suite gives to every server, and that mean nothing here.
PROGRAM = """#!/usr/bin/env python3
import os, sys
arguments, rest = [], sys.argv[1:]
while rest:
    word = rest.pop(0)
    if word == "-o" and rest and rest[0] == "relaxed_privileges":
        rest.pop(0)
    elif word == "-U" and rest and rest[0] != "0":
        # There is no UDP: a port is given to every server, whatever it is tested for.
        rest.pop(0)
    else:
        arguments.append(word)
os.execv({brim!r}, [{brim!r}, "--no-store", "--debug-clock"] + arguments)
"""


def _build_folder(folder, brim, suite):
    program = folder / "memcached-debug"
    program.write_text(PROGRAM.format(brim=str(brim)))
    program.chmod(0o755)
    # timedrun SECONDS PROGRAM …
    timed = folder / "timedrun"
    timed.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    timed.chmod(0o755)
    (folder / "t").symlink_to(suite / "t")


def _run(folder, name):
    """How many tests of a file passed, how many there are, and what did not."""
    environment = dict(os.environ, PERL_HASH_SEED="0")
    # Into files: a server that outlives its test would keep a pipe open.
    with tempfile.TemporaryFile("w+", errors="replace") as out, \
            tempfile.TemporaryFile("w+", errors="replace") as errors:
        child = subprocess.Popen(
            ["perl", "-Mlib=t/lib", f"t/{name}"], cwd=folder, stdout=out, stderr=errors,
            env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            code = child.wait(SECONDS_MAX)
            end = f"exit {code}" if code else ""
        except subprocess.TimeoutExpired:
            end = "timed out"
        # Its servers are of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        out.seek(0)
        errors.seek(0)
        output = out.read()
        last = errors.read().strip().splitlines()[-1:] if end else []
    if re.search(r"^1\.\.0 # SKIP", output, re.MULTILINE | re.IGNORECASE):
        return 0, 0, [re.search(r"(?i)# skip.*", output).group()]
    planned = re.search(r"^1\.\.(\d+)", output, re.MULTILINE)
    failures = re.findall(r"^not ok .*", output, re.MULTILINE)
    failures = [line for line in failures if not re.search("# TO[D]O", line)]
    passed = len(re.findall(r"^ok ", output, re.MULTILINE))
    count = int(planned.group(1)) if planned else passed + len(failures)
    return passed, count, failures + ([end] if end else []) + last


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brim", required=True, type=pathlib.Path)
    parser.add_argument("--suite", required=True, type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    suite = arguments.suite.resolve()
    names = [name if name.endswith(".t") else name + ".t" for name in arguments.names]
    if not names:
        names = sorted(path.name for path in (suite / "t").glob("*.t"))
        names = [name for name in names if not OTHER.match(name)]
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        _build_folder(folder, arguments.brim.resolve(), suite)
        for name in names:
            passed, count, failures = _run(folder, name)
            bad += passed < count or (bool(failures) and count > 0)
            print(f"{name}: {passed} of {count}", flush=True)
            for line in failures if arguments.verbose else failures[:3]:
                print(f"    {line}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

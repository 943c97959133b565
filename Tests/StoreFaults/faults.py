#!/usr/bin/env python3
# Faults: puts known mistakes back into a copy of the server, one at a time, and takes the time
# until the simulation finds each, or a test that makes its situation on purpose. It is a test of
# these, not of the server.
#
#     python3 -B Tests/StoreFaults/faults.py --tree FOLDER [--seconds 60] [--seed 1] [NAME …]
#     python3 -B Tests/StoreFaults/faults.py --check
#
# FOLDER gets the copy and its build; without NAMEs all faults are tried, and a table is printed.
# `--check` only looks whether each line to be changed still stands where it should, once, and
# whether the tables of docs/testing.md have a row for each mistake, and no other.
# All of them are compiled in at once, and an environment variable says which one is on.

import argparse
import pathlib
import re
import subprocess
import sys

import commit_faults
import door_faults
import recovery_faults
import server_faults
from places import LOG, SERVER, STORE
from runs import find, test

HERE = pathlib.Path(__file__).resolve().parents[2]
SWITCH = """internal import Glibc

/// Which mistake is made.
enum SimulatedFault {
    static let number: Int = {
        guard let text = unsafe getenv("SIMULATED_FAULT") else { return 0 }
        return Int(unsafe atoi(text))
    }()
    static func isOn(_ wanted: Int) -> Bool { number == wanted }
}
"""

# What the copy is built of; nothing else of the package, and no dependency.
KEPT = ("CPrimitives", "Primitives", "CLMDB", "LMDB", "SegmentLog", "Store", "Support",
        "CUring", "Uring", "Memcache", "Server", "Simulation", "StoreSimulation",
        "WholeSimulation", "store-simulate", "StoreTests", "ServerSimulation", "ServerTests")

STORE_FAULTS = recovery_faults.FAULTS + commit_faults.FAULTS + door_faults.FAULTS
FAULTS = STORE_FAULTS + server_faults.FAULTS


def sources():
    """Every file of the package that is built, by its path."""
    for name in ("Sources", "Tests", "Package.swift"):
        place = HERE / name
        for path in place.rglob("*") if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(HERE))


def changed_texts():
    """The files with every fault in them and none on."""
    texts = {module + "SimulatedFault.swift": SWITCH for module in (STORE, LOG, SERVER)}
    texts["Package.swift"] = (HERE / "Package.swift").read_text() + "".join((
        f"package.targets.removeAll {{ !{list(KEPT)}.contains($0.name) }}\n".replace("'", '"'),
        "package.products = []\npackage.dependencies = []\n"))
    earlier = {}
    for number, (name, _, changes, *_) in enumerate(FAULTS, start=1):
        switch = f"SimulatedFault.isOn({number})"
        for file, old, new in changes:
            text = texts.get(file) or (HERE / file).read_text()
            before = earlier.get(file, "")
            old, new = old.replace("@", before), new.replace("@", before)
            if text.count(old) != 1:
                sys.exit(f"{name}: {file} has {text.count(old)} times: {old.strip()}")
            texts[file] = text.replace(old, new.replace("ON", switch))
            earlier[file] = earlier.get(file) or switch
    return texts


# A row: name, what goes wrong, and the time until it was found.
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| [\d.]+ s(?:, seed \d+| by `\w+`) \|$", re.MULTILINE)


def check_tables():
    rows = ROW.findall((HERE / "docs/testing.md").read_text())
    faults = [(name.replace("_", " "), what) for name, what, *_ in FAULTS]
    for row in rows + faults:
        if (rows.count(row), faults.count(row)) != (1, 1):
            sys.exit(f"docs/testing.md and the mistakes differ: {' | '.join(row)}")


def make_tree(tree):
    """A copy of the package, changed; what is as it should be there is not written again."""
    texts = changed_texts()
    for file in set(sources()) | set(texts):
        wanted = texts[file].encode() if file in texts else (HERE / file).read_bytes()
        path = tree / file
        if path.exists() and path.read_bytes() == wanted:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted)


def build(tree):
    command = ["swift", "build", "--configuration", "release", "--build-tests"]
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--tree", type=pathlib.Path)
    work.add_argument("--check", action="store_true", help="whether all lines are found, once")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--built", action="store_true", help="the copy is there, and built")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.check:
        changed_texts()
        check_tables()
        return
    options.tree.mkdir(parents=True, exist_ok=True)
    if not options.built:
        make_tree(options.tree)
        build(options.tree)
    program = options.tree / ".build" / "release" / "store-simulate"
    missed = 0
    for number, (name, what, _, *tests) in enumerate(FAULTS, start=1):
        if options.names and name not in options.names:
            continue
        if tests:
            if test(options.tree, 0, tests[0], options.seconds):
                sys.exit(f"{tests[0]} fails without a mistake")
            failed = test(options.tree, number, tests[0], options.seconds)
            missed += failed is None
            result = f"{failed[0]:.1f} s, {tests[0]} | {failed[1]}" if failed else "not found |"
            print(f"| {name} | {what} | {result} |", flush=True)
            continue
        world = "store" if number <= len(STORE_FAULTS) else "whole"
        found = find(program, number, world, options.seed, options.seconds)
        missed += found is None
        result = f"{found[0]:.1f} s, seed {found[1]} | {found[2]}" if found else "not found |"
        print(f"| {name} | {what} | {result} |", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()

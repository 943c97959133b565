#!/usr/bin/env python3
"""Runs scenarios against a built server.

    python3 run.py --brim PATH FILE.SCENARIO...    # transcripts.whole
    python3 run.py --brim PATH FILE                # all scenarios of one file
    python3 run.py --list
    python3 run.py --seconds 1800 --seed 7 crash powercut   # again and again, other seeds

A scenario is a public function of a file that lies beside this one, without parameters. It ends
well or raises; what it prints is worth reading. An alarm ends one that hangs, and its servers die
with it.
"""

import argparse
import ctypes
import faulthandler
import importlib
import os
import pathlib
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
import support  # noqa: E402  (nothing is to be left beside the sources)

FILES = (
    "transcripts", "clients", "behaviour", "scarcity", "limits", "statistics_text", "admin",
    "admin_storm", "metrics", "lifecycle", "reload", "packages", "memory", "faults", "starts",
    "system_clock", "powercut", "crash", "counting", "instructions", "docs", "examples", "sign_in",
    "administration", "differential", "release")
SCENARIO_SECONDS_MAX = 150


class TooLong(Exception):
    """The alarm of a scenario rang."""


def ring(*_):
    faulthandler.dump_traceback(all_threads=True)
    raise TooLong(f"not done within {SCENARIO_SECONDS_MAX} s")


def scenarios(name):
    """The functions that a name stands for."""
    file, _, scenario = name.partition(".")
    module = importlib.import_module(file)
    if scenario:
        return [(name, getattr(module, scenario))]
    return [
        (f"{file}.{key}", value) for key, value in vars(module).items()
        if callable(value) and not key.startswith("_")
        and getattr(value, "__module__", None) == file and not isinstance(value, type)
        and not value.__code__.co_argcount
    ]


def main():
    parser = argparse.ArgumentParser(description="Runs scenarios against a built server.")
    parser.add_argument("--brim", default=".build/release/brim")
    parser.add_argument("--engine", help="the servers' engine, as brim's flag of that name")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seconds", type=float, default=0, help="start again until then")
    parser.add_argument("--seed", type=int, default=0, help="of the first turn")
    parser.add_argument("names", metavar="FILE[.SCENARIO]", nargs="*")
    options = parser.parse_args()
    support.engine = options.engine
    support.brim = pathlib.Path(options.brim).absolute()
    names = options.names or list(FILES)
    chosen = [scenario for name in names for scenario in scenarios(name)]
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    # Dies with whoever started it, and takes its servers along.
    ctypes.CDLL(None).prctl(support.PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, ring)
    failed = 0
    support.turn = options.seed
    end = time.monotonic() + options.seconds
    while True:
        failed += run(chosen)
        support.turn += 1
        if failed or time.monotonic() >= end:
            return 1 if failed else 0


def run(chosen):
    """Runs each once; how many have failed."""
    failed = 0
    for name, scenario in chosen:
        start = time.monotonic()
        signal.alarm(SCENARIO_SECONDS_MAX)
        try:
            scenario()
            outcome = "ok"
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed += 1
            outcome = "FAILED"
        signal.alarm(0)
        print(f"{name}: {outcome}, {time.monotonic() - start:.1f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.path.insert(0, str(support.HERE))
    sys.exit(main())

# Runs: the simulations and tests of a copy of the server with one mistake on, until they find it.

import os
import select
import subprocess
import sys
import time

SEEDS_PER_PROCESS = {"store": 100, "whole": 20}


def test(tree, number, pattern, seconds):
    """Runs tests with a mistake, or with none (0): seconds, and the first thing that failed; or
    None."""
    environment = dict(os.environ, SIMULATED_FAULT=str(number))
    command = ["swift", "test", "--configuration", "release", "--skip-build", "--disable-xctest",
               "--filter", pattern]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, text=True, timeout=max(seconds, 60),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return time.monotonic() - start, "the test does not end"
    if done.returncode == 0:
        if " 0 tests" in done.stdout:
            sys.exit(f"no test is called {pattern}")
        return None
    failed = [line for line in done.stdout.splitlines() if "Expectation failed" in line]
    return time.monotonic() - start, (failed or ["the process ended"])[0].strip()


def find(program, number, world, seed, seconds):
    """Plays a world until the fault is found: seconds, seeds played, and what was said; or None."""
    environment = dict(os.environ, SIMULATED_FAULT=str(number))
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        process = subprocess.Popen(
            [program, "--from", str(seed), "--world", world], env=environment, text=True, bufsize=1,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            last = seed
            while time.monotonic() - start < seconds:
                ready, _, _ = select.select([process.stdout, process.stderr], [], [], 1)
                for stream in ready:
                    line = stream.readline()
                    if stream is process.stderr and line.strip().isdigit():
                        last = int(line)
                    if line.startswith("fault "):
                        return time.monotonic() - start, last, line.strip()
                if process.poll() is not None:
                    break
            if process.poll() not in (None, 0):
                return time.monotonic() - start, last, "the process ended"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        seed += SEEDS_PER_PROCESS[world]
    return None

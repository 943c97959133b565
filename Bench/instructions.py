#!/usr/bin/env python3
"""Counts the instructions of the micro-benchmarks, and compares them with the accepted ones.

    instructions.py BRIM-MICRO [--tolerance PERCENT]

One run under callgrind, which writes its counters at every mark of the program, so neither its
start nor what lies between two benchmarks counts. The accepted counts are in
Bench/thresholds/instructions.json; UPDATE=1 writes them anew. The exit code is 1 if a count has
risen by more than the tolerance, 3 % unless another is named.

The counts do not depend on the machine's load. They do depend on what is fixed here (the
environment, and which instructions the C library may use) or written beside them (architecture,
compiler): with another compiler than the one they were made with, the tolerance is at least
OTHER_COMPILER_PERCENT; on another architecture nothing is compared.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ACCEPTED = pathlib.Path(__file__).resolve().parent / "thresholds" / "instructions.json"
MARK = "*callgrindDump*"
RISE_PERCENT_MAX = 3.0
OTHER_COMPILER_PERCENT = 15.0
SECONDS_MAX = 140
#: What a count may be at most, beside another: a meta get is served like a get; and of gets one in
#: 64 is counted among the hot keys, which shall cost gets one percent.
RATIOS_MAX = {
    "meta get, whole way": (1.15, "get, whole way"),
    "get, key counted": (1 + 64 / 100, "get, whole way"),
}
#: The variants of memcpy and its like that every machine of the architecture has: what valgrind
#: shows of the processor follows the real one.
TUNABLES = "glibc.cpu.hwcaps=" + ",".join(
    f"-{name}" for name in (
        "AVX2", "AVX", "AVX512F", "AVX512VL", "AVX512BW", "BMI2", "ERMS", "FSRM", "LZCNT",
        "MOVBE", "RTM", "SSSE3", "SSE4_1", "SSE4_2", "AVX2_Usable", "AVX_Fast_Unaligned_Load",
        "Fast_Unaligned_Copy", "Fast_Copy_Backward"))


def measure(micro):
    """Instructions per operation, by name, in the order in which they ran."""
    with tempfile.TemporaryDirectory(prefix="brim-micro-") as place:
        profile = pathlib.Path(place) / "counts"
        # Valgrind gives up on debug information that is newer than it.
        bare = pathlib.Path(place) / micro.name
        subprocess.run(["objcopy", "--strip-debug", micro, bare], check=True)
        command = [
            "valgrind", "--tool=callgrind", f"--dump-before={MARK}", "--combine-dumps=yes",
            f"--callgrind-out-file={profile}", str(bare)]
        environment = {
            "PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "LD_BIND_NOW": "1",
            "GLIBC_TUNABLES": TUNABLES}
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX)
        if run.returncode != 0:
            raise SystemExit(f"instructions.py: {command[0]} ended with {run.returncode}\n"
                             f"{run.stdout}{run.stderr}")
        totals = [int(total) for total in re.findall(r"^totals: (\d+)", profile.read_text(), re.M)]
    done = [line.rsplit(" ", 1) for line in run.stdout.splitlines()]
    # Before the first mark, then turn and turn about: a benchmark, what lies behind it.
    if len(totals) != 2 * len(done) + 1:
        raise SystemExit(f"instructions.py: {len(totals)} parts for {len(done)} benchmarks: "
                         f"the marks {MARK} were not found")
    return {
        name: round(totals[2 * place + 1] / int(operations))
        for place, (name, operations) in enumerate(done)}


def compiler(micro):
    """The toolchain that built it: what its clang wrote into the program, version and commit."""
    found = re.search(rb"clang version (\d[\d.]*) \(\S+ ([0-9a-f]{12})", micro.read_bytes())
    return b" ".join(found.groups()).decode() if found else "unknown"


def compare(counts, accepted, tolerance):
    """The table's lines, and how many counts have risen too far or have gone."""
    lines, wrong = [], 0
    for name in list(counts) + [name for name in accepted if name not in counts]:
        now, before = counts.get(name), accepted.get(name)
        if now is None or before is None:
            remark = "not measured any more" if now is None else "not accepted yet"
            wrong += 1
        else:
            change = (now / before - 1) * 100
            remark = f"{change:+6.1f} %" if abs(change) >= 0.05 else ""
            if change > tolerance:
                remark += f"  RISEN by more than {tolerance:g} %"
                wrong += 1
            elif change < -RISE_PERCENT_MAX:
                remark += "  fallen: UPDATE=1 brings the accepted count down"
        ratio, other = RATIOS_MAX.get(name, (0, None))
        if now is not None and other in counts and now > ratio * counts[other]:
            remark += f"  MORE than {ratio:g} times {other!r}"
            wrong += 1
        shown = ["-" if count is None else str(count) for count in (now, before)]
        lines.append(f"{name:24} {shown[0]:>9} {shown[1]:>9}  {remark}".rstrip())
    return lines, wrong


def main():
    parser = argparse.ArgumentParser(description="Instructions of the micro-benchmarks.")
    parser.add_argument("micro", metavar="BRIM-MICRO")
    parser.add_argument("--tolerance", type=float, default=RISE_PERCENT_MAX)
    options = parser.parse_args()
    # As a path, also if it lies in the folder one is in.
    micro = pathlib.Path(options.micro).resolve()
    counts = measure(micro)
    here = {"architecture": platform.machine(), "compiler": compiler(micro)}
    if os.environ.get("UPDATE"):
        ACCEPTED.write_text(json.dumps(here | {"instructions": counts}, indent=4) + "\n")
        print(f"written: {ACCEPTED.name}")
    accepted = json.loads(ACCEPTED.read_text())
    if accepted["architecture"] != here["architecture"]:
        print(f"the accepted counts are for {accepted['architecture']}: nothing is compared")
        accepted["instructions"] = counts
    tolerance = options.tolerance
    if accepted["compiler"] != here["compiler"]:
        tolerance = max(tolerance, OTHER_COMPILER_PERCENT)
        print(f"accepted from compiler {accepted['compiler']}, this is {here['compiler']}: "
              f"up to {tolerance:g} % more are let pass")
    lines, wrong = compare(counts, accepted["instructions"], tolerance)
    print(f"{'instructions each':24} {'now':>9} {'accepted':>9}")
    print("\n".join(lines))
    if wrong:
        print(f"{wrong} of {len(lines)} are not as accepted; see docs/benchmarking.md")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

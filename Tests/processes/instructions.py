"""The micro-benchmarks' instructions, as `make micro` counts them, against the accepted ones.

Looser than `make micro`, which asks for a look at every change: what a test refuses has to be a
loss that nobody intended, not the other choices of a compiler's next release.
"""

import subprocess
import sys

import support

TOLERANCE_PERCENT = 10


def stay_within_their_budget():
    micro = support.brim.parent / "brim-micro"
    script = support.HERE.parent.parent / "Bench" / "instructions.py"
    run = subprocess.run(
        [sys.executable, "-B", str(script), str(micro), f"--tolerance={TOLERANCE_PERCENT}"],
        capture_output=True, text=True)
    print(run.stdout + run.stderr)
    assert run.returncode == 0, f"exit code {run.returncode}"

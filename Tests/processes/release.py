"""The release as it is shipped: `make build` has made it."""

import re
import shutil
import subprocess

import support

RELEASE = support.HERE.parent.parent / ".build" / "static" / "release" / "brim"
#: Stripped, with all that belongs in it.
STRIPPED_BYTES_MAX = 26_000_000
#: The whole of Foundation, and the data of ICU, which comes with it: 50 MB for nothing.
UNWANTED = re.compile(r"icudt|\$s10Foundation|_T010Foundation")


def it_is_small():
    assert RELEASE.exists(), "make build"
    with support.folder() as place:
        bare = place / "brim"
        shutil.copy(RELEASE, bare)
        symbols = subprocess.run(["nm", str(bare)], capture_output=True, text=True, check=True)
        found = [line for line in symbols.stdout.splitlines() if UNWANTED.search(line)]
        assert not found, found[:5]
        assert "NIO" in symbols.stdout and "PollRing" in symbols.stdout, "not all is in it"
        subprocess.run(["strip", str(bare)], check=True)
        size = bare.stat().st_size
        print(f"stripped: {size / 1e6:.1f} MB")
        assert size <= STRIPPED_BYTES_MAX, size

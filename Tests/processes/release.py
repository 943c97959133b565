"""The release as it is shipped: `make build` has made it."""

import re
import shutil
import subprocess

import support

RELEASE = support.HERE.parent.parent / ".build" / "static" / "release" / "brim"
#: Stripped, with all that belongs in it.
STRIPPED_BYTES_MAX = 16_000_000
#: Foundation, the part of it without languages, and the data of ICU, which comes with the whole.
UNWANTED = re.compile(r"icudt|\$s10Foundation|_T010Foundation|20FoundationEssentials")
#: What the system's loader looks up by name takes time at each start: 400 of the system's, and
#: none of ours, of which there were 17,000.
EXPORTED_MAX = 1000


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
        names = subprocess.run(["nm", "-D", str(bare)], capture_output=True, text=True, check=True)
        count = len(names.stdout.splitlines())
        assert 0 < count <= EXPORTED_MAX, count

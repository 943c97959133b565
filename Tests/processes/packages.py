"""What is installed beside the executable: units, manual page, completion, a package."""

import os
import re
import shutil
import subprocess

import support

ROOT = support.HERE.parent.parent


def _run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


def units_are_sound():
    """systemd accepts them, and finds little that could be taken away."""
    with support.folder() as place:
        for name in ("brim.service", "brim.socket"):
            text = (ROOT / "config" / name).read_text()
            (place / name).write_text(re.sub(r"(?<=ExecStart=)\S+", str(support.brim), text))
        said = _run("systemd-analyze", "verify", "--man=no", place / "brim.service",
                    place / "brim.socket")
        assert "brim" not in said, said
        rating = _run("systemd-analyze", "security", "--offline=true", place / "brim.service")
        assert re.search(r"exposure level for brim\.service: [0-2]\.\d OK", rating), rating[-200:]


def the_manual_has_every_flag():
    help_text = _run(support.brim, "--help")
    flags = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", help_text, re.M))
    assert len(flags) > 35
    page = _run("python3", "-B", ROOT / "packaging/help.py", "man", support.brim)
    named = page.replace("\\-", "-")
    assert all(f"\\fB{flag}\\fR" in named for flag in flags)
    assert re.match(r'\.TH BRIM 1 "" "brim \d', page) and "\n.SH NAME\nbrim \\- an " in page
    script = _run("python3", "-B", ROOT / "packaging/help.py", "bash", support.brim)
    asked = 'COMP_WORDS=(brim --drain); COMP_CWORD=1; _brim; echo "${COMPREPLY[@]}"'
    found = _run("bash", "-c", script + "\n" + asked).split()
    assert found == ["--drain-delay", "--drain-timeout"], found
    asked = 'COMP_WORDS=(brim --engine ""); COMP_CWORD=2; _brim; echo "${COMPREPLY[@]}"'
    assert _run("bash", "-c", script + "\n" + asked).split() == ["auto", "io_uring", "epoll"]
    for shell, form in (("zsh", "'*{}["), ("fish", " -l {} ")):
        script = _run("python3", "-B", ROOT / "packaging/help.py", shell, support.brim)
        for flag in flags:
            named = flag if shell == "zsh" else flag[2:]
            assert form.format(named) in script or f"'*{flag}=[" in script, (shell, flag)
        if shutil.which(shell):
            _run(shell, "-n", input=script)


def the_package_is_built():
    """Nothing in it belongs to anybody but root, and its settings are kept."""
    with support.folder() as place:
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000",
                       "MAINTAINER": "Nobody <nobody@example.com>"}
        _run(ROOT / "packaging/deb.sh", _small(place), place, env=environment)
        package = next(place.glob("brim_*.deb"))
        first = package.read_bytes()
        _run(ROOT / "packaging/deb.sh", _small(place), place, env=environment)
        assert package.read_bytes() == first, "the same makes another file"
        listing = _run("dpkg-deb", "-c", package)
        assert all(" root/root " in line for line in listing.splitlines()), listing
        for path in ("./usr/bin/brim", "./lib/systemd/system/brim.service", "./etc/brim/brim.yaml",
                     "./usr/share/man/man1/brim.1.gz"):
            assert path in listing, listing
        _run("dpkg-deb", "-e", package, place / "control")
        assert (place / "control/conffiles").read_text() == "/etc/brim/brim.yaml\n"
        _run("dpkg-deb", "-x", package, place / "root")
        settings = (place / "root/etc/brim/brim.yaml").read_text()
        assert "\nadmin-listen: 127.0.0.1:9150\n" in settings
        for script in ("postinst", "prerm", "postrm"):
            _run("sh", "-n", place / "control" / script)


def _small(place):
    """Something that answers like the server and is packed in no time."""
    program, source = place / "brim", place / "brim.c"
    if not program.exists():
        text = _run(support.brim, "--help").replace("\\", "\\\\").replace('"', '\\"')
        answer = text.replace("\n", "\\n")
        source.write_text(
            "#include <stdio.h>\n#include <string.h>\nint main(int n, char **v) {\n"
            f'    puts(n > 1 && !strcmp(v[1], "-V") ? "brim 0.1.0" : "{answer}");\n'
            "    return 0;\n}\n")
        _run("gcc", "-o", program, source)
    return program

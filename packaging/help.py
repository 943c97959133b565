#!/usr/bin/env python3
"""Makes the manual page, or the completion of a shell, from what `brim --help` prints.

    python3 help.py man PATH-TO-BRIM > brim.1
    python3 help.py bash PATH-TO-BRIM > brim      (or zsh > _brim, or fish > brim.fish)
"""

import re
import subprocess
import sys


def flags(text):
    """Each flag: its short and long name, the name of its value, what it does."""
    found = []
    for line in text.split("OPTIONS:\n")[1].splitlines():
        head = re.match(r"  (?:(-\w), )?(--[\w-]+)(?: <(\w+)>)?(?: +(.*))?$", line)
        if head:
            found.append([*head.groups("")])
        elif line.strip() and found:
            found[-1][3] = (found[-1][3] + " " + line.strip()).strip()
    return found


def escaped(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...")


def manual(text, version):
    overview = " ".join(text.split("USAGE:")[0].removeprefix("OVERVIEW:").split())
    summary, _, rest = overview.partition(". ")
    lines = [
        f'.TH BRIM 1 "" "brim {version}" "User Commands"',
        ".SH NAME", f"brim \\- {escaped(summary[0].lower() + summary[1:])}",
        ".SH SYNOPSIS", ".B brim", "[\\fIflags\\fR]", ".SH DESCRIPTION", escaped(rest),
        ".SH OPTIONS"]
    for short, name, value, what in flags(text):
        names = ", ".join(f"\\fB{escaped(part)}\\fR" for part in (short, name) if part)
        lines += [".TP", names + (f" \\fI{value}\\fR" if value else ""), escaped(what)]
    lines += [
        ".SH FILES", ".TP", ".I /etc/brim/brim.yaml", "Settings of the service.", ".TP",
        ".I /var/lib/brim", "The store of the service.", ".SH SIGNALS", ".TP",
        ".B TERM, INT, USR1", "Stop; a second one ends at once what is waited for.", ".TP",
        ".B HUP", "Read the settings again.", ".SH SEE ALSO",
        "memcached(1), /usr/share/doc/brim/operating.md"]
    return "\n".join(lines)


#: What a flag may be given, where that is a list of words; and the kinds of values that are files.
WORDS = {"--durability": "interval ack", "--engine": "auto io_uring epoll",
         "--log-format": "text json logfmt", "--protocol": "auto ascii binary"}
FILES = ("path", "file", "directory")


def bash(text):
    names = " ".join(name for _, name, _, _ in flags(text))
    files = "|".join(name for _, name, value, _ in flags(text) if value in FILES)
    words = "\n".join(
        f"    {name}) mapfile -t COMPREPLY < <(compgen -W \"{words}\" -- \"$current\") ;;"
        for name, words in WORDS.items())
    return f"""# Completion of brim's flags.
_brim() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    case $previous in
    {files})
        mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
{words}
    *) mapfile -t COMPREPLY < <(compgen -W "{names}" -- "$current") ;;
    esac
}}
complete -F _brim brim"""


def zsh(text):
    lines = ["#compdef brim", "_arguments -s \\"]
    for short, name, value, what in flags(text):
        told = what.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        told = told.replace("'", "'\\''")
        action = "_files" if value in FILES else f"({WORDS[name]})" if name in WORDS else ""
        rest = f"[{told}]" + (f":{value}:{action}" if value else "")
        # Some may be repeated; none is wrong for being there twice.
        for flag, end in ((short, "+" if value else ""), (name, "=" if value else "")):
            if flag:
                lines.append(f"    '*{flag}{end}{rest}' \\")
    return "\n".join(lines).removesuffix(" \\")


def fish(text):
    lines = []
    for short, name, value, what in flags(text):
        told = what.replace("\\", "\\\\").replace("'", "\\'")
        line = "complete -c brim" + (f" -s {short[1:]}" if short else "") + f" -l {name[2:]}"
        if name in WORDS:
            line += f" -x -a '{WORDS[name]}'"
        elif value:
            line += " -r" if value in FILES else " -x"
        else:
            line += " -f"
        lines.append(f"{line} -d '{told}'")
    return "\n".join(lines)


def main():
    kind, brim = sys.argv[1:]
    text = subprocess.run([brim, "--help"], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([brim, "-V"], capture_output=True, text=True, check=True).stdout
    if kind == "man":
        print(manual(text, version.split()[-1]))
    else:
        print({"bash": bash, "zsh": zsh, "fish": fish}[kind](text))


if __name__ == "__main__":
    main()

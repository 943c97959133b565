#!/usr/bin/env python3
"""Tries Containerfile without a container engine: try_image.py PATH-TO-BRIM. As root, with
debootstrap and a network.

The steps of its last stage are done in a bare Debian, and what the image would run is run there: as
its user, with its variables, in a network of its own, where io_uring is refused as the engines'
profiles refuse it. It has to serve, to answer its health check, and to stop by its signal.
"""

import ctypes
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Tests" / "processes"))
sys.dont_write_bytecode = True
import support  # noqa: E402  (the filter that refuses io_uring)

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000


def last_stage(text):
    """Its instructions, each a word and the rest."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return found[max(i for i, (word, _) in enumerate(found) if word == "FROM"):]


def build(root, brim, steps):
    """The stage as a folder; what the image is told besides."""
    image = {"ENV": {}}
    for word, rest in steps:
        if word == "FROM":
            assert rest == "docker.io/library/debian:bookworm-slim", rest
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True,
                           stdout=subprocess.DEVNULL)
            shutil.copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
        elif word == "RUN":
            subprocess.run(["chroot", root, "/bin/sh", "-c", rest], check=True,
                           stdout=subprocess.DEVNULL)
        elif word == "COPY":
            stage, _, target = rest.split()
            assert stage == "--from=build"
            shutil.copy(brim, root + target)
            subprocess.run(["strip", root + target], check=True)
        elif word == "ENV":
            image["ENV"].update(pair.split("=", 1) for pair in rest.split())
        elif word == "HEALTHCHECK":
            image[word] = json.loads(rest.removeprefix("CMD "))
        else:
            image[word] = json.loads(rest) if rest.startswith("[") else rest
    return image


def command(root, image, arguments):
    """What an engine would do before the program's first step."""
    user, group = (int(part) for part in image["USER"].split(":"))

    def prepare():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        support.refuse_rings(errno.EPERM)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **image["ENV"]}
    return dict(args=arguments, preexec_fn=prepare, env=environment)


def ask(line):
    with socket.create_connection(("127.0.0.1", 11211), 10) as peer:
        peer.sendall(line + b"quit\r\n")
        answer = b""
        while piece := peer.recv(4096):
            answer += piece
        return answer


def serve(root, image):
    """Runs it, twice: what it held the first time it holds the second time."""
    for said, wanted in [
            (b"set key 0 0 5\r\nvalue\r\n", b"STORED\r\n"),
            (b"get key\r\n", b"VALUE key 0 5\r\nvalue\r\nEND\r\n")]:
        with open(f"{root}/log", "w+") as log, subprocess.Popen(
                **command(root, image, image["ENTRYPOINT"]), stderr=log) as process:
            try:
                deadline = time.monotonic() + 30
                while subprocess.run(**command(root, image, image["HEALTHCHECK"]),
                                     stderr=subprocess.DEVNULL).returncode:
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.1)
                while b"brim_recovering yes" in ask(b"stats brim\r\n"):
                    time.sleep(0.1)
                assert ask(said) == wanted, ask(said)
                with urllib.request.urlopen("http://127.0.0.1:9150/metrics") as page:
                    text = page.read().decode()
                assert 'brim_engine_info{engine="epoll"' in text
                process.send_signal(getattr(signal, image["STOPSIGNAL"]))
                assert process.wait(20) == 0
            finally:
                process.kill()
                log.seek(0)
                text = log.read()
        assert "ring.fallback" in text and "server.stopped" in text, text
    owner = os.stat(root + image["VOLUME"])
    assert f"{owner.st_uid}:{owner.st_gid}" == image["USER"], owner


def main():
    brim, = sys.argv[1:]
    steps = last_stage((HERE.parent / "Containerfile").read_text())
    work = tempfile.mkdtemp()
    os.chmod(work, 0o755)
    root = f"{work}/image"
    proc = root + "/proc"
    try:
        image = build(root, brim, steps)
        assert image["EXPOSE"] == "11211 9150", image
        print("try: its steps are done")
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, ctypes.get_errno()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", proc], check=True)
        serve(root, image)
        print("try: served with epoll, was healthy, stopped, and had what it held before")
    finally:
        subprocess.run(["umount", proc], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", work], check=True)


if __name__ == "__main__":
    main()

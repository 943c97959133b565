"""The admin port: health, settings, the page, who may ask, and what it costs the others."""

import base64
import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import time

import browser
import support

from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as open_parser

ROOT = support.HERE.parent.parent
OPEN = "application/openmetrics-text; version=1.0.0"
TOKEN = "a-secret-of-sixteen-or-more"


def _server(*arguments, **options):
    return _find(support.Server("--admin-listen", "127.0.0.1:0", *arguments, **options))


def _find(server):
    """The server, with the number of its admin port."""
    found = server.wait_for_log(r'admin\.ready address="127\.0\.0\.1:(\d+)"')
    server.admin = int(found.group(1))
    return server


def _ask(server, path, method="GET", headers=None, body=None):
    """The answer's status, headers and text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.admin, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def _raw(server, data, timeout=30):
    """Sends bytes and returns all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.admin), timeout) as peer:
        peer.sendall(data)
        received = b""
        try:
            while piece := peer.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        return received


def _families(server, path="/metrics", accept=None):
    status, headers, text = _ask(server, path, headers={"Accept": accept} if accept else None)
    assert status == 200, (status, text)
    is_open = headers["Content-Type"].startswith("application/openmetrics-text")
    assert is_open == (accept == OPEN), headers["Content-Type"]
    assert text.endswith("# EOF\n") == is_open
    parse = open_parser if is_open else text_parser
    return list(parse.text_string_to_metric_families(text))


def _values(families):
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families for sample in family.samples}


def _load(server):
    with server.client() as client:
        for number in range(200):
            assert client.set(b"key-%d" % number, b"x" * 100) == b"STORED"
            assert client.get(b"key-%d" % number)
        assert client.get(b"nothing") is None
        assert client.ask(b"delete key-1") == b"DELETED"
        assert client.ask(b"incr nothing 1") == b"NOT_FOUND"
        assert client.ask(b"touch key-2 0") == b"TOUCHED"


def orders_are_carried_out():
    """Flush, the log's level and hot keys: for who has the token, and nobody's browser."""
    with support.folder() as place:
        token = place / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        good = {"Authorization": f"Bearer {TOKEN}"}
        with _server("-m", 64, "-t", 1, "--admin-token-file", token) as server, \
                server.client() as client:
            assert client.set(b"key", b"value") == b"STORED"
            # What a page of another origin can make a browser send, and what it asks before.
            other = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
            for path in ("/api/v1/flush", "/api/v1/log?level=debug", "/api/v1/reload",
                         "/api/v1/drain", "/api/v1/undrain"):
                assert _ask(server, path, "POST", other)[0] == 401
                status, headers, _ = _ask(server, path, "OPTIONS", other)
                assert status == 405 and headers["Allow"] == "POST"
                assert not [name for name in headers if name.lower().startswith("access-control")]
                assert _ask(server, path, "GET", good)[0] == 405
            assert client.get(b"key") == b"value" and client.stats("settings")["verbosity"] == "0"
            assert json.loads(_ask(server, "/api/v1/flush", "POST", good)[2]) == {"flushed": "all"}
            assert client.get(b"key") is None
            for level, verbosity in (("debug", "1"), ("trace", "2"), ("info", "0")):
                assert _ask(server, f"/api/v1/log?level={level}", "POST", good)[0] == 200
                assert client.stats("settings")["verbosity"] == verbosity
            for wrong in ("?level=loud", "", "?level=", "?levels=debug"):
                assert _ask(server, "/api/v1/log" + wrong, "POST", good)[0] == 422
            # Nothing but the token's file could be read again, and it was.
            assert _ask(server, "/api/v1/reload", "POST", good)[0] == 200
            assert json.loads(_ask(server, "/api/v1/hotkeys?n=1", headers=good)[2]) == {"keys": []}
            client.send(b"get often\r\n" * 640)
            for _ in range(640):
                assert client.line() == b"END"
            keys = json.loads(_ask(server, "/api/v1/hotkeys?n=1", headers=good)[2])["keys"]
            assert [entry["key"] for entry in keys] == ["often"] and keys[0]["requests"] == 640
        path = place / "admin.sock"
        with support.Server("-m", 64, "-F", "--admin-listen", f"unix:{path}"), \
                socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.sendall(b"POST /api/v1/flush HTTP/1.0\r\n\r\n")
            assert peer.recv(65536).startswith(b"HTTP/1.1 409")


def a_socket_that_was_lost_listens_again():
    """Within seconds, counted and told; who is connected stays so, and the cache goes on."""
    pidfd_getfd = 438
    libc = ctypes.CDLL(None, use_errno=True)
    # Only a port that was asked for by number stays the socket's.
    port = support.free_port()
    with support.Server("-m", 64, "--admin-listen", f"127.0.0.1:{port}") as server, \
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as stays:
        server.admin = port
        stays.request("GET", "/livez")
        assert stays.getresponse().read() == b"ok\n"
        inodes = {line.split()[9] for line in pathlib.Path("/proc/net/tcp").read_text().split("\n")
                  if line.split()[1:2] == [f"0100007F:{server.admin:04X}"]
                  and line.split()[3] == "0A"}
        pidfd = os.pidfd_open(server.pid)
        numbers = [int(entry.name) for entry in pathlib.Path(f"/proc/{server.pid}/fd").iterdir()
                   if any(f"[{inode}]" in os.readlink(entry) for inode in inodes)]
        taken = libc.syscall(pidfd_getfd, pidfd, numbers[0], 0)
        assert taken >= 0, ctypes.get_errno()
        with socket.socket(fileno=taken) as listener:
            listener.shutdown(socket.SHUT_RDWR)
        os.close(pidfd)
        server.wait_for_log(r"warning admin\.restarted address=")
        assert _ask(server, "/livez")[0] == 200
        stays.request("GET", "/livez")
        assert stays.getresponse().read() == b"ok\n"
        assert _values(_families(server))[("brim_admin_restarts_total", ())] == 1
        with server.client() as client:
            assert client.set(b"key", b"value") == b"STORED"


def limits_of_the_port_are_kept():
    with _server("-m", 64) as server:
        descriptors = pathlib.Path(f"/proc/{server.pid}/fd")
        before = len(list(descriptors.iterdir()))
        head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
        cases = [
            (b"nonsense\r\n\r\n", b"400"), (b"GET /livez HTTP/1.1\r\n\r\n", b"400"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"400"),
            (head + b"X: " + b"y" * 9000, b"431"),
            (head + b"X: " + b"y" * 9000 + b"\r\n\r\n", b"431"),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"431"),
            (head + b"Content-Length: 70000\r\n\r\n", b"413"),
            (head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"501"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
            (b"GET /livez HTTP/1.0\r\n\r\n", b"200"),
            (head + b"Connection: close\r\n\r\n", b"200"),
            (head, b"408"),
        ]
        for data, status in cases:
            # Within thirty seconds, which is how long `_raw` waits: only a hang takes so long.
            answer = _raw(server, data)
            assert answer.startswith(b"HTTP/1.1 " + status), (data[:60], answer[:200])
        # In order, also when they come at once; a HEAD has no body.
        answer = _raw(server, head + b"\r\n" + b"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                      + b"GET /none HTTP/1.0\r\n\r\n")
        assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"404"], answer
        assert answer.count(b"ok\n") == 1 and b"ready\n" not in answer
        for path, method, status in [
                ("/none", "GET", 404), ("/livez", "POST", 405), ("/livez", "HEAD", 200),
                ("/api/v1/drain", "GET", 405), ("/metrics", "OPTIONS", 405)]:
            found, headers, text = _ask(server, path, method)
            assert found == status, (path, method, found)
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert ("Allow" in headers) == (status == 405)
        # The 33rd is closed, and when one goes another is served.
        support.wait_for("closing", lambda: len(list(descriptors.iterdir())) <= before)
        peers = [socket.create_connection(("127.0.0.1", server.admin), 30) for _ in range(32)]
        for peer in peers:
            peer.sendall(head + b"\r\n")
            assert peer.recv(4096).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", server.admin), 30) as one_more:
            assert one_more.recv(1) == b""
        for peer in peers:
            peer.close()
        support.wait_for("room", lambda: _raw(server, head + b"Connection: close\r\n\r\n"))


def a_last_answer_that_nobody_reads_has_its_time():
    with _server("-m", 64) as server:
        descriptors = pathlib.Path(f"/proc/{server.process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        peers = []
        for _ in range(30):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            peer.connect(("127.0.0.1", server.admin))
            peers.append(peer)
        request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = b"GET /metrics HTTP/1.0\r\n\r\n"
        # So many answers that the last one finds the kernel's buffers nearly full, or full.
        for count in range(80):
            for number, peer in enumerate(peers):
                try:
                    if count < 50 + number:
                        peer.sendall(request)
                    elif count == 50 + number:
                        peer.sendall(last)
                except OSError:
                    pass  # It was closed already.
            time.sleep(0.003)
        support.wait_for(
            "the answers' time", lambda: len(list(descriptors.iterdir())) <= before, 30)
        for peer in peers:
            peer.close()


def requests_may_come_in_any_pieces_or_garbled():
    """A request that is cut anywhere is answered; thousands with wrong bytes harm nobody."""
    chance = random.Random(1)
    whole = b"GET /readyz?room=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with _server("-m", 64) as server:
        for cut in range(1, len(whole)):
            with socket.create_connection(("127.0.0.1", server.admin), 30) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.sendall(whole[:cut])
                peer.sendall(whole[cut:])
                assert peer.recv(4096).startswith(b"HTTP/1.1 200 "), cut
        for number in range(3000):
            garbled = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                garbled[chance.randrange(len(garbled))] = chance.randrange(256)
            with socket.create_connection(("127.0.0.1", server.admin), 30) as peer:
                peer.sendall(garbled)
                # What misses its end is answered as soon as none can come.
                peer.shutdown(socket.SHUT_WR)
                answer = peer.recv(4096)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 "), (garbled, answer)
        assert _ask(server, "/livez")[0] == 200


def who_may_ask():
    with support.folder() as place:
        token = place / "token"
        token.write_text(TOKEN + "\n")
        token.chmod(0o644)
        refused = subprocess.run(
            [str(support.brim), "--no-store", "-m", "64", "-l", "127.0.0.1:0", "--admin-listen",
             "127.0.0.1:0", "--admin-token-file", str(token)], capture_output=True, text=True,
            timeout=support.START_SECONDS_MAX, env={"HOME": "/nonexistent"})
        assert refused.returncode == 71 and "chmod 600" in refused.stderr, refused.stderr
        token.chmod(0o600)
        path = place / "admin.sock"
        with _server("-m", 64, "--admin-token-file", token, "--admin-hosts", "cache.example",
                     "--admin-metrics-auth", "--admin-listen", f"unix:{path}") as server:
            for host, status in [("localhost", 200), ("127.0.0.1:9150", 200), ("[::1]:1", 200),
                                 ("cache.example:9150", 200), ("evil.example", 403), ("", 403),
                                 ("1.2.3.4.evil.example", 403), ("+1.2.3.4", 403),
                                 ("1.2.3.-4", 403), ("localhost.evil", 403)]:
                assert _ask(server, "/livez", headers={"Host": host})[0] == status, host
            for path_, method in (("/api/v1/config", "GET"), ("/metrics", "GET"),
                                  ("/metrics/memcached", "GET"), ("/api/v1/drain", "POST")):
                for given in (None, "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}",
                              f"Bearer {TOKEN[:-1]}"):
                    headers = {"Authorization": given} if given else {}
                    status, answer, _ = _ask(server, path_, method, headers)
                    assert status == 401, (path_, given, status)
                    assert answer["WWW-Authenticate"] == "Bearer"
            good = {"Authorization": f"Bearer {TOKEN}"}
            assert _ask(server, "/metrics", headers=good)[0] == 200
            settings = json.loads(_ask(server, "/api/v1/config", headers=good)[2])
            assert settings["settings"]["threads"]["value"].isdigit()
            assert TOKEN not in json.dumps(settings)
            assert (os.stat(path).st_mode & 0o777) == 0o600
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.sendall(b"GET /api/v1/config HTTP/1.0\r\n\r\n")
                assert peer.recv(65536).startswith(b"HTTP/1.1 200")
    with _server("-m", 64) as server:
        status, _, text = _ask(server, "/api/v1/drain", "POST", {"Authorization": "Bearer x" * 9})
        assert status == 403 and text == "no admin token is configured\n"
        assert _ask(server, "/api/v1/config")[0] == 403


@contextlib.contextmanager
def _held(server, name):
    """One thread of the server stands still, as under a debugger."""
    seize, interrupt, detach, any_child = 0x4206, 0x4207, 17, 0x40000000
    threads = pathlib.Path(f"/proc/{server.pid}/task")
    thread = next(int(entry.name) for entry in threads.iterdir()
                  if (entry / "comm").read_text().strip() == name)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(seize, thread, None, None) == 0, ctypes.get_errno()
    assert libc.ptrace(interrupt, thread, None, None) == 0, ctypes.get_errno()
    os.waitpid(thread, any_child)
    try:
        yield
    finally:
        assert libc.ptrace(detach, thread, None, None) == 0, ctypes.get_errno()


def _probe(server):
    done = subprocess.run(
        [str(support.brim), "--probe", "--no-store", "--admin-listen", f"127.0.0.1:{server.admin}"],
        capture_output=True, text=True, timeout=30, env={"HOME": "/nonexistent"})
    return done.returncode


def health_is_told():
    with support.folder() as place:
        token = place / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        good = {"Authorization": f"Bearer {TOKEN}"}
        with _server("-m", 64, "-c", 3, "-t", 2, "--admin-token-file", token) as server:
            assert _ask(server, "/livez")[::2] == (200, "ok\n") == _ask(server, "/healthz")[::2]
            assert _ask(server, "/readyz")[::2] == (200, "ready\n") and _probe(server) == 0
            assert _ask(server, "/api/v1/drain", "POST", good)[0] == 200
            assert _ask(server, "/api/v1/drain", "POST", good)[0] == 409
            assert _ask(server, "/readyz")[::2] == (503, "draining\n") and _probe(server) == 1
            assert _ask(server, "/api/v1/undrain", "POST", good)[0] == 200
            clients = [server.client() for _ in range(3)]
            for client in clients:
                assert client.ask(b"mn") == b"MN"
            assert _ask(server, "/readyz")[0] == 200
            assert _ask(server, "/readyz?room=1")[::2] == (503, "full\n")
            assert _ask(server, "/readyz?recovered=1")[0] == 200
            for client in clients:
                client.close()
    done = subprocess.run(
        [str(support.brim), "--probe", "--no-store", "-l", f"127.0.0.1:{support.free_port()}"],
        capture_output=True, text=True, timeout=30, env={"HOME": "/nonexistent"})
    assert done.returncode == 1 and "not ready" in done.stderr
    with support.Server("-m", 64) as server:
        done = subprocess.run(
            [str(support.brim), "--probe", "--no-store", "-l", f"127.0.0.1:{server.port}"],
            capture_output=True, text=True, timeout=30, env={"HOME": "/nonexistent"})
        assert done.returncode == 0, done.stderr


def history_is_kept():
    with _server("-m", 64) as server:
        _load(server)

        def history_of(path):
            return json.loads(_ask(server, f"/api/v1/{path}")[2])

        def is_sampled():
            names, sample = history_of("history")["names"], history_of("now")["sample"]
            return dict(zip(names, sample)).get("get_memory") == 200
        # One a second: the last of them may have been taken in the middle of the load.
        support.wait_for("a sample", is_sampled)
        support.wait_for("samples", lambda: len(history_of("history")["samples"]) >= 3)
        history, now = history_of("history"), history_of("now")
        names = history["names"]
        assert names[0] == "time" and set(history["gauges"]) <= set(names)
        assert all(len(sample) == len(names) for sample in history["samples"] + [now["sample"]])
        last = dict(zip(names, now["sample"]))
        assert last["get_memory"] == 200 and last["set"] == 200 and last["items"] >= 199, last
        times = [sample[0] for sample in history["samples"]]
        assert times == sorted(times), times
        assert now["metrics"]["brim_requests{command=get,result=hit}"] == 200


def _follow(server, stop):
    """A load for the page to show."""
    with server.client() as client:
        number = 0
        while not stop:
            number += 1
            client.set(b"page-%d" % (number % 2000), b"v" * (number % 3000))
            client.get(b"page-%d" % (number * 7 % 2500))
            if number % 10 == 0:
                client.ask(b"delete page-%d" % (number % 2000))


def the_page_shows_a_running_server():
    """In a real browser: numbers that move, nothing from elsewhere, keys, names, four looks."""
    stop = []
    pictures = os.environ.get("PICTURES")
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(support.folder())
        token = place / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        server = stack.enter_context(_server(
            "-m", 64, "-t", 2, "--admin-token-file", token, store=place / "store"))
        page = stack.enter_context(browser.Browser())

        def look():
            try:
                origin = f"http://127.0.0.1:{server.admin}"
                page.look(1280, 900, False)
                page.open(origin + "/")
                text = "(document.getElementById('c0d') || {}).textContent || ''"
                support.wait_for("numbers", lambda: re.search(r"get [1-9]", page.value(text) or ""))
                curve = "document.querySelector('#c0 ~ .chart path').getAttribute('d') || ''"
                support.wait_for("a curve", lambda: page.value(curve).count("L") >= 3, 60, 0.2)
                assert page.value("document.getElementById('state').textContent") in (
                    "serving", "serving, recovering")
                assert page.value("document.getElementById('workers').rows.length") == 2
                assert page.value("document.getElementById('closed').rows.length") == 11
                _check_hot_keys(page)
                _check_keys(page)
                _check_names(page)
                for width, is_dark in ((1280, False), (1280, True), (380, False), (380, True)):
                    page.look(width, 900, is_dark)
                    assert page.value("document.documentElement.scrollWidth") <= width, width
                    ground = page.value("getComputedStyle(document.body).backgroundColor")
                    assert (int(re.search(r"\d+", ground).group()) < 128) == is_dark, ground
                    if pictures:
                        look_name = "dark" if is_dark else "light"
                        page.picture(f"{pictures}/page-{width}-{look_name}.png")
                assert page.faults() == [], page.faults()
                assert {address.split("/api")[0].rstrip("/") for address in page.addresses()
                        if not address.startswith("data:")} <= {origin, "about:blank"}
            finally:
                stop.append(True)

        support.in_threads([lambda: _follow(server, stop), look], timeout=120)
    _check_page()


def _check_hot_keys(page):
    """Nothing without the token, keys with it, and a wrong one is said to be so."""
    rows = "document.getElementById('hotkeys').rows.length"
    said = "document.getElementById('hotsaid').textContent"
    assert page.value(rows) == 0

    def show(token):
        page.value(f"document.getElementById('token').value = '{token}'")
        page.value("document.getElementById('show').click()")
    show("this-is-not-the-token")
    support.wait_for("a refusal", lambda: "not the one" in page.value(said), 30, 0.1)
    page.clear_faults("401")
    show(TOKEN)
    support.wait_for("hot keys", lambda: page.value(rows) == 10, 60, 0.1)
    first = page.value("document.getElementById('hotkeys').rows[0].textContent")
    assert re.match(r"page-\d+", first), first
    assert page.value("document.getElementById('token').value") == ""


def _check_keys(page):
    """With the keyboard alone: to the first curve, to another moment, and back to now."""
    page.value("document.getElementById('pause').focus()")
    page.press("Tab")
    assert page.value("document.activeElement.getAttribute('aria-labelledby')") == "c0"
    when = "document.querySelector('#c0 ~ .when').lastChild.textContent"
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    assert page.value(when) == "2 s ago", page.value(when)
    page.press("Escape")
    assert page.value(when) == "now"


def _check_names(page):
    """What a screen reader is told: every curve has a name and a text with its numbers."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    images = [node for node in nodes if node.get("role", {}).get("value") in ("image", "img")]
    assert len(images) == page.value("document.querySelectorAll('svg').length"), len(images)
    for node in images:
        assert node["name"]["value"] and node["description"]["value"], node
    roles = [node.get("role", {}).get("value") for node in nodes]
    assert "status" in roles and roles.count("heading") > 10 and "main" in roles


def _check_page():
    page = (ROOT / "Sources" / "Admin" / "page.html").read_bytes()
    assert len(page) < 40 << 10, len(page)
    source = (ROOT / "Sources" / "Admin" / "Page.swift").read_text()
    for part in (b"script", b"style"):
        body = re.search(rb"<%s>(.*?)</%s>" % (part, part), page, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        assert f"sha256-{digest}" in source, f"Page.swift needs {part.decode()}Hash sha256-{digest}"
    assert b"http://" not in page.replace(b"http://www.w3.org/", b"") and b"https://" not in page

"""A storm on the admin port, and what the data port has of it."""

import pathlib
import random
import re
import socket
import time

import admin
import support

#: Bad requests, each on a connection of its own.
BAD_REQUESTS = 10_000
#: KiB that the process may have grown by when they are over: buffers of connections, and the heap.
GROWN_MAX = 16 << 10


def _bad(chance):
    """A request that is none, of one of the kinds that a port on a network meets."""
    whole = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(64) + b"\r\n\r\n"
    if kind == 1:
        return b"GET \0\r\n\r\n"
    if kind == 2:
        return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + chance.randbytes(500)
    if kind == 3:
        return whole[:-2] + b"X: " + b"y" * 9000 + b"\r\n\r\n"
    if kind == 4:
        return b"set key 0 0 5\r\nvalue\r\n"
    garbled = bytearray(whole)
    garbled[chance.randrange(4)] = 0
    return bytes(garbled)


def the_data_port_does_not_notice():
    """10,000 bad requests and some that never end, while others use the cache."""
    with admin._server("-m", 64, "-t", 1) as server:
        descriptors = pathlib.Path(f"/proc/{server.pid}/fd")
        before, resident = len(list(descriptors.iterdir())), server.status("RssAnon")
        stop, asked, storms = [], [], []

        def others():
            with server.client() as client:
                while not stop:
                    assert client.set(b"a", b"1") == b"STORED" and client.get(b"a") == b"1"
                    asked.append(1)

        def slow():
            """Half of the port's connections are in the middle of a request, all the time."""
            peers = []
            while not stop:
                peer = socket.create_connection(("127.0.0.1", server.admin), 30)
                peers.append(peer)
                peer.sendall(b"GET / HT")
                if len(peers) > 16:
                    peers.pop(0).close()
                time.sleep(0.02)
            for peer in peers:
                peer.close()

        def storm(seed):
            chance = random.Random(seed)
            try:
                for number in range(BAD_REQUESTS // 2):
                    answer = _raw_or_closed(server, _bad(chance))
                    assert not answer or re.match(rb"HTTP/1\.1 (4\d\d|50[15]) ", answer), answer
                    if number % 100 == 0:
                        assert admin._ask(server, "/metrics")[0] == 200
            finally:
                storms.append(seed)
                if len(storms) == 2:
                    stop.append(True)

        support.in_threads(
            [others, slow, lambda: storm(1), lambda: storm(2)], timeout=120)
        assert asked, "nobody was served meanwhile"
        assert admin._ask(server, "/livez")[0] == 200 and admin._ask(server, "/readyz")[0] == 200
        found = admin._values(admin._families(server))
        assert found[("brim_waits_expired_total", ())] == 0
        for reason in ("protocol", "error", "idle", "stalled", "pool_dry", "http"):
            assert found[("brim_connections_closed_total", (("reason", reason),))] == 0, reason
        assert found[("brim_requests_total", (("command", "get"), ("result", "hit")))] == len(asked)
        assert found[("brim_admin_restarts_total", ())] == 0
        support.wait_for("closed connections", lambda: len(list(descriptors.iterdir())) <= before)
        grown = server.status("RssAnon") - resident
        assert grown <= GROWN_MAX, grown
        server.still_runs()


def _raw_or_closed(server, data):
    """The answer; nothing where the server has closed before all of it was sent."""
    try:
        return admin._raw(server, data)
    except (BrokenPipeError, ConnectionResetError):
        return b""

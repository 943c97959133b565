"""Signing in over real sockets, of both kinds of listener, and the file that says who may."""

import os
import socket
import struct

import pylibmc

import support

REFUSED = b"CLIENT_ERROR unauthenticated"


def _file(place, text="anna:secret\n"):
    path = place / "people"
    path.write_text(text)
    path.chmod(0o600)
    return path


def _packet(opcode, key=b"", value=b"", extras=b""):
    return struct.pack(
        ">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0,
        len(key) + len(value) + len(extras), 7, 0) + extras + key + value


def _status(client):
    head = client.exactly(24)
    client.exactly(struct.unpack(">I", head[8:12])[0])
    return struct.unpack(">H", head[6:8])[0]


def both_listeners():
    """Nothing is served before, on TCP and on the unix socket, in no protocol."""
    with support.folder() as place:
        path = str(place / "brim.sock")
        with support.Server("-m", 64, "-s", path, "-Y", _file(place), "-S") as server:
            for address in (("127.0.0.1", server.port), path):
                with support.Client(address) as client:
                    for line in (b"get a", b"stats", b"mg a", b"flush_all", b"shutdown", b"watch"):
                        assert client.ask(line) == REFUSED, line
                    assert client.set(b"a", b"anna wrong").startswith(b"CLIENT_ERROR auth")
                    assert client.set(b"a", b"anna secret") == b"STORED"
                    assert client.set(b"a", b"value") == b"STORED"
                    assert client.get(b"a") == b"value"
                for opcode, key in ((0x00, b"a"), (0x10, b"")):
                    with support.Client(address) as client:
                        client.send(_packet(opcode, key) + _packet(opcode, key))
                        assert _status(client) == 0x20
                        assert client.is_closed()
                with support.Client(address) as client:
                    client.send(_packet(0x21, b"PLAIN", b"\0anna\0secret") + _packet(0x00, b"a"))
                    assert [_status(client), _status(client)] == [0, 0]
            with support.Client(path) as client:
                client.set(b"a", b"anna secret")
                found = client.stats()
                assert found["auth_cmds"] == "7" and found["auth_errors"] == "2", found


def sasl_of_a_library():
    with support.folder() as place:
        with support.Server("-m", 64, "-S", "-Y", _file(place)) as server:
            name = f"127.0.0.1:{server.port}"
            client = pylibmc.Client([name], binary=True, username="anna", password="secret")
            assert client.set("a", "text") and client.get("a") == "text"
            wrong = pylibmc.Client([name], binary=True, username="anna", password="other")
            try:
                wrong.get("a")
                raise AssertionError("a wrong password was taken")
            except pylibmc.Error:
                pass


def file_read_again():
    """On HUP; one that cannot be used changes nothing."""
    with support.folder() as place:
        path = _file(place)
        with support.Server("-m", 64, "-Y", path) as server:
            def admits(token):
                with server.client() as client:
                    return client.set(b"a", token) == b"STORED"
            assert admits(b"anna secret") and not admits(b"bert other")
            for text, event in (("bert:other\n", "credentials_read"), ("", "credentials_kept")):
                path.write_text(text)
                server.send_signal(1)
                server.wait_for_log(f"server.{event}")
                assert admits(b"bert other") and not admits(b"anna secret")
            # Opening a pipe would wait for whoever writes to it, and keep signals from being heard.
            path.unlink()
            os.mkfifo(path)
            server.send_signal(1)
            server.wait_for_log("no regular file")
            assert admits(b"bert other")


def files_that_cannot_be_used():
    with support.folder() as place:
        for text in ("", "nobody\n", ":secret\n", "anna:\n", "a:$sha256$s$12\n", "a" * 300):
            server = support.Server("-m", 64, "-Y", _file(place, text), ready=False)
            assert server.process.wait(support.STOP_SECONDS_MAX) == 64, text
            assert "credentials" in server.log(), server.log()
            server.log_file.close()


def ten_thousand_tries():
    """Many who guess cost nobody else anything."""
    with support.folder() as place:
        with support.Server("-m", 64, "-Y", _file(place)) as server, server.client() as client:
            assert client.set(b"a", b"anna secret") == b"STORED"
            wrong = b"set a 0 0 10\r\nanna wrong\r\n" * 50
            for _ in range(200):
                with socket.create_connection(("127.0.0.1", server.port)) as guest:
                    guest.sendall(wrong)
                    assert client.ask(b"mn") == b"MN"
            assert int(client.stats()["auth_errors"]) < 1000

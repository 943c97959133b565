"""The system's clock is set while a server runs, and while none does."""

import os
import struct
import time

import support

#: Seconds that lives have here, by which the clock is set, and that a scenario may take.
_LIFE, _STEP, _ALLOWED = 10_000, 50_000, 200


def _left(client, key):
    """Seconds that a key has left, None if it is not there."""
    reply = client.ask(b"mg %s t" % key)
    return None if reply == b"EN" else int(reply.removeprefix(b"HD t"))


def _lives(client, key, life=_LIFE):
    left = _left(client, key)
    assert left is not None and life - _ALLOWED <= left <= life, (key, left, life)


def no_life_follows_it():
    """Lives end when they were to end, over a start as well; dates are by the clock as it is."""
    with support.folder() as place:
        ahead = place / "ahead"
        ahead.write_bytes(bytes(8))

        def put(seconds):
            # In one write: the program looks at it at any moment.
            with open(ahead, "r+b", buffering=0) as file:
                os.pwrite(file.fileno(), struct.pack("=q", seconds * 1_000_000_000), 0)

        server = support.Server(
            "-m", 64, "--store-size", "64m", store=place / "store", preload="clock.so",
            environment={"CLOCK_FILE": str(ahead)})
        with server:
            with server.client() as client:
                def now():
                    return int(client.stats()["time"])

                assert abs(now() - time.time()) < _ALLOWED
                client.set(b"after", b"1", expiry=_LIFE)
                client.set(b"date", b"1", expiry=now() + _LIFE)
                client.set(b"short", b"1", expiry=1)
                support.wait_for("an end", lambda: _left(client, b"short") is None)
                for number, step in enumerate((_STEP, -_STEP)):
                    put(step)
                    assert abs(now() - time.time() - step) < _ALLOWED
                    _lives(client, b"after")
                    _lives(client, b"date")
                    assert _left(client, b"short") is None
                    key = b"since%d" % number
                    client.set(key, b"1", expiry=now() + 2 * _LIFE)
                    _lives(client, key, 2 * _LIFE)
                    client.set(b"past", b"1", expiry=now() - 1)
                    assert _left(client, b"past") is None
            code, _ = server.stop()
            assert code == 0, server.log()
            # The clock is as far behind as before: the next run goes on with the time of the last.
            server.start()
            with server.client() as client:
                server.wait_for_recovery()
                assert abs(now() - time.time() + _STEP) < _ALLOWED
                for key, life in ((b"after", 1), (b"date", 1), (b"since0", 2), (b"since1", 2)):
                    _lives(client, key, life * _LIFE)
                assert _left(client, b"short") is None and _left(client, b"past") is None

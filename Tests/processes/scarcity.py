"""Memory for large values is short, and some who hold it do nothing: they give way to others."""

import os
import time

import behaviour
import support

#: Longer than anybody may hold what others wait for, without taking any of it: half a second for
#: who waits, and two for a window that is shut.
STILL_SECONDS = 3.5


def still_writers():
    """Large values that never come to their end give way to those that do."""
    with support.Server("-m", 64, "-t", 2) as server, server.client() as watch:
        part = os.urandom(600_000)
        still = []

        def begin(number):
            client = server.client()
            client.send(b"set still%d 0 0 900000\r\n" % number)
            client.socket.setblocking(False)
            try:
                client.socket.send(part)
            except BlockingIOError:
                pass
            still.append(client)

        def taken():
            found = watch.stats()
            return int(found["brim_frames"]) - int(found["brim_frames_free"])

        begin(0)
        each = support.wait_for("the first place", taken)
        for number in range(1, 24):
            begin(number)
        # Long values have an eighth less than a quarter of the frames: the next has no place.
        quarter = int(watch.stats()["brim_frames"]) // 4
        support.wait_for("the places", lambda: taken() + each > quarter - quarter // 8)
        slowest = 0.0
        with server.client() as client:
            value = os.urandom(900_000)
            for number in range(30):
                start = time.monotonic()
                assert client.set(b"whole%d" % number, value) == b"STORED"
                slowest = max(slowest, time.monotonic() - start)
            found = client.stats()
        print(f"the slowest large set took {slowest * 1000:.0f} ms")
        assert int(found["brim_closed_stalled_for_others"]) > 0
        assert found["brim_closed_stalled"] == "0"
        for client in still:
            client.close()


def still_readers():
    """Values that nobody takes give way when others want to be sent theirs, and only then."""
    with support.Server("-m", 64, "-t", 2) as server, server.client() as watch:
        value = os.urandom(900_000)
        # A value of its own for each: one that is sent already may be sent to anybody.
        for number in range(40):
            assert watch.set(b"large%d" % number, value) == b"STORED"
        assert watch.set(b"large", value) == b"STORED"

        def count(name):
            return int(watch.stats()[name])

        still = [_still_reader(server, 0)]
        support.wait_for("the first pin", lambda: count("brim_frames_pinned") > 0)
        each = count("brim_frames_pinned")
        # As many as find a pin, of which there is one for half of the frames: the next waits.
        fitting = count("brim_frames") // 2 // each
        assert fitting < 40, fitting
        still += [_still_reader(server, number) for number in range(1, fitting)]
        support.wait_for("the pins", lambda: count("brim_frames_pinned") == fitting * each)
        # Nobody waits: they may keep them for longer than anybody who is in the way of others.
        time.sleep(STILL_SECONDS)
        found = watch.stats()
        assert found["brim_waits_for_pin"] == "0", found
        assert found["brim_closed_stalled_for_others"] == "0", found
        assert found["brim_frames_pinned"] == str(fitting * each), found
        with behaviour._Others(server):
            _reads_all(server, value)
        assert count("brim_waits_for_pin") > 0
        assert count("brim_closed_stalled_for_others") > 0

        # And where many wait who take nothing either.
        before = count("brim_waits_for_pin")
        still += [_still_reader(server, number % 40) for number in range(80)]
        support.wait_for("the first who waits", lambda: count("brim_waits_for_pin") > before)
        with behaviour._Others(server):
            _reads_all(server, value)
        for client in still:
            client.close()
        support.wait_for("the pins", lambda: count("brim_frames_pinned") == 0)


def _still_reader(server, number):
    """Asks for far more than sockets hold, and takes nothing. With buffers as large as the system
    likes, they have held four values of these, and more elsewhere."""
    client = server.client(receive_bytes=65536)
    client.send(b"get large%d\r\n" % number * 32)
    return client


def _reads_all(server, value):
    """Somebody who reads gets every value. That none comes too late is the server's own matter: who
    waits for longer than five seconds is told that there is none."""
    slowest = 0.0
    with server.client() as client:
        for _ in range(30):
            start = time.monotonic()
            assert client.get(b"large") == value
            slowest = max(slowest, time.monotonic() - start)
    print(f"the slowest large get took {slowest * 1000:.0f} ms")

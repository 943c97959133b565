"""Settings that are read again while the server runs, and what it says of them meanwhile."""

import contextlib
import json
import os
import re
import signal
import time

import admin
import support

GOOD = {"Authorization": f"Bearer {admin.TOKEN}"}

#: Each setting: another value, and whether it holds without a restart.
MATRIX = [
    ("verbose", "1", True), ("log-format", "logfmt", True), ("idle-timeout", "77", True),
    ("max-reqs-per-event", "33", True), ("conn-limit", "99", True), ("conn-limit", "2000", False),
    ("memory-limit", "60", True), ("memory-limit", "128", False), ("drain-delay", "1", True),
    ("drain-timeout", "1.5", True), ("auth-file", "/dev/null", False),
    ("admin-token-file", "{place}/other-token", True), ("admin-hosts", "cache.example", True),
    ("admin-metrics-auth", "true", True),
    ("listen", "127.0.0.1:1", False), ("unix-socket", "/run/x", False), ("unix-mask", "770", False),
    ("threads", "2", False), ("user", "nobody", False), ("pidfile", "/x", False),
    ("listen-backlog", "5", False), ("max-item-size", "2m", False), ("stat-prefix", "/", False),
    ("disable-cas", "true", False), ("daemon", "true", False), ("enable-shutdown", "true", False),
    ("disable-flush-all", "true", False), ("disable-dumping", "true", False),
    ("disable-evictions", "true", False), ("disable-watch", "true", False),
    ("protocol", "ascii", False), ("enable-sasl", "true", False), ("win-timeout", "5", False),
    ("engine", "epoll", False), ("admin-listen", "127.0.0.1:1", False),
]
#: The same where there is a store.
STORE_MATRIX = [
    ("store", "{place}/elsewhere", False), ("store-size", "128m", False),
    ("durability", "ack", False), ("flush-interval", "50", True),
]
#: The one that depends on what it was: `credentials_may_move`.
FROM_ONE_FILE_TO_ANOTHER = "auth-file"


class _Place:
    """A folder with a file of settings and a server that was started with nothing else."""

    def __init__(self, folder, *lines, listen="127.0.0.1:0"):
        self.folder, self.file = folder, folder / "settings"
        for name in ("token", "other-token"):
            (folder / name).write_text(admin.TOKEN)
            (folder / name).chmod(0o600)
        self.common = [f"listen: {listen}", "admin-listen: 127.0.0.1:0", "memory-limit: 64",
                       "conn-limit: 1000", "threads: 1", f"admin-token-file: {folder}/token",
                       *lines]
        self.say()
        # Whatever engine the tests are run with, so that another can be asked for.
        self.server = support.Server(
            "--config", self.file, store=False, listen=False, environment={"BRIM_ENGINE": ""})

    def say(self, **others):
        """Writes the file: what is common, but these."""
        changed = {name.replace("_", "-"): value for name, value in others.items()}
        lines = [line for line in self.common if line.partition(":")[0] not in changed]
        lines += [f"{name}: {value}" for name, value in changed.items()]
        self.file.write_text("\n".join(lines) + "\n")

    def reload(self, headers=GOOD, **others):
        """The names of what changed, and of what needs a restart."""
        self.say(**others)
        status, _, text = admin._ask(self.server, "/api/v1/reload", "POST", headers)
        assert status == 200, text
        answer = json.loads(text)
        return answer["changed"], answer["restart_needed"]

    def told(self):
        status, _, text = admin._ask(self.server, "/api/v1/config", headers=GOOD)
        assert status == 200, text
        return json.loads(text)


@contextlib.contextmanager
def _place(*lines, **options):
    with support.folder() as folder:
        place = _Place(folder, *lines, **options)
        with place.server:
            admin._find(place.server)
            yield place


def every_setting_is_read_again():
    """What can change does, what needs a restart is named, and a wrong file changes nothing."""
    with _place("no-store: true") as place:
        _try(place, MATRIX)
        told = place.told()
        before = place.server.stats("settings")
        place.say(memory_limit="60", listen_backlog="none")
        status, _, text = admin._ask(place.server, "/api/v1/reload", "POST", GOOD)
        assert status == 422 and "listen-backlog" in text, text
        assert place.server.stats("settings") == before
        assert re.search(r"error settings\.kept reason=.*listen-backlog", place.server.log())
        values = admin._values(admin._families(place.server))
        assert values[("brim_config_last_reload_successful", ())] == 0
        assert values[("brim_config_reloads_total", (("result", "failure"),))] == 1
        # And that is what an operator is told who asks before a reload.
        with_fault = place.told()
        assert with_fault["settings"] == told["settings"] and not with_fault["not_configured"]
        assert "listen-backlog" in with_fault["error"] and "error" not in told
    with support.folder() as store, _place(f"store: {store}", "store-size: 64m") as place:
        _try(place, STORE_MATRIX)
        settings = place.told()["settings"]
    # The two are all that there is.
    rows = MATRIX + STORE_MATRIX
    assert set(settings) == {name for name, _, _ in rows}
    live = {name for name, _, is_live in rows if is_live}
    assert live | {FROM_ONE_FILE_TO_ANOTHER} == {
        name for name, facts in settings.items() if facts["reloadable"]}


def _try(place, rows):
    for name, value, is_live in rows:
        value = value.format(place=place.folder)
        change = {name.replace("-", "_"): value}
        if name != "admin-token-file":
            place.say(**change)
            assert place.told()["not_configured"] == [name], name
        answer = place.reload(**change)
        assert answer == (([name], []) if is_live else ([], [name])), (name, answer)
        told = place.told()
        assert told["not_configured"] == ([] if is_live else [name]), (name, told)
        if not is_live:
            assert f"settings.restart_needed setting={name} " in place.server.log()
        answer = place.reload()
        assert answer == (([name], []) if is_live else ([], [])), (name, answer)


def what_is_no_file_is_not_waited_for():
    """A pipe in a file's place: it is said, all stays as it was, and signals are heard."""
    with _place("no-store: true") as place:
        place.file.unlink()
        os.mkfifo(place.file)
        place.server.send_signal(signal.SIGHUP)
        place.server.wait_for_log(r"error settings\.kept reason=.*is no regular file")
        told = place.told()
        assert "no regular file" in told["error"] and not told["not_configured"]
        assert told["settings"]["memory-limit"]["value"] == str(64 << 20)
        place.file.unlink()
        place.say()
        token = place.folder / "token"
        token.unlink()
        os.mkfifo(token, 0o600)
        place.server.send_signal(signal.SIGHUP)
        place.server.wait_for_log(r"warning admin\.token_kept reason=.*no regular file")
        assert "error" not in place.told()
        # The end of this scenario is a SIGTERM that is obeyed.


def settings_are_shown_as_they_are_now():
    """After cache_memlimit, verbosity and a reload; beside what is configured and the defaults."""
    with _place("no-store: true", "idle-timeout: 10",
                listen="[127.0.0.1:0, '[::1]:0']") as place:
        def shown(*names):
            return [place.told()["settings"][name]["value"] for name in names]
        names = ("memory-limit", "verbose", "idle-timeout", "threads")
        assert shown(*names) == [str(64 << 20), "0", "10", "1"]
        told = place.told()
        assert told["settings"]["idle-timeout"] == {
            "value": "10", "configured": "10", "default": "0", "reloadable": True}
        assert told["settings"]["listen"] == {
            "value": "127.0.0.1:0,[::1]:0", "configured": "127.0.0.1:0,[::1]:0",
            "default": "127.0.0.1:11211", "reloadable": False}
        assert {"listen", "memory-limit", "idle-timeout"} <= set(told["not_default"])
        assert not {"engine", "verbose"} & set(told["not_default"])
        assert told["not_configured"] == []
        with place.server.client() as client:
            assert client.ask(b"cache_memlimit 48") == b"OK"
            assert client.ask(b"verbosity 2") == b"OK"
        assert place.told()["not_configured"] == ["memory-limit", "verbose"]
        place.common.remove("idle-timeout: 10")
        place.reload(threads="2", idle_timeout="20")
        assert shown(*names) == [str(48 << 20), "2", "20", "1"]
        assert place.told()["settings"]["threads"]["configured"] == "2"


def what_is_read_again_holds():
    """What is said to hold does, as others see it; so do all that show it."""
    with _place("no-store: true") as place:
        server = place.server
        with server.client() as client:
            assert _yields(client) > 0
        changed, pending = place.reload(
            conn_limit="3", verbose="2", idle_timeout="3", max_reqs_per_event="1000000",
            memory_limit="60", log_format="logfmt", admin_hosts="cache.example")
        assert len(changed) == 7 and not pending, changed
        assert re.match(r"ts=\S+ level=", server.log().splitlines()[-1]), server.log()[-200:]
        for host, status in (("cache.example", 200), ("other.example", 403)):
            assert admin._ask(server, "/livez", headers={"Host": host})[0] == status
        with server.client() as client:
            _check_what_is_shown(server, client)
        # Not the same: that one may have said nothing for as long as it may.
        with server.client() as client:
            assert _yields(client) == 0
            # It sends nothing more, and is closed.
            assert client.is_closed()
        place.reload(conn_limit="2")
        held = [server.client() for _ in range(2)]
        for client in held:
            assert client.ask(b"mn") == b"MN"
        assert admin._ask(server, "/readyz?room=1")[::2] == (503, "full\n")
        with server.client() as one_more:
            assert one_more.line().startswith(b"ERROR Too many")
        for client in held:
            client.close()
        (place.folder / "other-token").write_text("another-of-sixteen-or-more")
        place.reload(admin_metrics_auth="true", admin_token_file=f"{place.folder}/other-token")
        other = {"Authorization": "Bearer another-of-sixteen-or-more"}
        for headers, status in ((GOOD, 401), (None, 401), (other, 200)):
            assert admin._ask(server, "/metrics", headers=headers)[0] == status
        # At the end: how it ends.
        place.reload(other, drain_delay="3600", drain_timeout="3600",
                     admin_token_file=f"{place.folder}/other-token")
        _stop(server)


def _yields(client):
    """How often a connection that sends many requests at once gives way to others."""
    before = int(client.stats()["conn_yields"])
    client.send(b"mn\r\n" * 500)
    assert [client.line() for _ in range(500)] == [b"MN"] * 500
    return int(client.stats()["conn_yields"]) - before


def _check_what_is_shown(server, client):
    found = {**client.stats(), **client.stats("settings")}
    assert found["max_connections"] == "3" == found["maxconns"]
    assert found["verbosity"] == "2" and found["idle_timeout"] == "3"
    assert "idle_kicks" in found and found["reqs_per_event"] == "1000000"
    assert found["limit_maxbytes"] == str(60 << 20) == found["maxbytes"]
    ours = admin._values(admin._families(server))
    theirs = admin._values(admin._families(server, "/metrics/memcached"))
    assert ours[("brim_connection_limit", ())] == 3 == theirs[("memcached_max_connections", ())]
    assert ours[("brim_limit_bytes", ())] == 60 << 20 == theirs[("memcached_limit_bytes", ())]

    def page():
        names = json.loads(admin._ask(server, "/api/v1/history")[2])["names"]
        sample = json.loads(admin._ask(server, "/api/v1/now")[2])["sample"]
        return dict(zip(names, sample))
    support.wait_for("a sample", lambda: page()["connection_limit"] == 3)
    assert page()["limit_bytes"] == 60 << 20


def _stop(server):
    """It serves on for the delay; then half a request is waited for."""
    with server.client() as client:
        server.send_signal(signal.SIGTERM)
        server.wait_for_log(r"server\.stopping")
        assert admin._ask(server, "/readyz")[::2] == (503, "stopping\n")
        assert client.ask(b"mn") == b"MN"
    server.send_signal(signal.SIGTERM)
    assert server.process.wait(support.STOP_SECONDS_MAX) == 0
    with _place("no-store: true") as place, place.server.client() as client:
        place.reload(drain_timeout="3600")
        client.send(b"set half 0 0 5\r\nva")
        support.wait_for("the half", lambda: int(place.server.stats()["bytes_read"]) > 15)
        place.server.send_signal(signal.SIGTERM)
        # Longer than it would be waited for with the time of the start.
        time.sleep(1)
        client.send(b"lue\r\n")
        assert client.line() == b"STORED" and client.is_closed()
        assert place.server.process.wait(support.STOP_SECONDS_MAX) == 0


def commits_come_as_often_as_was_said_last():
    """Not a minute after the one before, as at the start."""
    with support.folder() as store, _place(
            f"store: {store}", "store-size: 64m", "flush-interval: 60000") as place:
        place.server.wait_for_recovery()
        with place.server.client() as client:
            # What the start itself commits is over.
            support.wait_for("calm", lambda: not _commits_within(client, 0.5), 30)
            spoken = time.time()
            assert client.set(b"key", b"value") == b"STORED"
            assert place.reload(flush_interval="10") == (["flush-interval"], [])
            assert client.stats("settings")["brim_flush_interval"] == "10"
            support.wait_for("a commit", lambda: int(
                client.stats()["brim_last_commit_began_us"]) > spoken * 1e6)


def _commits_within(client, some_seconds):
    before = client.stats()["brim_last_commit_began_us"]
    time.sleep(some_seconds)
    return client.stats()["brim_last_commit_began_us"] != before


def credentials_may_move():
    """From one file to another; from none to one takes a restart."""
    with support.folder() as people:
        for name in ("anna", "bert"):
            (people / name).write_text(f"{name}:secret\n")
            (people / name).chmod(0o600)
        with _place("no-store: true", f"auth-file: {people}/anna") as place:
            def admits(name):
                with place.server.client() as client:
                    return client.set(b"key", name + b" secret") == b"STORED"
            assert admits(b"anna") and not admits(b"bert")
            assert place.reload(auth_file=f"{people}/bert") == (["auth-file"], [])
            assert admits(b"bert") and not admits(b"anna")

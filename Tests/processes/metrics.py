"""What `/metrics` says: names, values, histograms; and what dashboard and alerts make of it."""

import json
import os
import re
import shutil
import subprocess

import admin
import sign_in
import support

NAMES = admin.ROOT / "Tests" / "metrics"


def _check_histograms(families):
    for family in families:
        if family.type != "histogram":
            continue
        assert family.documentation
        series = {}
        for sample in family.samples:
            labels = dict(sample.labels)
            bound = labels.pop("le", None)
            own = series.setdefault(tuple(sorted(labels.items())), {})
            own[(sample.name, bound)] = sample.value
        for key, samples in series.items():
            buckets = [(float(bound), value) for (name, bound), value in samples.items()
                       if name.endswith("_bucket")]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), (key, buckets)
            counts = [value for _, value in buckets]
            assert counts == sorted(counts), (key, counts)
            assert counts[-1] == samples[(family.name + "_count", None)], key


#: What Prometheus 2.42 sends, others, and whether OpenMetrics is the answer.
ACCEPT = [
    ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
    ("application/openmetrics-text;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.5", False),
    ("application/openmetrics-text;q=0", False), ("text/plain", False), ("*/*", False),
    ("text/*;q=0.5, Application/OpenMetrics-Text ; version=1.0.0 ; q=0.5", True),
]


def the_form_is_the_one_that_is_preferred():
    with admin._server("-m", 64) as server:
        for accept, is_open in ACCEPT:
            status, headers, text = admin._ask(server, "/metrics", headers={"Accept": accept})
            assert status == 200 and text.endswith("# EOF\n") == is_open, accept
            kind = headers["Content-Type"].partition(";")[0]
            assert kind == ("application/openmetrics-text" if is_open else "text/plain"), accept
        status, _, text = admin._ask(server, "/metrics")
        # As Prometheus 3 writes them, so that nothing has to be renamed.
        bounds = re.findall(r'request_duration_seconds_bucket{class="set",le="([^"]*)"}', text)
        assert bounds == ["5e-06", "1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025", "0.0005",
                          "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
                          "1.0", "2.5", "5.0", "10.0", "+Inf"], bounds


def _described(family):
    labels = sorted({name for sample in family.samples for name in sample.labels})
    return " ".join([family.name, family.type, *labels])


def metrics_are_understood():
    """Both forms by another's parser, the names by a list, counters that never go back."""
    with support.folder() as place, admin._server(
            "-m", 64, "-t", 2, store=place / "store") as server:
        before = admin._families(server)
        admin._load(server)
        for path, names in (("/metrics", "brim.txt"), ("/metrics/memcached", "memcached.txt")):
            text, openly = admin._families(server, path), admin._families(server, path, admin.OPEN)
            assert [family.name for family in text] == [family.name for family in openly]
            for family in text + openly:
                assert family.documentation and family.type != "unknown", family
            _check_histograms(text)
            found = sorted(_described(family) for family in text)
            if os.environ.get("UPDATE"):
                (NAMES / names).write_text("\n".join(found) + "\n")
            assert found == (NAMES / names).read_text().splitlines(), "\n".join(found)
        after = admin._values(admin._families(server))
        for (name, labels), value in admin._values(before).items():
            if name.endswith(("_total", "_count", "_bucket")):
                assert after[(name, labels)] >= value, (name, labels)
        assert after[("brim_requests_total", (("command", "get"), ("result", "hit")))] == 200
        count = "brim_request_duration_seconds_count"
        assert after[(count, (("class", "get_memory"),))] == 200
        assert after[(count, (("class", "get_miss"),))] == 1
        assert after[(count, (("class", "set"),))] == 200
        assert after[("brim_up_state", (("state", "serving"),))] == 1
        parts = {name: after[("brim_memory_bytes", (("part", name),))]
                 for name in ("items", "index", "network", "committer", "ghosts")}
        # Only a store without a disk remembers what it evicted; the index has not grown yet.
        assert parts.pop("ghosts") == 0 < min(parts.values()), parts
        assert 48 << 20 < sum(parts.values()) <= 64 << 20, parts
        with server.client() as client:
            stats = client.stats("latency")
            assert stats["get_memory:count"] == "200" and float(stats["set:p99_us"]) > 0
        old = admin._values(admin._families(server, "/metrics/memcached"))
        assert old[("memcached_up", ())] == 1
        assert old[("memcached_commands_total", (("command", "get"), ("status", "hit")))] == 200
        _check_counts(server, after)


def _check_counts(server, before):
    """What needs a request of its own, or a second, to be seen."""
    with server.client() as client:
        client.ask(b"nonsense")
        client.ask(b"get " + b"k" * 251)
        for _ in range(2):
            assert client.ask(b"mg stampede N60").startswith(b"HD")

    def told(name, **labels):
        return admin._values(admin._families(server))[(name, tuple(sorted(labels.items())))]
    assert told("brim_protocol_errors_total", kind="unknown_command") == 1
    assert told("brim_protocol_errors_total", kind="key_too_long") == 1
    assert told("brim_recache_wins_total") == 1 == told("brim_recache_refusals_total")
    support.wait_for("a commit", lambda: told("brim_commit_duration_seconds_count") > 0)
    support.wait_for("enters", lambda: told("brim_ring_enters_total", worker="0") > 0)
    assert told("brim_pool_blocks", worker="0", state="free") > 0
    busy = sum(value for (name, _), value in before.items()
               if name == "brim_worker_busy_seconds_total")
    assert 0 < busy < 60, busy


def each_end_of_a_request_has_its_label():
    """Commands and results, transports, ways to sign in, faults: each counted once, where it is."""
    with support.folder() as place:
        people, path = place / "people", place / "socket"
        people.write_text("anna:secret\n")
        people.chmod(0o600)
        with admin._server("-m", 64, "-t", 1, "-s", path) as server:
            with server.client() as client, support.Client(str(path)) as local:
                for line, data, answer in STORAGE:
                    client.send(line + b" %d\r\n" % len(data) + data + b"\r\n")
                    assert client.line() == answer, (line, answer)
                assert client.ask(b"gat 0 nothing") == b"END"
                assert client.ask(b"mg stored T0 q k").startswith(b"HD")
                assert client.ask(b"touch stored 0") == b"TOUCHED"
                assert client.ask(b"get " + b"k" * 251).startswith(b"CLIENT_ERROR")
                assert client.ask(b"set " + b"k" * 251 + b" 0 0 2\r\nhi").startswith(b"CLIENT_ERR")
                assert client.ask(b"mn") == b"MN" and local.ask(b"mn") == b"MN"
                assert client.stats("settings")
                with server.client() as browser:
                    browser.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert browser.is_closed()
                told = _told(server)
                for (command, result), count in REQUESTS.items():
                    found = told("brim_requests_total", command=command, result=result)
                    assert found == count, (command, result, found)
                assert told("brim_items_stored_total") == 6
                assert told("brim_protocol_errors_total", kind="key_too_long") == 2
                assert told("brim_protocol_errors_total", kind="bad_format") == 0
                assert told("brim_connections_accepted_total", transport="unix") == 1
                assert told("brim_connections_accepted_total", transport="tcp") == 2
                assert told("brim_connections_closed_total", reason="http") == 1
                assert told("brim_connections_closed_total", reason="protocol") == 0
                regions = ("log", "promotion", "disk")
                assert sum(told("brim_item_bytes", region=region) for region in regions) > 0
                _check_bytes(server, client, local)
        with admin._server("-m", 64, "-t", 1, "-Y", people, "-S") as server:
            _sign_in(server)
            told = _told(server)
            for method, result, count in [("text", "success", 1), ("text", "failure", 1),
                                          ("sasl", "success", 1), ("sasl", "failure", 0)]:
                found = told("brim_auth_attempts_total", method=method, result=result)
                assert found == count, (method, result, found)


def _check_bytes(server, client, local):
    """By transport, exactly: also of large values, and of replies that do not leave at once."""
    def values():
        return admin._values(admin._families(server))

    def told():
        found = values()
        return [int(found[(f"brim_{way}_bytes_total", (("transport", transport),))])
                for way in ("receive", "transmit") for transport in ("tcp", "unix")]

    def enters():
        return values()[("brim_ring_enters_total", (("worker", "0"),))]
    # What was sent is counted when the worker hears that it was, and its peer may have it before.
    # Once a second it tells how often it has entered the ring, and has heard of all until then.
    entered = enters()
    support.wait_for("the worker's second", lambda: enters() > entered)
    expected = told()
    value = b"x" * 300_000
    line, times = b"get of-%s\r\n", 20
    for peer, name in ((client, b"tcp"), (local, b"unix")):
        assert peer.set(b"of-" + name, value) == b"STORED"
        peer.send(line % name * times)
        for _ in range(times):
            assert peer.values() == {b"of-" + name: value}
        head = b"of-%s 0 300000\r\n" % name
        received = len(b"set 0 " + head) + len(value) + 2 + times * len(line % name)
        sent = len(b"STORED\r\n") + times * (
            len(b"VALUE " + head) + len(value) + len(b"\r\nEND\r\n"))
        expected[name == b"unix"] += received
        expected[2 + (name == b"unix")] += sent
        support.wait_for(f"{expected} bytes", lambda: all(
            found >= wanted for found, wanted in zip(told(), expected)))
        assert told() == expected, (name, told(), expected)
    # They are the parts of what is counted of all.
    total = int(client.stats()["bytes_read"])
    assert sum(told()[:2]) == total + len(b"stats brim\r\n")


#: Commands that store, with what each is answered.
STORAGE = [
    (b"set stored 0 0", b"1", b"STORED"), (b"add stored 0 0", b"1", b"NOT_STORED"),
    (b"add other 0 0", b"1", b"STORED"), (b"replace nothing 0 0", b"1", b"NOT_STORED"),
    (b"replace stored 0 0", b"1", b"STORED"), (b"append nothing 0 0", b"1", b"NOT_STORED"),
    (b"append stored 0 0", b"1", b"STORED"), (b"prepend stored 0 0", b"1", b"STORED"),
    (b"prepend nothing 0 0", b"1", b"NOT_STORED"),
    (b"set large 0 0", b"x" * (1 << 20), b"SERVER_ERROR object too large for cache"),
    (b"set last 0 0", b"1", b"STORED"),
]

#: What they and the others are counted as.
REQUESTS = {
    ("set", "stored"): 2, ("set", "error"): 1, ("add", "stored"): 1, ("add", "not_stored"): 1,
    ("replace", "stored"): 1, ("replace", "not_stored"): 1, ("append", "stored"): 1,
    ("append", "not_stored"): 1, ("prepend", "stored"): 1, ("prepend", "not_stored"): 1,
    ("cas", "stored"): 0, ("gat", "hit"): 1, ("gat", "miss"): 1, ("touch", "hit"): 1,
    ("touch", "miss"): 0, ("get", "hit"): 0, ("stats", "ok"): 1, ("other", "ok"): 2,
}


def _told(server):
    values = admin._values(admin._families(server))
    return lambda name, **labels: values[(name, tuple(sorted(labels.items())))]


def _sign_in(server):
    """By text, wrongly and rightly, and by SASL."""
    for token, answer in ((b"anna wrong", b"CLIENT_ERROR"), (b"anna secret", b"STORED")):
        with server.client() as client:
            client.send(b"set x 0 0 %d\r\n" % len(token) + token + b"\r\n")
            assert client.line().startswith(answer)
    with server.client() as client:
        client.send(sign_in._packet(0x21, b"PLAIN", b"\0anna\0secret"))
        assert sign_in._status(client) == 0


def _expressions():
    board = json.loads((admin.ROOT / "config/grafana/brim.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]
    rules = (admin.ROOT / "config/prometheus/brim-rules.yaml").read_text()
    found = re.findall(r"- alert: (\w+)\n\s+expr: >-\n((?:          .+\n)+)        for:", rules)
    assert rules.count("- alert:") == len(found) > 10
    for name, lines in found:
        yield name, " ".join(lines.split())


def dashboard_and_rules_name_what_there_is():
    with admin._server("-m", 64) as server:
        names, labels = {"up"}, {"job", "instance", "le"}
        for sample in (s for family in admin._families(server) for s in family.samples):
            names.add(sample.name)
            labels.update(sample.labels)
        count = 0
        for where, expression in _expressions():
            count += 1
            assert expression.count("(") == expression.count(")"), (where, expression)
            bare = re.sub(r'"[^"]*"', "", expression)
            used = set(re.findall(r"\b(?:brim_|process_|up\b)\w*", bare))
            assert used, (where, expression)
            assert used <= names, (where, used - names)
            for group in re.findall(r"\{([^}]*)\}", expression):
                for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", group):
                    assert label in labels, (where, label)
            for group in re.findall(r"\bby \(([^)]*)\)", expression):
                assert set(re.split(r",\s*", group)) <= labels, (where, group)
        assert count > 30, count


def promtool_is_content():
    """Prometheus' own checks of the rules and of both pages, and what the alerts say to servers
    that are well and that are not."""
    program = shutil.which("promtool")
    if not program:
        print("promtool is not at hand (Debian's package prometheus has it):"
              " rules and pages were checked without it")
        return

    def check(*words, **options):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60,
                              **options)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    check("check", "rules", str(admin.ROOT / "config/prometheus/brim-rules.yaml"))
    check("test", "rules", str(NAMES / "rules.yaml"))
    with admin._server("-m", 64) as server:
        for path in ("/metrics", "/metrics/memcached"):
            check("check", "metrics", input=admin._ask(server, path)[2])

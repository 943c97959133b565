#!/usr/bin/env python3
# run.py: clients that Debian or the Python Package Index packages, each against a Brim of its own.
#
#   run.py --brim .build/static/release/brim [--whole] [names]
#
# What is not installed is skipped, and said; with --whole that is a failure. Clients in Python that
# the tests need anyway are in Tests/processes/clients.py.
import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "processes"))
import support  # noqa: E402  (it lies in a folder of its own)

#: For one program, which may have to be compiled first, on a machine with other work.
SECONDS_MAX = 150
#: Where `make client-packages` installs what newest.txt names.
NEWEST = HERE.parent.parent / ".build" / "clients" / "bin" / "python"
GO_SOURCES = "/usr/share/gocode"
SPYMEMCACHED = "/usr/share/java/spymemcached.jar"


class Skipped(Exception):
    """What a scenario needs is not installed."""


def _need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skipped(f"{program} is not installed")


def _need_import(command, what):
    if subprocess.run(command, capture_output=True).returncode != 0:
        raise Skipped(f"{what} is not installed")


@contextlib.contextmanager
def _server(*options, files=None):
    with support.folder() as place:
        for name, text in (files or {}).items():
            (place / name).write_text(text)
        options = [place / word if word in (files or {}) else word for word in options]
        with support.Server("-m", 64, "-t", 2, *options, store=place / "store") as server:
            yield server


def _client(*command, **environment):
    """A program that says `done` at its end."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=SECONDS_MAX,
        errors="replace", env=dict(os.environ, **environment))
    said = done.stdout + done.stderr
    assert done.returncode == 0 and done.stdout.endswith("done\n"), said[-2000:]


@contextlib.contextmanager
def _daemon(*command):
    child = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(SECONDS_MAX)


def php():
    _need("php")
    _need_import(["php", "-r", "exit(extension_loaded('memcached') ? 0 : 1);"], "php-memcached")
    with _server() as server:
        for dialect in ("text", "binary"):
            _client("php", HERE / "client.php", server.port, dialect)


def perl():
    _need("perl")
    for module in ("Cache::Memcached", "Cache::Memcached::Fast"):
        _need_import(["perl", f"-M{module}", "-e", "1"], module)
        with _server() as server:
            _client("perl", HERE / "client.pl", server.port, module)


def dalli():
    _need("ruby")
    _need_import(["ruby", "-e", "require 'dalli'"], "ruby-dalli")
    with _server() as server:
        _client("ruby", HERE / "client.rb", server.port)


def django():
    _need_import(["/usr/bin/python3", "-c", "import django, pylibmc, pymemcache"], "python3-django")
    with _server() as server:
        _client("/usr/bin/python3", "-B", HERE / "django_cache.py", server.port)


def _newest(name, server, *arguments):
    if not NEWEST.exists():
        raise Skipped("what newest.txt names is not installed")
    _client(NEWEST, "-B", HERE / "newest.py", name, server.port, *arguments)


def pymemcache():
    with _server() as server:
        _newest("pymemcache", server)


def bmemcached():
    """With SASL, as a server of `-S` wants it."""
    with _server("-S", "-Y", "users", files={"users": "anna:secret\n"}) as server:
        _newest("bmemcached", server, "anna", "secret")


def aiomcache():
    with _server() as server:
        _newest("aiomcache", server)


def emcache():
    with _server() as server:
        _newest("emcache", server)


def gomemcache():
    _need("go")
    if not pathlib.Path(GO_SOURCES, "src/github.com/bradfitz/gomemcache").exists():
        raise Skipped("gomemcache is not installed")
    with support.folder() as place, _server() as server:
        _client("go", "run", HERE / "client.go", server.port, GO111MODULE="off",
                GOPATH=GO_SOURCES, GOCACHE=str(place / "cache"), GOFLAGS="")


def spymemcached():
    _need("java", "javac")
    if not pathlib.Path(SPYMEMCACHED).exists():
        raise Skipped("spymemcached is not installed")
    with _server() as server:
        for dialect in ("text", "binary"):
            _client("java", "-cp", SPYMEMCACHED, HERE / "Client.java", server.port, dialect)


NGINX = """
daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            set $memcached_key $uri;
            memcached_pass 127.0.0.1:{brim};
            default_type text/plain;
        }}
    }}
}}
"""


def _fetch(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refused:
        return refused.code, b""


def nginx():
    """nginx's memcached module serves what lies in Brim."""
    _need("nginx")
    with support.folder() as place, _server() as server:
        files = {b"/page": b"<p>hi</p>", b"/empty": b"", b"/large": bytes(range(256)) * 3000}
        with server.client() as client:
            for path, content in files.items():
                assert client.set(path, content) == b"STORED"
        port = support.free_port()
        settings = place / "nginx.conf"
        settings.write_text(NGINX.format(place=place, port=port, brim=server.port))
        with _daemon("nginx", "-c", settings, "-e", place / "error.log") as child:
            def listens():
                assert child.poll() is None, (place / "error.log").read_text()
                try:
                    return _fetch(port, "/page")[0]
                except urllib.error.URLError:
                    return None
            support.wait_for("nginx", listens)
            for path, content in files.items():
                assert _fetch(port, path.decode()) == (200, content), path
            assert _fetch(port, "/none")[0] == 404
            # What memcached's stats are must not confuse it: it reads one answer for one request.
            for _ in range(50):
                assert _fetch(port, "/large")[1] == files[b"/large"]


def nutcracker():
    """Three Brims behind twemproxy; one is killed, and is back with what it held."""
    _need("nutcracker")
    with support.folder() as place, contextlib.ExitStack() as stack:
        ports = [support.free_port() for _ in range(3)]
        brims = [stack.enter_context(support.Server(
            "-m", 64, "-l", f"127.0.0.1:{port}", "--durability", "ack", listen=False,
            store=place / f"store-{port}")) for port in ports]
        port = support.free_port()
        # By their names keys are divided: the same way each time.
        servers = "".join(
            f"    - 127.0.0.1:{own}:1 brim-{number}\n" for number, own in enumerate(ports))
        settings = place / "nutcracker.yaml"
        settings.write_text(
            f"brim:\n  listen: 127.0.0.1:{port}\n  hash: md5\n  distribution: ketama\n"
            # Who is killed refuses; who is only slow, as each set waits for a disk, is waited for.
            "  timeout: 20000\n  auto_eject_hosts: false\n  server_failure_limit: 2\n"
            f"  server_retry_timeout: 500\n  servers:\n{servers}")
        stack.enter_context(_daemon(
            "nutcracker", f"--conf-file={settings}", f"--output={place / 'log'}",
            f"--stats-port={support.free_port()}", "--stats-addr=127.0.0.1"))

        def connect():
            try:
                return support.Client(("127.0.0.1", port))
            except ConnectionRefusedError:
                return None
        client = stack.enter_context(support.wait_for("nutcracker", connect))
        keys = [b"key-%d" % number for number in range(300)]
        for key in keys:
            assert client.set(key, key * 3) == b"STORED"
        assert client.get_many(keys[:100]) == {key: key * 3 for key in keys[:100]}
        brims[1].kill()
        answers = {}
        for key in keys:
            client.send(b"get %s\r\n" % key)
            line = client.line()
            if line.startswith(b"VALUE"):
                assert client.exactly(len(key) * 3 + 2) == key * 3 + b"\r\n"
                assert client.line() == b"END"
            answers[key] = line.split(b" ")[0]
        served = sum(answer == b"VALUE" for answer in answers.values())
        lost = sum(answer == b"SERVER_ERROR" for answer in answers.values())
        assert served > 50 and lost > 20 and served + lost == len(keys), (served, lost)
        brims[1].start()
        # Until then what was not reached yet is a miss.
        brims[1].wait_for_recovery()

        def all_are_back():
            for key in keys:
                client.send(b"get %s\r\n" % key)
                line = client.line()
                if line.startswith(b"SERVER_ERROR"):
                    return False
                assert line.startswith(b"VALUE"), f"{key} after the restart: {line}"
                client.exactly(len(key) * 3 + 2)
                assert client.line() == b"END"
            return True
        support.wait_for("what the killed server held", all_are_back, pause=0.3)
        print(f"{served} of {len(keys)} keys were served meanwhile, all of them afterwards")


COLLECTD = """
Hostname "here"
FQDNLookup false
BaseDir "{place}"
PIDFile "{place}/pid"
Interval 1
LoadPlugin memcached
LoadPlugin csv
<Plugin memcached>
  <Instance "brim">
    Host "127.0.0.1"
    Address "127.0.0.1"
    Port "{brim}"
  </Instance>
</Plugin>
<Plugin csv>
  DataDir "{place}/csv"
  StoreRates false
</Plugin>
"""


def collectd():
    """collectd's memcached plugin records what Brim tells."""
    _need("collectd")
    with support.folder() as place, _server() as server:
        with server.client() as client:
            for number in range(100):
                assert client.set(b"k%d" % number, b"x" * 1000) == b"STORED"
                assert client.get(b"k%d" % number) is not None
        settings = place / "collectd.conf"
        settings.write_text(COLLECTD.format(place=place, brim=server.port))
        wanted = {"memcached_items-current", "memcached_command-get", "df-cache"}
        with _daemon("collectd", "-f", "-C", settings) as child:
            def recorded():
                assert child.poll() is None, "collectd has ended"
                found = {}
                for path in place.glob("csv/*/memcached-brim/*"):
                    text = path.read_text()
                    lines = text.splitlines()
                    if len(lines) > 1 and text.endswith("\n"):
                        found[path.name.rsplit("-", 3)[0]] = lines[-1].split(",")[1:]
                return found if wanted <= found.keys() else None
            values = support.wait_for("what collectd records", recorded)
        assert float(values["memcached_items-current"][0]) == 100, values
        assert float(values["memcached_command-get"][0]) == 100, values
        assert float(values["df-cache"][0]) > 100_000, values
        print(f"{len(values)} series, among them {', '.join(sorted(wanted))}")


SCENARIOS = [
    php, perl, dalli, django, pymemcache, bmemcached, aiomcache, emcache, gomemcache, spymemcached,
    nginx, nutcracker, collectd]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brim", required=True, type=pathlib.Path)
    parser.add_argument("--whole", action="store_true", help="what is not installed has failed")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    support.brim = arguments.brim.resolve()
    passed, failed, skipped = [], [], []
    for scenario in SCENARIOS:
        name = scenario.__name__
        if arguments.names and name not in arguments.names:
            continue
        start = time.monotonic()
        try:
            scenario()
            print(f"{name}: passed in {time.monotonic() - start:.1f} s", flush=True)
            passed.append(name)
        except Skipped as reason:
            print(f"{name}: skipped, {reason}", flush=True)
            (failed if arguments.whole else skipped).append(name)
        except Exception as failure:  # The others are tried all the same.
            failed.append(name)
            print(f"{name}: FAILED: {failure}", flush=True)
    # .ci/run wants this line.
    print(f"clients: {len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()

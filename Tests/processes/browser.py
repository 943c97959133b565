"""A headless Chromium, driven through a pipe: pages, keys, pictures. It needs no library."""

import base64
import contextlib
import json
import os
import pathlib
import select
import subprocess

import support

PATHS = ("/usr/bin/chromium", "/usr/bin/chromium-browser")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--disable-default-apps", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-pipe")


class Browser:
    """One page of one browser; `with` ends it."""

    def __init__(self):
        path = next((path for path in PATHS if pathlib.Path(path).exists()), None)
        assert path, "chromium is not installed"
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(support.folder())
        to_read, self.to = os.pipe()
        self.back, back_write = os.pipe()

        def prepare():
            # The browser reads its orders from 3 and answers to 4.
            high = [os.dup(to_read), os.dup(back_write)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={folder}"], preexec_fn=prepare, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        os.close(to_read)
        os.close(back_write)
        self.pending, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def next(self):
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.back], [], [], 60)
            assert ready, "the browser says nothing"
            piece = os.read(self.back, 1 << 16)
            assert piece, "the browser ended"
            self.pending += piece
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def open(self, address):
        self.call("Page.navigate", url=address)

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def look(self, width, height, is_dark):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Tab": 9, "ArrowLeft": 37, "Escape": 27}.get(key, 0))

    def picture(self, path):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def faults(self):
        """What the page and the browser complained about."""
        return [event for event in self.events if event.get("method") == "Runtime.exceptionThrown"
            or (event.get("method") == "Log.entryAdded"
                and event["params"]["entry"]["level"] != "verbose")
            or (event.get("method") == "Runtime.consoleAPICalled"
                and event["params"]["type"] in ("error", "warning"))]

    def clear_faults(self, text):
        """Forgets complaints that were meant to come."""
        self.events = [event for event in self.events if event.get("method") != "Log.entryAdded"
                       or text not in event["params"]["entry"]["text"]]

    def addresses(self):
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(support.STOP_SECONDS_MAX)
        os.close(self.to)
        os.close(self.back)
        self.stack.close()

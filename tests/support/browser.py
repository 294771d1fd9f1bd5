"""A headless Chromium that opens pages, clicks, types, and looks.

It is driven over two pipes by Chromium's own protocol, so that nothing but
the browser is needed: https://chromedevtools.github.io/devtools-protocol
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

NAMES = "chromium chromium-browser google-chrome google-chrome-stable chrome"
# a slow machine is no fault of a page
PATIENCE_SECONDS = 60
# Chromium reads commands from descriptor 3 and writes answers to 4.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for place, end in enumerate(ends, start=3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {" ": ("Space", 32), "Tab": ("Tab", 9), "ArrowDown": ("ArrowDown", 40)}


def find_browser():
    """The program, from $CHROMIUM or the PATH; skips where there is none."""
    names = [os.environ.get("CHROMIUM", ""), *NAMES.split()]
    found = [path for name in names if name and (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium is on PATH; $CHROMIUM may name one")
    return found[0]


class Browser:
    """A browser of its own, with a profile that is thrown away."""

    def __init__(self, profile):
        options = ["--headless=new", "--remote-debugging-pipe", "--mute-audio"]
        options += [f"--user-data-dir={profile}", "--no-first-run"]
        options += ["--disable-gpu", "--hide-scrollbars"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        read, write = os.pipe(), os.pipe()
        words = [sys.executable, "-c", LAUNCH, str(read[0]), str(write[1])]
        self.process = subprocess.Popen(
            [*words, find_browser(), *options],
            pass_fds=(read[0], write[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read[0])
        os.close(write[1])
        self._to, self._from = read[1], write[0]
        self._rest, self._count, self._tabs = b"", 0, {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        os.close(self._to)  # it ends when no one speaks to it
        try:
            self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()
            os.close(self._from)

    def call(self, method, session=None, **params):
        """Let the browser do something; gives its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            if tab := self._tabs.get(answer.get("sessionId")):
                tab.hear(answer["method"], answer["params"])

    def _receive(self):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], PATIENCE_SECONDS)
            assert ready, "the browser does not answer"
            data = os.read(self._from, 2**20)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, path, *, width=1280, height=900, dark=False):
        """Open a file in a tab."""
        target = self.call("Target.createTarget", url="about:blank")
        session = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        scheme = {"name": "prefers-color-scheme"}
        scheme["value"] = "dark" if dark else "light"
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Page.navigate", url=path.resolve().as_uri())
        tab.wait(f"location.protocol === 'file:' && {LOADED}")
        return tab


LOADED = "document.readyState === 'complete'"


class Tab:
    """A page that is open.

    Attributes
    ----------
    problems : list
        What the console, or the network, has complained about.
    """

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        self.problems = []

    def call(self, method, **params):
        return self._browser.call(method, self._session, **params)

    def hear(self, method, params):
        """Keep what went wrong."""
        kind = params.get("type") or params.get("entry", {}).get("level")
        if method in ("Runtime.exceptionThrown", "Network.loadingFailed"):
            if not params.get("canceled"):
                self.problems.append(params)
        elif method in ("Runtime.consoleAPICalled", "Log.entryAdded"):
            if kind in ("error", "warning", "assert"):
                self.problems.append(params)

    def resize(self, width, height=900):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def __call__(self, expression):
        """The value of an expression of JavaScript."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression):
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self(expression):
            assert time.monotonic() < end, f"{expression} does not come true"
            time.sleep(0.02)

    def click(self, selector, across=0.5):
        """Click an element, at a part of its width."""
        left, top, width, height = self(
            f"(() => {{ const e = document.querySelector({selector!r});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]; })()"
        )
        place = {"x": left + across * width, "y": top + height / 2}
        place |= {"button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **place)

    def press(self, key):
        """Press a key, and let it go."""
        code, number = KEYS.get(key) or (f"Key{key.upper()}", ord(key.upper()))
        if key.isdigit():
            code = f"Digit{key}"
        event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def screenshot(self, path):
        """Write a PNG of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def accessible(self):
        """Role, name and value of all that a screen reader tells."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

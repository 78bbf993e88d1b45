"""A headless Chromium, spoken to over DevTools' pipe: no driver, no port, no package."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0  # seconds until an answer that does not come is a failure; the machine may be busy
HOW = "no browser: install Chromium (apt install chromium), or name one by $CHROMIUM"
# Where a key says which it is, for the keys that the page knows.
_CODES = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "c": 67,
    "l": 76,
    "n": 78,
    "r": 82,
    "t": 84,
    "v": 86,
}


def find():
    """Returns the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, [os.environ.get("CHROMIUM") or ""] + list(_NAMES))), None)


class Page:
    """One page. `errors` are its console's and uncaught ones, `requests` the URLs that it asked for."""

    def __init__(self, program, profile):
        self.errors, self.requests, self._loads, self._ids, self._rest = [], [], 0, itertools.count(1), b""
        to_browser, self._in = _high(os.pipe())
        self._out, from_browser = _high(os.pipe())
        # The protocol is spoken on the descriptors 3 and 4; only a shell puts them there for a child of Python.
        command = ["bash", "-c", 'exec "$@" 3<&%d 4>&%d' % (to_browser, from_browser), "bash", program]
        command += [
            "--headless",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--mute-audio",
            "--hide-scrollbars",
        ]
        command += ["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"]
        command += ["--user-data-dir=%s" % profile, "about:blank"]
        self._process = subprocess.Popen(
            command, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        """Calls a method of the DevTools protocol and returns its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _receive(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], max(0, end - time.monotonic()))
            block = os.read(self._out, 1 << 20) if ready else b""
            assert block, "the browser does not answer"
            self._rest += block
        message, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(message.decode())
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.errors.append(parameters["args"])
        elif method == "Log.entryAdded":
            self.errors.append(parameters["entry"])
        return message

    def open(self, path, width=1200, height=900, dark=False):
        """Opens a file and waits until it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        loads, self.errors, self.requests = self._loads, [], []
        self.call("Page.navigate", url="file://" + path)
        while self._loads == loads:
            self._receive()

    def check_clean(self):
        """Checks that nothing went wrong, and that nothing was asked for but files and what the page itself made."""
        assert self.errors == []
        assert {url.split(":")[0] for url in self.requests} <= {"file", "data", "blob"}

    def run(self, expression):
        """Returns the value of a JavaScript expression, awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def wait(self, expression, seconds=PATIENCE):
        """Waits until a JavaScript expression holds."""
        end = time.monotonic() + seconds
        while not self.run(expression):
            assert time.monotonic() < end, "never: %s" % expression
            time.sleep(0.02)

    def press(self, key):
        """Presses a key and lets it go, as a user would."""
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code="Space" if key == " " else "Key" + key.upper() if len(key) == 1 else key,
                windowsVirtualKeyCode=_CODES[key],
                text=text if kind == "keyDown" else "",
            )

    def click(self, element):
        """Clicks the middle of the element that a JavaScript expression names."""
        script = "(() => { const e = %s; e.scrollIntoView({block: 'center', behavior: 'instant'});"
        script += " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        x, y = self.run(script % element)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, places):
        """Presses the mouse at the first of some places of the window, moves it over the others, and lets go."""
        kinds = ["mousePressed"] + ["mouseMoved"] * (len(places) - 1)
        for kind, (x, y) in [*zip(kinds, places), ("mouseReleased", places[-1])]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def screenshot(self, path):
        """Writes a PNG of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def close(self):
        """Ends the browser."""
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._in)
            os.close(self._out)


def _high(pipe):
    """Returns a pipe's ends as descriptors that are not in the way of 3 and 4."""
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in pipe]
    for end in pipe:
        os.close(end)
    return moved

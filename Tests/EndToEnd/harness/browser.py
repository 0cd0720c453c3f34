"""A real browser: headless Chromium, spoken to over its DevTools pipe."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time

from . import DEADLINE

# It has the test's servers only, no proxy and nothing of its maker's; the test CA is not its own, and it may be root here.
SWITCHES = [
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars",
    "--ignore-certificate-errors", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--force-color-profile=srgb",
]


class Browser:
    """`with Browser(directory) as browser:`; `browser.goes_to(url)` gives what the user sees at the end."""

    def __init__(self, directory):
        command = shutil.which("chromium") or shutil.which("google-chrome")
        assert command, "no Chromium: .ci/need test"
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()

        def descriptors():  # 3 and 4 are the pipe's ends there
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 5) for end in (theirs_in, theirs_out)]
            os.dup2(ends[0], 3), os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [command, *SWITCHES, f"--user-data-dir={directory}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=descriptors,
            close_fds=False, env={**os.environ, "HOME": str(directory)})
        os.close(theirs_in), os.close(theirs_out)
        self._numbers, self._buffer, self.events = itertools.count(1), b"", []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Network", "Log", "Runtime":
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        os.close(self._write), os.close(self._read)

    def ask(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == number:
                assert "error" not in said, (method, said["error"])
                return said["result"]

    def _next(self):
        end = time.monotonic() + 3 * DEADLINE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(end - time.monotonic(), 0))
            assert ready, "the browser says nothing"
            block = os.read(self._read, 1 << 20)
            assert block, "the browser went away"
            self._buffer += block
        text, _, self._buffer = self._buffer.partition(b"\0")
        said = json.loads(text)
        if "method" in said:
            self.events.append(said)
        return said

    def goes_to(self, url):
        """Navigates, and waits until everything is loaded."""
        del self.events[:]
        self.ask("Page.navigate", url=url)
        self._loads()

    def presses(self, selector):
        """Clicks what `selector` finds, which leads to another page, and waits for that."""
        del self.events[:]
        self.evaluate(f"document.querySelector({selector!r}).click()")
        self._loads()

    def _loads(self):
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def of(self, method):
        return [event["params"] for event in self.events if event["method"] == method]

    @property
    def requests(self):
        """(method, URL, fields that it sent) of everything that it asked a server for, redirections included."""
        extra = {each["requestId"]: [] for each in self.of("Network.requestWillBeSentExtraInfo")}
        for each in self.of("Network.requestWillBeSentExtraInfo"):
            extra[each["requestId"]].append({name.lower(): value for name, value in each["headers"].items()})
        taken = {number: iter(fields) for number, fields in extra.items()}
        return [(each["request"]["method"], each["request"]["url"], next(taken.get(each["requestId"], iter(())), {}))
                for each in self.of("Network.requestWillBeSent")]

    @property
    def document(self):
        """The answer that the page came with, as the browser read it."""
        return [each["response"] for each in self.of("Network.responseReceived") if each["type"] == "Document"][-1]

    @property
    def complaints(self):
        """What it would show in its console: violations of the policy, failed loads, errors."""
        thrown = [str(each) for each in self.of("Runtime.exceptionThrown")]
        return [each["entry"]["text"] for each in self.of("Log.entryAdded")] + thrown

    def evaluate(self, expression):
        """What the page's own script would get for an expression, or for what it promises."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")

    def source(self):
        """The document as it came."""
        request = [each["requestId"] for each in self.of("Network.responseReceived") if each["type"] == "Document"][-1]
        said = self.ask("Network.getResponseBody", requestId=request)
        return base64.b64decode(said["body"]).decode() if said["base64Encoded"] else said["body"]

    def picture(self, width=720, height=360):
        """A screenshot, PNG."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

"""A page opened in headless Chromium, driven over a pipe, with what it did and how wide it is."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and answers on 4; Popen can only hand down others.
_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    return None


@dataclass
class Seen:
    """What a page did while it was open."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


class Browser:
    def __init__(self, send: int, receive: int, wait_s: float) -> None:
        self._send, self._receive = send, receive
        self._deadline = time.monotonic() + wait_s
        self._buffer = b""
        self._last = 0
        self.seen = Seen()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events on the way are noted."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def wait_for(self, event: str) -> None:
        while (found := self._next()).get("method") != event:
            self._note(found)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._receive], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._receive, 1 << 20)
            if not more:
                raise RuntimeError("Chromium ended")
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.seen.requests.append(params["request"]["url"])
        elif event.get("method") == "Log.entryAdded":
            self.seen.errors.append(str(params["entry"]))
        elif event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.seen.errors.append(str(params))


@contextmanager
def chromium(profile: Path, wait_s: float = 120) -> Iterator[Browser]:
    """Start Chromium with a new profile; ended with the block."""
    to_child, send = os.pipe()
    receive, from_child = os.pipe()
    path = find_chromium()
    assert path is not None
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _EXEC, str(to_child), str(from_child)),
            *(path, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
        ],
        pass_fds=(to_child, from_child),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_child)
    os.close(from_child)
    browser = Browser(send, receive, wait_s)
    try:
        yield browser
        browser.call("Browser.close")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(send)
        os.close(receive)


def look_at(
    page: Path,
    profile: Path,
    width_px: int,
    expressions: dict[str, str],
    *,
    screenshot: Path | None = None,
    dark: bool = False,
) -> Seen:
    """Open a file at a width; gives errors, requests and the values of JavaScript expressions."""
    with chromium(profile) as browser:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable", session)
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            session,
            width=width_px,
            height=900,
            deviceScaleFactor=1,
            mobile=width_px < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.call("Emulation.setEmulatedMedia", session, features=[scheme])
        browser.call("Page.navigate", session, url=page.as_uri())
        browser.wait_for("Page.loadEventFired")
        for name, expression in expressions.items():
            # Over the protocol, a script may run although the page allows itself none.
            found = browser.call(
                "Runtime.evaluate", session, expression=expression, returnByValue=True
            )
            browser.seen.values[name] = found["result"].get("value")
        if screenshot is not None:
            shot = browser.call("Page.captureScreenshot", session, captureBeyondViewport=True)
            screenshot.write_bytes(base64.b64decode(shot["data"]))
        return browser.seen

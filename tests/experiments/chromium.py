"""A real browser for tests: Chromium without a window, driven over two pipes, with real clicks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

LONGEST_S = 120.0
"""No test fails because the machine is slow: conditions are waited for, and usually hold within milliseconds."""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def is_installed() -> bool:
    return shutil.which("chromium") is not None


class Browser:
    """One window. `evaluate` runs in the page; `click` is a mouse's."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._left, self._number = read, write, b"", 0
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        return self._call(method, self._session, **values)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression holds in whatever page there is then."""
        end = monotonic() + LONGEST_S
        while True:
            with suppress(AssertionError):
                if self.evaluate(f"!!({condition})"):
                    return
            assert monotonic() < end, f"never: {condition}; the page says: {self.text()[:2000]}"
            sleep(0.05)

    def text(self) -> str:
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def click(self, selector: str) -> None:
        """A mouse click in the middle of the element, wherever the page has to be scrolled to."""
        found = json.dumps(selector)
        self.wait(f"document.querySelector({found})")
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({found}); e.scrollIntoView({{block: 'center'}});"
            "const r = e.getClientRects()[0]; return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def look(self, width: int, path: Path, dark: bool = False) -> None:
        """A picture of the whole page."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        height = self.evaluate("document.documentElement.scrollHeight")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        path.write_bytes(b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        self.call("Emulation.clearDeviceMetricsOverride")

    def _call(self, method: str, session: str = "", **values: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = os.read(self._read, 1 << 20)
            assert more, "chromium ended"
            self._left += more
        one, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(one))


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh Chromium, which is gone when the block ends."""
    to_it, from_us = os.pipe()
    to_us, from_it = os.pipe()
    with TemporaryDirectory(prefix="chromium-") as profile:
        script = f'exec 3<&{to_it} 4>&{from_it}; exec chromium "$@"'
        flags = [*FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *flags],
            pass_fds=(to_it, from_it),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_it)
        os.close(from_it)
        try:
            yield Browser(to_us, from_us)
        finally:
            os.close(from_us)
            os.close(to_us)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
            sleep(0.1)  # its children are still writing to the profile that is about to be removed

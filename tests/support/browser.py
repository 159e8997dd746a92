"""A headless Chromium, spoken to over its DevTools pipe: no driver, no port, no package."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_S = 60.0


def chromium() -> str | None:
    """Where Chromium is, if it is here."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One Chromium with one page; what the page logs and asks for is kept."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._ids = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self.logged: list[str] = []
        self.requests: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its answer."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                result: dict[str, Any] = told["result"]
                return result

    def wait(self, method: str) -> None:
        """Until an event has come."""
        while self._next().get("method") != method:
            pass

    def open(self, path: Path, width: int, height: int = 900, **media: str) -> None:
        """Show a file in a window of that size; ``media`` are its features, such as ``prefers-color-scheme``."""
        self.logged.clear()
        self.requests.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.ask("Page.navigate", url=path.as_uri())
        self.wait("Page.loadEventFired")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page, which itself has no script."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self, to: Path) -> bytes:
        """The whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        to.write_bytes(data := base64.b64decode(shot["data"]))
        return data

    def paper(self) -> bytes:
        """The page as PDF, as it would be printed."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=False)["data"])

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + WAIT_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], max(end - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            data = os.read(self._back, 1 << 20)
            assert data, "Chromium has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        self._note(told.get("method", ""), told.get("params", {}))
        return told

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
            self.logged.append(json.dumps(params)[:500])


@contextmanager
def browsing(home: Path) -> Iterator[Browser]:
    """A Chromium of its own, ended with all that belongs to it."""
    program = chromium()
    assert program is not None
    asked, to = os.pipe()
    back, told = os.pipe()
    home.mkdir(parents=True, exist_ok=True)
    flags = [
        "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync",
        f"--user-data-dir={home}", "--hide-scrollbars", "--force-color-profile=srgb", "about:blank",
    ]  # fmt: skip
    # Chromium reads commands from descriptor 3 and answers on 4.
    line = f'exec "$@" 3<&{asked} 4>&{told}'
    with (home / "stderr").open("wb") as err:
        process = subprocess.Popen(
            ["bash", "-c", line, "chromium", program, *flags],
            pass_fds=(asked, told), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
            env={**os.environ, "HOME": str(home)}, start_new_session=True,
        )  # fmt: skip
    os.close(asked)
    os.close(told)
    try:
        yield Browser(to, back)
    finally:
        os.close(to)
        os.close(back)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

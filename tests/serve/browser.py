"""A headless Chromium by its DevTools protocol: JSON over a pair of pipes, so that nothing else need be installed."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PATIENCE = 60.0  # s until a page must have done what was asked
COMPLAINTS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a Chromium that is asked through `asks` and answers through `answers`."""

    def __init__(self, asks: IO[bytes], answers: IO[bytes]) -> None:
        self.asks, self.answers = asks, answers
        self.count, self.session = 0, ""
        self.said: list[dict[str, Any]] = []
        self.buffer = b""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self._send(f"{domain}.enable")

    def open(self, url: str) -> None:
        self._send("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What the function body `script` returns in the page."""
        answer = self._send("Runtime.evaluate", expression=f"(() => {{{script}}})()", returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """The value of the JavaScript expression `condition` once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(f"return {condition}")):
            assert time.monotonic() < end, f"{condition} did not come true"
            time.sleep(0.1)
        return value

    def type(self, selector: str, text: str) -> None:
        """Text into a field; a line break at its end is the Enter key."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self._send("Input.insertText", text=text.removesuffix("\n"))
        if text.endswith("\n"):
            for kind in ("keyDown", "keyUp"):
                key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
                self._send("Input.dispatchKeyEvent", type=kind, **key)

    def give(self, selector: str, *files: Path) -> None:
        """Files into a file input."""
        root = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=list(map(str, files)))

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """The page's size, also below what a window can have."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))
        return path

    def complaints(self) -> list[str]:
        """What the console said since the last call."""
        self.run("return 0")  # what was said before it has arrived with the answer
        said, self.said = self.said, []
        return [json.dumps(one["params"]) for one in said]

    def _send(self, method: str, **parameters: Any) -> Any:
        self.count += 1
        ask = {"id": self.count, "method": method, "params": parameters}
        self.asks.write(json.dumps(ask | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        self.asks.flush()
        while (told := self._receive()).get("id") != self.count:
            if told.get("method") in COMPLAINTS:
                self.said.append(told)
        assert "error" not in told, told["error"]
        return told["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            chunk = os.read(self.answers.fileno(), 1 << 16)
            assert chunk, "the browser has ended"
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


def missing() -> str | None:
    """Why there is no browser here."""
    return None if shutil.which("chromium") else "needs chromium"


@contextmanager
def browsing(profile: Path, *more: str) -> Iterator[Browser]:
    """A browser that knows nothing, its files in `profile`; `more` are further flags of Chromium."""
    (theirs, asks), (answers, ours) = os.pipe(), os.pipe()
    flags = " ".join((*FLAGS, *more))
    line = f'exec chromium {flags} --user-data-dir="$1" about:blank 3<&{theirs} 4>&{ours}'  # Chromium's two numbers
    process = subprocess.Popen(
        ["bash", "-c", line, "bash", str(profile)], pass_fds=(theirs, ours), env=os.environ | {"HOME": str(profile)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for end in (theirs, ours):
        os.close(end)
    try:
        with os.fdopen(asks, "wb") as write, os.fdopen(answers, "rb", buffering=0) as read:
            yield Browser(write, read)
    finally:
        process.terminate()
        process.wait()

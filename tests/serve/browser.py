"""A headless Chromium by the WebDriver protocol, which is HTTP and JSON."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that the protocol has for references
PATIENCE = 60.0  # s until a page must have done what was asked


class Browser:
    """One session of chromedriver at `address`."""

    def __init__(self, address: str, options: dict[str, Any]) -> None:
        self.address = address
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        started = self._send("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{started['sessionId']}"

    def open(self, url: str) -> None:
        self._send("POST", f"{self.session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """What the function body `script` returns in the page."""
        return self._send("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def wait(self, condition: str) -> Any:
        """The value of the JavaScript expression `condition` once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(f"return {condition}")):
            assert time.monotonic() < end, f"{condition} did not come true"
            time.sleep(0.1)
        return value

    def type(self, selector: str, text: str) -> None:
        """Keys into a field, or a path into a file input."""
        found = self._send("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        self._send("POST", f"{self.session}/element/{found[ELEMENT]}/value", {"text": text})

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """The page's size, also below what a window can have."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def screenshot(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self._send("GET", f"{self.session}/screenshot")))
        return path

    def complaints(self) -> list[str]:
        """What the console said since the last call."""
        return [one["message"] for one in self._send("POST", f"{self.session}/se/log", {"type": "browser"})]

    def close(self) -> None:
        self._send("DELETE", self.session)

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._send("POST", f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _send(self, method: str, path: str, value: Any = None) -> Any:
        data = None if value is None else json.dumps(value).encode()
        request = Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]


def missing() -> str | None:
    """Why there is no browser here."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"needs {' and '.join(absent)} (Debian: chromium-driver)" if absent else None


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser that knows nothing, its files in `profile`."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"HOME": str(profile)},
    )  # fmt: skip
    try:
        assert driver.stdout is not None
        port = next(line.split()[-1].rstrip(".") for line in driver.stdout if "started successfully on port" in line)
        flags = ["headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}"]
        options = {"binary": shutil.which("chromium"), "args": flags}
        browser = Browser(f"http://127.0.0.1:{port}", options)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.communicate()

"""What the serving page of the documentation says works: curl, Python and JavaScript; and the reference at /docs."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.serve.conftest import CLASSES, Running

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serving.md"


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def asked(server: Running, photo: Path) -> list[dict[str, Any]]:
    (answer,) = server.post("/predict?top=3", photo.read_bytes()).json()["predictions"]
    classes: list[dict[str, Any]] = answer["classes"]
    assert len(classes) == 3
    assert classes[0]["name"] in CLASSES
    return classes


def test_python_as_documented(server: Running, images: list[Path]) -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    found = names["classify"](images[0].read_bytes(), f"http://127.0.0.1:{server.port}")
    assert found == asked(server, images[0])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_as_documented(server: Running, images: list[Path]) -> None:
    line = block("bash").replace("8080", str(server.port)).replace("photo.jpg", str(images[0]))
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=200, check=True)
    assert json.loads(done.stdout)["predictions"][0]["classes"] == asked(server, images[0])


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_javascript_as_documented(server: Running, images: list[Path]) -> None:
    call = (
        f"classify(require('fs').readFileSync({json.dumps(str(images[0]))}), 'http://127.0.0.1:{server.port}')"
        ".then((classes) => console.log(JSON.stringify(classes)))"
    )
    done = subprocess.run(["node", "-e", block("javascript") + call], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == asked(server, images[0])


def test_the_reference_says_what_openapi_says_and_loads_nothing(server: Running) -> None:
    reply = server.get("/docs")
    assert reply.status == 200
    text = reply.body.decode()
    for path, methods in server.get("/openapi.json").json()["paths"].items():
        for method, told in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in text
            assert all(f"<code>{one['name']}</code>" in text for one in told.get("parameters", []))
    for field in ("predictions", "probability", "damaged"):
        assert f"<code>{field}</code>" in text
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.search(r"<script|<link|src=", text)

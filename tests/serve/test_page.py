"""The page as a person uses it, in Chromium."""

from pathlib import Path

import pytest

from tests.serve.browser import browsing, missing
from tests.serve.conftest import CLASSES, Running, Start, write_weights


def test_the_shell_runs_its_own_script_and_loads_nothing_else(server: Running) -> None:
    reply = server.get("/")
    assert reply.status == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    page = reply.body.decode()
    assert "http://" not in page
    assert "https://" not in page
    assert '<td class="text">conv 3×3</td>' in server.get("/models/tiny/network").body.decode()


@pytest.mark.oracle
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_photo_is_dropped_its_classes_and_maps_shown(
    start: Start, weights: Path, images: list[Path], tmp_path: Path
) -> None:
    other = write_weights(tmp_path / "other.safetensors", seed=3)
    server = start({"tiny": weights, "other": other}, token="0123456789abcdef")
    with browsing(tmp_path / "profile") as page:
        page.resize(390, 1200)
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("!document.getElementById('token').hidden")
        page.type("#token input", "0123456789abcdef\n")
        page.wait("!document.getElementById('network-section').hidden")
        assert page.run("return document.querySelectorAll('#network rect.stage').length") == 3
        page.complaints()  # of the 401 that asked for the token
        page.give("#file", images[0])
        page.wait("document.getElementById('map').naturalWidth === 224")
        rows = page.run("return [...document.querySelectorAll('#classes .name')].map((row) => row.textContent)")
        assert sorted(rows) == sorted(CLASSES)
        assert page.run("return document.getElementById('best').firstChild.textContent") == rows[0]
        page.run("document.querySelectorAll('#classes button')[2].click()")
        page.wait(f"document.getElementById('caption').textContent === 'Class activation map: {rows[2]}'")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        assert page.complaints() == []
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no image")
        page.give("#file", broken, *images[:3])
        page.wait("document.querySelectorAll('#photos button:not(:disabled)').length === 3")
        page.wait("document.getElementById('alert').textContent.startsWith('broken.png cannot be read: ')")
        assert "JPEG" in page.run("return document.getElementById('alert').textContent")
        page.run("document.querySelectorAll('#photos button')[3].click()")
        page.wait("document.querySelectorAll('#photos button')[3].getAttribute('aria-pressed') === 'true'")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        page.give("#file", broken)
        page.wait("document.getElementById('found').hidden")
        assert all("422" in one for one in page.complaints())
        assert page.screenshot(tmp_path / "page.png").stat().st_size > 10_000


@pytest.mark.oracle
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_photo_is_taken_with_the_camera(server: Running, tmp_path: Path) -> None:
    with browsing(tmp_path / "profile", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as page:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("!document.getElementById('network-section').hidden")
        page.run("document.getElementById('camera').click()")
        page.wait("document.getElementById('video').videoWidth > 0")
        page.run("document.getElementById('shoot').click()")
        page.wait("document.getElementById('map').naturalWidth === 224")
        assert page.run("return document.getElementById('video').hidden")
        assert page.complaints() == []


@pytest.mark.oracle
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_stranger_is_called_unknown(start: Start, images: list[Path], tmp_path: Path) -> None:
    server = start({"wary": write_weights(tmp_path / "wary.safetensors", seed=1, least=1e9)})
    with browsing(tmp_path / "profile") as page:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("!document.getElementById('network-section').hidden")
        page.give("#file", images[0])
        page.wait("document.getElementById('best').textContent.startsWith('unknownnone of its classes: score ')")
        assert page.complaints() == []

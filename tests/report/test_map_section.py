"""Figure 7 in a report: a row a photo, a column a network, the map over it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report.test_run_report import MakeRun, Page

from compound import ZOO, CompoundRule, UsageError, scale
from compound.nn import build, save_weights
from compound.reporting import write_report
from compound.training.run import open_run

CLASSES = ("cat", "dog", "eel")


@pytest.fixture
def trained(make_run: MakeRun) -> list[Path]:
    """Two runs of different resolution with weights of chance."""
    runs = []
    for name, phi in (("small", -3), ("large", -2)):
        network = scale(ZOO["efficientnet-mini"], CompoundRule()(phi))
        path = make_run(classes=CLASSES, network=network, where=name, only=("metrics", "evaluation"))
        save_weights(build(network.with_(classes=3, channels=1), seed=phi), open_run(path).weights, CLASSES)
        runs.append(path)
    return runs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.long
def test_every_photo_under_every_network(trained: list[Path], photos: Path, tmp_path: Path) -> None:
    report = write_report(trained, tmp_path / "page.html", tmp_path / "files", [photos], "cpu")
    made = Page(tmp_path / "page.html")
    assert [section.name for section in report.sections] == ["runs", "networks", "training", "maps", "making"]
    images = [given for tag, given in made.tags if tag == "img"]
    assert len(images) == 2 * 3
    assert all(str(given["src"]).startswith("data:image/jpeg") for given in images)
    assert "Mean scores of 2 images" in made.text("maps")
    assert (tmp_path / "files" / "maps.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "files" / "map-scores.csv").read_text().startswith("network,probability,deletion,insertion")


def test_a_run_alone_has_no_scores(trained: list[Path], photos: Path, tmp_path: Path) -> None:
    report = write_report(trained[:1], tmp_path / "page.html", images=[photos], device="cpu")
    assert [section.name for section in report.sections][-2:] == ["maps", "making"]
    assert not report.sections[-2].tables


def test_networks_of_other_classes_are_refused(trained: list[Path], photos: Path, tmp_path: Path) -> None:
    run = open_run(trained[1])
    save_weights(build(run.network.with_(classes=2, channels=1)), run.weights, ("cat", "dog"))
    with pytest.raises(UsageError, match="know different classes"):
        write_report(trained, tmp_path / "page.html", images=[photos], device="cpu")

"""What is wrong with data is said at any size, and before the first step."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from compound.data import DataError, open_data
from compound.errors import CompoundError
from compound.evaluation import evaluate
from compound.execution import Execution
from compound.nn import build
from compound.training import RECIPES, start_run, train
from compound.training.short import opened
from tests.data.photos import write_pictures


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_pictures(tmp_path / "photos", a=36, b=36)


def trained(folder, network, out, execution=Execution()):
    data = open_data(str(folder), channels=1)
    recipe = replace(RECIPES["small"], epochs=1, batch=16, precision="fp32")
    run = start_run(network, data, recipe, out, execution)
    return run, lambda: train(run, data, execution=execution, quiet=True)


def listed_with_missing(photos: Path, missing: int) -> Path:
    rows = [f"{path},{path.parent.name}" for path in sorted(photos.glob("*/*.png"))]
    for path in sorted(photos.glob("*/*.png"))[::-1][:missing]:
        path.unlink()
    (photos / "list.csv").write_text("\n".join(["path,label", *rows]))
    return photos / "list.csv"


def test_a_list_of_which_most_is_missing_is_refused_before_the_first_step(photos, network, tmp_path):
    where = listed_with_missing(photos, 60)
    with pytest.raises(
        CompoundError, match=r"of \d+ images to train on cannot be read \(.*no such file.*more than 1.0%"
    ):
        trained(where, network, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(CompoundError, match="images to train on cannot be read"):
        opened(open_data(str(photos / "list.csv")).spec)


@pytest.mark.parametrize("count", [40, 240])
def test_images_of_which_none_can_be_read_are_refused_before_the_first_step(network, tmp_path, count):
    folder = write_pictures(tmp_path / "photos", a=2, b=2)
    for number in range(count):
        (folder / "ab"[number % 2] / f"{number}.png").write_text(f"no picture {number}")
    with pytest.raises(CompoundError, match=r"images to train on cannot be read"):
        trained(folder, network, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_one_damaged_image_of_few_stops_nothing_and_a_limit_can_be_raised(photos, network, tmp_path):
    (photos / "a" / "001.png").write_text("no picture")
    _, go = trained(photos, network, tmp_path / "run")
    assert go()[0].state == "done"
    for number in range(2, 12):
        (photos / "a" / f"{number:03}.png").write_text(f"no picture {number}")
    _, go = trained(photos, network, tmp_path / "second", execution=Execution(damaged_limit=0.9))
    assert go()[0].state == "done"


def test_an_evaluation_of_few_images_holds_the_limit(photos, network):
    data = open_data(str(photos), channels=1)
    for path in data.test.paths()[:2]:
        Path(path).write_text("no picture")
    model = build(network.for_data(data))
    with pytest.raises(CompoundError, match=r"images loaded were damaged and left out: .* more than 1.0%"):
        evaluate(model, data.test, data.classes)
    assert evaluate(model, data.test, data.classes, Execution(damaged_limit=0.9)).images == len(data.test) - 2


def test_one_image_a_class_is_said_at_once(tmp_path):
    folder = write_pictures(tmp_path / "photos", a=1, b=1, c=1)
    with pytest.raises(
        DataError, match=r"photos has no image to test with: 3 images in 3 classes; give two or more of a"
    ):
        open_data(str(folder))
    write_pictures(folder, a=2)
    assert len(open_data(str(folder)).test) == 1
    for path in folder.glob("*/*"):
        path.write_bytes(b"nothing")
    with pytest.raises(
        DataError, match="4 images in 3 classes, 3 of them copies of another, which stay together; give"
    ):
        open_data(str(folder))


def test_an_empty_part_is_said_at_once(tmp_path):
    folder = write_pictures(tmp_path / "photos" / "train", a=3, b=3).parent
    shutil.copytree(folder / "train", folder / "test")
    for path in (folder / "test").glob("*/*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"test: class folder a, b holds no images; add some or remove the folder"):
        open_data(str(folder))
    shutil.rmtree(folder / "test")
    (folder / "test").mkdir()
    with pytest.raises(DataError, match=r"test has no folder for each class"):
        open_data(str(folder))

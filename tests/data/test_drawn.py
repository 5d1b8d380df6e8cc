"""Data sets that are drawn: letters of fonts that matplotlib brings, and a package of icons made here."""

import csv
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageFont

import compound
from compound.data import open_data
from compound.data.drawn.folder import in_test
from compound.data.drawn.letters import picture
from compound.errors import UsageError

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def opened(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.copy()


def subjects(folder: Path, part: str) -> set[str]:
    return {file.name.split("-")[0] for file in (folder / part).rglob("*.png")}


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "letters"
    compound.make_data("letters", [FONTS], out, 32, test=0.4)
    return out


@pytest.mark.long
def test_letters_are_a_data_set_split_by_family(letters: Path) -> None:
    data = open_data(str(letters), channels=1)
    assert data.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert {opened(file).size for file in (letters / "train" / "A").iterdir()} == {(32, 32)}
    assert not subjects(letters, "train") & subjects(letters, "test")
    assert any("DejaVu" in name for name in subjects(letters, "train") | subjects(letters, "test"))
    with (letters / "sources.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert next(row for row in rows if row["file"] == "DejaVuSans.ttf")["licence"].startswith("Fonts are (c) Bitstream")
    drawn = {file.name.split("-")[-1].removesuffix(".png") for file in letters.rglob("A/*.png")}
    assert "STIXSizOneSymReg" not in drawn  # brackets and sums, without letters


@pytest.mark.long
def test_no_picture_is_there_twice_and_the_same_fonts_give_the_same_bytes(letters: Path, tmp_path: Path) -> None:
    pixels = [opened(file).tobytes() for file in letters.rglob("*.png")]
    assert len(set(pixels)) == len(pixels)
    compound.make_data("letters", [FONTS], tmp_path / "again", 32, test=0.4)
    first, second = (
        {f.relative_to(d): f.read_bytes() for d in [one] for f in d.rglob("*.*")}
        for one in (letters, tmp_path / "again")
    )
    assert first == second


@pytest.mark.parametrize("side", [8, 33, 128])
def test_a_letter_lies_in_the_middle_and_fills_what_it_should(side: int) -> None:
    image = np.asarray(picture(ImageFont.truetype(str(FONTS / "DejaVuSans.ttf"), side), "H", side))
    rows, columns = (np.flatnonzero(image.max(axis=axis) > 60) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(0.7 * side, abs=max(1.5, 0.03 * side))
    assert rows.mean() == pytest.approx((side - 1) / 2, abs=1)
    assert columns.mean() == pytest.approx((side - 1) / 2, abs=1)


def test_a_part_follows_from_the_subject_alone() -> None:
    names = [f"font {number}" for number in range(4000)]
    assert np.mean([in_test(name, 0.2, 0) for name in names]) == pytest.approx(0.2, abs=0.02)
    assert [in_test(name, 0.2, 0) for name in names] != [in_test(name, 0.2, 1) for name in names]
    assert all(in_test(name, 0.5, 0) for name in names if in_test(name, 0.2, 0))


def package(folder: Path, prefix: str, colour: str) -> Path:
    """Twelve emoji of two groups, one with a skin tone, one that refers to a file, one without a group."""
    folder.mkdir(parents=True)
    shapes = {f"animal-{i}": f"1f4{i:02x}" for i in range(12)} | {f"food-{i}": f"1f3{i + 16:02x}" for i in range(12)}
    shapes |= {"wave-dark": "1f44b-1f3ff", "odd": "1f9ff", "linked": "1f9fe", "wave-woman": "1f400-200d-2640-fe0f"}
    icons = {
        name: {"body": f'<rect x="{i % 12}" y="{3 + i // 12}" width="4" height="5" fill="{colour}"/>'}
        for i, name in enumerate(shapes)
    }
    icons["linked"] = {"body": '<image href="/etc/passwd"/>'}
    groups = {
        "Animals & Nature": [n for n in shapes if n.startswith(("animal", "wave"))],
        "Food & Drink": [n for n in shapes if n.startswith(("food", "linked"))],
    }
    files = {
        "icons.json": {"prefix": prefix, "icons": icons, "width": 16, "height": 16},
        "metadata.json": {"categories": groups},
        "chars.json": {code: name for name, code in shapes.items()},
        "info.json": {"name": prefix.title(), "license": {"spdx": "MIT", "url": "https://example.org"}},
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder


@pytest.mark.parametrize("by", ["emoji", "style"])
def test_emoji_of_several_styles(tmp_path: Path, by: str) -> None:
    pytest.importorskip("resvg_py")
    styles = {"noto": "red", "noto-v1": "darkred", "openmoji": "blue", "fluent": "green"}
    places = [package(tmp_path / name / "package", name, colour) for name, colour in styles.items()]
    drawn = compound.make_data("emoji", places, tmp_path / "out", 16, by=by, test=0.4, seed=3)
    assert set(drawn.train) == {"animals-and-nature", "food-and-drink"}
    assert drawn.left_out == {
        "with a skin tone": 4,
        "without a group or a code point": 4,
        "that refer to other files": 4,
    }
    assert sum(drawn.train.values()) + sum(drawn.test.values()) == 4 * 25
    parts = [
        {(style, code.split("-200d-")[0]) for file in (tmp_path / "out" / part).rglob("*.png")
         for style, _, code in [file.stem.partition("-1")]}
        for part in ("train", "test")
    ]  # fmt: skip
    which = 1 if by == "emoji" else 0
    train, test = ({one[which].removesuffix("-v1") for one in part} for part in parts)
    assert train
    assert test
    assert not train & test
    red = opened(next((tmp_path / "out").rglob("animals-and-nature/noto-1f400.png")))
    assert red.mode == "RGB"
    assert red.getpixel((1, 4)) == (255, 0, 0)
    assert red.getpixel((15, 15)) == (255, 255, 255)


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no kind 'leters'; did you mean 'letters'"):
        compound.make_data("leters", [FONTS], tmp_path / "o")
    with pytest.raises(UsageError, match=r"there is no font \(.ttf, .otf\) in "):
        compound.make_data("letters", [tmp_path], tmp_path / "o")
    with pytest.raises(UsageError, match="letters are not split by 'style'; use family"):
        compound.make_data("letters", [FONTS], tmp_path / "o", by="style")
    with pytest.raises(UsageError, match="test 1 leaves no images"):
        compound.make_data("letters", [FONTS], tmp_path / "o", test=1)
    with pytest.raises(UsageError, match="is there already; name another folder"):
        compound.make_data("letters", [FONTS], FONTS)
    with pytest.raises(UsageError, match="0 classes could be drawn, which are too few"):
        compound.make_data("letters", [FONTS / "DejaVuSans.ttf"], tmp_path / "o")
    pytest.importorskip("resvg_py")
    with pytest.raises(UsageError, match=r"a package of icons has icons\.json, metadata"):
        compound.make_data("emoji", [tmp_path], tmp_path / "o")
    assert not (tmp_path / "o").exists()

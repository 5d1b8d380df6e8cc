"""Lists of images: every verb that reads one takes the same names of columns, and says the same of a damaged one."""

from pathlib import Path

import numpy as np
import pytest

from compound.data import DataError, DataSpec
from compound.data.corrections import read_list
from compound.data.folds import names_by
from compound.data.lists import ImageList
from compound.explanation.boxes import read_regions
from compound.training.seen import Seen, read_seen, write_seen
from tests.data.photos import write_pictures

HEADERS = [
    "path,label,camera",
    " Path , LABEL,Camera",
    "\ufefffile,class,camera",
    "FileName,label,camera",
    "image,label,camera",
]
BOX = ",left,top,right,bottom"


@pytest.mark.parametrize("header", HEADERS)
def test_every_reader_takes_the_same_columns(tmp_path: Path, header: str) -> None:
    write_pictures(tmp_path, a=2, b=2)
    names = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.glob("*/*"))]
    rows = [f'"{name}", {name[0]}, {"north" if name[0] == "a" else "south"},1,2,3,4' for name in names]
    file = tmp_path / "list.csv"
    file.write_text("\n".join([header + BOX, *rows]) + "\n", encoding="utf-8")
    data = DataSpec(str(file), holdout=0).open()
    assert data.classes == ("a", "b")
    paths = [str(tmp_path / name) for name in names]
    assert names_by(str(file), "camera", paths) == ["north", "north", "south", "south"]
    assert [(one.line, one.path, one.label) for one in read_list(file, True)] == [
        (line, name, name[0]) for line, name in enumerate(names, 2)
    ]
    assert read_regions(file)[Path(names[0]).name][0].box == (1, 2, 3, 4)


def test_every_reader_says_the_same_of_a_damaged_list(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    readers = (
        lambda: DataSpec(str(file)).open(),
        lambda: read_list(file, False),
        lambda: read_regions(file),
        lambda: names_by(str(file), "x", ["a"]),
    )
    for written, said in (
        (
            b"path,label,left,top,right,bottom,x\n\xff,a",
            "cannot read .*: it is not text in UTF-8; give a CSV file in UTF-8",
        ),
        (
            b'path,label,left,top,right,bottom,x\n"a"b,a,1,2,3,4,5',
            "cannot read .*: its quotes or its columns are damaged",
        ),
    ):
        file.write_bytes(written)
        for read in readers:
            with pytest.raises(DataError, match=said):
                read()
    file.write_text("name\na\n")
    for read in readers[:3]:
        with pytest.raises(DataError, match=r"columns .* are needed; its first line names: name"):
            read()


def test_a_line_that_is_too_short_has_empty_cells(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label\na.png\n\nb.png,x,,\n")
    given = ImageList(tmp_path / "list.csv")
    assert [(line.number, *line.cells.values()) for line in given] == [(2, "a.png", ""), (4, "b.png", "x")]


def test_a_runs_list_of_images_holds_no_formula(tmp_path: Path) -> None:
    """Names are kept as they are, and a spreadsheet runs none of them."""
    names = ("=1+1.png", "'=1+1.png", "-1.png", "a, b.png", "-1", "\udcff.png")
    seen = Seen(np.arange(6, dtype=np.uint64), np.zeros(6, np.int8), names)
    write_seen(tmp_path / "images.csv", seen)
    cells = (tmp_path / "images.csv").read_bytes().split(b"\n")
    assert [cell.partition(b",")[2].partition(b",")[2] for cell in cells[1:3]] == [b"'=1+1.png", b"''=1+1.png"]
    found = read_seen(tmp_path / "images.csv")
    assert found is not None
    assert found.names == names


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lists_of_spreadsheets_are_read_by_their_delimiter(tmp_path: Path, delimiter: str) -> None:
    write_pictures(tmp_path, a=2, b=2)
    rows = [[str(path.relative_to(tmp_path)) + " ", path.parent.name] for path in sorted(tmp_path.glob("*/*"))]
    file = tmp_path / "list.csv"
    file.write_text("\n".join(map(delimiter.join, [["path", "label"], *rows])))
    assert DataSpec(str(file), holdout=0).open().classes == ("a", "b")
    file.write_text("\n".join(map(delimiter.join, [["path", "label"], [*rows[0], " small"]])))
    with pytest.raises(DataError, match="line 2 has more cells than the first line has columns; quote a cell"):
        DataSpec(str(file)).open()


def test_a_column_stands_once(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label,label\na.png,a,b\n")
    with pytest.raises(DataError, match="has two columns label; call one of them something else"):
        ImageList(tmp_path / "list.csv")

"""Some 390 colour pictures in 12 classes, sorted from two Debian packages (tuxpaint-stamps-default, gcompris-qt-data).

    python benchmarks/pictures.py FOLDER

writes FOLDER/CLASS/NAME.png. Stamps lie in /usr/share as files, GCompris's pictures in Qt's resource files.
"""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

STAMPS = Path("/usr/share/tuxpaint/stamps")
RESOURCES = Path("/usr/share/gcompris-qt/rcc")
SORTED = "gcompris/src/activities/categorization/resource/images"

# class: folders of stamps, and GCompris's (file, folder, beginning of the name)
CLASSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bird": (("animals/birds",), ()),
    "coin": (
        (
            "symbols/money/canadian",
            "symbols/money/euro",
            "symbols/money/japanese",
            "symbols/money/us",
        ),
        (),
    ),
    "fish": (("animals/fish",), ("fishes/",)),
    "flower": (("plants/flowers",), ()),
    "fruit": (("food/fruit",), ()),
    "hand": (("symbols/alphabets/asl",), ()),
    "house": (("town/houses",), ()),
    "mammal": (("animals/mammals",), ()),
    "monument": ((), ("monuments/",)),
    "sign": (("town/roadsigns",), ()),
    "tool": (("household/tools",), ("tools/",)),
    "windmill": ((), ("renewable/windmill",)),
}


def sort_pictures(folder: Path) -> dict[str, int]:
    """Write the pictures below `folder`, one folder a class; returns how many there are of each."""
    resources = dict(resource_files(RESOURCES / "categorization.rcc"))
    counts = {}
    for label, (stamps, prefixes) in CLASSES.items():
        (folder / label).mkdir(parents=True)
        files = [p for place in stamps for p in sorted((STAMPS / place).rglob("*.png")) if is_picture(p, place)]
        pictures = [("-".join(p.relative_to(STAMPS).with_suffix("").parts), p.read_bytes()) for p in files]
        for name, data in sorted(resources.items()):
            inner = name.removeprefix(f"{SORTED}/")
            if inner.startswith(prefixes or "\0") and inner.endswith(".webp"):
                pictures.append((inner.removesuffix(".webp").replace("/", "-"), data))
        for name, data in pictures:
            Image.open(io.BytesIO(data)).save(folder / label / f"{name}.png")
        counts[label] = len(pictures)
    return counts


def is_picture(path: Path, place: str) -> bool:
    """Not a mirrored copy, and no cartoon, except of houses, of which there is nothing else."""
    return "_mirror" not in path.stem and (place == "town/houses" or "cartoon" not in path.parts)


def resource_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a Qt resource file: a tree of nodes, their names in UTF-16, data perhaps deflated."""
    data = path.read_bytes()
    _, version, tree, contents, names = struct.unpack_from(">4s4I", data)
    node = 14 if version == 1 else 22

    def walk(index: int, parent: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node
        offset, flags = struct.unpack_from(">IH", data, at)
        (length,) = struct.unpack_from(">H", data, names + offset)
        name = data[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be") if index else ""
        full = f"{parent}/{name}".strip("/")
        if flags & 2:  # a folder: how many children, and the first
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, full)
        else:
            (start,) = struct.unpack_from(">I", data, at + 10)
            (size,) = struct.unpack_from(">I", data, contents + start)
            blob = data[contents + start + 4 : contents + start + 4 + size]
            yield full, zlib.decompress(blob[4:]) if flags & 1 else blob

    yield from walk(0, "")


if __name__ == "__main__":
    counts = sort_pictures(Path(sys.argv[1]))
    print(sum(counts.values()), counts)

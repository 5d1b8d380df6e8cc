"""Drawn pictures as a folder of classes, in parts that follow from what each picture shows."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from compound.bounds import check_sides
from compound.documents import write_records
from compound.errors import UsageError
from compound.files import make_folder, write_bytes

SOURCES = "sources.csv"
LEAST = 2  # pictures a class has in both parts, or it is left out


@dataclass(frozen=True)
class DrawnPicture:
    """A drawing. `subject`: what decides its part, so that all pictures of one stand on one side; `source`: the file
    it was drawn from."""

    image: Image.Image
    label: str
    name: str
    subject: str
    source: str


@dataclass(frozen=True)
class DrawnFolder:
    """What was written: images of each class in train and test, and what was left out, by reason."""

    folder: Path
    train: dict[str, int]
    test: dict[str, int]
    left_out: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "train": self.train, "test": self.test, "left_out": self.left_out}


def check_asked(out: Path, side: int, test: float) -> None:
    """Raise `UsageError` for what cannot be drawn, before anything is."""
    check_sides("--size", (side,))
    if not 0 < test < 1:
        raise UsageError(f"test {test:g} leaves no images to train on or none to test by; use a share such as 0.2")
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise UsageError(f"{out} is there already; name another folder, or remove it")


def in_test(subject: str, share: float, seed: int) -> bool:
    """Whether the pictures of a subject are test images. It depends on nothing else: more subjects move none."""
    digest = hashlib.sha256(f"{seed} {subject}".encode()).digest()
    return int.from_bytes(digest[:8], "little") < share * 2**64


def write(
    pictures: Iterable[DrawnPicture], out: Path, sources: list[dict[str, Any]], left_out: Counter[str],
    *, test: float, seed: int,
) -> DrawnFolder:  # fmt: skip
    """Write train/CLASS/NAME.png, test/CLASS/NAME.png, and sources.csv with the licence of every source.

    A picture that another one equals pixel by pixel is written once, by the first name. Raises `UsageError` where
    fewer than two classes are left.
    """
    files: dict[tuple[str, str], dict[str, bytes]] = {}
    seen: set[bytes] = set()
    for one in sorted(pictures, key=lambda one: (one.label, one.name)):
        digest = hashlib.sha256(one.image.tobytes()).digest()
        if digest in seen:
            left_out["the same picture as another"] += 1
            continue
        seen.add(digest)
        part = "test" if in_test(one.subject, test, seed) else "train"
        files.setdefault((part, one.label), {})[f"{one.name}.png"] = png(one.image)
    labels = sorted({label for _, label in files})
    few = [label for label in labels if min(len(files.get((part, label), ())) for part in ("train", "test")) < LEAST]
    for label in few:
        left_out[f"of a class with too few ({label})"] += sum(len(files.pop((p, label), ())) for p in ("train", "test"))
    kept = [label for label in labels if label not in few]
    if len(kept) < 2:
        raise UsageError(f"{len(kept)} classes could be drawn, which are too few to tell apart; name more sources")
    for (part, label), pngs in files.items():
        folder = make_folder(out / part / label)
        for name, data in pngs.items():
            write_bytes(folder / name, data)
    write_records(out / SOURCES, sources)
    train, test_ = ({label: len(files[part, label]) for label in kept} for part in ("train", "test"))
    return DrawnFolder(out, train, test_, dict(left_out))


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()

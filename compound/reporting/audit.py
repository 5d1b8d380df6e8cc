"""The page of an audit: the doubtful images of each kind, the most doubtful first."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compound.data.errors import DamagedImage
from compound.data.source import Source
from compound.evaluation.audit import Audit
from compound.evaluation.labels import Doubt
from compound.files import make_folder, write_bytes, write_text
from compound.reporting.page import Report, Section, rendered
from compound.reporting.results import LARGEST, TINY, columns_of, jpeg_uri

if TYPE_CHECKING:
    from PIL.Image import Image

MEANING = {
    Doubt.DUPLICATE: ("Copies with another label", "The same picture stands in two classes; one of them is wrong."),
    Doubt.WRONG: (
        "Probably wrong labels",
        "Models that never saw the picture are as sure of another class as they are of its own images.",
    ),
    Doubt.STRANGE: (
        "Like none of the classes",
        "No class is even half as probable as it is for its own images: perhaps not a picture of any.",
    ),
    Doubt.AMBIGUOUS: ("Between two classes", "Its class and another are about as probable; both may be right."),
}


class ShownImage(NamedTuple):
    """A picture, `uri` None where it cannot be read, with what it is labelled and what is proposed."""

    uri: str | None
    tiny: bool
    name: str
    given: str
    given_probability: float
    proposed: str
    proposed_probability: float
    copy: str


def write_audit(found: Audit, path: Path, shown: int) -> Path:
    """The page with up to `shown` pictures of each kind."""
    return write_text(path, audit_page(found, shown).html())


def write_pictures(found: Audit, folder: Path, count: int) -> list[Path]:
    """The `count` most doubtful images as 01.png, 02.png, … in `folder`, made smaller where they are large.

    An image that cannot be read leaves its number out; pictures of an audit before this one go.
    """
    make_folder(folder)
    for old in folder.glob("[0-9]*.png"):
        old.unlink()
    written = []
    for number, one in enumerate(found.doubtful[:count], 1):
        if (small := smaller(found.source, one.index)) is not None:
            file = io.BytesIO()
            small.save(file, "PNG")
            written.append(write_bytes(folder / f"{number:02}.png", file.getvalue()))
    return written


def audit_page(found: Audit, shown: int) -> Report:
    sections = []
    for doubt in Doubt:
        those = found.of(doubt)
        title, meaning = MEANING[doubt]
        cards = [
            ShownImage(
                *picture(found.source, one.index), one.name, one.given, one.given_probability, one.proposed,
                one.proposed_probability, one.copy,
            )
            for one in those[:shown]
        ]  # fmt: skip
        shape = {"images": len(those), "columns": columns_of(len(cards))}
        body = rendered("audit_section.html", meaning=meaning, cards=cards, **shape)
        sections.append(Section(doubt.value, f"{title}: {len(those):,}", body))
    title = f"Doubtful labels of {found.table.data['name']}"
    return Report(title, rendered("audit_top.html", title=title, audit=found), tuple(sections))


def picture(source: Source, index: int) -> tuple[str | None, bool]:
    """The image as a data URI, made smaller where it is large, and whether it is tiny."""
    small = smaller(source, index)
    return (None, False) if small is None else (jpeg_uri(small), max(small.size) <= TINY)


def smaller(source: Source, index: int) -> "Image | None":
    """The image, of `LARGEST` px at most; None where it cannot be read or is no picture."""
    from torchvision.transforms.v2 import functional as F

    try:
        image = source.load(index)
    except DamagedImage:
        return None
    if image.shape[0] not in (1, 3):
        return None
    small: Image = F.to_pil_image(image)
    small.thumbnail((LARGEST, LARGEST))
    return small

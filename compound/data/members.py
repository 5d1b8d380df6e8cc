"""What a WebDataset shard holds: a tar file in which neighbours of one name are a sample, 0001.cls and 0001.jpg.

The convention of `webdataset`: the name ends at the first dot of the member's last part, the rest says what it is.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import IO, Any

from compound.data.errors import DataError
from compound.data.listing import SUFFIXES

LABEL = "cls"
LONGEST = 1000  # bytes of a label
HEADER = tarfile.BLOCKSIZE  # bytes before a member's own
FORMAT = 1


@dataclass
class Members:
    """The samples of one shard of `bytes` bytes, in its order: image members, their place and their labels as written.

    What cannot be used is in `left_out`, by member, with the reason. `stamp` is of the very file that was read: see
    `compound.data.shard_source.stamp_of`; empty where nothing says.
    """

    bytes: int
    names: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    stamp: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT} | asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> "Members":
        """Raises `ValueError` for anything that `to_json` did not write."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise ValueError("it is no index of this version")
        try:
            members = cls(**{name: given for name, given in value.items() if name != "format"})
        except TypeError as error:
            raise ValueError(str(error)) from None
        if not len(members.names) == len(members.offsets) == len(members.sizes) == len(members.labels):
            raise ValueError("its columns are of several lengths")
        return members


def read_members(file: IO[bytes], size: int, name: str) -> Members:
    """The samples of the tar `file` of `size` bytes. Damaged stretches are passed over and left out by place.

    `name` is what messages call the shard.
    """
    found = Members(size)
    file.seek(0)
    if file.read(2) == b"\x1f\x8b":
        raise DataError(f"{name} is compressed, and its images cannot be read one by one; unpack it with gunzip")
    file.seek(0)
    walked = _walk(file, found)
    for key, members in groupby(walked, key=lambda one: _divided(one[0].name)[0]):
        _take(key, list(members), found)
    if not found.names:
        raise DataError(f"{name} holds no pair of an image and a .{LABEL}; write it as webdataset's TarWriter does")
    return found


def _walk(file: IO[bytes], found: Members) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Regular members in their order, with what labels hold."""
    start = end = 0  # where to look for the next header, and where the member before ends
    while start < found.bytes:
        try:
            file.seek(start)
            # `ignore_zeros` also goes on behind a header that cannot be read, where tarfile would end in silence.
            with tarfile.open(fileobj=file, mode="r:", ignore_zeros=True) as tar:
                for member in tar:
                    _pass_over(file, end, member.offset, found)
                    end = member.offset_data + -(-member.size // HEADER) * HEADER
                    start = end
                    if member.isreg() and not member.name.rpartition("/")[2].startswith("__"):
                        labels = _divided(member.name)[1] == LABEL
                        file.seek(member.offset_data)
                        yield member, file.read(min(member.size, LONGEST + 1)) if labels else b""
            break
        except tarfile.TarError:  # a header of several blocks is broken; go on within it
            start += HEADER
    _pass_over(file, end, found.bytes, found)
    if end > found.bytes:
        found.left_out[f"bytes from {found.bytes:,} on"] = "the shard is cut short"
    elif end == found.bytes and end:  # a cut between two members loses all that follow, and nothing else tells
        found.left_out[f"what follows byte {found.bytes:,}"] = "the shard has no end mark, so it may be cut short"


def _pass_over(file: IO[bytes], start: int, end: int, found: Members) -> None:
    """Note what lies between two members, unless it is padding."""
    if end <= start:
        return
    file.seek(start)
    if any(file.read(end - start)):
        found.left_out[f"bytes {start:,} to {end:,}"] = "no tar header can be read there"


def _take(key: str, members: list[tuple[tarfile.TarInfo, bytes]], found: Members) -> None:
    kinds = {_divided(member.name)[1]: (member, data) for member, data in reversed(members)}  # of twins the first
    image = next((kinds[suffix[1:]][0] for suffix in SUFFIXES if suffix[1:] in kinds), None)
    if image is None:
        if LABEL in kinds:
            found.left_out[key] = "it has no image"
        return
    label = kinds[LABEL][1] if LABEL in kinds else b""
    if len(label) > LONGEST:
        found.left_out[image.name] = f"its .{LABEL} has more than {LONGEST:,} bytes"
        return
    text = label.decode("utf-8", "replace").strip()
    if not text:
        found.left_out[image.name] = f"it has no .{LABEL}" if LABEL not in kinds else f"its .{LABEL} is empty"
        return
    found.names.append(image.name)
    found.offsets.append(image.offset_data)
    found.sizes.append(image.size)
    found.labels.append(text)


def _divided(name: str) -> tuple[str, str]:
    """A member's sample and what of it it is: a/b.seg.PNG is seg.png of a/b."""
    folder, slash, last = name.rpartition("/")
    stem, _, kind = last.partition(".")
    return folder + slash + stem, kind.lower()

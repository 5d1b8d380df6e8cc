"""What is unusual about an image file and is read all the same: other depths than 8 bits, transparency."""

import warnings
from collections.abc import Mapping

from PIL import Image

from compound.bounds import bound
from compound.data.source import FileSource, Source
from compound.data.survey import PNG, is_usual
from compound.data.unpack import PIXEL_LIMIT, opened
from compound.files import read_regular

DEPTHS = {"1": 1, "I": 16, "F": 32}  # bits of a channel by Pillow's mode; `I` is how it reads grey of 16
BITS_PER_SAMPLE = 258  # of a TIFF
GREY_OR_RGB = (0, 2, 4, 6)  # kinds of a PNG whose depth is that of a channel, and not of an index


def oddities_of(source: Source, index: int) -> tuple[str, ...]:
    """`oddities` of the file of an image; none where `source` has no files."""
    if not isinstance(source, FileSource):
        return ()
    return oddities(read_regular(source.path(index), bound("COMPOUND_MAX_IMAGE")))


def oddities_text(odd: Mapping[str, int]) -> list[str]:
    """How many images of each kind there are, in words."""
    return [f"{files:,} {'of ' if 'bit' in kind else ''}{kind}" for kind, files in sorted(odd.items())]


def oddities(data: bytes | bytearray) -> tuple[str, ...]:
    """`16 bits a channel` and the like, and `transparent` for a file that says where it is; from the header alone."""
    if not is_usual(data):
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file could make Pillow say any number of things
            header = opened(data, PIXEL_LIMIT)
            depth, transparent = _depth(data, header), header.has_transparency_data
    except MemoryError:
        raise
    except Exception:  # whoever decodes it says what is wrong
        return ()
    odd = (f"{depth} bit{'s' * (depth != 1)} a channel",) if depth != 8 else ()
    return (*odd, "transparent") if transparent else odd


def _depth(data: bytes | bytearray, header: Image.Image) -> int:
    if data.startswith(PNG) and data[25] in GREY_OR_RGB:  # Pillow makes 8 bits of colours of 16
        return data[24]
    tags = getattr(header, "tag_v2", None)
    if tags and BITS_PER_SAMPLE in tags:
        bits = tags[BITS_PER_SAMPLE]
        return int(bits[0] if isinstance(bits, tuple) else bits)
    return DEPTHS.get(header.mode.partition(";")[0], 8)

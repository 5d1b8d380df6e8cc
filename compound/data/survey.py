"""What an image will cost, seen from its bytes before anything decodes them.

An image of a usual make costs no more than its bytes and pixels account for. What is not usual may be right, but only
a process that can be ended should decode it: a file of 1 MB can keep libjpeg busy for half a minute, and one of 16 MB
of empty segments the parsers of Pillow for ten seconds.
"""

import re
import struct

from compound.data.unpack import EXIF, usual_tags

USUAL_SCANS = 64  # a decoder passes over all pixels for each; encoders make about ten
USUAL_SEGMENTS = 1000  # before the first scan of a JPEG: at most 255 parts of a colour profile, and as many of XMP
SMALL = 2**19  # bytes, however arranged, that take less than half a second
SOS = b"\xff\xda"
JPEG, PNG, TIFF = (b"\xff\xd8\xff",), (b"\x89PNG\r\n\x1a\n",), (b"II", b"MM")
# Read by compiled code whose time follows from bytes and pixels.
COMPILED = (b"RIFF", b"BM")
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed byte, nor a restart, nor filling
ALONE = (0x01, 0xD8)  # markers without a length, beside the restarts
END = 0xD9
FEW, LITTLE = 2**14, 2**16  # bytes and pixels of an image that is decoded in less than a millisecond
FEW_SCANS, FEW_PARTS = 16, 64
# Parts that no decoder unpacks to more than they are: of a JPEG JFIF, Adobe, tables, a frame, a comment; of a PNG all
# but texts and profiles.
PLAIN_SEGMENTS = frozenset((0xE0, 0xEE, 0xDB, 0xC4, 0xC0, 0xC1, 0xC2, 0xDD, 0xFE))
FRAME = struct.Struct(">BHHB")  # of its header: bits, height, width, colours
FRAMES = (0xC0, 0xC1, 0xC2)
PLAIN_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"sRGB", b"pHYs", b"cHRM", b"bKGD"))
APP1, APP2, MPF = b"\xff\xe1", b"\xff\xe2", b"MPF\0"
FTYP = b"ftyp"  # of AVIF


def scans(data: bytes | bytearray, most: int) -> int:
    """Scans of a JPEG up to its end, counted no further than `most` + 1; no fewer than there are."""
    count = data.count(SOS)
    if count <= most:
        return count
    count, at = 0, 2  # some may lie in a preview, or behind the end: walk from marker to marker
    while count <= most and (found := MARKER.search(data, at)):
        marker, at = data[found.start() + 1], found.end()
        if marker == END:
            break
        if marker not in ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
            count += marker == SOS[1]
    return count


def is_usual(data: bytes | bytearray) -> bool:
    """Whether decoding takes no longer than bytes and pixels account for."""
    if data.startswith(JPEG):
        return data.count(SOS) <= USUAL_SCANS and usual_header(data)
    if data.startswith(TIFF):  # in all ways that Pillow takes; it may hold a JPEG
        return data.count(SOS) <= USUAL_SCANS and usual_tags(data)
    if data[4:8] == FTYP:  # Pillow reads its tags before anybody can look at them
        return False
    if data.startswith(PNG):
        return usual_chunks(data)
    return data.startswith(COMPILED) or len(data) <= SMALL


def usual_header(data: bytes | bytearray) -> bool:
    """Whether the first scan of a JPEG is found in a few steps, and its tags hold what they say."""
    at, exif = 2, bytearray()
    for _ in range(USUAL_SEGMENTS):
        marker = data[at : at + 2]
        if marker == SOS:
            return not exif or usual_tags(exif)
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == APP1 and data[at + 4 : at + 10] == EXIF:  # Pillow joins several
            exif += data[at + 10 : end]
        if marker == APP2 and data[at + 4 : at + 8] == MPF and not usual_tags(data[at + 8 : end]):
            return False
        if marker[:1] != b"\xff" or marker == b"\xff\xff":
            break
        at = end
    return len(data) <= SMALL and EXIF not in data and MPF not in data


def usual_chunks(data: bytes | bytearray) -> bool:
    """Whether a PNG has chunks of more than a kilobyte, but for some."""
    at = 8
    for _ in range(256 + len(data) // 1024):
        if at >= len(data):
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return len(data) <= SMALL


def is_small(data: bytes | bytearray) -> bool:
    """Whether an image is so small, and so plain, that it is decoded before anybody notices."""
    if len(data) > FEW or not data.startswith(PNG):
        return is_small_jpeg(data)
    sides = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return sides[0] * sides[1] <= LITTLE and _is_plain_png(data)


def is_small_jpeg(data: bytes | bytearray) -> bool:
    """The same of a grey or coloured JPEG, upright as it is, of which nothing else need be known to decode it."""
    if len(data) > FEW or not data.startswith(JPEG) or data.count(SOS) > FEW_SCANS:
        return False
    bits, height, width, colours = FRAME.unpack_from(_frame_of(data).ljust(FRAME.size, b"\0"))
    return bits == 8 and colours in (1, 3) and 0 < height * width <= LITTLE


def _is_plain_png(data: bytes | bytearray) -> bool:
    at = 8
    for _ in range(FEW_PARTS):
        if at >= len(data):
            return True
        if data[at + 4 : at + 8] not in PLAIN_CHUNKS:
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _frame_of(data: bytes | bytearray) -> bytes | bytearray:
    """What a JPEG says of its frame; nothing where there are two, or more than plain parts before the first scan."""
    at, frame = 2, data[:0]
    for _ in range(FEW_PARTS):
        head = data[at : at + 4]
        if len(head) < 4 or head[0] != 0xFF:
            break
        if head[1] == SOS[1]:
            return frame
        end = at + 2 + (head[2] << 8 | head[3])
        if head[1] not in PLAIN_SEGMENTS or (head[1] in FRAMES and frame):
            break
        if head[1] in FRAMES:
            frame = data[at + 4 : end]
        at = end
    return data[:0]

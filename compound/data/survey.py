"""What an image will cost, seen from its bytes before anything decodes them.

An image of a usual make costs no more than its bytes and pixels account for. What is not usual may be right, but only
a process that can be ended should decode it: a file of 1 MB can keep libjpeg busy for half a minute, and one of 16 MB
of empty segments the parsers of Pillow for ten seconds.
"""

import re

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

"""Images that are small, or right, and slow to decode."""

import io
import struct
import zlib

from PIL import Image

SEGMENT = struct.Struct(">BBH")  # 0xff, marker, length with its own two bytes


def segment(marker: int, body: bytes) -> bytes:
    return SEGMENT.pack(0xFF, marker, 2 + len(body)) + body


class Bits:
    """Entropy-coded data: the highest bit first, filled up with ones, a zero byte stuffed behind each 0xff."""

    def __init__(self) -> None:
        self.value, self.count = 0, 0

    def add(self, value: int, count: int, times: int = 1) -> None:
        for _ in range(times):
            self.value, self.count = self.value << count | value, self.count + count

    def packed(self) -> bytes:
        fill = -self.count % 8
        whole = self.value << fill | (1 << fill) - 1
        return whole.to_bytes((self.count + fill) // 8, "big").replace(b"\xff", b"\xff\0")


def slow_jpeg(side: int, scans: int) -> bytes:
    """A grey progressive JPEG of side × side px and `scans` scans, some 32 bytes each at 4,000 px.

    Each says of all blocks that nothing follows in their band (end-of-band runs: ITU-T T.81, Table G.1), and a decoder
    passes over all blocks to read it. A DC scan comes first.
    """
    blocks = (-(-side // 8)) ** 2
    frame = segment(0xDB, b"\0" + b"\1" * 64)
    frame += segment(0xC2, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0))
    frame += segment(0xC4, b"\0\1" + bytes(15) + b"\0")  # DC: the code 0 is a difference of no bits
    # AC: the code 0 is a run of 2^14 and as many as its 14 bits say, 10 is the end of one band
    frame += segment(0xC4, b"\x10\1\1" + bytes(14) + b"\xe0\0")
    flat = Bits()
    flat.add(0, 1, blocks)
    frame += segment(0xDA, bytes((1, 1, 0, 0, 0, 0))) + flat.packed()
    runs, left = Bits(), blocks
    while left >= 2**14:
        run = min(left, 2**15 - 1)
        runs.add(run - 2**14, 1 + 14)
        left -= run
    runs.add(0b10, 2, left)
    empty = segment(0xDA, bytes((1, 1, 0, 1, 63, 0))) + runs.packed()
    return b"\xff\xd8" + frame + empty * scans + b"\xff\xd9"


def plain_ppm(side: int) -> bytes:
    """A PPM in ASCII, two bytes a number, which Pillow reads in Python."""
    return b"P3 %d %d 9\n" % (side, side) + b"7 " * (3 * side * side)


def encoded(kind: str, side: int = 64) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(file, kind)
    return file.getvalue()


def jpeg_of_segments(size: int) -> bytes:
    """A right JPEG with `size` bytes of empty comments before it."""
    data = encoded("JPEG")
    return data[:2] + segment(0xFE, b"") * (size // 4) + data[2:]


def jpeg_of_filling(size: int) -> bytes:
    """A right JPEG with `size` filling bytes before its first marker."""
    data = encoded("JPEG")
    return data[:2] + b"\xff" * size + data[2:]


def png_of_chunks(size: int) -> bytes:
    """A right PNG with `size` bytes of empty chunks that nobody knows."""
    data, kind = encoded("PNG"), b"abCd"
    chunk = struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))
    return data[:33] + chunk * (size // 12) + data[33:]


def ppm_of_comments(size: int) -> bytes:
    """A right PPM with a comment of `size` bytes in its header."""
    return b"P6\n#" + b"a" * size + b"\n8 8\n255\n" + bytes(range(192))


SLOW = {
    "a JPEG of empty segments": jpeg_of_segments,
    "a JPEG of filling bytes": jpeg_of_filling,
    "a PNG of empty chunks": png_of_chunks,
    "a PPM of comments": ppm_of_comments,
}

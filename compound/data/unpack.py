"""Image bytes to pixels by Pillow, without torch, so that a process that does nothing else starts in a moment.

Run as a program it is that process (see `guard.py`): it answers each image on its standard input, and the kernel ends
it when one takes more processor time or memory than was allowed.
"""

import io
import resource
import signal
import struct
import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features

AVIF = ("AVIF",) if features.check("avif") else ()
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", *AVIF, "PPM")
PIXEL_LIMIT = 89_478_485  # Pillow's own: 256 MiB of RGB
# A bomb is a small file that unpacks to much: beyond 16 megapixels (48 MB of RGB), more than 200 pixels from a byte.
# Photographs have fewer than 100 even at the lowest quality; deflate reaches 1,032 bytes from one.
HARMLESS_PIXELS = 2**24
PIXELS_A_BYTE = 200
BYTES_A_PIXEL = 24  # that decoding and turning takes at most, in several steps, whatever the format
REQUEST, ANSWER, DONE, REFUSED = struct.Struct("<QQ"), struct.Struct("<BQQQ"), 0, 1

ORIENTATION = 0x0112  # the EXIF tag; from 5 on an image lies on its side
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
COPIES = 4  # of a file's bytes that its tags may ask for: some cameras count wrongly
EXIF, RAW_EXIF = b"Exif\0\0", "Raw profile type exif"
VALUES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}  # bytes, by TIFF type

Pixels = NDArray[np.uint8]


class Unreadable(Exception):
    """Bytes that are no image, are cut short, or unpack to too much; the message says which."""


def opened(data: bytes | bytearray, limit: int) -> Image.Image:
    """The image with its header read and nothing else. Raises `Unreadable` where it has too many pixels."""
    limit = min(limit, PIXEL_LIMIT)
    try:
        header = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = PIXEL_LIMIT + 1
    except UnidentifiedImageError:
        raise Unreadable(f"it is not an image in a known format ({', '.join(FORMATS)})") from None
    else:
        pixels = header.width * header.height
    if pixels > limit or (pixels > HARMLESS_PIXELS and pixels > PIXELS_A_BYTE * len(data)):
        raise Unreadable(f"it unpacks to more than {limit:,} pixels, or too many for its {len(data):,} bytes")
    return header


def unpacked(data: bytes | bytearray, limit: int = PIXEL_LIMIT) -> Pixels:
    """Pixels (H, W) or (H, W, 3), upright as the EXIF orientation says; see `decode.decode_image`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a file could make Pillow say any number of things
        return pixels_of(opened(data, limit))


def usual_tags(data: bytes | bytearray) -> bool:
    """Whether the tags of a TIFF, or of the EXIF of another image, hold about as many bytes together as there are.

    Pillow copies each one's bytes, and they may all be the same megabytes.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None or len(data) < 8:
        return False
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        return True  # it has none
    (count,) = struct.unpack_from(f"{order}H", data, start)
    count = min(count, (len(data) - start - 2) // 12)
    tags = struct.iter_unpack(f"{order}HHI4x", data[start + 2 : start + 2 + 12 * count])
    asked: int = sum(VALUES.get(kind, 8) * many for _, kind, many in tags)
    return asked <= COPIES * len(data)


def orientation(image: Image.Image) -> int:
    """As EXIF or XMP say it, 1 for upright; tags that ask for much are not read."""
    found = image.info.get("exif")
    if found is None and RAW_EXIF in image.info:
        found = bytes.fromhex("".join(image.info[RAW_EXIF].split("\n")[3:]))
    if isinstance(found, bytes) and found and not usual_tags(found.removeprefix(EXIF)):
        return 1
    told = image.getexif().get(ORIENTATION, 1)
    return told if isinstance(told, int) else 1


def pixels_of(image: Image.Image) -> Pixels:
    if image.mode == "F":
        raise Unreadable("floating-point pixels have no known range")
    image.load()  # which turns a TIFF
    turn = TURNS.get(orientation(image))  # not ImageOps.exif_transpose, which copies more and reads all tags
    upright = image if turn is None else image.transpose(turn)
    if upright.mode.startswith("I"):  # 16 bits a pixel, as I;16 and its byte orders or as I
        values = np.asarray(upright).astype(np.int32).clip(0, 0xFFFF)
        # Scanners and microscopes write 12 bits into 16, of which the high byte would have 16 greys at the most.
        high: Pixels = (values >> (4 if values.max(initial=0) < 1 << 12 else 8)).astype(np.uint8)
        return high
    if upright.mode in ("L", "1") and not upright.has_transparency_data:
        return np.array(upright if upright.mode == "L" else upright.convert("L"))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    return np.array(upright if upright.mode == "RGB" else upright.convert("RGB"))


def answer(source: Any, target: Any, seconds: float) -> None:
    """Every image of `source` (its length, the pixels it may have, its bytes) answered on `target`, until the end.

    `seconds` of processor time for each: SIGPROF, which nobody handles, ends the process.
    """
    while header := source.read(REQUEST.size):
        size, limit = REQUEST.unpack(header)
        data = source.read(size)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            pixels = np.ascontiguousarray(unpacked(data, limit))
        except Exception as error:  # a decoder may raise anything on hostile bytes
            said = reason(error).encode("utf-8", "replace")
            head, body = ANSWER.pack(REFUSED, len(said), 0, 0), memoryview(said)
        else:
            height, width, *colours = pixels.shape
            head, body = ANSWER.pack(DONE, height, width, *colours or (0,)), pixels.data.cast("B")
        signal.setitimer(signal.ITIMER_PROF, 0)
        target.write(head)
        target.write(body)
        target.flush()


def reason(error: Exception) -> str:
    """Why bytes are no image, in a line."""
    if isinstance(error, MemoryError):
        return "it takes more memory to decode than is allowed"
    return (str(error).splitlines() or [type(error).__name__])[0]


def limit_memory(more: int) -> None:
    """Let this process take `more` bytes beyond what it has."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[5])  # data and stack
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + more,) * 2)


if __name__ == "__main__":
    limit_memory(BYTES_A_PIXEL * PIXEL_LIMIT)
    answer(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]))

"""Frames of a stream of JPEG images (MJPEG): what cameras send, and what ffmpeg makes of any video with `-f mjpeg`."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

START, END = b"\xff\xd8", 0xD9
ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length: TEM, RST0 to RST7 (ITU-T T.81, Table B.1)
READ = 1 << 16
LARGEST = 1 << 26  # bytes of a frame; what is longer has lost its end


def frames(stream: BinaryIO, read: int = READ) -> Iterator[bytes]:
    """The JPEG images in `stream`, each as soon as it is whole; whatever lies between them is passed over.

    An image ends where its own markers say (an embedded preview has an end of its own); one that is cut short by the
    next, or by the end of the stream, is given as it is, for the decoder to say so.
    """
    take: Callable[[int], bytes] = getattr(stream, "read1", stream.read)  # of a pipe, what is there
    waiting = bytearray()
    while True:
        begin = waiting.find(START)
        if begin < 0:
            del waiting[:-1]
        else:
            del waiting[:begin]
            end = end_of(waiting)
            if end or len(waiting) > LARGEST:
                yield bytes(waiting[:end])
                del waiting[: end or len(waiting)]
                continue
        more = take(read)
        if not more:
            if waiting.startswith(START):
                yield bytes(waiting)
            return
        waiting += more


def end_of(data: bytes | bytearray) -> int:
    """The length of the JPEG image that `data` begins with; 0 while its end is not there."""
    at = 2
    while True:
        at = data.find(0xFF, at)
        if at < 0 or at + 1 >= len(data):
            return 0
        marker = data[at + 1]
        if marker == END:
            return at + 2
        if marker == START[1]:  # another image: this one was cut short
            return at
        if marker in (0x00, 0xFF):  # a stuffed byte, or a filling one
            at += 1 if marker == 0xFF else 2
        elif marker in ALONE or at + 4 > len(data):
            if marker not in ALONE:
                return 0
            at += 2
        else:  # a segment; what follows the one of a scan is searched for its next marker
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")

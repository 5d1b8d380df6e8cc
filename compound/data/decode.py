"""Image bytes to pixels: torchvision for plain JPEG (fast), Pillow for everything else.

Not torchvision for PNG: its decoder (0.29) ends the process with a segmentation fault where pixel data is short.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torchvision.transforms.v2 import functional as F

from compound.bounds import bound
from compound.data.errors import DamagedImage, DataError
from compound.data.guard import GUARD
from compound.data.survey import FEW_SCANS, JPEG, LITTLE, is_small_jpeg, is_usual, scans
from compound.data.unpack import PIXEL_LIMIT, Pixels, Unreadable, opened, orientation, pixels_of, reason, unpacked

# The operator behind torchvision.io.decode_image, which torchvision 0.29 deprecates, warning at every call. Where a
# later version has it no more, Pillow reads these files too, at about two thirds of the speed.
PLAIN_FORMATS, PLAIN_MODES = ("JPEG", "MPO"), ("L", "RGB")
FAST = getattr(torch.ops.image, "decode_image", None)

# A pixel's bytes while it is decoded, turned and made smaller, measured at most 9.3 (progressive JPEG without
# subsampling, on its side) and 28.7 (WebP with transparency).
BYTES_OF_JPEG, BYTES_OF_OTHERS = 12, 30

LARGE = 1 << 20  # pixels from which it pays to decode a JPEG smaller
Rectangle = tuple[int, int, int, int]  # top, left, height, width in px
Crop = Callable[[int, int], Rectangle]  # of an image's height and width


@dataclass(frozen=True)
class FirstBytes:
    """What an image's first bytes say: whether it is of a usual make, and the header of one that is, if it has any."""

    usual: bool
    header: Image | None

    def bytes(self, limit: int = PIXEL_LIMIT) -> int:
        """Bytes of memory that `decode_image` and making the image smaller take at most, its answer included; 0 for
        what is refused."""
        if not self.usual:
            return limit * BYTES_OF_OTHERS  # its size is known to the other process only
        if self.header is None:
            return 0  # `decode_image` says why
        fast = FAST and is_plain(self.header)
        return self.header.width * self.header.height * (BYTES_OF_JPEG if fast else BYTES_OF_OTHERS)


def look(data: bytes | bytearray, limit: int = PIXEL_LIMIT) -> FirstBytes:
    """See what an image is before anything is decoded; raises nothing."""
    if not is_usual(data):
        return FirstBytes(False, None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return FirstBytes(True, opened(data, limit))
    except MemoryError:
        raise
    except Exception:
        return FirstBytes(True, None)


def decode_image(
    data: bytes | bytearray,
    channels: int,
    name: str,
    limit: int = PIXEL_LIMIT,
    *,
    alone: bool = False,
    seen: FirstBytes | None = None,
) -> torch.Tensor:
    """Pixels uint8 (channels, H, W) of an encoded image, upright as its EXIF orientation says.

    Transparent pixels show white behind them. 16-bit images keep their high byte, or the upper eight of 12 bits where
    no value needs more than these. Of an animation the first frame is taken. Raises `DamagedImage(name, reason)` for
    bytes that are no image, are cut short, or unpack to too much: more than `limit` pixels, or a bomb. A JPEG of more
    scans than COMPOUND_MAX_SCANS is refused; what else may take longer than its size accounts for is decoded in a
    process that is ended after COMPOUND_MAX_DECODE, or in this one if it is `alone` and may be ended. Whoever has
    `seen` what it is, within the same `limit`, spares a second look; its header is good for one image.
    """
    with _refusing(data, channels, name):
        if seen is None and FAST and _spares_a_look(data, limit):
            with suppress(RuntimeError):  # which says why below
                return to_channels(_fast(data, channels), channels)
        return to_channels(_decode(data, channels, limit, alone, seen or look(data, limit)), channels)


def decode_crop(
    data: bytes | bytearray, channels: int, name: str, crop: Crop, side: int
) -> tuple[torch.Tensor, Rectangle]:
    """An image as `decode_image` gives it, but a JPEG not larger than a crop to `side` px needs it, and the crop in it.

    A JPEG's blocks can be decoded to 4×4, 2×2 or 1 pixel instead of 8×8, in half the time for large photos; the crop is
    never smaller than `side` then. Its edges move by up to half a pixel of what is decoded, and pixels by a fifth of
    a grey level in the mean: for random crops, not where an image is judged.
    """
    with _refusing(data, channels, name):
        smaller = _Smaller(crop, side)
        image = to_channels(_decode(data, channels, PIXEL_LIMIT, False, look(data), smaller), channels)
        return image, smaller.rectangle(*image.shape[-2:])


def _spares_a_look(data: bytes | bytearray, limit: int) -> bool:
    return is_small_jpeg(data) and limit >= LITTLE and bound("COMPOUND_MAX_SCANS") >= FEW_SCANS


class _Smaller:
    """By how much an image may be decoded smaller, so that what `crop` takes of it keeps `side` px."""

    def __init__(self, crop: Crop, side: int) -> None:
        self.crop, self.side, self.times = crop, side, 1
        self.whole: Rectangle | None = None

    def look(self, header: Image) -> int:
        width, height = header.size if orientation(header) < 5 else header.size[::-1]
        self.whole = self.crop(height, width)
        if width * height < LARGE:
            return self.times
        self.times = next((times for times in (8, 4, 2) if min(self.whole[2:]) >= times * self.side), 1)
        return self.times

    def rectangle(self, height: int, width: int) -> Rectangle:
        """What is taken of the image as it was decoded."""
        if self.whole is None or self.times == 1:
            return self.crop(height, width)
        top, left, high, wide = (round(place / self.times) for place in self.whole)
        return min(top, height - high), min(left, width - wide), high, wide


@contextmanager
def _refusing(data: bytes | bytearray, channels: int, name: str) -> Iterator[None]:
    """Say of what cannot be decoded that it is damaged, and why."""
    if channels not in (1, 3):
        raise DataError(f"{name}: the network reads {channels} channels and image files have 1 or 3; give an .npz")
    if not data:
        raise DamagedImage(name, "the file is empty")
    try:
        yield
    except Unreadable as error:
        raise DamagedImage(name, str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise DamagedImage(name, reason(error)) from error


def stored_size(data: bytes | bytearray, channels: int, name: str, limit: int = PIXEL_LIMIT) -> tuple[int, int]:
    """Height and width in px as the file says, not turned; raises `DamagedImage`. What is unusual is decoded."""
    if not is_usual(data):
        height, width = decode_image(data, channels, name).shape[1:]
        return height, width
    with _refusing(data, channels, name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = opened(data, limit)
        return header.height, header.width


def to_channels(images: torch.Tensor, channels: int) -> torch.Tensor:
    """(…, C, H, W) uint8 with `channels` 1 or 3: grey is repeated, RGB becomes luma (ITU-R 601), others their mean."""
    if images.shape[-3] == channels:
        return images
    if images.shape[-3] not in (1, 3):
        images = images.float().mean(-3, keepdim=True).byte()
    if channels == 3:
        return images.expand(*images.shape[:-3], 3, *images.shape[-2:])
    if images.shape[-3] == 1:
        return images
    grey: torch.Tensor = F.rgb_to_grayscale(images)
    return grey


def _decode(
    data: bytes | bytearray, channels: int, limit: int, alone: bool, seen: FirstBytes, smaller: _Smaller | None = None
) -> torch.Tensor:
    most = int(bound("COMPOUND_MAX_SCANS"))
    if data.startswith(JPEG) and scans(data, most) > most:
        raise Unreadable(f"it has more than {most:,} scans, and each is a pass over all its pixels")
    header = seen.header
    if header is None:  # unusual, or `unpacked` says what is wrong with it
        return _maps(unpacked(data, limit) if alone or seen.usual else GUARD.unpacked(data, limit))
    if data.startswith(JPEG) and is_plain(header):
        if smaller and (times := smaller.look(header)) > 1:
            return _draft(header, channels, times)
        if FAST:
            with suppress(RuntimeError):  # Pillow reads some of what torchvision refuses, or says why
                return _fast(data, channels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _maps(pixels_of(header))


def _fast(data: bytes | bytearray, channels: int) -> torch.Tensor:
    # `channels` is also the operator's mode: 1 decodes only the luma of a JPEG, 3 RGB. True: EXIF.
    assert FAST is not None
    image: torch.Tensor = FAST(torch.frombuffer(bytearray(data), dtype=torch.uint8), channels, True)
    return image


def _draft(header: Image, channels: int, times: int) -> torch.Tensor:
    """A JPEG with each side divided by 2, 4 or 8, rounded up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header.draft("L" if channels == 1 else header.mode, (header.width // times, header.height // times))
        return _maps(pixels_of(header))


def _maps(pixels: Pixels) -> torch.Tensor:
    """(C, H, W) of (H, W) or (H, W, C)."""
    image = torch.from_numpy(pixels)
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


def is_plain(header: Image) -> bool:
    """Whether torchvision reads it."""
    return header.format in PLAIN_FORMATS and header.mode in PLAIN_MODES

"""Image bytes to pixels: torchvision for plain JPEG (fast), Pillow for everything else.

Not torchvision for PNG: its decoder (0.29) ends the process with a segmentation fault where pixel data is short.
"""

import warnings

import torch
from torchvision.transforms.v2 import functional as F

from compound.bounds import bound
from compound.data.errors import DamagedImage, DataError
from compound.data.guard import GUARD
from compound.data.survey import JPEG, is_usual, scans
from compound.data.unpack import PIXEL_LIMIT, Unreadable, opened, reason, unpacked

# The operator behind torchvision.io.decode_image, which torchvision 0.29 deprecates, warning at every call. Where a
# later version has it no more, Pillow reads these files too, at about two thirds of the speed.
PLAIN_FORMATS, PLAIN_MODES = ("JPEG", "MPO"), ("L", "RGB")
FAST = getattr(torch.ops.image, "decode_image", None)

# A pixel's bytes while it is decoded, turned and made smaller, measured at most 9.3 (progressive JPEG without
# subsampling, on its side) and 28.7 (WebP with transparency).
BYTES_OF_JPEG, BYTES_OF_OTHERS = 12, 30


def decode_image(
    data: bytes | bytearray, channels: int, name: str, limit: int = PIXEL_LIMIT, *, alone: bool = False
) -> torch.Tensor:
    """Pixels uint8 (channels, H, W) of an encoded image, upright as its EXIF orientation says.

    Transparent pixels show white behind them. 16-bit images keep their high byte, or the upper eight of 12 bits where
    no value needs more than these. Of an animation the first frame is taken. Raises `DamagedImage(name, reason)` for
    bytes that are no image, are cut short, or unpack to too much: more than `limit` pixels, or a bomb. A JPEG of more
    scans than COMPOUND_MAX_SCANS is refused; what else may take longer than its size accounts for is decoded in a
    process that is ended after COMPOUND_MAX_DECODE, or in this one if it is `alone` and may be ended.
    """
    if channels not in (1, 3):
        raise DataError(f"{name}: the network reads {channels} channels and image files have 1 or 3; give an .npz")
    if not data:
        raise DamagedImage(name, "the file is empty")
    try:
        return to_channels(_decode(data, channels, limit, alone), channels)
    except Unreadable as error:
        raise DamagedImage(name, str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise DamagedImage(name, reason(error)) from error


def decoding_bytes(data: bytes | bytearray, limit: int = PIXEL_LIMIT) -> int:
    """Bytes of memory that `decode_image` and making the image smaller take at most, its answer included; from its
    first bytes alone. 0 for what is refused."""
    if not is_usual(data):
        return limit * BYTES_OF_OTHERS  # its size is known to the other process only
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = opened(data, limit)
    except MemoryError:
        raise
    except Exception:
        return 0  # `decode_image` says why
    fast = FAST and header.format in PLAIN_FORMATS and header.mode in PLAIN_MODES
    return header.width * header.height * (BYTES_OF_JPEG if fast else BYTES_OF_OTHERS)


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


def _decode(data: bytes | bytearray, channels: int, limit: int, alone: bool) -> torch.Tensor:
    most = int(bound("COMPOUND_MAX_SCANS"))
    if data.startswith(JPEG) and scans(data, most) > most:
        raise Unreadable(f"it has more than {most:,} scans, and each is a pass over all its pixels")
    if is_usual(data):
        if FAST and data.startswith(JPEG) and is_plain(data, limit):
            try:
                # `channels` is also the operator's mode: 1 decodes only the luma that a JPEG stores, 3 RGB. True: EXIF.
                image: torch.Tensor = FAST(torch.frombuffer(bytearray(data), dtype=torch.uint8), channels, True)
                return image
            except RuntimeError:
                pass  # Pillow reads some of what torchvision refuses, and says better why when it does not
        alone = True
    pixels = torch.from_numpy(unpacked(data, limit) if alone else GUARD.unpacked(data, limit))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def is_plain(data: bytes | bytearray, limit: int) -> bool:
    """Whether torchvision reads it; raises `Unreadable` for a bomb."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = opened(data, limit)
    return header.format in PLAIN_FORMATS and header.mode in PLAIN_MODES

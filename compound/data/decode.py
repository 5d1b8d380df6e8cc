"""Image bytes to pixels: torchvision for plain JPEG (fast), Pillow for everything else.

Not torchvision for PNG: its decoder (0.29) ends the process with a segmentation fault where pixel data is short.
"""

import io

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torchvision.transforms.v2 import functional as F

from compound.data.errors import DamagedImage, DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
PIXEL_LIMIT = 89_478_485  # Pillow's own: 256 MiB of RGB
# A bomb is a small file that unpacks to much: beyond 16 megapixels (48 MB of RGB), more than 200 pixels from a byte.
# Photographs have fewer than 100 even at the lowest quality; deflate reaches 1,032 bytes from one.
HARMLESS_PIXELS = 2**24
PIXELS_A_BYTE = 200

# The operator behind torchvision.io.decode_image, which torchvision 0.29 deprecates, warning at every call. Where a
# later version has it no more, Pillow reads these files too, at about two thirds of the speed.
FAST = getattr(torch.ops.image, "decode_image", None)


def decode_image(data: bytes | bytearray, channels: int, name: str, limit: int = PIXEL_LIMIT) -> torch.Tensor:
    """Pixels uint8 (channels, H, W) of an encoded image, upright as its EXIF orientation says.

    Transparent pixels show white behind them, 16-bit images keep their high byte, of an animation the first frame is
    taken. Raises `DamagedImage(name, reason)` for bytes that are no image, are cut short, or unpack to too much: more
    than `limit` pixels, or a bomb.
    """
    if channels not in (1, 3):
        raise DataError(f"{name}: the network reads {channels} channels and image files have 1 or 3; give an .npz")
    if not data:
        raise DamagedImage(name, "the file is empty")
    try:
        return to_channels(_decode(data, channels, min(limit, PIXEL_LIMIT)), channels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limits = f"more than {min(limit, PIXEL_LIMIT):,} pixels, or too many for its {len(data):,} bytes"
        raise DamagedImage(name, f"it unpacks to {limits}") from None
    except UnidentifiedImageError:
        raise DamagedImage(name, f"it is not an image in a known format ({', '.join(FORMATS)})") from None
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything on hostile bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedImage(name, reason) from error


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


def _decode(data: bytes | bytearray, channels: int, limit: int) -> torch.Tensor:
    header = Image.open(io.BytesIO(data), formats=FORMATS)  # reads the header only
    pixels = header.width * header.height
    if pixels > limit or (pixels > HARMLESS_PIXELS and pixels > PIXELS_A_BYTE * len(data)):
        raise Image.DecompressionBombError
    if FAST and header.format in ("JPEG", "MPO") and header.mode in ("L", "RGB"):
        try:
            # `channels` is also the operator's mode: 1 decodes only the luma that a JPEG stores, 3 RGB. True: EXIF.
            image: torch.Tensor = FAST(torch.frombuffer(bytearray(data), dtype=torch.uint8), channels, True)
            return image
        except RuntimeError:
            pass  # Pillow reads some of what torchvision refuses, and says better why when it does not
    return _decode_any(header)


def _decode_any(image: Image.Image) -> torch.Tensor:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits a pixel, as I;16 and its byte orders or as I
        values = np.asarray(upright).astype(np.int32).clip(0, 0xFFFF)
        return _high_byte(torch.from_numpy(values)[None])
    if upright.mode in ("L", "1") and not upright.has_transparency_data:
        return _pixels(upright.convert("L"))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    return _pixels(upright.convert("RGB"))


def _pixels(image: Image.Image) -> torch.Tensor:
    pixels: torch.Tensor = F.pil_to_tensor(image)
    return pixels


def _high_byte(image: torch.Tensor) -> torch.Tensor:
    return (image.to(torch.int32) >> 8).to(torch.uint8)

"""Every kind of file decodes to the pixels one sees, or is reported by path and reason."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compound.data import DamagedImage, FileSource, decode_image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    assert a.dtype == torch.uint8
    return (a.int() - b.int()).abs().float().mean().item()


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_kinds_decode_to_the_very_pixels(picture, kind, options):
    assert difference(decode_image(encoded(picture(), kind, **options), 3, "x"), pixels(picture())) == 0


def test_jpeg_decodes_close_to_the_pixels_in_colour_and_grey(picture):
    data = encoded(picture(), "JPEG", quality=95)
    assert difference(decode_image(data, 3, "x"), pixels(picture())) < 3
    grey = torch.from_numpy(np.array(picture().convert("L")))[None]
    assert difference(decode_image(data, 1, "x"), grey) < 2


def test_grey_is_repeated_and_colour_becomes_luma(picture):
    grey = decode_image(encoded(picture().convert("L"), "PNG"), 3, "x")
    assert torch.equal(grey, torch.from_numpy(np.array(picture().convert("L"))).expand(3, -1, -1))
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * pixels(picture())).sum(0, keepdim=True)
    assert (
        decode_image(encoded(picture(), "PNG"), 1, "x") - luma
    ).abs().max() < 1.1  # torchvision cuts the fraction off


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_turns_the_picture_upright(picture, kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show rotated by 90° clockwise
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    shown = decode_image(encoded(picture(), kind, exif=exif, **options), 3, "x")
    assert difference(shown, pixels(picture().transpose(Image.Transpose.ROTATE_270))) < 3


def test_cmyk_jpeg_looks_as_in_pillow(picture):
    data = encoded(picture().convert("CMYK"), "JPEG", quality=95)
    assert difference(decode_image(data, 3, "x"), pixels(picture())) < 4


def test_16_bit_grey_keeps_the_high_byte():
    values = np.arange(64 * 32, dtype=np.uint16).reshape(32, 64) * 31
    for kind in ("PNG", "TIFF"):
        shown = decode_image(encoded(Image.fromarray(values), kind), 1, "x")
        assert torch.equal(shown[0], torch.from_numpy((values >> 8).astype(np.uint8)))


def test_16_bit_rgb_png_keeps_the_high_byte():
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    shown = decode_image(png(5, 4, depth=16, colour=2, data=zlib.compress(rows)), 3, "x")
    assert torch.equal(shown, torch.from_numpy((values >> 8).astype(np.uint8)).permute(2, 0, 1))


def test_transparency_shows_white_behind_palette_and_rgba(picture):
    alpha = Image.new("L", (60, 40), 255)
    alpha.paste(0, (0, 0, 30, 40))
    rgba = picture()
    rgba.putalpha(alpha)
    palette = Image.new("P", (60, 40), 0)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.paste(1, (30, 0, 60, 40))
    for data in (encoded(rgba, "PNG"), encoded(palette, "PNG", transparency=0), encoded(rgba, "WEBP", lossless=True)):
        shown = decode_image(data, 3, "x")
        assert (shown[..., :30] == 255).all()
        assert not (shown[..., 30:] == 255).all()
    shown = decode_image(encoded(palette, "PNG", transparency=0), 3, "x")
    assert shown[:, 0, 59].tolist() == [200, 100, 50]


def test_gif_gives_its_first_frame(picture):
    first, second = Image.new("RGB", (20, 10), (250, 0, 0)), Image.new("RGB", (20, 10), (0, 0, 250))
    shown = decode_image(encoded(first, "GIF", save_all=True, append_images=[second]), 3, "x")
    assert shown[:, 5, 5].tolist() == [250, 0, 0]


def test_pillow_serves_where_torchvision_cannot_decode(picture, monkeypatch):
    data = encoded(picture(), "JPEG")
    fast = [decode_image(data, channels, "x") for channels in (1, 3)]
    monkeypatch.setattr("compound.data.decode.FAST", None)
    for expected, shown in zip(fast, (decode_image(data, channels, "x") for channels in (1, 3)), strict=True):
        assert difference(shown, expected) < 1


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def damaged_files(folder: Path, image: Image.Image) -> dict[str, str]:
    """Files that are no good, and a word that their reason must have."""
    jpeg, lossless = encoded(image, "JPEG"), encoded(image, "PNG")
    files = {
        "cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "cut.png": (lossless[: len(lossless) // 2], "truncated"),
        "short.png": (png(10, 10, 8, 2, zlib.compress(b"")), "truncated"),  # torchvision's decoder crashes on it
        "empty.jpg": (b"", "empty"),
        "text.png": (b"this is no picture", "known format"),
        "bomb.png": (png(30_000, 30_000, 8, 2, zlib.compress(b"")), "pixels"),
        "bomb2.png": (png(10_000, 10_000, 8, 2, zlib.compress(b"")), "pixels"),
        "float.tif": (encoded(Image.new("F", (4, 4)), "TIFF"), "floating"),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return {name: reason for name, (_, reason) in files.items()} | {"absent.jpg": "no such file"}


# Pillow warns of 100 megapixels before we refuse them.
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_damaged_files_are_reported_by_path_and_reason(tmp_path, picture):
    for name, reason in damaged_files(tmp_path, picture()).items():
        source = FileSource([tmp_path / name], [0], 3)
        with pytest.raises(DamagedImage) as caught:
            source.load(0)
        assert caught.value.path == str(tmp_path / name)
        assert reason in caught.value.reason.lower(), name
        assert name in str(caught.value)

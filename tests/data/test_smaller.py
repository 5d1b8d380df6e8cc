"""Large photos are decoded no larger than a random crop needs them, and the crop shows the same."""

import io
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from compound.data import Augment, DamagedImage, FileSource, Preprocessing, decode_image, make_loader
from compound.data.decode import decode_crop
from compound.data.unpack import ORIENTATION
from compound.network import Inputs


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Smooth shapes with a hard edge, each corner another colour."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(9 * x + 7 * y)], -1)
    waves[(x > 0.4) & (y < 0.3)] = (250, 20, 90)
    return Image.fromarray(waves.astype(np.uint8)).convert(mode)


def jpeg(image: Image.Image, orientation: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif, **options)
    return buffer.getvalue()


def part(height: int, width: int, *, share: float) -> tuple[int, int, int, int]:
    """A rectangle off the centre."""
    high, wide = round(height * share), round(width * share)
    return (height - high) // 3, 2 * (width - wide) // 3, high, wide


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("RGB", 1), ("L", 3), ("L", 1)])
def test_a_crop_of_a_large_photo_shows_what_it_shows_of_the_whole_one(orientation, mode, channels):
    data = jpeg(photo(1401, 905, mode), orientation)
    crop, preprocessing = partial(part, share=0.6), Preprocessing(128, channels, Inputs())
    whole = decode_image(data, channels, "x")
    small, rectangle = decode_crop(data, channels, "x", crop, 128)
    assert small.shape[-2:] == tuple(-(-side // 4) for side in whole.shape[-2:])  # 0.6 · 905 holds 128 four times
    assert min(rectangle[2:]) >= 128
    found = preprocessing.scale(small, *rectangle).int()
    expected = preprocessing.scale(whole, *crop(*whole.shape[-2:])).int()
    assert (found - expected).abs().float().mean() < 3  # of 255; a corner of another colour would be 60


@pytest.mark.parametrize(("share", "times"), [(1.0, 4), (0.5, 2), (0.4, 1), (0.2, 1)])
def test_it_is_never_smaller_than_what_is_scaled_down(share, times):
    data = jpeg(photo(1600, 800))
    image, rectangle = decode_crop(data, 3, "x", partial(part, share=share), 200)
    assert image.shape == (3, 800 // times, 1600 // times)
    if times == 1:
        assert rectangle == part(800, 1600, share=share)
        assert torch.equal(image, decode_image(data, 3, "x"))


def test_other_kinds_and_small_photos_are_decoded_whole():
    buffer = io.BytesIO()
    photo(1600, 800).save(buffer, "PNG")
    for data, size in ((buffer.getvalue(), (800, 1600)), (jpeg(photo(640, 320)), (320, 640))):
        image, rectangle = decode_crop(data, 3, "x", partial(part, share=1.0), 16)
        assert image.shape == (3, *size)
        assert rectangle == (0, 0, *size)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:100], lambda data: b""])
def test_a_photo_cut_short_is_damaged_either_way(damage):
    data = damage(jpeg(photo(1600, 800)))
    with pytest.raises(DamagedImage) as whole:
        decode_image(data, 3, "x")
    with pytest.raises(DamagedImage) as small:
        decode_crop(data, 3, "x", partial(part, share=1.0), 16)
    assert small.value.reason == whole.value.reason


def test_training_loads_the_same_pictures_as_from_whole_images(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(photo(1400 + 40 * i, 800), orientation=1 + 2 * i))
    source = FileSource([tmp_path / f"{i}.jpg" for i in range(4)], [0, 1, 0, 1], 3)

    def batch(repeats: int) -> torch.Tensor:
        augment = Augment(crop="inception", scale=(0.5, 1.0), flip=False)
        loader = make_loader(source, Preprocessing(100, 3, Inputs()), 4, augment=augment, repeats=repeats)
        found = next(iter(loader))
        first = [found.indices.tolist().index(i) for i in sorted(set(found.indices.tolist()))]
        return found.images[first].int()

    small, whole = batch(1), batch(2)[:1]  # a batch of two images twice: from whole ones
    assert not torch.equal(small[:1], whole)
    assert (small[:1] - whole).abs().float().mean() < 2

"""Odd but real files: right, or refused by name; bombs refused from their header; mutated ones never a crash."""

import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.faults import images as mutated
from compound.data import (
    Augment,
    DamagedImage,
    DataError,
    FileSource,
    Preprocessing,
    decode_image,
    make_loader,
    open_data,
)
from compound.network import Inputs


def encoded(image, kind, **options):
    return mutated.encoded(image, kind, options)


# What each EXIF orientation does to the rows and columns of the stored picture (CIPA DC-008, Orientation).
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_every_orientation_is_turned_upright(picture, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = decode_image(encoded(picture(), kind, exif=exif, **({"quality": 95} if kind == "jpg" else {})), 3, "x")
    expected = torch.from_numpy(UPRIGHT[orientation](np.array(picture())).copy()).permute(2, 0, 1)
    assert shown.shape == expected.shape
    assert (shown.int() - expected.int()).abs().float().mean() < 3


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (3, 2)])
@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_extreme_shapes_become_squares(tmp_path, size, fit):
    Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "a.png")
    source = FileSource([tmp_path / "a.png"], [0], 3)
    for augment in (None, Augment(crop="inception")):
        inputs = Inputs(fit=fit) if fit != "crop" else Inputs()
        (batch,) = make_loader(source, Preprocessing(16, 3, inputs), 1, augment=augment)
        assert batch.damaged == []
        assert (batch.images.float().mean((0, 2, 3)) - torch.tensor([10.0, 200, 30])).abs().max() < 2


def png_header(width, height, depth, colour, data):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


BOMBS = {
    "79 kB of grey": lambda: png_header(9000, 9000, 8, 0, zlib.compress(bytes(9001 * 9000), 9)),
    "10 kB of one bit": lambda: png_header(9000, 9000, 1, 0, zlib.compress(bytes(1126 * 9000), 9)),
    "a header alone": lambda: png_header(30_000, 30_000, 8, 2, b""),
    "bitmap": lambda: struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 60, 0, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6),
    "tiff": lambda: encoded(Image.new("L", (8000, 8000)), "tif", compression="tiff_deflate"),
    "gif": lambda: encoded(Image.new("L", (8000, 8000)), "gif"),
    "webp": lambda: encoded(Image.new("RGB", (8000, 8000)), "webp", lossless=True, method=0, quality=0),
}
# In a process of its own, whose memory has only grown by this one file.
MEASURE = """
import compound.spared, resource, sys
from compound.data import DamagedImage, decode_image
data = open(sys.argv[1], "rb").read()
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: decode_image(b"\\0" * 100, 3, "x")
except DamagedImage: pass
before = peak()
try: decode_image(data, 3, "bomb")
except DamagedImage as error: print(peak() - before, error)
"""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_from_the_header(name, monkeypatch):
    data = BOMBS[name]()
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    monkeypatch.setattr("compound.data.decode.FAST", None)
    with pytest.raises(DamagedImage, match="it unpacks to more than 89,478,485 pixels, or too many for its"):
        decode_image(data, 3, name)


@pytest.mark.long
def test_a_bomb_takes_less_than_50_megabytes(tmp_path):
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(BOMBS["79 kB of grey"]())
    done = subprocess.run([sys.executable, "-c", MEASURE, str(bomb)], capture_output=True, text=True, check=True)
    kilobytes, said = done.stdout.split(" ", 1)
    assert int(kilobytes) * 1024 < 50e6
    assert said.startswith("bomb is damaged: it unpacks")


@pytest.mark.long
def test_a_large_photograph_is_no_bomb():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (60, 50, 3), dtype=np.uint8))
    photo = coarse.resize((5000, 6000), Image.Resampling.BICUBIC)  # 30 megapixels
    assert decode_image(encoded(photo, "jpg", quality=30), 3, "x").shape == (3, 6000, 5000)


def test_a_name_that_is_not_utf8_is_read_and_can_be_printed(tmp_path, picture):
    good, bad = (os.path.join(os.fsencode(tmp_path), name) for name in (b"caf\xe9.png", b"caf\xe8.png"))
    for path, data in ((good, encoded(picture(), "png")), (bad, b"")):
        with open(path, "wb") as file:
            file.write(data)
    source = FileSource([os.fsdecode(good), os.fsdecode(bad)], [0, 1], 3)
    assert source.load(0).shape == (3, 40, 60)
    with pytest.raises(DamagedImage) as caught:
        source.load(1)
    assert os.fsencode(caught.value.path) == bad


@pytest.mark.long
def test_mutated_files_are_read_or_left_out_by_path_and_reason(tmp_path):
    # It forks, and a copy of this process could wait for a lock that one of its threads held.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = pool.submit(mutated.campaign, tmp_path, 96, 1).result(200)
    assert found["crashed"] == 0
    assert found["ok"] + found["skipped"] == 96
    assert found["ok"] > 8
    assert found["skipped"] > 8
    assert sum(found["commonest_reasons"].values()) > 8


def test_the_unchanged_files_of_the_campaign_are_all_right():
    for suffix, data in mutated.seeds():
        assert decode_image(data, 3, suffix).shape[0] == 3


def test_a_class_folder_that_is_not_utf8_is_refused_by_name(tmp_path):
    for name in (b"shirt", b"h\xf6se"):
        os.makedirs(os.path.join(os.fsencode(tmp_path), name))
    with pytest.raises(DataError, match=r"class folder b'h\\xf6se', which is no text in UTF-8; rename it"):
        open_data(str(tmp_path))

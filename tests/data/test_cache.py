"""A cache gives what the files gave, and survives what may happen to it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compound.data import Augment, DamagedImage, DataError, DataSpec, Preprocessing, caching, make_loader, open_data
from compound.data.cache import CacheSource
from compound.data.caching import write_cache
from compound.data.open import read_tables
from compound.errors import UsageError
from compound.network import Inputs


@pytest.fixture
def photos(tmp_path) -> Path:
    """Twelve PNG files of two classes, of several sizes, one of them cut short."""
    rng = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "photos" / ("train" if number < 9 else "test") / ("cats", "dogs")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shape = (20 + number, 60 - number, 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{number:02d}.png")
    broken = tmp_path / "photos" / "train" / "dogs" / "03.png"
    broken.write_bytes(broken.read_bytes()[:200])
    return tmp_path / "photos"


def test_pixels_labels_and_parts_are_the_same(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "SHARD", 3 * 64 * 64 * 4)  # a few images a shard
    told = write_cache(read_tables(DataSpec(str(photos))), tmp_path / "out", size=64)
    assert told["images"] == {"train": 9, "test": 3}
    assert told["damaged"] == 1
    assert len(told["shards"]["train"]) > 1
    files, cached = open_data(str(photos), holdout=0.3), open_data(str(tmp_path / "out"), holdout=0.3)
    assert cached.fingerprint() == files.fingerprint()
    for part in ("train", "holdout", "test"):
        ours, theirs = getattr(cached, part), getattr(files, part)
        assert isinstance(ours, CacheSource)
        for index in range(len(theirs)):
            assert ours.path(index) == theirs.path(index)
            if theirs.path(index).endswith("03.png"):
                with pytest.raises(DamagedImage) as expected:
                    theirs.load(index)
                with pytest.raises(DamagedImage) as found:
                    ours.load(index)
                assert str(found.value) == str(expected.value)
            else:
                assert torch.equal(ours.load(index), theirs.load(index))


def test_larger_images_are_scaled_down(photos, tmp_path):
    """Against Pillow's bicubic filter, the reference of antialiased scaling."""
    write_cache(read_tables(DataSpec(str(photos))), tmp_path / "out", size=16)
    source, original = open_data(str(tmp_path / "out")).test, open_data(str(photos)).test
    for index in range(3):
        pixels = original.load(index)
        height, width = pixels.shape[-2:]
        image = source.load(index)
        assert tuple(image.shape) == (3, 16, round(width * 16 / height))
        pillow = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize(image.shape[:0:-1], Image.Resampling.BICUBIC)
        away = np.abs(np.asarray(pillow).astype(int) - image.permute(1, 2, 0).numpy().astype(int))
        assert away.max() <= 1


def test_batches_from_workers(photos, tmp_path):
    write_cache(read_tables(DataSpec(str(photos))), tmp_path / "out", size=64)
    preprocessing = Preprocessing(16, 3, Inputs())
    batches = []
    for spec, workers in ((photos, 0), (tmp_path / "out", 2)):
        train = open_data(str(spec), holdout=0).train
        loader = make_loader(
            train, preprocessing, 4, augment=Augment(crop="inception"), shuffle=True, seed=3, workers=workers
        )
        batches.append([(batch.images, batch.damaged) for batch in loader])
    for (images, damaged), (expected, named) in zip(*batches, strict=True):
        assert torch.equal(images, expected)
        assert damaged == named


def test_a_stopped_one_goes_on_and_a_damaged_shard_is_written_again(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "SHARD", 3 * 64 * 64 * 4)
    out, tables = tmp_path / "out", read_tables(DataSpec(str(photos)))
    write = caching.Shards.part

    def stop(shards, part, source):
        if part == "test":
            raise KeyboardInterrupt
        return write(shards, part, source)

    monkeypatch.setattr(caching.Shards, "part", stop)
    with pytest.raises(KeyboardInterrupt):
        write_cache(tables, out, 64)
    with pytest.raises(DataError, match="not finished; go on with `compound data cache DATA -o"):
        open_data(str(out))
    monkeypatch.setattr(caching.Shards, "part", write)
    first = (out / "train-00000.bin").stat().st_mtime_ns
    said: list[str] = []
    write_cache(tables, out, 64, said.append)
    assert (out / "train-00000.bin").stat().st_mtime_ns == first
    assert all("test" in line for line in said)
    whole = (out / "train-00001.bin").read_bytes()
    (out / "train-00001.bin").write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    write_cache(tables, out, 64, said.append)
    assert "train-00001.bin is damaged; written again" in said[-2]
    assert (out / "train-00001.bin").read_bytes() == whole
    (out / "train-00001.bin").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"train-00001.bin has [\d,]+ bytes of"):
        open_data(str(out))


def test_what_is_not_written_over(photos, tmp_path):
    out, tables = tmp_path / "out", read_tables(DataSpec(str(photos)))
    write_cache(tables, out, 64)
    with pytest.raises(UsageError, match="other data or another size"):
        write_cache(tables, out, 32)
    with pytest.raises(UsageError, match="neither empty nor a cache"):
        write_cache(tables, photos, 64)
    with pytest.raises(DataError, match="a cache of 3 channels, not 1"):
        open_data(str(out), channels=1)


HOLD = """
import sys
from pathlib import Path
from compound.files import locked
with locked(Path(sys.argv[1]), "it"):
    print("locked", flush=True)
    input()
"""


def test_a_second_process_is_refused(photos, tmp_path):
    out = tmp_path / "out"
    write_cache(read_tables(DataSpec(str(photos))), out, 64)
    words = [sys.executable, "-c", HOLD, str(out / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(UsageError, match=rf"the cache .* is in use by process {process.pid} "):
            write_cache(read_tables(DataSpec(str(photos))), out, 64)
        process.communicate("\n")


def test_pixels_that_changed_are_written_again(photos, tmp_path):
    """A file of the same name and the same place."""
    out, said = tmp_path / "out", []
    write_cache(read_tables(DataSpec(str(photos))), out, 64)
    file = next(path for path in sorted(photos.rglob("*")) if path.suffix == ".png" and "train" in str(path))
    Image.new("RGB", (64, 64), (1, 2, 3)).save(file)
    write_cache(read_tables(DataSpec(str(photos))), out, 64, said.append)
    assert any("is of data that has changed; written again" in line for line in said)
    train = open_data(str(out)).train
    plain = [
        i for i in range(len(train)) if not _damaged(train, i) and torch.unique(train.load(i)).tolist() == [1, 2, 3]
    ]
    assert len(plain) == 1


def _damaged(source, index) -> bool:
    try:
        source.load(index)
    except DamagedImage:
        return True
    return False

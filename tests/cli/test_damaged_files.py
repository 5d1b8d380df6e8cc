"""Every file that a verb reads, damaged in every way there is: one sentence of our own, and nothing half-written."""

import contextlib
import io
import random
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compound.cli import run

TRAIN = "train net.yaml photos --epochs 1 --batch 8 --workers 0"
WORDS = {  # a verb that reads the file
    "net.yaml": "show net.yaml",
    "rule.yaml": "scale efficientnet-b0 --phi 1 --rule rule.yaml",
    "recipe.yaml": f"{TRAIN} --recipe recipe.yaml -o new",
    "plan.yaml": "study net.yaml photos --plan plan.yaml -o new",
    "space.yaml": "search architecture photos --space space.yaml --macs 1M -o new",
    "device.json": "plan efficientnet-b0 --latency 20ms --device device.json",
    "shares.json": f"{TRAIN} --class-weights shares.json -o new",
    "corrections.csv": "evaluate run --labels corrections.csv",
    "table.csv": "data check table.csv",
    "arrays.npz": "data check arrays.npz",
    "photos.zip": "data check photos.zip",
    "photos-000.tar": "data check photos-000.tar",
    "s/result.json": "forecast s",
    "run/run.yaml": "evaluate run",
    "run/network.yaml": "show run",
    "run/images.csv": "evaluate run",
    "run/metrics.csv": "report run -o new",
    "run/evaluation.json": "report run -o new",
    "run/model.safetensors": "predict run photos/a/0.png",
    "run/checkpoints/last.ckpt": f"{TRAIN} --resume -o run",
}
WAYS = ("empty", "cut", "random", "list", "folder", "long", "loop")
WHOLE = {  # what is no damage: a run without a finished epoch, files that hold none of these numbers
    ("run/metrics.csv", "empty"),
    ("photos-000.tar", "cut"),  # what is whole of a shard is used, and the rest is named
    *((name, "long") for name in ("run/images.csv", "table.csv")),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    with contextlib.chdir(home):
        for label, name in enumerate("abc"):
            Path("photos", name).mkdir(parents=True)
            for number in range(12):
                pixels = np.random.default_rng([label, number]).integers(0, 255, (16, 16, 3), np.uint8)
                Image.fromarray(pixels).save(f"photos/{name}/{number}.png")
        Path("net.yaml").write_text(
            "resolution: 16\nstem: {block: conv, channels: 8}\nstages:\n- {block: conv, layers: 1, channels: 8}\n"
        )
        photos = sorted(Path("photos").rglob("*.png"))
        with zipfile.ZipFile("photos.zip", "w") as packed, tarfile.open("photos-000.tar", "w") as shard:
            for number, path in enumerate(photos):
                packed.write(path)
                shard.add(path, f"{number}.png")
                label = tarfile.TarInfo(f"{number}.cls")
                label.size = 1
                shard.addfile(label, io.BytesIO(str("abc".index(path.parent.name)).encode()))
        Path("table.csv").write_text("path,label\n" + "".join(f"{path},{path.parent.name}\n" for path in photos))
        np.savez("arrays.npz", train_images=np.zeros((20, 8, 8), np.uint8), train_labels=np.arange(20) % 2)
        Path("rule.yaml").write_text("alpha: 1.2\nbeta: 1.1\ngamma: 1.15\n")
        Path("recipe.yaml").write_text("rate: 0.1\nbase: small\n")
        Path("plan.yaml").write_text("networks: []\n")
        Path("shares.json").write_text('{"a": 1, "b": 1, "c": 1}')
        assert called(f"{TRAIN} --holdout 0.2 -o run")[0] == 0
    return home


def called(words: str) -> tuple[int, str]:
    """Exit code, and what is said on standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        return run(words.split()), said.getvalue()


def damage(path: Path, way: str, whole: bytes) -> None:
    if way == "folder":
        path.mkdir()
    elif way == "loop":
        path.symlink_to(path.name)
    else:
        long = b"1" + 400 * b"0"
        made = {
            "empty": b"",
            "cut": whole[: len(whole) // 2] or b'{"a": [1,',
            "random": random.Random(0).randbytes(3000),
            "list": b"[1, 2, 3]\n",
            "long": re.sub(rb"(?<![\w.])\d+(\.\d+)?(?![\w.])", long, whole[:20000]) or b'{"a": ' + long + b"}",
        }
        path.write_bytes(made[way])


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(WORDS))
def test_a_damaged_file_gets_one_sentence(name: str, home: Path, tmp_path: Path, monkeypatch) -> None:
    place = tmp_path / "home"
    for way in WAYS:
        shutil.copytree(home, place)
        monkeypatch.chdir(place)
        whole = Path(name).read_bytes() if Path(name).exists() else b""
        Path(name).unlink(missing_ok=True)
        Path(name).parent.mkdir(exist_ok=True)
        damage(Path(name), way, whole)
        code, said = called(WORDS[name])
        if (name, way) not in WHOLE:
            told = f"{name} {way}: {code} {said}"
            assert code in (1, 2), told
            assert said.splitlines()[-1].startswith("error: "), told
            assert not [word for word in ("Traceback", "--debug") if word in said], told
            assert not Path("new").exists(), told
        shutil.rmtree(place)

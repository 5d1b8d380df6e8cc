"""Files that ask for much, never end, or hold what is never run; each with the words of the verb that opens it."""

import io
import json
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.attack.images import slow_jpeg

NETWORK = "name: x\nstem: {block: conv, channels: 8}\nstages:\n- {block: conv, layers: 1, channels: 8}\n"


def weights_of(network: str, **metadata: str) -> bytes:
    """A safetensors file of one small tensor, whose metadata ask for `network`."""
    said = {
        "format": "compound-1", "network": network, "classes": '["a", "b"]',
        "preprocessing": '{"channels": 1}',
    } | metadata  # fmt: skip
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"__metadata__": said, "stem.weight": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch executed",)


def aliases(depth: int = 30) -> str:
    """A few lines that stand for 9^depth values."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join([*lines, f"name: *a{depth - 1}"])


def write_cases(folder: Path) -> dict[str, list[str]]:
    """What is attacked, and the words after `compound`."""
    photo = folder / "photo.png"
    Image.new("RGB", (64, 64), (90, 120, 30)).save(photo)
    many = NETWORK.replace("layers: 1", "layers: 1000000000")
    texts = {
        "many.yaml": many,
        "aliases.yaml": aliases(),
        "deep.yaml": "a: " + "[" * 50_000,
        "twice.yaml": NETWORK + NETWORK,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    files = {
        "many.safetensors": weights_of(NETWORK.replace("layers: 1", "layers: 100000")),
        "wide.safetensors": weights_of(NETWORK + "head: {channels: 100000000}\n"),
        "sharp.safetensors": weights_of("resolution: 1000000\n" + NETWORK),
        "deep.safetensors": weights_of(NETWORK, classes="[" * 100_000),
        "code.pth": pickle.dumps(Payload()),
        "nothing.onnx": b"nothing", "nothing.xml": b"<net", "cut.npz": b"PK\x03\x04cut",
    }  # fmt: skip
    for name, data in files.items():
        (folder / name).write_bytes(data)
    for name in ("pipe.safetensors", "pipe.npz", "pipe.csv", "pipe.yaml"):
        os.mkfifo(folder / name)
    for name in ("zero.npz", "zero.csv"):
        (folder / name).symlink_to("/dev/zero")
    for name, largest in (("labels.npz", 2_000_000_000), ("gaps.npz", 999_999), ("unsigned.npz", 2**64 - 1)):
        labels = np.array([0, largest], np.uint64)
        np.savez(folder / name, train_images=np.zeros((2, 8, 8), np.uint8), train_labels=labels)
    with tarfile.open(folder / "x-000.tar", "w") as shard:
        for number in range(2):
            shard.add(photo, f"{number}.png")
            label = tarfile.TarInfo(f"{number}.cls")
            label.size = 1
            shard.addfile(label, io.BytesIO(b"%d" % number))
    os.mkfifo(folder / "classes.txt")
    (folder / "evil\x1b[2J.yaml").write_text("stages: 1")
    words = {name: ["show", str(folder / name)] for name in (*texts, "pipe.yaml", "evil\x1b[2J.yaml")}
    words |= {
        name: ["predict", str(folder / name), str(photo)]
        for name in (*files, "pipe.safetensors")
        if not name.endswith((".npz", ".pth"))
    }
    words["code.pth"] = ["predict", "resnet-18", str(photo), "--weights", str(folder / "code.pth")]
    odd = (
        "cut.npz",
        "pipe.npz",
        "pipe.csv",
        "zero.npz",
        "zero.csv",
        "labels.npz",
        "gaps.npz",
        "unsigned.npz",
        "x-000.tar",
    )
    words |= {name: ["data", "check", str(folder / name)] for name in odd}
    words["absurd rate"] = ["train", "efficientnet-mini", "fashion6k", "--out", str(folder / "r"), "--rate", "nan"]
    return words


def photo_of(megapixels: float) -> bytes:
    side = int((megapixels * 1e6) ** 0.5)
    file = io.BytesIO()
    Image.effect_noise((side // 16, side // 16), 60).convert("RGB").resize((side, side)).save(file, "JPEG", quality=60)
    return file.getvalue()


SLOW = {"JPEG of 33,000 scans": lambda: slow_jpeg(4000, 33_000)}

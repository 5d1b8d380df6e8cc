"""Mutated image files: each is right or left out by path and reason; none ends the process."""

import io
import json
import os
import random
import resource
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.faults.subject import fork
from compound.data import DamageLog, FileSource, Preprocessing, make_loader
from compound.network import Inputs

CHUNK = 200  # files a process reads


def seeds() -> list[tuple[str, bytes]]:
    """Small files of every kind: (suffix, bytes)."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    colour = coarse.resize((48, 36), Image.Resampling.BICUBIC)
    clear = colour.copy()
    clear.putalpha(128)
    deep = Image.fromarray(rng.integers(0, 65536, (20, 30), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("jpg", colour, {}),
        ("jpg", colour, {"progressive": True, "exif": exif}),
        ("jpg", colour.convert("L"), {}),
        ("jpg", colour.convert("CMYK"), {}),
        ("png", colour, {}),
        ("png", clear, {}),
        ("png", deep, {}),
        ("png", colour.quantize(16), {"transparency": 0}),
        ("webp", colour, {"lossless": True}),
        ("webp", colour, {"quality": 70}),
        ("bmp", colour, {}),
        ("gif", colour.quantize(16), {"save_all": True, "append_images": [colour.quantize(8)]}),
        ("tif", colour, {"compression": "tiff_lzw"}),
        ("tif", deep, {}),
        ("tif", colour, {"compression": "jpeg"}),
        ("ppm", colour, {}),
    ]
    return [(suffix, encoded(image, suffix, options)) for suffix, image, options in kinds]


def encoded(image: Image.Image, suffix: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    return file.getvalue()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to three changes: bytes replaced, bits flipped, parts removed, repeated or cut; the header often."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        if not changed:
            break
        place = rng.randrange(min(len(changed), 64) if rng.random() < 0.2 else len(changed))
        end = min(place + rng.randint(1, 32), len(changed))
        kind = rng.randrange(6)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place:end] = rng.randbytes(end - place)
        elif kind == 2:
            changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 3:
            del changed[place:end]
        elif kind == 4:
            changed[place:place] = changed[place:end]
        else:
            del changed[place:]
    return bytes(changed)


def campaign(folder: Path, count: int, seed: int = 0) -> dict[str, Any]:
    """Write and load `count` mutated files, some hundreds a process; what became of them."""
    rng = random.Random(seed)
    kinds = seeds()
    report: dict[str, Any] = {"images": count, "ok": 0, "skipped": 0, "crashed": 0, "peak_bytes": 0}
    reasons: Counter[str] = Counter()
    for start in range(0, count, CHUNK):
        place = folder / str(start)
        place.mkdir(parents=True)
        paths = []
        for number in range(start, min(start + CHUNK, count)):
            suffix, data = kinds[number % len(kinds)]
            paths.append(place / f"{number}.{suffix}")
            paths[-1].write_bytes(mutated(data, rng))
        one = loaded(paths, place)
        if one is None:
            report["crashed"] += 1
            report.setdefault("crashes", []).append(str(place))
            continue
        report["ok"] += one["ok"]
        report["skipped"] += len(one["skipped"])
        report["peak_bytes"] = max(report["peak_bytes"], one["peak_bytes"])
        assert all(path in map(str, paths) and reason for path, reason in one["skipped"].items())
        reasons.update(reason.split(",")[0][:40] for reason in one["skipped"].values())
    return report | {"commonest_reasons": dict(reasons.most_common(12))}


def loaded(paths: list[Path], place: Path) -> dict[str, Any] | None:
    """What a process of its own makes of the files; None if it did not survive them."""
    answer = place / "answer.json"

    def work() -> None:
        damage = DamageLog(limit=1.0)
        source = FileSource(paths, np.zeros(len(paths), dtype=np.int64), 3)
        ok, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for batch in make_loader(source, Preprocessing(32, 3, Inputs()), 50):
            damage.add(batch)
            ok += len(batch)
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        answer.write_text(json.dumps({"ok": ok, "skipped": damage.damaged, "peak_bytes": peak}))

    status = os.waitpid(fork(work, place / "log"), 0)[1]
    return None if os.waitstatus_to_exitcode(status) else json.loads(answer.read_text())

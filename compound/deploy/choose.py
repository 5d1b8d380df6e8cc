"""The fastest way to run a network on this machine that keeps its accuracy: measured, never assumed."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from compound.cost import cost
from compound.deploy.export import IMAGES, Exported, Probe, size_of
from compound.deploy.predict import weights_file
from compound.documents import damaged, read_json
from compound.files import sha256, stands, write_json
from compound.measurement.timing import interleaved
from compound.network import Network
from compound.nn import ConvNet, Weights, load_model, load_weights
from compound.notes import note
from compound.runtimes import Runtime, in_torch, is_exported, open_runtime

RUNS = 30  # timings of each candidate, in turn
CHOICE = "deploy.json"
Z = 1.96  # of a 95 % interval
MOST_IMAGES = 10_000
WORK = 4e11  # multiply-adds of a way over all images: about 20 seconds of a core


def candidates(
    model: ConvNet, described: Weights, out: Path, exported: Sequence[Exported], threads: int | None = None
) -> list[tuple[str, Runtime]]:
    """Every way to run the network here, with its file: in PyTorch, and each export at each precision it allows."""
    ways = [("", in_torch(model, described, precision)) for precision in ("fp32", "bf16")]
    for one in exported:
        if is_exported(Path(one.file)):
            ways.append((one.file, open_runtime(out / one.file, one.precision, threads)))
            if one.runtime == "openvino" and one.precision == "fp32":
                ways.append((one.file, open_runtime(out / one.file, "bf16", threads)))
    return ways


def compare_ways(
    model: ConvNet,
    described: Weights,
    out: Path,
    exported: Sequence[Exported],
    checked_on: Probe,
    threads: int | None = None,
) -> list[Exported]:
    """Size, latency of one image and accuracy of every way to run the network on this machine, the fastest first."""
    ways = candidates(model, described, out, exported, threads)
    calls = {str(number): partial(runtime.logits, checked_on.pixels[:1]) for number, (_, runtime) in enumerate(ways)}
    note(f"timing {len(calls)} ways to run it, in turn, and comparing each on {len(checked_on.pixels):,} images")
    taken = interleaved(calls, RUNS, RUNS)
    rows = [
        replace(
            checked_on.compare(runtime, file, size_of(out / file) if file else 0),
            latency_ms=1e3 * taken[str(number)].median,
        )
        for number, (file, runtime) in enumerate(ways)
    ]
    return sorted(rows, key=lambda row: row.latency_ms or 0.0)


def timed_files(out: Path, exported: Sequence[Exported], pixels: Tensor, threads: int | None = None) -> list[Exported]:
    """The files with the latency of one image, those that this machine can open, all taking turns."""
    opened = {one.file: open_runtime(out / one.file, one.precision, threads)
              for one in exported if is_exported(Path(one.file))}  # fmt: skip
    calls = {file: partial(runtime.logits, pixels[:1]) for file, runtime in opened.items()}
    note(f"timing {len(calls)} files, in turn")
    taken = interleaved(calls, RUNS, RUNS)
    return [replace(one, latency_ms=1e3 * taken[one.file].median) if one.file in taken else one for one in exported]


def choose(rows: Sequence[Exported], most_drop: float) -> Exported:
    """The first of `rows` that computes in fp32, or whose images show that it loses at most `most_drop` points.

    What is written in fp32 was checked logit by logit. Of other precisions the upper end of the interval counts: by a
    few images that agree nothing is shown.
    """
    return next(row for row in rows if row.precision == "fp32" or row.most_lost <= most_drop)


def images_needed(most_drop: float) -> int | None:
    """Images that show a loss of at most `most_drop` points if all agree; None for 0, which no number of them shows."""
    return math.ceil(Z**2 * (100 - most_drop) / most_drop) if most_drop else None


def images_to_show(network: Network, most_drop: float, given: object = None) -> int:
    """`images_needed`, as far as that takes a few minutes; of images `given` for it as many as are ever looked at."""
    needed = min(images_needed(most_drop) or MOST_IMAGES, MOST_IMAGES)
    return max(IMAGES, needed if given else min(needed, int(WORK / cost(network).macs)))


def write_choice(out: Path, chosen: Exported, rows: Sequence[Exported], weights: Path) -> Path:
    """deploy.json: which way to run the weights of a file, and what the choice rests on."""
    told = {"weights_sha256": sha256(weights), "chosen": asdict(chosen), "candidates": [asdict(row) for row in rows]}
    return write_json(out / CHOICE, told)


def export_folder(model: str) -> Path:
    """Beside what is exported, so that a run directory stays complete by itself."""
    path = Path(model)
    if path.is_dir():
        return path / "export"
    return path.parent / f"{path.stem}-export" if path.exists() else Path(f"{model}-export")


def open_model(model: str, runtime: str = "auto", *, several: bool = False) -> tuple[ConvNet | Runtime, Weights]:
    """What computes a run, a weights file, an exported file or a published name, and what it knows of its images.

    `runtime` is `torch`, or `auto`: what `write_choice` left beside the model for these weights, else PyTorch.
    `several`: whether the caller can do with several labels an image.
    """
    if is_exported(Path(model)):
        opened = open_runtime(Path(model))
        return opened, opened.described
    chosen = open_choice(export_folder(model), weights_file(model)) if runtime == "auto" else None
    return (chosen, chosen.described) if chosen else load_weights(model, several=several)


def open_choice(out: Path, weights: Path) -> Runtime | None:
    """The way that was chosen in the folder `out`; None where none was, or for other weights than these."""
    if not stands(out / CHOICE):
        return None
    remedy = "make it again with: compound export --to auto"
    told = read_json(out / CHOICE, remedy)
    with damaged(out / CHOICE, remedy):
        chosen = Exported(**told["chosen"])
        current = told["weights_sha256"] == sha256(weights)
    if not current:
        return None
    if not chosen.file:
        return in_torch(*load_model(weights), chosen.precision)
    return open_runtime(out / chosen.file, chosen.precision)

"""Networks of a competition timed in turns on one runtime, and the files of other precisions that may join them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compound.verbs.contest import Contender
from compound.verbs.ways import PRECISIONS

if TYPE_CHECKING:
    from torch import Tensor

    from compound.data import DataSet
    from compound.measurement import Turns
    from compound.runtimes import Runtime
    from compound.training import Setup

PREFERRED = ("openvino", "onnx")  # formats in which all are timed, the first that is here
CHECKED_ON = 256  # images that each file is checked on


def timed(
    contenders: Sequence[Contender], ways: Sequence[str], images: "DataSet", folder: Path, setup: "Setup",
    turns: "Turns | None",
) -> tuple[list[Contender], str, dict[str, str]]:  # fmt: skip
    """The contenders with the seconds of one call of each, after them the first one in other precisions; the runtime;
    and which precisions were left out, and why.

    Every network is written as a file of the runtime, into FOLDER/files, since that is how it will run; without such a
    runtime PyTorch runs them.
    """
    from compound.evaluation import evaluate
    from compound.measurement import TABLE_4
    from compound.measurement.timing import interleaved

    wanted = [way for way in PRECISIONS if way in ways]
    threads, turns = setup.execution.threads or 1, turns or TABLE_4
    name = next((one for one in PREFERRED if is_here(one)), "")
    whole, found, runtimes = contenders[0], [], {}
    for one in contenders:
        file, runtimes[one.way] = opened(one, name, folder / "files" / one.way.replace(" ", "-"), images, threads)
        found.append(replace(one, file=file))
    left_out = {}
    for precision in wanted:
        runtime, file = other(found[0], precision, threads) if name else (None, None)
        if runtime is None:
            left_out[precision] = "no runtime of it is here; run: pip install 'compound[deploy]'"
            continue
        result = evaluate(runtime, images.holdout, images.classes, setup.execution)
        found.append(replace(whole, way=precision, result=result, file=file, precision=precision))
        runtimes[precision] = runtime
    calls = {way: partial(runtime.logits, pixels(runtime)) for way, runtime in runtimes.items()}
    taken = interleaved(calls, turns.runs, turns.rounds, turns.seed)
    return [replace(one, seconds=taken[one.way].median) for one in found], name or "pytorch", left_out


def is_here(name: str) -> bool:
    from importlib.util import find_spec

    needed = {"openvino": ("openvino", "nncf", "onnx"), "onnx": ("onnx", "onnxruntime", "onnxscript")}[name]
    return all(find_spec(package) is not None for package in needed)


def opened(one: Contender, name: str, place: Path, images: "DataSet", threads: int) -> "tuple[Path | None, Runtime]":
    """The contender's file, written where it is not there, and what runs it."""
    from compound.deploy import Quantised, export
    from compound.deploy.export import probe
    from compound.nn import load_weights
    from compound.runtimes import FORMATS, in_torch, open_runtime

    model, described = load_weights(one.run.weights)
    if not name:
        return None, in_torch(model, described)
    file = place / FORMATS[name].file
    if not file.is_file():
        checked, whole = probe(model, images.holdout, True, CHECKED_ON), one.way == WHOLE
        quantised = Quantised(probe(model, images.train, False, CHECKED_ON).pixels) if whole else None
        export(model, described.classes, [name], place, checked, quantised=quantised)
    return file, open_runtime(file, "fp32", threads)


WHOLE = "as it was"


def other(whole: Contender, precision: str, threads: int) -> "tuple[Runtime | None, Path | None]":
    """The network as it was in another precision: its file of integers, or the same file in bf16 where there is one."""
    from compound.runtimes import open_runtime

    assert whole.file is not None
    if precision == "int8":
        file = whole.file.with_name(f"{whole.file.stem}-int8{whole.file.suffix}")
        return (open_runtime(file, "int8", threads), file) if file.is_file() else (None, None)
    return (open_runtime(whole.file, precision, threads), whole.file) if whole.file.suffix == ".xml" else (None, None)


def pixels(runtime: "Runtime") -> "Tensor":
    """One image of noise as the runtime takes them."""
    import torch

    side, random = runtime.network.resolution, torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, runtime.channels, side, side), dtype=torch.uint8, generator=random)

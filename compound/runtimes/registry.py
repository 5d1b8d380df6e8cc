"""The runtimes: what writes a network for each, what opens that file, and how it is timed.

`FORMATS` are the files that a network is exported to. `RUNTIMES` are what `measure` and the tables of devices know, by
name: a function of (model, images, threads) that gets ready to compute these images again and again. For a runtime with
a file it writes and opens the very file that `export` writes. Both are ordinary mappings, so another runtime is another
entry.
"""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compound.errors import UsageError
from compound.nn import ConvNet
from compound.runtimes.coreml import write_coreml
from compound.runtimes.files import Opened, open_executorch, open_onnx, open_openvino
from compound.runtimes.graphs import (
    BareModel,
    Exportable,
    Unavailable,
    graph_of,
    write_executorch,
    write_onnx,
    write_openvino,
    write_torch,
)
from compound.runtimes.laps import module_laps
from compound.runtimes.measure_here import Laps
from compound.runtimes.optimize import optimize


@dataclass(frozen=True)
class Format:
    """A file that a network is written to. `name` is that of what runs it; `open` takes path, precision and threads;
    `where` says on what it runs.

    Without `open` such a file is never read again: it could run code, or what runs it is not for this machine.
    """

    name: str
    file: str
    write: Callable[[Exportable[Any], Path], Path]
    open: Callable[[Path, str, int], Opened] | None = None
    where: str = ""


FORMATS = {
    "onnx": Format("onnxruntime", "model.onnx", write_onnx, open_onnx, "any machine, phone or browser"),
    "openvino": Format("openvino", "model.xml", write_openvino, open_openvino, "processors of Intel and ARM"),
    "torch": Format("torch.export", "model.pt2", write_torch, where="wherever PyTorch runs"),
    "executorch": Format("executorch", "model.pte", write_executorch, open_executorch, "Android, iOS, small devices"),
    "coreml": Format("coreml", "model.mlpackage", write_coreml, where="iOS 16 and macOS 13 or later"),
}
OPENERS = {Path(one.file).suffix: (one.name, one.open) for one in FORMATS.values() if one.open is not None}


@dataclass(frozen=True)
class Runner:
    """`run` computes the batch once; `laps`, where the runtime can tell, makes so many calls and says where their time
    went, of each or of all in the mean."""

    run: Callable[[], Any]
    laps: Callable[[int], list[Laps]] | None = None


MakeRunner = Callable[[nn.Module, Tensor, int], Runner]


def eager(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch as it is."""
    torch.set_num_threads(threads)

    def run() -> Tensor:
        with torch.inference_mode():
            output: Tensor = model(images)
        return output

    return Runner(run, lambda calls: [module_laps(model, run) for _ in range(calls)])


def channels_last(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch with the channels of a position side by side in memory."""
    layout: Any = torch.channels_last
    return eager(model.to(memory_format=layout), images.contiguous(memory_format=layout), threads)


def compiled(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch's compiler with frozen weights."""
    if not any(map(shutil.which, ("g++", "clang++", "c++", "cl"))):
        raise Unavailable("runtime compile needs a C++ compiler, and there is none; install g++")
    layout: Any = torch.channels_last
    torch.compiler.reset()
    model = model.to(memory_format=layout)
    fast: Any = torch.compile(model, options={"freezing": True})
    return Runner(eager(fast, images.contiguous(memory_format=layout), threads).run)


def optimized(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch by `optimize`, in fp32."""
    torch.set_num_threads(threads)
    fast = optimize(model, images)

    def run() -> Tensor:
        logits: Tensor = fast(images)
        return logits

    return Runner(run, lambda calls: [module_laps(fast.model, run) for _ in range(calls)])


def in_file(form: Format) -> MakeRunner:
    """The file that `export` writes, in fp32, on pixels; another library's model as it is, at the batch given."""
    opener = form.open
    assert opener is not None

    def make(model: nn.Module, images: Tensor, threads: int) -> Runner:
        folder = Path(tempfile.mkdtemp(prefix="compound-"))
        if isinstance(model, ConvNet):
            graph: Exportable[Any] = graph_of(model, tuple(map(str, range(model.classes))), None, "uint8")
            images = graph.module.pixels(images)
        else:
            graph = Exportable(BareModel(model, images[:1]).eval(), len(images), {})
        opened = opener(form.write(graph, folder / form.file), "fp32", threads)
        laps = opened.laps
        runner = Runner(lambda: opened.logits(images), laps and (lambda calls: laps(images, calls)))
        weakref.finalize(runner, shutil.rmtree, folder, ignore_errors=True)  # laps open the file again
        return runner

    return make


RUNTIMES: dict[str, MakeRunner] = {
    "optimized": optimized,
    "eager": eager,
    "channels-last": channels_last,
    "compile": compiled,
} | {one.name: in_file(one) for one in FORMATS.values() if one.open is not None}


def find_runtime(name: str, known: Mapping[str, MakeRunner] = RUNTIMES) -> MakeRunner:
    if name not in known:
        raise UsageError(f"there is no runtime {name!r}; use {', '.join(known)}")
    return known[name]

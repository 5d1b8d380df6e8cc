"""Runtimes by name: each makes a model and a batch into a `Runner`.

A runtime is a function `(model, images, threads) -> Runner`; `RUNTIMES` is an ordinary mapping, so another runtime is
another entry.
"""

import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from compound.errors import CompoundError, UsageError
from compound.measurement.laps import Laps, module_laps, name_by_module, onnxruntime_laps, openvino_laps
from compound.nn import ConvNet, fold


class Unavailable(CompoundError):
    """A runtime that this machine does not have, with what is missing."""


@dataclass(frozen=True)
class Runner:
    """`run` computes the batch once; `laps`, where the runtime can tell, makes so many calls and says where their time
    went, of each or of all in the mean."""

    run: Callable[[], Any]
    laps: Callable[[int], list[Laps]] | None = None


Runtime = Callable[[nn.Module, Tensor, int], Runner]


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


def onnx_runtime(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """ONNX Runtime on the CPU, fp32, at the batch given."""
    need("onnxruntime", "onnx", "onnxscript")
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        program = torch.onnx.export(folded(model), (images,), dynamo=True, verbose=False, input_names=["images"])
    assert program is not None
    proto = program.model_proto
    name_by_module(proto.graph)
    file = proto.SerializeToString()
    feed = {"images": images.contiguous().numpy()}

    def options() -> Any:
        given = onnxruntime.SessionOptions()
        given.intra_op_num_threads = threads
        given.inter_op_num_threads = 1
        return given

    def start(given: Any) -> Any:
        return onnxruntime.InferenceSession(file, given, providers=["CPUExecutionProvider"])

    session = start(options())
    return Runner(lambda: session.run(None, feed)[0], lambda calls: onnxruntime_laps(start, options(), feed, calls))


def openvino(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """OpenVINO on the CPU, fp32, at the batch given."""
    need("openvino")
    import openvino as ov

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = ov.convert_model(folded(model), example_input=images, input=[tuple(images.shape)])
    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    core, feed = ov.Core(), [images.contiguous().numpy()]
    request = core.compile_model(converted, "CPU", config).create_infer_request()

    def laps(calls: int) -> list[Laps]:
        return openvino_laps(core.compile_model(converted, "CPU", config | {"PERF_COUNT": True}), feed, calls)

    return Runner(lambda: request.infer(feed, share_inputs=True)[0], laps)


def folded(model: nn.Module) -> nn.Module:
    """One of our networks as it is exported; another library's as it is."""
    return fold(model) if isinstance(model, ConvNet) else model


RUNTIMES: dict[str, Runtime] = {
    "eager": eager,
    "channels-last": channels_last,
    "compile": compiled,
    "onnxruntime": onnx_runtime,
    "openvino": openvino,
}


def find_runtime(name: str, known: Mapping[str, Runtime] = RUNTIMES) -> Runtime:
    if name not in known:
        raise UsageError(f"there is no runtime {name!r}; use {', '.join(known)}")
    return known[name]


def need(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} is not installed; run: pip install 'compound[deploy]'")

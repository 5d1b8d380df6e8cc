"""Runtimes by name: each makes a model and a batch into a `Runner`.

A runtime is a function `(model, images, threads) -> Runner`; `RUNTIMES` is an ordinary mapping, so another runtime is
another entry.
"""

import io
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from compound.errors import CompoundError, UsageError

Laps = dict[str, float]  # seconds of one call by the module they were spent in


class Unavailable(CompoundError):
    """A runtime that this machine does not have, with what is missing."""


@dataclass(frozen=True)
class Runner:
    """`run` computes the batch once; `laps`, where the runtime can tell, does so and says where the time went."""

    run: Callable[[], Any]
    laps: Callable[[], Laps] | None = None


Runtime = Callable[[nn.Module, Tensor, int], Runner]


def eager(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch as it is."""
    torch.set_num_threads(threads)

    def run() -> Tensor:
        with torch.inference_mode():
            output: Tensor = model(images)
        return output

    return Runner(run, lambda: module_laps(model, run))


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
    fast = torch.compile(model, options={"freezing": True})
    return Runner(eager(fast, images.contiguous(memory_format=layout), threads).run)


def onnx_runtime(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """ONNX Runtime on the CPU, fp32, at the batch given."""
    need("onnxruntime", "onnx", "onnxscript")
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        program = torch.onnx.export(model, (images,), dynamo=True, verbose=False, input_names=["images"])
    assert program is not None
    file = io.BytesIO()
    program.save(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {"images": images.contiguous().numpy()}
    return Runner(lambda: session.run(None, feed)[0])


def openvino(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """OpenVINO on the CPU, fp32, at the batch given."""
    need("openvino")
    import openvino as ov

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = ov.convert_model(model, example_input=images, input=[tuple(images.shape)])
    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    ready = ov.Core().compile_model(converted, "CPU", config)
    request, array = ready.create_infer_request(), images.contiguous().numpy()
    return Runner(lambda: request.infer([array], share_inputs=True)[0])


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


def module_laps(model: nn.Module, run: Callable[[], object]) -> Laps:
    """One call of `run`, its time split at the moments where a module of `model` ends, by the module's name.

    What happens between two ends (freeing a map, a sum around a body) belongs to the later one. Containers that only
    call others are no ends of their own.
    """
    laps: Laps = {}
    last = 0.0

    def timed(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal last
            output = forward(*args)
            now = time.perf_counter()
            laps[name] = laps.get(name, 0.0) + now - last
            last = now
            return output

        return call

    named = [(name, module) for name, module in model.named_modules() if name and not isinstance(module, PASSING)]
    for name, module in named:
        module.forward = timed(name, module.forward)  # type: ignore[method-assign]
    try:
        last = time.perf_counter()
        run()
    finally:
        for _, module in named:
            del module.forward  # the class's own again
    return laps


# A cell network's stages are `Sequential`s too. Lists and dictionaries of modules are not here: they never run, unless
# they are a `Concat`, whose end is where its branches are joined.
PASSING = (nn.Sequential, nn.Dropout, nn.Flatten)

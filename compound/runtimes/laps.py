"""Where the time of a call goes: seconds by the module of the model they were spent in.

What a runtime cannot place (the moment between two modules, a map laid out anew) belongs to the module that ends next.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from compound.nn.modules import Wiring
from compound.runtimes.measure_here import SCOPE, Laps, by_module, profiled

# A cell network's stages are `Sequential`s too. Lists and dictionaries of modules are not here: they never run, unless
# they are a `Concat`, whose end is where its branches are joined.
PASSING = (nn.Sequential, nn.Dropout, nn.Flatten, Wiring)


def module_laps(model: nn.Module, run: Callable[[], object]) -> Laps:
    """One call of `run`, its time split at the moments where a module of `model` ends, by the module's name.

    Containers that only call others are no ends of their own.
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
        module.forward = timed(name, module.forward)
    try:
        last = time.perf_counter()
        run()
    finally:
        for _, module in named:
            del module.forward  # the class's own again
    return laps


def openvino_laps(ready: Any, feed: Any, calls: int) -> list[Laps]:
    """The mean of `calls` calls of a compiled OpenVINO model that counts its time (`PERF_COUNT`).

    It tells of every operator the mean of all calls so far, in whole microseconds, so what the first one took is taken
    off. An operator that others were fused into has several names; the first that is a module's counts.
    """
    names = {
        node.friendly_name: node.get_rt_info()["originalLayersNames"].astype(str)
        for node in ready.get_runtime_model().get_ordered_ops()
    }
    request = ready.create_infer_request()

    def spent() -> dict[str, float]:
        told = request.get_profiling_info()
        return {one.node_name: one.real_time.total_seconds() for one in told if one.status == one.Status.EXECUTED}

    request.infer(feed, share_inputs=True)
    first = spent()
    for _ in range(calls):
        request.infer(feed, share_inputs=True)
    mean = {name: max(0.0, ((calls + 1) * all_ - first.get(name, 0.0)) / calls) for name, all_ in spent().items()}
    return [by_module((names.get(name, name), seconds) for name, seconds in mean.items())]


def onnxruntime_laps(data: bytes, start: Callable[[bytes, str], Any], feed: Any, calls: int) -> list[Laps]:
    """`calls` calls of the ONNX model in `data`, after one that is not kept; `start` opens a session that profiles.

    It is a session of its own: its nodes have the names of modules, and it writes what it timed to a file when it ends.
    """
    import onnx

    model = onnx.load_model_from_string(data)
    name_by_module(model.graph)
    with tempfile.TemporaryDirectory() as folder:
        session = start(model.SerializeToString(), str(Path(folder) / "laps"))
        for _ in range(calls + 1):
            session.run(None, feed)
        return profiled(Path(session.end_profiling()))


def name_by_module(graph: Any) -> None:
    """Name the nodes of an exported ONNX graph, and what they compute, by the module of the model they come from.

    ONNX Runtime calls what it fuses and lays out anew after one or the other.
    """
    kept = {value.name for value in (*graph.output, *graph.input)}
    renamed: dict[str, str] = {}
    for number, node in enumerate(graph.node):
        scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
        modules = [scope.strip("' ") for scope in scopes.strip("[]").split(",")][:-1]  # the last is the operator
        node.name = f"{SCOPE}{modules[-1] if modules else ''}/{node.op_type}{number}"
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        for place, name in enumerate(node.output):
            if name and name not in kept:
                renamed[name] = node.output[place] = f"{node.name}.{place}"
    for value in graph.value_info:
        value.name = renamed.get(value.name, value.name)

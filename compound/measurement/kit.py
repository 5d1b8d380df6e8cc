"""Device tables of machines without PyTorch: a kit of networks that is timed there, and the table made of its times.

A kit is a folder: `kit.json`, the ONNX files of scaled networks, and `measure_here.py`, one file that needs NumPy and
ONNX Runtime alone. Weights are no part of it. Each is the product of two small random tensors, which the runtime
multiplies out when it starts: the files are hundreds of kilobytes instead of tens of megabytes, and take the time that
files with weights take (constant weights do not: a processor is up to a tenth faster on them).
"""

import math
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from compound.documents import read_json
from compound.errors import UsageError
from compound.files import make_folder, write_json, write_with
from compound.latency import DeviceTable
from compound.mapping import from_mapping
from compound.measurement.sampling import USUAL, Sampling, TimedNetwork, to_time
from compound.measurement.tabulating import TimedSample, table_of
from compound.network import Network
from compound.nn import build
from compound.notation import dump_network, parse_network
from compound.runtimes import graph_of, measure_here
from compound.runtimes.graphs import write_onnx
from compound.runtimes.laps import name_by_module

RUNTIME = "onnxruntime"
SMALL = 64  # numbers; what has no more is written as it is
GAIN = 2.0  # of the weights' deviation over 1/√(fan-in): activations neither vanish nor overflow in a hundred layers
REMEDY = "make it on the device with: python measure_here.py"


@dataclass(frozen=True)
class KitNetwork:
    """A file of the kit, the shape of what it takes (N, C, R, R), and whether it checks the table."""

    file: str
    shape: list[int]
    left_out: bool
    network: str


@dataclass(frozen=True)
class Kit:
    """What `kit.json` says."""

    format: str
    runtime: str
    batch: int
    families: list[str]
    seed: int
    networks: list[KitNetwork]


@dataclass(frozen=True)
class NetworkTimes:
    """Seconds of each call, and of a call by module."""

    calls: list[float]
    spent: dict[str, float]


@dataclass(frozen=True)
class MeasuredKit:
    """What `measured.json` says."""

    format: str
    threads: int
    environment: dict[str, Any]
    kit: Kit
    networks: list[NetworkTimes]


def write_kit(
    families: Sequence[Network],
    folder: str | Path,
    *,
    batch: int = 1,
    sampling: Sampling = USUAL,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write what times `families` on another machine into a new folder.

    Raises `UsageError` for a folder that has something, and where no network can check the table.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; name a new folder")
    chosen = to_time(families, sampling)
    folder, told = make_folder(folder), []
    rng = random.Random(sampling.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sampling.seed)
        for number, one in enumerate(chosen):
            say(f"{number + 1} of {len(chosen)}: {one.network.name} at {one.network.resolution} px")
            told.append(_written(one, folder, f"network-{number:03}.onnx", batch, rng))
    kit = Kit(measure_here.KIT, RUNTIME, batch, sorted({one.name for one in families}), sampling.seed, told)
    script = measure_here.__file__
    write_with(folder / "measure_here.py", lambda temporary: shutil.copyfile(script, temporary))
    write_json(folder / "kit.json", asdict(kit))
    return folder


def _written(one: TimedNetwork, folder: Path, name: str, batch: int, rng: random.Random) -> KitNetwork:
    import onnx

    model, classes = build(one.network).eval(), tuple(map(str, range(one.network.classes)))
    write_onnx(graph_of(model, classes, batch, "uint8"), folder / name)
    proto = onnx.load(str(folder / name))
    name_by_module(proto.graph)
    without_weights(proto, rng.randrange(2**32))
    write_with(folder / name, lambda temporary: onnx.save(proto, temporary))
    side = one.network.resolution
    shape = [batch, one.network.channels, side, side]
    return KitNetwork(name, shape, one.left_out, dump_network(one.network))


def without_weights(proto: Any, seed: int) -> None:
    """Write each weight of an ONNX model as the product of two small random tensors, one of them of its first axis."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    kept, products = [], []
    for tensor in proto.graph.initializer:
        size, shape = math.prod(tensor.dims), list(tensor.dims)
        if tensor.data_type != TensorProto.FLOAT or len(shape) < 2 or size <= SMALL:
            kept.append(tensor)
            continue
        axes = len(shape) - 1
        outer = rng.normal(size=[shape[0]] + axes * [1]).astype(np.float32)
        inner = (GAIN / math.sqrt(size / shape[0]) * rng.normal(size=[1, *shape[1:]])).astype(np.float32)
        factors = [f"{tensor.name}.{end}" for end in ("outer", "inner")]
        kept += [numpy_helper.from_array(value, name) for value, name in zip((outer, inner), factors, strict=True)]
        products.append(helper.make_node("Mul", factors, [tensor.name], name=f"{tensor.name}.product"))
    nodes = list(proto.graph.node)
    for node in nodes:
        del node.metadata_props[:]  # where in a program it was written
        node.doc_string = ""
    del proto.graph.initializer[:], proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.initializer.extend(kept)
    proto.graph.node.extend(products + nodes)


def read_measured(path: str | Path) -> DeviceTable:
    """The table of a device, of the `measured.json` that `measure_here.py` wrote there.

    Raises `UsageError` for another file, and for times that are none.
    """
    given, where = read_json(path, REMEDY, "times of a kit"), f"times of a kit {path}"
    if not isinstance(given, Mapping) or given.get("format") != measure_here.MEASURED:
        raise UsageError(
            f"{path} is not the measured.json of a kit (its format is not {measure_here.MEASURED}); {REMEDY}"
        )
    found = from_mapping(MeasuredKit, given, where)
    if len(found.networks) != len(found.kit.networks) or not found.threads >= 1:
        raise UsageError(f"{where} has times of {len(found.networks)} of {len(found.kit.networks)} networks; {REMEDY}")
    timed = []
    for told, times in zip(found.kit.networks, found.networks, strict=True):
        if not times.calls or not all(0 < one < math.inf for one in (*times.calls, *times.spent.values())):
            raise UsageError(f"{where}: {told.file[:100]!r} has no times, or such as are none; {REMEDY}")
        choice = TimedNetwork(parse_network(told.network, f"{where}, {told.file[:100]!r}"), told.left_out)
        timed.append(TimedSample(choice, times.calls, [] if told.left_out else [times.spent]))
    if not any(one.choice.left_out for one in timed) or all(one.choice.left_out for one in timed):
        raise UsageError(f"{where} has no networks to make a table of, or none to check it by; {REMEDY}")
    about = found.environment | {"families": found.kit.families, "seed": found.kit.seed}
    return table_of(timed, found.kit.runtime, found.threads, found.kit.batch, about)

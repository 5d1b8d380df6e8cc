"""A training step and what it keeps, against timm's, in one interleaved run.

    python -m benchmarks.training [--full] [--compiled] [-o FOLDER]

Each side is a process of its own, as its user would have it, and they take steps in turn: EfficientNet-B0 in fp32,
channels_last, with RMSProp and a moving average of the weights, from uint8 images to updated weights. timm has its own
RMSpropTF and ModelEmaV3. A third side is our step in bf16, for `compound train` chooses the faster precision; with
`--compiled` there is a fourth, our step as `--compile always` takes it. Seconds are medians;
ratios are of medians to timm's, their quartiles those of the ratios of single turns. Bytes are those of the distinct
tensors that autograd keeps, weights and images left out. Writes training.json.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.environment import RESULTS, write_result

TIMM, PLAIN, BF16, COMPILED = "timm", "compound", "compound_bf16", "compound_compiled"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NOTES = (
    "Norms with their activation, the weights of 5×5 windows and RMSProp are kernels of our own (decision 39). What is "
    "left is in layers-*.json, layer by layer: the 1×1 convolutions run near the processor's rate."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="Also at 224 px, and more turns.")
    parser.add_argument(
        "--compiled", action="store_true", help="Also by torch.compile, which takes minutes to compile."
    )
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    turns, sides = 40 if given.full else 12, (PLAIN, TIMM, BF16, *([COMPILED] if given.compiled else []))
    result: dict[str, Any] = {"notes": NOTES, "steps": [], "kept": kept_by_both(224)}
    for threads in (1, 2):
        result["steps"].append(race(96, 32, threads, turns, sides))
    if given.full:
        result["steps"].append(race(224, 16, 2, turns // 2, sides))
    for one in result["steps"]:
        print(f"B0 @{one['resolution']}, {one['threads']} threads, timm {one['timm_ms']:.0f} ms:")
        for side, ratio in one["ratios"].items():
            low, high = ratio["quartiles"]
            first = f"; the first step took {one['first_step_seconds'][side]:.0f} s" if side == COMPILED else ""
            print(f"    {side} {one[f'{side}_ms']:.0f} ms, {ratio['ratio']:.2f}× ({low:.2f} to {high:.2f}){first}")
    print(f"kept by B0 @224 for an image: {result['kept']}")
    print(write_result("training", result, given.out))


def race(resolution: int, batch: int, threads: int, turns: int, sides: tuple[str, ...]) -> dict[str, Any]:
    """Steps in turn; the side that begins changes from turn to turn."""
    begun = {side: start(side, resolution, batch, threads) for side in sides}
    workers = {side: worker for side, (worker, _) in begun.items()}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(turns):
        for side in sides if turn % 2 else reversed(sides):
            workers[side].send("step")
            seconds[side].append(workers[side].recv())
    for worker in workers.values():
        worker.send("end")
    medians = {side: statistics.median(each) for side, each in seconds.items()}
    return {
        "network": "efficientnet-b0",
        "resolution": resolution,
        "batch": batch,
        "threads": threads,
        "turns": turns,
        **{f"{side}_ms": 1e3 * median for side, median in medians.items()},
        "ratios": {side: against(seconds[TIMM], seconds[side]) for side in sides if side != TIMM},
        "first_step_seconds": {side: first for side, (_, first) in begun.items()},
        "seconds": seconds,
    }


def against(theirs: list[float], ours: list[float]) -> dict[str, Any]:
    turns = [one / other for one, other in zip(theirs, ours, strict=True)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    return {"ratio": ratio, "quartiles": statistics.quantiles(turns, n=4)[::2]}


def start(side: str, resolution: int, batch: int, threads: int) -> tuple[Connection, float]:
    """A process that takes a step, timed, whenever it is told to; it has taken three. And how long the first took."""
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe()
    context.Process(target=serve, args=(other, side, resolution, batch, threads), daemon=True).start()
    return mine, mine.recv()


def serve(pipe: Connection, side: str, resolution: int, batch: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, resolution, resolution), dtype=torch.uint8)
    labels = torch.randint(0, 1000, (batch,))
    step = timm_step(resolution) if side == TIMM else our_step(resolution, side, batch)
    firsts = []
    for _ in range(3):
        begun = time.perf_counter()
        step(images, labels)
        firsts.append(time.perf_counter() - begun)
    pipe.send(firsts[0])
    while pipe.recv() == "step":
        begun = time.perf_counter()
        step(images, labels)
        pipe.send(time.perf_counter() - begun)


def our_step(resolution: int, side: str, batch: int) -> Callable[[Tensor, Tensor], None]:
    """As `compound train` takes it, in bf16 or by compiled code for batches of so many images where `side` says so."""
    from torch.optim.swa_utils import AveragedModel

    from compound import ZOO
    from compound.data import Batch
    from compound.measurement.machine import keep_freed_memory
    from compound.nn import build
    from compound.training import RECIPES
    from compound.training.averaging import Averaging
    from compound.training.module import Training

    keep_freed_memory()
    recipe = replace(RECIPES["paper"], precision="fp32")
    module = Training(build(ZOO["efficientnet-b0"].with_(resolution=resolution), seed=0), recipe, 1000, 0).train()
    if side == COMPILED:
        module.take_steps("always", batch)
    optimizer = module.configure_optimizers()
    average = AveragedModel(module, use_buffers=True, multi_avg_fn=Averaging(recipe.ema)._average)

    def step(images: Tensor, labels: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=side == BF16):  # as Lightning does it
            result = module.training_step(Batch(images, labels, labels, []), 0)
        assert result is not None
        optimizer.zero_grad()
        result["loss"].backward()
        optimizer.step()
        average.update_parameters(module)

    return step


def timm_step(resolution: int) -> Callable[[Tensor, Tensor], None]:
    """As timm's train.py takes it, with `--channels-last --opt rmsproptf --model-ema`."""
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import RMSpropTF
    from timm.utils import ModelEmaV3

    model = timm_model().to(memory_format=torch.channels_last)
    optimizer = RMSpropTF(model.parameters(), lr=0.016, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    average = ModelEmaV3(model, decay=0.9999)
    mean, std = (255 * torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    loss = LabelSmoothingCrossEntropy(0.1)

    def step(images: Tensor, labels: Tensor) -> None:
        x = images.float().sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)
        error = loss(model(x), labels)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        average.update(model)

    return step


def timm_model() -> nn.Module:
    import timm

    model: nn.Module = timm.create_model("efficientnet_b0", drop_rate=0.2, drop_path_rate=0.2)
    return model.train()


def kept_by_both(resolution: int, batch: int = 2) -> dict[str, float]:
    """Megabytes an image that the backward pass of B0 is left, and their ratio."""
    from compound import ZOO
    from compound.nn import build, lean

    ours = build(ZOO["efficientnet-b0"].with_(resolution=resolution)).train()
    lean(ours)
    found = {
        side: saved_bytes(model, batch, resolution) / batch / 1e6
        for side, model in (("compound", ours), ("timm", timm_model()))
    }
    return {"resolution": resolution, **{f"{k}_megabytes": v for k, v in found.items()}} | {
        "ratio": found["compound"] / found["timm"]
    }


def saved_bytes(model: nn.Module, batch: int, resolution: int) -> int:
    """Bytes of the distinct storages that autograd's hooks are handed; weights and images are there anyway."""
    model.to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, resolution, resolution).to(memory_format=torch.channels_last)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), images)}
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes(), tensor  # held, so that no other takes its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(model(images), torch.zeros(batch).long())
    del loss
    return sum(size for size, _ in kept.values())


if __name__ == "__main__":
    main()

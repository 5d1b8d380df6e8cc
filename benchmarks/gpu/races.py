"""Steps and calls of ours and of timm's on one device, in turns within one process."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.training import MEAN, STD, against, timm_model
from compound import ZOO
from compound.nn import build

Call = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """Where and how large: batches of training and of inference, pixels, turns, and seconds a race may take."""

    device: str
    training: int = 256
    inference: int = 256
    resolution: int = 224
    turns: int = 30
    seconds: float = 110.0


REHEARSAL = Size("cpu", 4, 4, 32, 2, 1e9)


def race(sides: dict[str, Callable[[], Call]], size: Size, reference: str) -> dict[str, Any]:
    """Milliseconds of each side's call, and how many times as fast as the reference it is; by turns.

    A side is made ready by one call, where code is compiled. One that fails or comes too late is named with the reason.
    """
    begun, ready, failed = time.perf_counter(), dict[str, Call](), dict[str, str]()
    first: dict[str, float] = {}
    for name, make in sides.items():
        if time.perf_counter() - begun > 0.8 * size.seconds:
            failed[name] = "no time was left for it"
            continue
        start = time.perf_counter()
        try:
            call = make()
            for _ in range(3):
                call()
            wait(size.device)
        except Exception as error:  # the other sides are worth having
            failed[name] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            continue
        ready[name], first[name] = call, time.perf_counter() - start
    times: dict[str, list[float]] = {name: [] for name in ready}
    for turn in range(size.turns):
        for name in ready if turn % 2 else reversed(ready):
            wait(size.device)
            start = time.perf_counter()
            ready[name]()
            wait(size.device)
            times[name].append(time.perf_counter() - start)
        if time.perf_counter() - begun > size.seconds and turn > 5:
            break
    rows = {
        name: {
            "ms": 1e3 * statistics.median(each),
            "quartiles_ms": [1e3 * value for value in statistics.quantiles(each, n=4)[::2]],
            "ready_seconds": first[name],
        }
        | (against(times[reference], each) if reference in times else {})
        for name, each in times.items()
    }
    return {"reference": reference, "turns": len(next(iter(times.values()), [])), "sides": rows, "failed_sides": failed}


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def steps(size: Size) -> dict[str, Any]:
    """Row 11: a step of B0 in bf16, from uint8 images on the device to updated weights and their average."""
    images = torch.randint(0, 256, (size.training, 3, size.resolution, size.resolution), dtype=torch.uint8)
    labels = torch.randint(0, 1000, (size.training,))
    given = images.to(size.device), labels.to(size.device)
    sides = {
        "timm compiled": lambda: timm_step(size, *given, compiled=True),
        "compound": lambda: our_step(size, *given),
        "compound without kernels": lambda: our_step(size, *given, kernels=False),
        "compound compiled": lambda: our_step(size, *given, how="always"),
        "timm eager": lambda: timm_step(size, *given, compiled=False),
    }
    found = race(sides, size, "timm compiled")
    for row in found["sides"].values():
        row["images_per_second"] = 1e3 * size.training / row["ms"]
    return found | {"network": "efficientnet-b0", "batch": size.training, "resolution": size.resolution}


def our_step(size: Size, images: Tensor, labels: Tensor, how: Any = "never", kernels: bool = True) -> Call:
    from torch.optim.swa_utils import AveragedModel

    from compound.data import Batch
    from compound.kernels import gpu
    from compound.training import RECIPES
    from compound.training.averaging import Averaging
    from compound.training.module import Training

    recipe = replace(RECIPES["paper"], precision="bf16")
    model = build(ZOO["efficientnet-b0"].with_(resolution=size.resolution), seed=0)
    module = Training(model, recipe, 1000, 0).train().to(size.device)
    module.take_steps(how, size.training)
    optimizer = module.configure_optimizers()
    average = AveragedModel(module, use_buffers=True, multi_avg_fn=Averaging(recipe.ema)._average)
    batch = Batch(images, labels, labels, [])

    def step() -> None:
        before = gpu._found
        gpu._found = before if kernels else never
        try:
            with torch.autocast(size.device, torch.bfloat16):
                result = module.training_step(batch, 0)
            assert result is not None
            result["loss"].backward()
            optimizer.step()
        finally:
            gpu._found = before
        average.update_parameters(module)

    return step


def never() -> bool:
    return False


def timm_step(size: Size, images: Tensor, labels: Tensor, compiled: bool) -> Call:
    """As timm's train.py takes it, with `--amp --amp-dtype bfloat16 --channels-last --opt rmsproptf --model-ema`."""
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import RMSpropTF
    from timm.utils import ModelEmaV3

    model: Any = timm_model().to(size.device, memory_format=torch.channels_last)
    optimizer = RMSpropTF(model.parameters(), lr=0.016, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    average = ModelEmaV3(model, decay=0.9999)
    run = torch.compile(model) if compiled else model
    mean, std = (255 * torch.tensor(values, device=size.device)[:, None, None] for values in (MEAN, STD))
    loss = LabelSmoothingCrossEntropy(0.1)

    def step() -> None:
        x = images.float().sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(size.device, torch.bfloat16):
            error = loss(run(x), labels)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        average.update(model)

    return step


def calls(size: Size) -> dict[str, Any]:
    """Rows 12 and 13: B0 in bf16 on a batch against timm compiled, and on one image in fp32 against timm eager."""
    half = replace(size, seconds=size.seconds / 2)
    many = {
        "timm compiled": lambda: inference(timm_model(), size, size.inference, torch.bfloat16, "compiled"),
        "compound compiled": lambda: inference(ours(size), size, size.inference, torch.bfloat16, "compiled"),
        "compound": lambda: inference(ours(size), size, size.inference, torch.bfloat16, "eager"),
    }
    lone = {
        "timm eager": lambda: inference(timm_model(), size, 1, torch.float32, "eager"),
        "compound as CUDA graph": lambda: inference(ours(size), size, 1, torch.float32, "graph"),
        "compound": lambda: inference(ours(size), size, 1, torch.float32, "eager"),
    }
    batch = race(many, half, "timm compiled")
    for row in batch["sides"].values():
        row["images_per_second"] = 1e3 * size.inference / row["ms"]
    return {"batch": batch | {"images": size.inference}, "lone": race(lone, half, "timm eager")}


def ours(size: Size) -> nn.Module:
    """B0 with its norms in its convolutions."""
    from compound.nn.fold import fold

    return fold(build(ZOO["efficientnet-b0"].with_(resolution=size.resolution), seed=0).eval())


def inference(model: nn.Module, size: Size, images: int, kind: torch.dtype, how: str) -> Call:
    layout: Any = torch.channels_last
    model = model.eval().to(size.device, memory_format=layout)
    x = torch.randn(images, 3, size.resolution, size.resolution, device=size.device).contiguous(memory_format=layout)
    run: Any = torch.compile(model) if how == "compiled" else model

    def call() -> Tensor:
        with torch.inference_mode(), torch.autocast(size.device, kind, enabled=kind != torch.float32):
            logits: Tensor = run(x)
        return logits

    return replayed(call) if how == "graph" and size.device == "cuda" else call


def replayed(call: Callable[[], Tensor]) -> Call:
    """The call as one CUDA graph."""
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay

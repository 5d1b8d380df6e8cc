"""What can be measured: our networks, trained runs, and models of timm and torchvision."""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compound.cost import cost
from compound.documents import damaged, read_json
from compound.errors import CompoundError, UsageError
from compound.files import stands
from compound.measurement.printed import top1
from compound.network import Network
from compound.nn import build, load_model

LIBRARIES = ("timm", "torchvision")


@dataclass(frozen=True)
class Subject:
    """A model to measure. `network` is None for another library's; `top1` is a share, where an accuracy is known."""

    name: str
    model: nn.Module
    resolution: int
    channels: int
    classes: int
    macs: int
    network: Network | None = None
    top1: float | None = None
    top1_from: str = ""  # `paper` or `run`


def of_network(network: Network) -> Subject:
    """A network with random weights; times do not depend on them."""
    model = build(network, seed=0).eval()
    macs = cost(network).macs
    printed = top1().get(network.name)
    source = "paper" if printed is not None else ""
    about = network.resolution, network.channels, network.classes, macs, network
    return Subject(network.name, model, *about, printed, source)


def of_run(path: str | Path) -> Subject:
    """A trained run, with its accuracy on its test images."""
    path = Path(path)
    model, weights = load_model(path / "model.safetensors")
    network, measured = weights.network, None
    evaluation = path / "evaluation.json"
    if stands(evaluation):
        remedy = f"run: compound evaluate {path}"
        given = read_json(evaluation, remedy, error=CompoundError)
        with damaged(evaluation, remedy, error=CompoundError):
            measured = float(given["top1"])
    source = "run" if measured is not None else ""
    about = network.resolution, network.channels, network.classes, cost(network).macs, network
    return Subject(str(path), model, *about, measured, source)


def of_library(name: str) -> Subject:
    """`timm:efficientnet_b0` or `torchvision:resnet50`, with random weights, at its own evaluation size."""
    from torch.utils.flop_counter import FlopCounterMode  # brings Triton

    library, _, model_name = name.partition(":")
    if find_spec(library) is None:
        raise CompoundError(f"{name} needs {library}, which is not installed; run: pip install {library}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both libraries warn about their own models
        model, resolution = (of_timm if library == "timm" else of_torchvision)(model_name)
        model.eval()
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            logits = model(torch.zeros(1, 3, resolution, resolution))
    # torch counts a multiply-add as two.
    return Subject(name, model, resolution, 3, logits.shape[1], counter.get_total_flops() // 2)


def of_timm(name: str) -> tuple[nn.Module, int]:
    import timm

    if name not in timm.list_models():
        raise UsageError(f"timm has no model {name!r}; `timm.list_models()` lists them")
    model: Any = timm.create_model(name, pretrained=False)
    return model, int(model.pretrained_cfg["input_size"][-1])


def of_torchvision(name: str) -> tuple[nn.Module, int]:
    from torchvision import models

    if name not in models.list_models(module=models):
        raise UsageError(f"torchvision has no classifier {name!r}; `torchvision.models.list_models()` lists them")
    preset = models.get_model_weights(name).DEFAULT.transforms()
    return models.get_model(name, weights=None), int(preset.crop_size[0])

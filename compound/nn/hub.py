"""Weights by name: a run, a file, torchvision's and timm's published networks, or the best of them.

`torchvision/resnet50` (or `torchvision/resnet50.IMAGENET1K_V1`) comes from torchvision's own addresses,
`timm/efficientnet_b0.ra_in1k` and what is written `hf:owner/name` or `hf:owner/name@revision` from the Hugging Face
hub (see `compound.nn.fetching`). No other name leaves the machine: `runs/none` is a run that is not there.
Preprocessing, padding and ε come with the weights.
"""

import math
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision import models

from compound.documents import read_json
from compound.errors import UsageError
from compound.network import Inputs, Network
from compound.nn.build import ConvNet
from compound.nn.choice import AUTO, best_published
from compound.nn.fetching import HUB, TORCHVISION, downloaded, fetched
from compound.nn.foreign import WeightsError
from compound.nn.libraries import DIFFERS, styled
from compound.nn.weights import Weights, foreign_model, load_model, read_weights, refuse_missing_file, same_layers
from compound.notes import note
from compound.places import nearest_run
from compound.zoo import ZOO

NAME = re.compile(r"(hf:[\w.-]+|torchvision|timm)/[\w.-]+(@[\w.-]+)?")  # of published weights, each with its owner
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
# Their torchvision modules turn the usual normalisation into this one (`transform_input`).
HALVES = ("googlenet", "inception_v3")


class NoWeights(UsageError, WeightsError):
    """A name under which there are no weights."""


def load_weights(
    name: str | Path, network: Network | None = None, *, several: bool = False, to_train: bool = False
) -> tuple[ConvNet, Weights]:
    """The trained model that `name` says, in evaluation mode: a run directory, a file, a published name, or `auto`.

    `network` is what must be in it (`auto` looks for it); for another library's file it says what is in it; `several`
    and `to_train` are those of `load_model`. Raises `WeightsError` with what differs, what is damaged, or why nothing
    could be fetched.
    """
    refuse_absent(name)
    path, name = Path(name), str(name)
    if path.is_dir():
        return load_model(path / "model.safetensors", network, several=several)
    if path.exists():
        return load_model(path, network, several=several, to_train=to_train)
    if name == AUTO:
        name = best_published(network=network).weights
    found = _torchvision(name) if name.startswith(TORCHVISION) else _hub(name, several)
    model, weights = found
    if network is not None and not same_layers(network, weights.network):
        raise WeightsError(f"{name} holds {weights.network.name}, which is not the {network.name} that was asked for")
    return model, weights


def refuse_absent(name: str | Path) -> None:
    """Raise `NoWeights` where `name` is no run with weights, no file, and no name that could be published.

    Nothing is read or fetched.
    """
    path, name = Path(name), str(name)
    if path.is_dir() and not (path / "model.safetensors").is_file():
        if not (path / "run.yaml").is_file():
            raise NoWeights(f"{path} is not a run directory (it has no run.yaml); {nearest_run(path)}")
        go_on = f"compound resume {shlex.quote(str(path))}"
        raise NoWeights(f"{path} has no model.safetensors; finish it with: {go_on}; or give another run")
    if path.exists() or name == AUTO or NAME.fullmatch(name):
        return
    if path.suffix in (".safetensors", ".pth", ".pt"):
        refuse_missing_file(path)
    raise NoWeights(absent(name))


def absent(name: str) -> str:
    """What is said of a name that is no run, no file and no published weights."""
    if os.sep not in name:
        return (
            f"there is no run or weights file {name}; for a network's name add --weights FILE, or give a published "
            "name such as torchvision/resnet50 or timm/efficientnet_b0.ra_in1k"
        )
    hub = f" (a repository of the Hugging Face hub is written {HUB}{name})" if REPOSITORY.fullmatch(name) else ""
    return f"there is no run or weights file {name}{hub}; {nearest_run(name)}"


def weights_file(name: str | Path) -> Path:
    """The file that holds what `load_weights` gives for `name`; it is in the cache once that was called."""
    path, name = Path(name), str(name)
    if path.is_dir():
        return path / "model.safetensors"
    if path.exists() or not NAME.fullmatch(name):
        return path
    if not name.startswith(TORCHVISION):
        repo, _, revision = name.removeprefix(HUB).partition("@")
        return downloaded(repo, "model.safetensors", revision)
    arch, _, tag = name.removeprefix(TORCHVISION).partition(".")
    entries = models.get_model_weights(arch)
    return fetched((entries[tag] if tag else entries.DEFAULT).url)


def network_of(name: str | Path, network: Network | None = None) -> Network:
    """The network that weights are of, as `load_weights` takes them; published ones are not fetched for it."""
    if network is None and NAME.fullmatch(str(name)) and not Path(name).exists():
        if str(name).startswith(TORCHVISION):
            return _of_torchvision(str(name))[0]
        if str(name).startswith("timm/"):
            return described_by(_config(str(name)), str(name))
    return load_weights(name, network, several=True, to_train=True)[1].network


def _torchvision(name: str) -> tuple[ConvNet, Weights]:
    network, entry = _of_torchvision(name)
    _, state = read_weights(fetched(entry.url))
    return _built(network, state, entry.meta["categories"])


def _of_torchvision(name: str) -> tuple[Network, models.WeightsEnum]:
    """The network of published weights as they were trained, and torchvision's own entry."""
    arch, _, tag = name.removeprefix(TORCHVISION).partition(".")
    network = ZOO[arch]
    entries = {entry.name: entry for entry in models.get_model_weights(arch)}
    entry = entries.get(tag) if tag else models.get_model_weights(arch).DEFAULT
    if entry is None:
        raise WeightsError(f"torchvision has no weights {tag!r} of {arch}; use {', '.join(entries)}")
    presets = entry.transforms()
    inputs = Inputs(
        mean=(0.5,) if arch in HALVES else tuple(presets.mean),
        std=(0.5,) if arch in HALVES else tuple(presets.std),
        interpolation=presets.interpolation.value,
        margin=presets.resize_size[0] - presets.crop_size[0],
    )
    return styled(network, arch, "torchvision").with_(inputs=inputs, resolution=presets.crop_size[0]), entry


def _hub(name: str, several: bool) -> tuple[ConvNet, Weights]:
    repo, _, revision = name.removeprefix(HUB).partition("@")
    file = downloaded(repo, "model.safetensors", revision)
    described, state = read_weights(file)
    if described is not None:  # one of ours
        return load_model(file, several=several)
    config = _config(name)
    network = described_by(config, name)
    names = config.get("label_names", ())
    return _built(network, state, [config.get("label_descriptions", {}).get(one, one) for one in names])


def _config(name: str) -> Mapping[str, Any]:
    """The config.json of a repository."""
    repo, _, revision = name.removeprefix(HUB).partition("@")
    config: Mapping[str, Any] = read_json(
        downloaded(repo, "config.json", revision), "name another repository", name, WeightsError
    )
    return config


def described_by(config: Mapping[str, Any], name: str) -> Network:
    """The network of a timm repository's config.json. What differs from timm's on purpose is noted."""
    try:
        arch = config["architecture"]
        network = styled(ZOO[arch], arch, "timm")
        given = config.get("pretrained_cfg", config)
        network = network.with_(inputs=inputs_of(given), resolution=int(given["input_size"][-1]))
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{name}: config.json does not describe a network known here: {error}") from None
    if arch in DIFFERS:
        note(f"{name}: {DIFFERS[arch]}")
    return network


def inputs_of(config: Mapping[str, Any]) -> Inputs:
    """Preprocessing from timm's `pretrained_cfg`."""
    size = int(config["input_size"][-1])
    fits: Any = {"center": "crop", "squash": "squash", "border": "pad"}
    interpolation: Any = config.get("interpolation", "bicubic")
    return Inputs(
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=interpolation if interpolation in ("bicubic", "bilinear", "nearest") else "bicubic",
        fit=fits[config.get("crop_mode") or "center"],
        margin=math.floor(size / config.get("crop_pct", 0.875)) - size,
    )


def _built(network: Network, state: Mapping[str, Tensor], names: list[str]) -> tuple[ConvNet, Weights]:
    model, weights = foreign_model(network, state)
    return model, replace(weights, classes=tuple(names)) if len(names) == model.classes else weights

"""Weights by name: a run, a file, torchvision's and timm's published networks, or the best that fits.

`torchvision/resnet50` (or `torchvision/resnet50.IMAGENET1K_V1`) comes from torchvision's own addresses,
`timm/efficientnet_b0.ra_in1k` and what is written `hf:owner/name` or `hf:owner/name@revision` from the Hugging Face
hub. No other name leaves the machine: `runs/none` is a run that is not there. Both are kept in the caches of these
libraries, and what is read from there is compared with the digest it was published under. With `HF_HUB_OFFLINE=1`
nothing is fetched. Preprocessing, padding and ε come with the weights.
"""

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision import models

from compound.budget import Budget
from compound.documents import read_json
from compound.errors import BudgetError, UsageError
from compound.files import sha256
from compound.network import Inputs, Labelled, Network
from compound.nn.build import ConvNet
from compound.nn.foreign import WeightsError
from compound.nn.libraries import DIFFERS, styled
from compound.nn.weights import Weights, foreign_model, load_model, read_weights, refuse_missing_file, same_layers
from compound.notes import note
from compound.places import nearest_run
from compound.quantity import limit_text
from compound.zoo import ZOO

AUTO = "auto"
TORCHVISION = "torchvision/"
HUB = "hf:"  # before a name of the hub
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
        name = best_published(network=network)
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
        return _downloaded(repo, "model.safetensors", revision)
    arch, _, tag = name.removeprefix(TORCHVISION).partition(".")
    entries = models.get_model_weights(arch)
    return _fetched((entries[tag] if tag else entries.DEFAULT).url)


def best_published(budget: Budget | None = None, network: Network | None = None, data: Labelled | None = None) -> str:
    """The name of torchvision's weights of the highest ImageNet accuracy within `budget`, or of `network`.

    With `data`, what is within the budget is the network for that data.

    Offline only what is in the cache counts.
    """
    found: dict[str, float] = {}
    beyond: list[tuple[str, Network]] = []
    for arch in models.list_models(module=models):
        if (known := _known(arch)) is None or (network is not None and not same_layers(known, network)):
            continue
        for entry in models.get_model_weights(arch):
            sized = (known.for_data(data) if data else known).with_(resolution=entry.transforms().crop_size[0])
            name = f"{TORCHVISION}{arch}.{entry.name}"
            if not (_cached(entry.url).is_file() or not _offline()):
                continue
            if budget is None or used_share(sized, budget) <= 1:
                found[name] = entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            else:
                beyond.append((name, sized))
    if not found:
        what = f"of {network.name}" if network is not None else "within the budget"
        where = " in the cache, and HF_HUB_OFFLINE forbids to fetch any" if _offline() else ""
        near = _cheapest_text(beyond, budget) if budget is not None and beyond else ""
        raise WeightsError(f"there are no published weights {what}{where}; {near or 'give --weights a file or a name'}")
    return max(found, key=lambda name: found[name])


def _cheapest_text(there: Sequence[tuple[str, Network]], budget: Budget) -> str:
    """Of published weights beyond `budget` those that are the least so, and how they come within it."""
    name, network = min(there, key=lambda one: used_share(one[1], budget))
    if used_share(network, budget) == math.inf:
        return ""
    used = budget.use(budget.cost(network))
    needed = ", ".join(
        f"{limit.replace('_', ' ')} {limit_text(limit, used[limit])} of {limit_text(limit, most)}"
        for limit, most in budget.limits().items()
    )
    return (
        f"the nearest, {name} at {network.resolution} px, take {needed}; with --weights {name} and the same budget "
        "their network is scaled down to it, or raise the budget"
    )


def published_text(name: str) -> str:
    """What torchvision publishes as `name`, in words: accuracy, parameters, and bytes that are yet to be fetched."""
    arch, _, tag = name.removeprefix(TORCHVISION).partition(".")
    entries = models.get_model_weights(arch)
    entry = entries[tag] if tag else entries.DEFAULT
    meta = entry.meta
    there = "in the cache" if _cached(entry.url).is_file() else f"{meta['_file_size']:.0f} MB to fetch"
    accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
    return f"weights {name}: {accuracy:.1f} % of ImageNet, {meta['num_params'] / 1e6:.1f}M parameters, {there}"


def used_share(network: Network, budget: Budget) -> float:
    """The largest share of a limit of `budget` that `network` uses; infinite where the device has no time of it."""
    try:
        return max(budget.shares(budget.cost(network)).values())
    except BudgetError:
        return math.inf


def _known(arch: str) -> Network | None:
    try:
        return ZOO[arch]
    except KeyError:
        return None


def network_of(name: str | Path, network: Network | None = None) -> Network:
    """The network that weights are of, as `load_weights` takes them; torchvision's are not fetched for it."""
    if network is None and NAME.fullmatch(str(name)) and str(name).startswith(TORCHVISION) and not Path(name).exists():
        return _of_torchvision(str(name))[0]
    return load_weights(name, network, several=True, to_train=True)[1].network


def _torchvision(name: str) -> tuple[ConvNet, Weights]:
    network, entry = _of_torchvision(name)
    _, state = read_weights(_fetched(entry.url))
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
    file = _downloaded(repo, "model.safetensors", revision)
    described, state = read_weights(file)
    if described is not None:  # one of ours
        return load_model(file, several=several)
    config = read_json(_downloaded(repo, "config.json", revision), "name another repository", name, WeightsError)
    network = described_by(config, name)
    names = config.get("label_names", ())
    return _built(network, state, [config.get("label_descriptions", {}).get(one, one) for one in names])


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


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _cached(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _fetched(url: str) -> Path:
    """torchvision's file in torch's cache; its name ends in the first digits of its SHA-256."""
    path = _cached(url)
    digits = path.stem.rpartition("-")[2]
    if not path.is_file():
        if _offline():
            raise WeightsError(f"{path.name} is not in {path.parent}, and HF_HUB_OFFLINE forbids to fetch it")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), digits, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            raise WeightsError(f"{url} could not be fetched: {error}; check the network, or give a file") from None
    _check(path, digits)
    return path


def _downloaded(repo: str, file: str, revision: str) -> Path:
    """A file of a repository, from the hub's cache or fetched; in the cache it goes by its digest."""
    from huggingface_hub import errors, hf_hub_download  # an extra of its own

    try:
        path = Path(hf_hub_download(repo, file, revision=revision or None))
    except errors.LocalEntryNotFoundError:
        reason = "HF_HUB_OFFLINE forbids to fetch it" if _offline() else "the hub cannot be reached"
        raise WeightsError(f"{repo} is not in the cache and {reason}; fetch it once with a network") from None
    except errors.RepositoryNotFoundError:
        raise WeightsError(f"the hub has no repository {repo}, or it is private; check the name") from None
    except errors.EntryNotFoundError:
        raise WeightsError(f"{repo} has no {file}; other formats are not read, because they can hold code") from None
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        raise WeightsError(f"{repo} could not be fetched: {str(error).splitlines()[0]}") from None
    if re.fullmatch(r"[0-9a-f]{64}", blob := path.resolve().name):
        _check(path, blob)
    return path


def _check(path: Path, digits: str) -> None:
    digest = sha256(path)
    if not digest.startswith(digits):
        raise WeightsError(
            f"{path} is not what was published: its SHA-256 begins {digest[:8]} and not {digits[:8]}; "
            "remove the file to fetch it again"
        )

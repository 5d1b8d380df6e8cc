"""Weights as a safetensors file that is complete by itself: its metadata holds network, classes and preprocessing.

No file is ever unpickled with code (see `stored.py`), and a network is compared with the tensors before it is built.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from compound.bounds import bound
from compound.errors import NetworkError
from compound.files import write_with
from compound.mapping import plain_value
from compound.network import Network
from compound.nn.build import ConvNet, build
from compound.nn.checkpoints import check_numbers, network_part
from compound.nn.conformal import Sets
from compound.nn.foreign import WeightsError, import_weights, in_order
from compound.nn.libraries import recognised
from compound.nn.stored import DIGEST, check_types, digest, read_checkpoint, read_safetensors
from compound.nn.unknown import Unknown
from compound.nn.whose import zoo_network_of
from compound.notation import dump_network, parse_network
from compound.notes import note_once

FORMAT = "compound-1"
SEVERAL = "several"
UNKNOWN = "unknown"  # in a file's metadata, from which score on an image is accepted
SETS = "sets"  # and which classes are in the set of an image


class Unnamed(WeightsError):
    """A file of another library, which does not say of which network it is; `network` of the zoo has its shapes."""

    def __init__(self, path: Path, state: Mapping[str, Tensor]) -> None:
        self.path, self.network = path, zoo_network_of(state)
        super().__init__(self.with_remedy("", f" --weights {path}"))

    def with_remedy(self, before: str, after: str = "") -> str:
        """The message, with what to type before and after the network's name."""
        fits = f", and its tensors are those of {self.network}" if self.network else ""
        remedy = f"{before}{self.network or 'NETWORK'}{after}"
        return f"{self.path} does not say which network it belongs to{fits}; name it: {remedy}"


@dataclass(frozen=True)
class Weights:
    """What a weights file holds besides the numbers."""

    network: Network
    classes: tuple[str, ...]
    several: bool = False  # labels an image may have
    complete: bool = True  # the file or its publisher said which preprocessing, padding and ε they need
    unknown: Unknown | None = None  # when it says that an image is none of its classes
    sets: Sets | None = None  # among which classes the right one is

    @property
    def channels(self) -> int:
        return self.network.channels


def describe_model(model: ConvNet, classes: tuple[str, ...]) -> dict[str, str]:
    """What every file of a trained network says of itself: network, classes, preprocessing."""
    inputs = model.network.inputs
    preprocessing = {
        "resolution": model.network.resolution,
        "channels": model.channels,
        "mean": list(inputs.mean),
        "std": list(inputs.std),
        "interpolation": inputs.interpolation,
        "fit": inputs.fit,
        "margin": inputs.margin,
        "share": inputs.share,
    }
    return {
        "format": FORMAT,
        "network": dump_network(model.network),
        "classes": json.dumps(plain_value(classes), ensure_ascii=False),
        "preprocessing": json.dumps(preprocessing),
        **({"labels": SEVERAL} if model.several else {}),
        **({UNKNOWN: model.unknown.dump()} if model.unknown else {}),
        **({SETS: model.sets.dump()} if model.sets else {}),
    }


def save_weights(model: ConvNet, path: str | Path, classes: tuple[str, ...]) -> Path:
    """Write the weights of `model` with everything needed to use them."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    said = describe_model(model, classes) | {DIGEST: digest(state)}
    return write_with(path, lambda temporary: save_file(state, temporary, said))


def read_weights(path: str | Path) -> tuple[Weights | None, dict[str, Tensor]]:
    """Tensors of a .safetensors or .pth file, and what its metadata says (None where it is not ours)."""
    path = Path(path)
    refuse_missing_file(path)
    if path.suffix == ".safetensors":
        metadata, state = read_safetensors(path)
        described = described_by(metadata, path)
    else:
        described, state = None, read_checkpoint(path)
    state = state if described else network_part(state, path)
    check_numbers(state, path)
    return described, state


def refuse_missing_file(path: Path) -> None:
    """Raise `WeightsError` where there is no such file."""
    if not path.exists():
        raise WeightsError(f"there is no weights file {path}; give a run directory, a .safetensors or a .pth file")


def load_model(
    path: str | Path, network: Network | None = None, *, several: bool = False, to_train: bool = False
) -> tuple[ConvNet, Weights]:
    """The built and trained model of a weights file, in evaluation mode.

    A file of our own says which network it is; for another library's file `network` must say so. A network of several
    labels an image is refused unless the caller knows of `several`: its probabilities do not sum to one. Weights
    without a classifier are good `to_train` with, and then get a fresh one.
    """
    described, state = read_weights(path)
    if described is None:
        if network is None:
            raise Unnamed(Path(path), state)
        network, unknown = recognised(network, state)
        if unknown:
            taken = f"{network.style.padding} padding and ε {network.style.norm_eps:g} are taken"
            said = "does not say with which padding and ε its weights were trained"
            note_once(f"warning: {path} {said}; {taken}; {unknown}")
        try:
            return foreign_model(network, state, to_train)
        except WeightsError as error:
            other = zoo_network_of(state)
            if other is None or other == network.name:
                raise
            raise WeightsError(f"{error}; they are of {other}: name that network for {path}") from None
    if network is not None and not same_layers(network, described.network):
        raise WeightsError(f"{path} holds {described.network.name}, which is not the {network.name} that was asked for")
    if described.several and not several:
        raise WeightsError(f"{path} knows several labels an image, and this takes one; use train, evaluate or predict")
    check_shapes(described.network, state, Path(path))
    model = build(described.network)
    model.several, model.unknown, model.sets = described.several, described.unknown, described.sets
    model.load_state_dict(state)
    return model.eval(), described


def check_shapes(network: Network, state: Mapping[str, Tensor], path: Path) -> None:
    """Raise `WeightsError` where `state` is not of `network`: before memory is taken for what a small file asks for."""
    blocks = sum(stage.layers for stage in network.stages)
    if blocks > len(state) + len(network.stages):  # a block that repeats has weights
        raise WeightsError(
            f"{path} does not fit the network in its own metadata: it has too few tensors for its blocks"
        )
    side = network.resolution
    if side > bound("COMPOUND_MAX_SIDE"):
        raise WeightsError(
            f"{path}: its metadata ask for images of {side:,} px; raise COMPOUND_MAX_SIDE if that is right"
        )
    with torch.device("meta"):
        needed = ConvNet(network).state_dict()
    check_types(state, needed, path)


def same_layers(one: Network, other: Network) -> bool:
    """Whether weights of one can be the other's; style, resolution, dropout and preprocessing may differ."""
    return (one.stem, one.stages, one.head) == (other.stem, other.stages, other.head)


def foreign_model(network: Network, state: Mapping[str, Tensor], to_train: bool = False) -> tuple[ConvNet, Weights]:
    """Another library's state dict as `network`: classes and channels follow from the last and the first layer.

    One without a classifier gets a fresh one where it is `to_train` with, and is refused otherwise.
    """
    state = in_order(state)
    # A gain a channel, (C, 1, 1, 1), reads no channels, and stands first where words are sorted.
    matrices = [tensor for tensor in state.values() if tensor.dim() >= 2 and math.prod(tensor.shape[1:]) > 1]
    if not matrices:
        raise WeightsError(f"the weights hold no layer, so they are not of {network.name}")
    read = network.with_(channels=matrices[0].shape[1])
    sized, backbone = read.with_(classes=matrices[-1].shape[0]), False
    try:
        _compare(sized, state)
    except WeightsError as differs:
        sized, backbone = read, True
        try:
            _compare(sized, state, backbone=True)
        except WeightsError:
            raise differs from None
        if not to_train:
            raise WeightsError(
                f"these weights of {network.name} have no classifier; train one with: "
                f"compound train {network.name} DATA --weights FILE"
            ) from None
        note_once(f"the weights of {network.name} have no classifier; it starts fresh")
    model = build(sized, seed=0) if backbone else build(sized)
    import_weights(model, state, backbone=backbone)
    return model.eval(), Weights(model.network, class_names(model.classes), complete=False)


def _compare(network: Network, state: Mapping[str, Tensor], *, backbone: bool = False) -> None:
    """Raise `WeightsError` where `state` does not fit, before memory is taken for what a network file asks for."""
    with torch.device("meta"):
        model = ConvNet(network)
    import_weights(model, state, backbone=backbone)


def class_names(classes: int) -> tuple[str, ...]:
    """Names for weights that carry none: ImageNet's for 1000 classes, numbers otherwise."""
    if classes == 1000:
        from torchvision.models import ResNet50_Weights

        return tuple(ResNet50_Weights.DEFAULT.meta["categories"])
    return tuple(str(number) for number in range(classes))


def described_by(metadata: Mapping[str, str], path: Path) -> Weights | None:
    """What a file says of itself (see `describe_model`); None where it is not ours."""
    if metadata.get("format") != FORMAT:
        return None
    try:
        network = parse_network(metadata["network"], f"{path} (network)")
        classes = tuple(str(name) for name in json.loads(metadata["classes"]))
        channels = int(json.loads(metadata["preprocessing"])["channels"])
        network = network.with_(classes=len(classes), channels=channels)
        unknown = Unknown.parse(metadata[UNKNOWN], len(classes)) if UNKNOWN in metadata else None
        sets = Sets.parse(metadata[SETS]) if SETS in metadata else None
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata is damaged or incomplete; save or copy it again") from error
    except NetworkError as error:
        raise WeightsError(str(error)) from None
    return Weights(network, classes, several=metadata.get("labels") == SEVERAL, unknown=unknown, sets=sets)

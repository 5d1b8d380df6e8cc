"""Which network of the zoo the tensors of another library's file are of, by their sizes alone.

No two networks of the zoo have as many parameters, so their number points at one, and the sizes of its tensors confirm
it.
"""

import math
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from compound.cost import cost
from compound.network import Network
from compound.nn.build import ConvNet
from compound.nn.foreign import running
from compound.zoo import ZOO

NO_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


def zoo_network_of(state: Mapping[str, Tensor]) -> str | None:
    """The name of the zoo's network with tensors of these sizes, None where there is none.

    Classes are the outputs of the last matrix and channels the inputs of the first, in the order of the names and in
    that in which the layers run, where names were sorted; or, where these are others, ImageNet's 1000 and 3.
    """
    kept = {name: tensor for name, tensor in state.items() if not name.endswith(NO_PARAMETERS)}
    asked = {images: None for order in (kept, *running(kept)) if (images := _images(order))}
    params, sizes = sum(map(Tensor.numel, kept.values())), sorted(map(Tensor.numel, kept.values()))
    for classes, channels in (*asked, (1000, 3)) if asked else ():
        for network in _by_parameters(classes, channels).get(params, ()):
            if _sizes(network) == sizes:
                return network.name
    return None


def _images(state: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Classes and channels, where the first and the last matrix are those that classify and that read the image."""
    matrices = [tensor for tensor in state.values() if tensor.dim() >= 2 and math.prod(tensor.shape[1:]) > 1]
    return (matrices[-1].shape[0], matrices[0].shape[1]) if matrices else None


@lru_cache(maxsize=4)
def _by_parameters(classes: int, channels: int) -> dict[int, list[Network]]:
    """The networks of the zoo for these images, by how many parameters they have."""
    found: dict[int, list[Network]] = {}
    for network in ZOO.values():
        asked = network.with_(classes=classes, channels=channels)
        found.setdefault(cost(asked).params, []).append(asked)
    return found


def _sizes(network: Network) -> list[int]:
    with torch.device("meta"):
        return sorted(parameter.numel() for parameter in ConvNet(network).parameters())

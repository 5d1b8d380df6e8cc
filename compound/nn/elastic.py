"""Smaller networks within the weights of one: its first blocks of a stage, and the leading channels of its layers."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from compound.errors import UsageError
from compound.network import Network
from compound.nn.build import ConvNet, build


def sliced(whole: Mapping[str, Tensor], part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What `part` has of the tensors `whole`, by name: of each the leading numbers of every dimension.

    Gradients flow back. Raises `UsageError` where the network of `part` is none within that of `whole`.
    """
    for name, tensor in part.state_dict(keep_vars=True).items():
        have, size = whole.get(name), tensor.shape
        fits = have is not None and have.dim() == len(size) and all(map(int.__ge__, have.shape, size))
        if have is None or not fits:
            raise UsageError(f"a smaller network has {name} of another shape than the whole one; scale by less")
        yield name, have[tuple(map(slice, size))]


def within(network: Network) -> ConvNet:
    """`network` without numbers, for what shares those of another."""
    with torch.device("meta"):
        return ConvNet(network)


@torch.no_grad()
def cut_out(whole: ConvNet, network: Network) -> ConvNet:
    """`network` with its part of the weights; its norms want statistics of their own (see `recalibrate`)."""
    made = build(network, seed=0)
    made.load_state_dict({name: tensor.clone() for name, tensor in sliced(whole.state_dict(), made)})
    made.several = whole.several
    return made.eval()

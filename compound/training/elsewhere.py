"""Tensors that another process holds: here they are names and shapes (torch's `meta`), and take no memory.

So the parts of a network that other processes train stay where they are in the network, in its optimiser and in their
order; only what computes, saves or loads asks.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from compound.parallel import gathered, sent_to_first


def is_elsewhere(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta


def is_parted(model: nn.Module) -> bool:
    """Whether other processes hold some of the model's weights."""
    return any(is_elsewhere(parameter) for parameter in model.parameters())


def put_together(values: Any, everywhere: bool = False) -> Any:
    """`values`, a tree of dicts and lists, with the tensors of all processes: on the CPU, in process 0 or `everywhere`.

    All processes must call it, for trees of one shape.
    """
    leaves, shape = tree_flatten(values)
    if not any(is_elsewhere(leaf) for leaf in leaves):
        return values
    own = {n: leaf.cpu() for n, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and not is_elsewhere(leaf)}
    for held in gathered(own) if everywhere else sent_to_first(own):
        for n, tensor in held.items():
            leaves[n] = tensor if is_elsewhere(leaves[n]) else leaves[n]
    return tree_unflatten(leaves, shape)


def move(module: nn.Module, device: torch.device) -> None:
    """What this process holds of `module` to the device, in place."""
    module._apply(lambda tensor: tensor if is_elsewhere(tensor) else tensor.to(device))

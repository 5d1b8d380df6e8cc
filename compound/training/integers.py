"""Quantisation-aware training: each step computes as a file of 8-bit integers will, so that weights learn to bear it.

Jacob et al. 2018 (arXiv:1712.05877), Section 3: weights and the maps that convolutions and linear layers read are
rounded to 256 values, and gradients pass as if they were not. What is learned stays in floats, and an ordinary export
with 8 bits quantises it as any other network.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

LEAST = 1e-8  # of a range


class Rounded(nn.Module):
    """`model` as a file of integers computes it. It has no weights of its own, and is no part of a training's state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = [model]  # in a list it is no child
        self.layers = {name: one for name, one in model.named_modules() if isinstance(one, nn.Conv2d | nn.Linear)}

    def forward(self, x: Tensor) -> Tensor:
        (model,) = self.model
        weights = {f"{name}.weight": rounded_rows(layer.weight) for name, layer in self.layers.items()}
        with self.watching():
            logits: Tensor = functional_call(model, weights, (x,))
        return logits

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Every layer reads rounded maps."""
        with ExitStack() as stack:
            for layer in self.layers.values():
                stack.callback(layer.register_forward_pre_hook(read_rounded).remove)
            yield


def read_rounded(_: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    return (rounded(inputs[0]), *inputs[1:])


def rounded(x: Tensor) -> Tensor:
    """Maps in 256 steps from their smallest to their largest value, of which one is 0."""
    low, high = (end.float() for end in x.detach().aminmax())
    low, high = low.clamp_max(0), high.clamp_min(0)
    scale = ((high - low) / 255).clamp_min(LEAST)
    zero = (-low / scale).round().clamp(0, 255).to(torch.int32)
    found: Tensor = torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, 255)
    return found.to(x.dtype)


def rounded_rows(weight: Tensor) -> Tensor:
    """Weights (O, …) in 255 steps around 0, each output in its own range."""
    most = weight.detach().float().flatten(1).abs().amax(1)
    zero = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
    return torch.fake_quantize_per_channel_affine(weight, (most / 127).clamp_min(LEAST), zero, 0, -127, 127)

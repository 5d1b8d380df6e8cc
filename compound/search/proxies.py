"""Scores of untrained networks, in seconds: for screening proposals, never for choosing a winner."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compound.network import Network
from compound.nn import ConvNet, build
from compound.nn.modules import FUNCTIONS

BATCH = 32


@dataclass(frozen=True)
class Proxy:
    """A score by name; `seed` is that of the weights and of the input."""

    name: str
    seed: int = 0

    def __call__(self, network: Network) -> float:
        return PROXIES[self.name](build(network, seed=self.seed), self.seed)


def synflow(model: ConvNet, seed: int) -> float:
    """log Σ |θ · ∂R/∂θ| where R is the sum of the logits of an image of ones and all weights are positive.

    Tanaka et al. 2020; as a score of networks Abdelfattah et al. 2021. Norms are left out, as there, because their
    statistics would undo the sizes. R and its gradients are in double precision, for products over many layers.
    """
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            model.set_submodule(name, nn.Identity())
    model(ones(model)).sum().backward()
    total = sum(float((p.detach() * p.grad).abs().sum()) for p in model.parameters() if p.grad is not None)
    return math.log(total) if total > 0 else -math.inf


@torch.no_grad()
def naswot(model: ConvNet, seed: int) -> float:
    """log |det K|, where K counts on how many activations two images of a batch agree in sign (Mellor et al. 2021).

    A network that tells untrained images apart is easier to train.
    """
    codes: list[Tensor] = []
    kinds = tuple(cls for name, cls in FUNCTIONS.items() if name in ("relu", "relu6", "swish", "hard_swish", "gelu"))

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        codes.append((inputs[0] > 0).flatten(1).double())

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, kinds)]
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(BATCH, *ones(model).shape[1:], generator=generator)
    model.train()(images)
    for hook in hooks:
        hook.remove()
    kernel = torch.zeros(BATCH, BATCH, dtype=torch.float64)
    for code in codes:
        kernel += code @ code.T + (1 - code) @ (1 - code).T
    return float(torch.linalg.slogdet(kernel).logabsdet)


def ones(model: ConvNet) -> Tensor:
    """One image of ones, (1, C, R, R), in double precision."""
    resolution = model.network.resolution
    return torch.ones(1, model.channels, resolution, resolution, dtype=torch.float64)


PROXIES: dict[str, Callable[[ConvNet, int], float]] = {"synflow": synflow, "naswot": naswot}

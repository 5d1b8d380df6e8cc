"""Optimisers of the recipes: TensorFlow's RMSProp as the paper used it, LAMB, and torch's SGD and AdamW."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from compound.kernels import gpu, rmsprop
from compound.nn import ConvNet
from compound.training.recipe import Recipe
from compound.training.sharding import is_sharded


class GroupedOptimizer(Optimizer, ABC):
    """An optimiser that updates all parameters of a group at once."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch's has an overload for each kind of closure
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._prepare()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step(group, params)
        return loss

    def _prepare(self) -> None:
        """What concerns all gradients together, before the groups are updated."""

    @abstractmethod
    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """Update `params`, which all have gradients, by the settings of `group`."""

    def _state(self, params: list[Tensor], **start: Callable[[Tensor], Tensor]) -> Iterator[list[Tensor]]:
        """What is remembered of each parameter, a list a name; `start` makes what is not there yet."""
        for name, make in start.items():
            for p in params:
                if name not in self.state[p]:
                    self.state[p][name] = make(p)
            yield [self.state[p][name] for p in params]


class RMSpropTF(GroupedOptimizer):
    """RMSProp in TensorFlow's form (Section 5.2: decay 0.9, momentum 0.9, ε 0.001).

    Differs from `torch.optim.RMSprop` in three ways that cost accuracy when missed: ε stands inside the root, the
    mean square starts at one, and the learning rate is applied when a gradient enters the momentum buffer.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        decay: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        )

    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        squares, buffers = self._state(params, square=torch.ones_like, momentum=torch.zeros_like)
        grads: Any = [p.grad for p in params]
        settings = (group["lr"], group["decay"], group["momentum"], group["eps"], group["weight_decay"])
        if rmsprop.applies(params, grads, squares, buffers):
            rmsprop.step(params, grads, squares, buffers, settings=settings)
            return
        if rmsprop.applies(params, grads, squares, buffers, among=gpu.serves):
            from compound.kernels.gpu.rmsprop import step

            step(params, grads, squares, buffers, *settings)
            return
        if group["weight_decay"]:
            grads = torch._foreach_add(grads, params, alpha=group["weight_decay"])
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, grads, grads, 1 - group["decay"])
        roots = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_addcdiv_(buffers, grads, roots, group["lr"])
        torch._foreach_sub_(params, buffers)


class Lamb(GroupedOptimizer):
    """LAMB (You et al. 2020, Algorithm 2): Adam whose step is scaled, layer by layer, to the norm of the weights.

    As in the "ResNet strikes back" recipes, all gradients are first scaled to a common norm of at most `max_norm`, and
    layers that do not decay take Adam's step as it is.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        max_norm: float = 1.0,
    ) -> None:
        self.max_norm = max_norm
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "steps": 0})

    def _prepare(self) -> None:
        nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], self.max_norm)

    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        group["steps"] += 1
        means, squares = self._state(params, mean=torch.zeros_like, square=torch.zeros_like)
        grads: Any = [p.grad for p in params]
        first, second = group["betas"]
        torch._foreach_lerp_(means, grads, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, grads, grads, 1 - second)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, math.sqrt(1 - second ** group["steps"]))
        torch._foreach_add_(roots, group["eps"])
        updates = torch._foreach_div(means, roots)
        torch._foreach_div_(updates, 1 - first ** group["steps"])
        if group["weight_decay"]:
            torch._foreach_add_(updates, params, alpha=group["weight_decay"])
            torch._foreach_mul_(updates, [trust(p, u) for p, u in zip(params, updates, strict=True)])
        torch._foreach_add_(params, updates, alpha=-group["lr"])


def trust(weights: Tensor, update: Tensor) -> Tensor:
    """The ratio of the norms of weights and update; one where either is nothing."""
    ratio = weights.norm() / update.norm()
    return torch.where((ratio > 0) & ratio.isfinite(), ratio, 1.0)


def decay_groups(model: nn.Module, weight_decay: float, biases: bool) -> list[dict[str, Any]]:
    """Norms never decay; biases only where the source does so (the official EfficientNet code).

    A group may have a `factor`, which multiplies the schedule's rate (see `set_rate`).
    """
    norms = {id(p) for module in model.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for p in model.parameters():
        if p.requires_grad:
            (free if id(p) in norms or (p.dim() < 2 and not biases) else decayed).append(p)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def by_inputs(model: nn.Module, groups: list[dict[str, Any]], most: int | None) -> list[dict[str, Any]]:
    """The groups with one more for each width of linear layers that read more than `most` inputs; see the recipe."""
    if most is None:
        return groups
    inputs = {id(module.weight): module.in_features for module in model.modules() if isinstance(module, nn.Linear)}
    divided = []
    for group in groups:
        widths = [max(inputs.get(id(p), 0), most) for p in group["params"]]
        for width in sorted(set(widths)):
            params = [p for p, own in zip(group["params"], widths, strict=True) if own == width]
            divided.append(group | {"params": params} | ({"factor": most / width} if width > most else {}))
    return divided


def make_optimizer(model: ConvNet, recipe: Recipe) -> Optimizer:
    """The recipe's optimiser; the rate is set before every step from the schedule."""
    groups = decay_groups(model, recipe.weight_decay, recipe.decay_biases)
    groups = by_inputs(model, groups, recipe.rate_inputs)
    groups = recipe.transfer.by_depth(model, groups)
    rate, fused = recipe.peak_rate, not is_sharded(model)  # torch does not divide its fused ones
    if recipe.optimizer == "rmsprop":
        return RMSpropTF(groups, rate, momentum=recipe.momentum)
    if recipe.optimizer == "lamb":
        return Lamb(groups, rate)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, fused=fused)
    return torch.optim.SGD(groups, rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """The rate of the coming step, in every group times its `factor` if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)

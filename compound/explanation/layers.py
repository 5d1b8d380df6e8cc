"""Maps of a layer that is named, and what the network makes of them: differentiable from there on.

N images, C channels and h × w positions of the maps
"""

import torch
from torch import Tensor, nn

from compound.errors import UsageError
from compound.mapping import nearest
from compound.nn import ConvNet


def find_layer(model: ConvNet, name: str) -> nn.Module:
    """The part of the network that `model.named_modules()` calls so. Raises `UsageError`."""
    known: dict[str, nn.Module] = {path: module for path, module in model.named_modules() if path}
    if name not in known:
        parts = ", ".join(part for part, _ in model.stages())
        hint = nearest(name, known, "layers", f"its parts are {parts}, and what lies in them")
        raise UsageError(f"{model.network.name} has no layer {name!r}; {hint}")
    return known[name]


def run_from(model: ConvNet, images: Tensor, layer: str | None) -> tuple[Tensor, Tensor]:
    """The maps (N, C, h, w) of `layer`, None for the last ones, as a leaf, and the logits (N, classes) made of it.

    Only what follows the layer is kept for the backward pass. Must be used with gradients on.
    """
    if layer is None:
        with torch.no_grad():
            leaf = model.forward_features(images)
        leaf = leaf.clone().requires_grad_()
        return leaf, model.classifier(leaf.clone())  # what works in place may not have a leaf
    caught: list[Tensor] = []

    def catch(module: nn.Module, given: object, output: object) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4 or caught:
            times = "runs more than once" if caught else "gives no maps"
            raise UsageError(f"layer {layer!r} of {model.network.name} {times}; name one such as {_last(model)!r}")
        caught.append(output.detach().clone().requires_grad_())
        torch.set_grad_enabled(True)  # until the block below ends
        return caught[0].clone()

    handle = find_layer(model, layer).register_forward_hook(catch)
    try:
        with torch.no_grad():
            logits = model(images)
    finally:
        handle.remove()
    if not caught:
        raise UsageError(f"layer {layer!r} of {model.network.name} does not run; name one such as {_last(model)!r}")
    return caught[0], logits


def _last(model: ConvNet) -> str:
    return model.stages()[-1][0]

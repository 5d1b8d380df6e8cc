"""Whether weights are used as they were trained: batch-norm statistics on the user's images against the running ones.

Images of another kind move the statistics too, but a wrong normalisation, padding or ε moves them more: on the same
images, another set-up that fits clearly better is likely to be the right one.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from compound.data import DamageLog, DataSet, Preprocessing, Source, make_loader, subset
from compound.network import Network
from compound.nn import ConvNet, build, load_weights

IMAGES = 32
CLEARLY = 0.95  # of the gap that there is; on 20 photos a right Lite0 has 0.88 and less of any wrong one's


def norm_gap(model: ConvNet, images: Tensor) -> float:
    """How far the statistics of `images`, normalised (N, C, R, R), lie from the running ones.

    The mean over all norms and their channels of |mean − running mean| / running deviation; 0 for a network
    without norms. `model` is left as it was.
    """
    gaps: list[float] = []

    def measure(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        away = inputs[0].mean((0, 2, 3)) - norm.running_mean
        gaps.append((away.abs() / norm.running_var.clamp_min(1e-12).sqrt()).mean().item())

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    was_training = model.training
    try:
        with torch.inference_mode():
            model.eval()(images)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return sum(gaps) / max(len(gaps), 1)


def setups(network: Network) -> Iterator[tuple[str, Network]]:
    """Other ways to use the same weights, by what they change, in words."""
    style, inputs = network.style, network.inputs
    usual: dict[str, tuple[tuple[float, ...], tuple[float, ...]]]
    usual = {"ImageNet's mean and deviation": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
    usual |= {"mean 0.5 and deviation 0.5": ((0.5,), (0.5,)), "pixels from 0 to 1": ((0.0,), (1.0,))}
    for words, (mean, std) in usual.items():
        yield words, network.with_(inputs=replace(inputs, mean=mean, std=std))
    yield "pixels from 0 to 255", network.with_(inputs=replace(inputs, mean=(0.0,), std=(1 / 255,)))
    other: Literal["symmetric", "same"] = "symmetric" if style.padding == "same" else "same"
    yield f"padding {other!r}", network.with_(style=replace(style, padding=other))
    eps = 1e-5 if style.norm_eps > 1e-4 else 1e-3
    yield f"ε {eps:g}", network.with_(style=replace(style, norm_eps=eps))


def gaps(model: ConvNet, source: Source) -> dict[str, float]:
    """`norm_gap` on the first readable images of `source` as the model is used ("as it is"), and by other set-ups."""
    network, state = model.network, model.state_dict()
    found = {}
    for words, other in (("as it is", network), *setups(network)):
        preprocessing = Preprocessing.of(other)
        twin = build(other)
        twin.load_state_dict(state)
        batch = next(iter(make_loader(source, preprocessing, min(IMAGES, len(source)))))
        DamageLog(1.0).add(batch)
        found[words] = norm_gap(twin, preprocessing.normalise(batch.images)) if len(batch) else 0.0
    return found


def doubts(weights: str | Path, network: Network, data: DataSet) -> list[str]:
    """A sentence where another set-up of `network` fits `weights` better; none for weights that say theirs."""
    model, given = load_weights(weights, network, several=True, to_train=True)
    if given.complete or given.channels != data.channels:
        return []
    model.network = network.for_data(given)  # with the resolution that is asked for
    spread = torch.linspace(0, len(data.train) - 1, min(IMAGES, len(data.train))).long().numpy()
    measured = gaps(model, subset(data.train, spread))
    now = measured.pop("as it is")
    words, best = min(measured.items(), key=lambda item: item[1])
    if best > CLEARLY * now:
        return []
    return [
        f"batch-norm statistics of {data.name} fit {weights} better with {words} ({best:.3f} against {now:.3f}); "
        "check normalisation, padding and ε of the network file"
    ]

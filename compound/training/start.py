"""What a training starts from: fresh weights, given ones, or those of a network it was scaled from."""

import sys
from pathlib import Path

from torch import nn

from compound.data import DataSet, Source, subset
from compound.data.split import stratified
from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet, build, inherit, load_weights, with_channels
from compound.parallel import is_first
from compound.training.probe import choose_penalty, features, fit_linear
from compound.training.run import Run
from compound.training.transfer import Transfer

PROBED = 10_000  # images that a first classifier is fitted on; with more, training itself soon finds a better one


def at_most(count: int, source: Source, seed: int) -> Source:
    """The source, or about `count` images of it, of every class its share."""
    if len(source) <= count:
        return source
    return subset(source, stratified(source.labels, count / len(source), seed)[1])


def adopted(network: Network, weights: str | Path) -> Network:
    """`network` with the style and preprocessing that `weights` were trained with; resolution and dropout stay."""
    _, given = load_weights(weights, network, several=True)
    return network.with_(style=given.network.style, inputs=given.network.inputs)


def first_model(
    run: Run,
    data: DataSet,
    weights: str | Path | None = None,
    inherited: str | Path | None = None,
    *,
    workers: int = 0,
    device: str = "auto",
) -> ConvNet:
    """The run's network with fresh weights, with `weights`, or with what `inherited`, a smaller or larger one, learned.

    A classifier of other classes starts fresh, or from a probe where the recipe says so; a stem of other channels is
    adapted.
    """
    running = {"workers": workers, "device": device}
    return first_of(run.network, data, run.recipe.transfer, weights, inherited, seed=run.seed, **running)


def first_of(
    network: Network,
    data: DataSet,
    transfer: Transfer,
    weights: str | Path | None = None,
    inherited: str | Path | None = None,
    *,
    seed: int = 0,
    workers: int = 0,
    device: str = "auto",
) -> ConvNet:
    """See `first_model`; for a training that is no run."""
    model = _first(network, data, transfer, weights, inherited, seed, workers, device)
    model.several = data.several
    return model


def _first(
    network: Network,
    data: DataSet,
    transfer: Transfer,
    weights: str | Path | None,
    inherited: str | Path | None,
    seed: int,
    workers: int,
    device: str,
) -> ConvNet:
    classes = len(data.classes)
    if weights is None and inherited is None:
        return build(network, classes, data.channels, seed=seed)
    if inherited is not None:
        given, _ = load_weights(inherited, several=True)
        model = inherit(with_channels(given, data.channels), network, classes, seed=seed)
    else:
        assert weights is not None
        given, _ = load_weights(weights, network, several=True)
        if given.network.style != network.style:
            raise UsageError(
                f"{weights} was trained with {given.network.style} and {network.name} has {network.style}; "
                "take the style of the weights (see `adopted`)"
            )
        state = with_channels(given, data.channels).state_dict()
        model = build(network, classes, data.channels, seed=seed)
        fresh = model.state_dict()
        model.load_state_dict({n: state[n] if state[n].shape == t.shape else t for n, t in fresh.items()})
    if not transfer.probe_first:
        return model
    if isinstance(list(model.classifier)[-1], nn.Linear):
        learned = features(model, at_most(PROBED, data.train, seed), workers=workers, device=device)
        held = features(model, data.holdout, workers=workers, device=device) if len(data.holdout) else None
        penalty = choose_penalty(learned, classes, seed, held)
        fit_linear(learned, classes, penalty).into(model)
        model.cpu()
    elif is_first():
        said = f"{network.name} does not end in a linear layer, so its classifier starts fresh instead of from a probe"
        print(f"warning: {said}", file=sys.stderr)
    return model

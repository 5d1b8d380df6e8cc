"""What a training starts from: fresh weights, given ones, or those of a network it was scaled from."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from compound.cost import cost
from compound.data import DataSet, Preprocessing, Source, make_loader, subset
from compound.data.split import stratified
from compound.errors import UsageError
from compound.execution import Execution
from compound.network import Network
from compound.nn import ConvNet, build, inherit, load_weights, with_channels
from compound.nn.weights import same_layers
from compound.notes import heard_by, note, silent
from compound.parallel import is_first
from compound.training.probe import SOME, choose_penalty, features, fit_linear
from compound.training.settling import settle
from compound.training.transfer import Transfer

PROBED = 10_000  # images that a first classifier is fitted on; with more, training itself soon finds a better one
LOOKED_AT = 8  # images that new blocks without shortcuts are fitted on
CHOSEN_ON = 128  # images by which the channels of a narrower network are chosen, at most
MAPS = 2e9  # bytes that all maps of these images may take


@dataclass(frozen=True)
class Start:
    """Nothing, `weights`, or what `inherited`, a smaller or larger network, has learned: each as `load_weights` takes
    it. `of`: the network that they are of, where it is not the one to train. Raises `UsageError` for both."""

    weights: str | Path | None = None
    inherited: str | Path | None = None
    of: Network | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and self.inherited is not None:
            raise UsageError("--weights and --inherit both say what to start from; give one of them")


FRESH = Start()


def at_most(count: int, source: Source, seed: int) -> Source:
    """The source, or about `count` images of it, of every class its share."""
    if len(source) <= count:
        return source
    return subset(source, stratified(source.labels, count / len(source), seed)[1])


def adopted(network: Network, weights: str | Path, of: Network | None = None) -> Network:
    """`network` with the style and preprocessing that `weights` (of `of`) were trained with; resolution and dropout
    stay."""
    _, given = load_weights(weights, of or network, several=True, to_train=True)
    return network.with_(style=given.network.style, inputs=given.network.inputs)


def first_model(
    network: Network,
    data: DataSet,
    transfer: Transfer,
    start: Start = FRESH,
    execution: Execution = Execution(),
    *,
    seed: int = 0,
) -> ConvNet:
    """`network` as its training starts.

    A classifier of other classes starts fresh, or from a probe where `transfer` says so; a stem of other channels is
    adapted.
    """
    network = network.for_data(data)
    if start.inherited is not None:
        given, _ = load_weights(start.inherited, start.of, several=True)
        model = _inherited(given, network, data, seed, transfer)
    elif start.weights is not None:
        model = _with_weights(network, data, start, seed, transfer)
    else:
        model = build(network, seed=seed)
    model.several, model.unknown, model.sets = data.several, None, None
    if transfer.probe_first and start != FRESH:
        _probe(model, data, execution, seed)
    return model


def looked_at(network: Network, source: Source, count: int = LOOKED_AT) -> Tensor | None:
    """Some images of `source` as `network` sees them, (N, C, H, W); None where none of the first ones can be read."""
    preprocessing = Preprocessing.of(network)
    images = next(iter(make_loader(source, preprocessing, count))).images
    return preprocessing.normalise(images) if len(images) else None


def chosen_on(network: Network, source: Source, seed: int) -> Tensor | None:
    """Images of every class as `network` sees them, by which it is chosen what of it stays."""
    count = min(CHOSEN_ON, max(int(MAPS / (4 * cost(network).activations)), LOOKED_AT))
    return looked_at(network, at_most(count, source, seed), count)


def _inherited(given: ConvNet, network: Network, data: DataSet, seed: int, transfer: Transfer) -> ConvNet:
    """What `network` inherits from `given`, on images of the data; a smaller one as near to it as it can be."""
    given = with_channels(given, data.channels)
    changed = not same_layers(network, given.network)
    smaller = changed and cost(network).macs < cost(given.network.for_data(data)).macs
    images = chosen_on(given.network, data.train, seed) if smaller else looked_at(given.network, data.train)
    with nullcontext() if is_first() else heard_by(silent):
        model = inherit(given, network, seed=seed, images=images)
    if smaller and not transfer.probe_first:
        settle(model, given, data.train, seed=seed)
    return model


def _with_weights(network: Network, data: DataSet, start: Start, seed: int, transfer: Transfer) -> ConvNet:
    """`network` with what weights have of its shapes; where its layers differ from theirs, what it inherits."""
    assert start.weights is not None
    given, _ = load_weights(start.weights, start.of or network, several=True, to_train=True)
    if given.network.style != network.style:
        raise UsageError(
            f"{start.weights} was trained with {given.network.style} and {network.name} has {network.style}; "
            "take the style of the weights (see `adopted`)"
        )
    if not same_layers(network, given.network):
        return _inherited(given, network, data, seed, transfer)
    state = with_channels(given, data.channels).state_dict()
    model = build(network, seed=seed)
    fresh = model.state_dict()
    model.load_state_dict({n: state[n] if state[n].shape == t.shape else t for n, t in fresh.items()})
    return model


def can_be_probed(model: ConvNet) -> bool:
    """Whether `model` ends in a linear layer."""
    return isinstance(list(model.classifier.children())[-1], nn.Linear)


def _probe(model: ConvNet, data: DataSet, execution: Execution, seed: int) -> None:
    """Make the best linear classifier on frozen features that of `model`, where it ends in a linear layer.

    The held-out images do not choose its penalty: they judge between it and what fine-tuning makes of it.
    """
    if not can_be_probed(model):
        if is_first():
            name = model.network.name
            said = f"{name} does not end in a linear layer, so its classifier starts fresh instead of from a probe"
            note(f"warning: {said}")
        return
    execution = replace(execution, batch=SOME.batch)
    learned = features(model, at_most(PROBED, data.train, seed), model.classes, execution)
    fit_linear(learned, choose_penalty(learned, seed)).into(model)
    model.cpu()

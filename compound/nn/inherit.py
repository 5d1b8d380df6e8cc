"""Weights of a trained network for a scaled one, so that STEP 2 starts warm instead of from nothing.

Wider: channels are repeated, and whoever reads them divides its weights among the repeats (Net2WiderNet, Chen et al.
2016); the shares are drawn at random, so that repeats do not stay equal, and the function is preserved. Deeper: a new
block of a stage begins as the identity (its last norm scales by zero). Narrower: the channels with the largest filters
stay. Another resolution changes no weight.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as V

from compound import ops
from compound.blocks import Wired, block_name
from compound.network import Network, Row
from compound.nn.build import ConvNet, build
from compound.nn.carrying import Channels, InheritError, Walk
from compound.nn.identity import begin_as_identity, begin_near_identity
from compound.nn.importance import importance
from compound.nn.moments import keep_moments
from compound.notes import note

__all__ = ["InheritError", "inherit"]

DRAWN = 8  # images that stand for the data where none are given, and that new blocks are fitted on
SHOWS = 1e-3  # of the largest logit; less is rounding


@torch.no_grad()
def inherit(model: ConvNet, network: Network, *, seed: int = 0, images: Tensor | None = None) -> ConvNet:
    """`network` built with what `model` has learned; for other classes than the model's it gets a fresh classifier.

    Exact, up to rounding errors, where no dimension shrinks and every stage has residual blocks or no new ones, apart
    from layer norms over more channels. A new block without a shortcut begins as near to the identity as it can on
    `images` (N, C, H, W), preprocessed, or on noise; where layers are narrower, all of them say which channels stay,
    and without any the largest filters do. By how much the logits on them changed is noted where it shows.
    A block of which nothing changes is carried over as it is. Raises `InheritError`, before anything is built, where
    stages are of another kind, for cells, and where channels get other ones that are split, shuffled or side by side in
    a sum, or lie in groups that do not fit.
    """
    channels = network.channels
    if channels != model.channels:
        raise InheritError(f"the weights read {model.channels} channels and {channels} are asked for; adapt them first")
    check_kinds(model.network, network)
    check_operators(model.network, network)
    side = model.network.resolution
    noise = torch.randn(DRAWN, channels, side, side, generator=torch.Generator().manual_seed(seed))
    training = model.training
    new = build(network.with_(classes=model.classes), seed=seed).eval()
    shown = None if images is None or not is_narrower(new, model) else images
    walk = Walk(torch.Generator().manual_seed(seed), {} if shown is None else importance(model, [shown], seed=seed))
    images = noise if images is None else images[:DRAWN]
    maps = walk.through(model.stem, new.stem, Channels(torch.arange(channels), channels), "stem")
    leaving = {(row.stage, row.repeat): row.output[0] for row in network.blocks()}
    for number in range(1, len(network.stages) + 1):
        old_blocks, new_blocks = (list(getattr(each, f"stage{number}")) for each in (model, new))
        x: Tensor | None = None
        for repeat, block in enumerate(new_blocks):
            if repeat < len(old_blocks):
                where, channels = f"stage {number} block {repeat + 1}", leaving[number, repeat + 1]
                maps = walk.block(old_blocks[repeat], block, maps, where, channels)
            elif not begin_as_identity(block):
                x = reaching(new, number, repeat, images) if x is None else x
                begin_near_identity(block, x)
                x = block(x)
    maps = walk.through(model.features, new.features, maps, "head")
    walk.through(model.classifier, new.classifier, maps, "classifier", torch.arange(model.classes))
    if shown is not None:
        own = resized(shown, network.resolution)
        keep_moments(partial(model.eval(), shown), partial(new, own), walk.norms)
        model.train(training)
    say_change(model, new, images)
    if network.classes != model.classes:
        fresh = build(network, seed=seed)
        new.network, new.classifier = network, fresh.classifier
    return new.train(training)


def resized(images: Tensor, side: int) -> Tensor:
    return images if images.shape[-1] == side else V.resize(images, [side, side], antialias=True)


def is_narrower(new: nn.Module, old: nn.Module) -> bool:
    """Whether some layer of `new` makes fewer channels than in `old`."""
    before = old.state_dict()
    return any(
        tensor.dim() > 1 and name in before and len(tensor) < len(before[name])
        for name, tensor in new.state_dict().items()
    )


def reaching(model: ConvNet, stage: int, blocks: int, images: Tensor) -> Tensor:
    """The maps that leave the first `blocks` blocks of a stage."""
    x: Tensor = model.stem(images)
    for number in range(1, stage):
        x = getattr(model, f"stage{number}")(x)
    for block in list(getattr(model, f"stage{stage}"))[:blocks]:
        x = block(x)
    return x


def say_change(old: ConvNet, new: ConvNet, images: Tensor) -> None:
    """Note by how much the logits on `images` differ, where it is more than rounding."""
    training = old.training
    expected, found = old.eval()(images), new(images)
    old.train(training)
    change = ((expected - found).abs().max() / expected.abs().max().clamp(min=1e-12)).item()
    if not change < SHOWS:
        note(
            f"warning: {new.network.name} begins near what {old.network.name} computes, not as the same: on "
            f"{len(images)} images logits differ by up to {change:.3g} of the largest one"
        )


def check_kinds(old: Network, new: Network) -> None:
    """Raise `InheritError` unless stages differ in layers, channels and the blocks' own widths only."""
    if len(old.stages) != len(new.stages):
        raise InheritError(
            f"{new.name} has {len(new.stages)} stages and {old.name} {len(old.stages)}; scale the same net"
        )
    for number, (a, b) in enumerate(zip((old.stem, *old.stages), (new.stem, *new.stages), strict=True)):
        where = f"stage {number}" if number else "stem"
        if (type(a.block), a.stride) != (type(b.block), b.stride):
            kinds = [f"{block_name(type(s.block))} of stride {s.stride}" for s in (a, b)]
            raise InheritError(f"{where} is {kinds[0]} in {old.name} and {kinds[1]} in {new.name}; scale the same net")
        if isinstance(a.block, Wired) and a != b:
            raise InheritError(f"{where} lists its operators, and their weights are carried over as they are; "
                               "leave depth and width alone, or train from scratch")  # fmt: skip
        if a.block.reads_previous:
            raise InheritError(
                f"{where}: cells read two maps, and their weights are not carried over; train from scratch"
            )


def check_operators(old: Network, new: Network) -> None:
    """Raise `InheritError` for operators whose weights cannot pass, and new blocks that cannot be the identity."""
    before = {(row.stage, row.repeat): row for row in old.blocks()[:-1]}
    for row in new.blocks()[:-1]:
        where = f"stage {row.stage} block {row.repeat}" if row.stage else "stem"
        given = before.get((row.stage, row.repeat))
        if isinstance(row.block, Wired) and given is not None and given.input[0] != row.input[0]:
            raise InheritError(f"{where} lists its operators, which are carried over as they are, and {given.input[0]} "
                               f"channels become {row.input[0]}; leave width alone, or train from scratch")  # fmt: skip
        if given is None and row.input != row.output:
            raise InheritError(f"{where} adds channels to its input, so it cannot begin as the identity")
        shapes = [(one.block, one.input[0], one.output[0]) for one in (given or row, row)]
        if given is not None and shapes[0] == shapes[1]:
            continue  # it is carried over as it is
        if given is not None and added_side_by_side(row):
            raise InheritError(f"{where} adds to its input channels that were made side by side, which are not carried "
                               "over to another width; train from scratch")  # fmt: skip
        for reason in (obstacle(a, b) for a, b in pairs(given, row)):
            if reason:
                raise InheritError(f"{where}: {reason}; train from scratch")


def added_side_by_side(row: Row) -> bool:
    """Whether what is added to the input of a block is a join without a convolution behind it to sort channels."""
    makers = {output: (operator, inputs) for _, operator, inputs, output in row.trace.steps}
    for operator, inputs in makers.values():
        if not isinstance(operator, ops.Add) or 0 not in inputs:
            continue
        value = max(inputs)
        while value in makers and not isinstance(makers[value][0], ops.Conv | ops.Join | ops.Add):
            value = makers[value][1][0]
        if value in makers and isinstance(makers[value][0], ops.Join):
            return True
    return False


Placed = tuple[ops.Operator, tuple[ops.Shape, ...]]


def pairs(old: Row | None, new: Row) -> list[tuple[Placed, Placed]]:
    """The operators of two blocks, each with the shapes it reads; those of a new block stand beside themselves."""
    both = [
        [(step.operator, tuple(row.trace.shapes[i] for i in step.inputs)) for step in row.trace.steps]
        for row in (old or new, new)
    ]
    return list(zip(*both, strict=False))


def obstacle(old: Placed, new: Placed) -> str:
    """Why the weights of an operator cannot pass; empty where they can."""
    (a, given), (b, read) = old, new
    if isinstance(b, ops.Shuffle) or (isinstance(b, ops.Slice) and a is not b):
        return "channels that are split or shuffled are not carried over"
    if isinstance(a, ops.Conv) and isinstance(b, ops.Conv):
        if b.standardise is not None and given[0][0] != read[0][0]:
            return "convolutions with standardised weights are not carried over to another width"
        inside, wider = a.channels // a.groups, b.channels // b.groups
        if 1 < a.groups == a.channels == given[0][0] and wider > 1:
            return f"a convolution of each channel by itself becomes one in {b.groups} groups of {wider}"
        if a.groups != b.groups and (inside != wider or b.groups < a.groups):
            return f"a convolution in {a.groups} groups of {inside} channels becomes one in {b.groups} of {wider}"
    return ""

"""`from_module`: reading a module and carrying its weights over."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from compound.blocks import Block
from compound.network import Network
from compound.nn.build import ConvNet, build
from compound.nn.reading.capture import capture
from compound.nn.reading.graph import Graph, Node, ReadingError
from compound.nn.reading.parse import network_of
from compound.nn.reading.written import written

TOLERANCE = 1e-4  # of the largest logit, in fp32


def from_module(
    model: nn.Module, example: Tensor | None = None, *, name: str | None = None, blocks: Iterable[Block] = ()
) -> tuple[Network, ConvNet]:
    """`model` as a `Network`, and the network built with the model's weights, in evaluation mode.

    `example` is a batch (N, C, H, W) of the images that the model is for; without one 224 px and the channels of the
    first convolution are taken. `blocks` are blocks of your own to try, as they would stand in a stage. Layers that
    inference does not use, such as auxiliary classifiers, stay behind; what a module does not tell (preprocessing,
    survival, dimensions that do not scale) has the defaults of `Network`.

    Raises `ReadingError` naming the modules and operators that are not in the alphabet, or the place where no block
    goes on. What is returned has the model's operators one by one and gives the same logits.
    """
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise ReadingError(f"{type(model).__name__} has no convolution, so it is not a ConvNet")
    if example is None:
        example = torch.zeros(2, first.in_channels, 224, 224)
    if example.dim() != 4 or example.shape[2] != example.shape[3]:
        raise ReadingError(f"the example has shape {tuple(example.shape)}; give square images (N, C, H, W)")
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, *example.shape[1:], generator=generator).to(first.weight)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        found = capture(model, images)
        graph, size = found.graph, example.shape[-1]
        network = network_of(name or type(model).__name__.lower(), graph, size, found.dropout, blocks)
        built = build(network).to(first.weight).eval()
        copy_weights(built, graph, model)
        check_logits(built, model, images)
    finally:
        for module in training:
            module.training = True
    return network, built


@torch.no_grad()
def copy_weights(built: ConvNet, graph: Graph, model: nn.Module) -> None:
    """The weights of `model` into the operators that stand in the same place."""
    theirs = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    ours = dict(built.named_parameters()) | dict(built.named_buffers())
    start = 0
    *blocks, head = built.network.blocks()
    for row in (*blocks, head):
        own, prefix = written(row.trace), f"stage{row.stage}.block{row.repeat}." if row.stage else "stem."
        prefix = "" if row is head else prefix
        for one, other in pairs(own, graph, start):
            for (_, path), (_, given) in zip(one.weights, other.weights, strict=False):
                tensor = ours[f"{prefix}{path.lstrip('.')}"]
                tensor.copy_(theirs[given].reshape(tensor.shape))
        start += len(own.nodes)


def pairs(own: Graph, graph: Graph, start: int) -> list[tuple[Node, Node]]:
    """The nodes of a written block and, in the same place, those of the graph behind `start`."""
    end = start + len(own.nodes)
    mine, given = own.keys(0, len(own.nodes)), graph.keys(start, end)
    waiting, seen = [(own.output, end)], {0}
    found = []
    while waiting:
        value, other = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        one, two = own.nodes[value - 1], graph.nodes[other - 1]
        found.append((one, two))
        inputs = two.inputs
        if [mine[i] for i in one.inputs] != [given[i] for i in inputs]:  # a sum, written the other way round
            inputs = inputs[::-1]
        waiting += zip(one.inputs, inputs, strict=True)
    return found


@torch.inference_mode()
def check_logits(built: ConvNet, model: nn.Module, images: Tensor) -> None:
    """Raise `ReadingError` unless both give the same logits."""
    ours, theirs = built(images), model(images)
    error = ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-6)).item()
    if not error < TOLERANCE:
        raise ReadingError(f"{type(model).__name__} was read, but its logits differ by {error:.1e} of the largest one")

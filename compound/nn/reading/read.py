"""`from_module`: a module read, its weights carried over, and the two compared."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compound.blocks import Block
from compound.network import Network
from compound.nn.build import ConvNet, build
from compound.nn.reading.capture import capture
from compound.nn.reading.carry import copy_weights
from compound.nn.reading.graph import ReadingError
from compound.nn.reading.parse import NoBlock, network_of
from compound.nn.reading.sizes import differing, drawn
from compound.nn.reading.values import Capture

MOST_CHANNELS = 4  # of a usual image
TWINS = 3  # sizes that are looked into besides the example's
SMALL = 3  # positions: on maps of so few, different operators do the same


def from_module(
    model: nn.Module, example: Tensor | None = None, *, name: str | None = None, blocks: Iterable[Block] = ()
) -> tuple[Network, ConvNet]:
    """`model` as a `Network`, and the network built with the model's weights, in evaluation mode.

    `example` is a batch (N, C, H, W) of the images that the model is for; without one 224 px and the channels of the
    first convolution are taken, or RGB where the model takes no others. `blocks` are blocks of your own to try, as they
    would stand in a stage. Layers that inference does not use, such as auxiliary classifiers, stay behind; what a
    module does not tell (preprocessing, survival, dimensions that do not scale) has the defaults of `Network`.

    What is returned has the model's operators one by one and gives the same logits, at the example's size and at others
    that the model takes. Where it computes something else at another size, `unscalable` of the network says at which.
    Raises `ReadingError` naming the modules and operators that are not in the alphabet, or the arrangement that no
    block is.
    """
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise ReadingError(f"{type(model).__name__} has no convolution, so it is not a ConvNet")
    if example is None:
        example = usual_images(model, first.in_channels)
    if example.dim() != 4 or example.shape[2] != example.shape[3]:
        raise ReadingError(f"the example has shape {tuple(example.shape)}; give square images (N, C, H, W)")
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        reader = Reader(model, name or type(model).__name__.lower(), example.shape[1], example.shape[2], tuple(blocks))
        built = reader.known() or reader.built()
    finally:
        for module in training:
            module.training = True
    return built.network, built


def usual_images(model: nn.Module, channels: int) -> Tensor:
    """Images of 224 px with `channels`, or of RGB where the model does not take these: it may regroup them first."""
    images = torch.zeros(2, channels, 224, 224)
    if channels > MOST_CHANNELS:
        try:
            with torch.inference_mode():
                copy.deepcopy(model).eval()(images)
        except (RuntimeError, ValueError, TypeError, AssertionError):
            return images[:, :3]
    return images


@dataclass
class Reader:
    """Reads `model`, which is for images of `size` px."""

    model: nn.Module
    name: str
    channels: int
    size: int
    blocks: tuple[Block, ...]

    def images(self, size: int) -> Tensor:
        return drawn(self.channels, size).to(next(self.model.parameters()))

    def known(self) -> ConvNet | None:
        """A network of ours says itself which it is, unless somebody has changed it since: cells too."""
        if not isinstance(self.model, ConvNet) or self.model.channels != self.channels:
            return None
        built = build(self.model.network).to(next(self.model.parameters())).eval()
        theirs, ours = self.model.state_dict(), built.state_dict()
        if [(key, one.shape) for key, one in theirs.items()] != [(key, one.shape) for key, one in ours.items()]:
            return None
        built.load_state_dict(theirs)
        return None if self.wrong(built) else built

    def built(self) -> ConvNet:
        """The network with the model's weights. Where it goes wrong at another size, that size is looked into too."""
        found, built = self.begun()
        wrong = self.wrong(built)
        for _ in range(TWINS):
            other = capture(self.model, self.images(min(wrong))).graph if wrong else found.graph
            if not wrong or not found.graph.is_twin(other):
                break
            found.graph.twins.append(other)
            try:
                again = self.written(found)
            except ReadingError:
                break
            if len(left := self.wrong(again)) < len(wrong):
                built, wrong = again, left
        if self.size in wrong:
            raise ReadingError(f"{type(self.model).__name__} was read, but its logits differ by {wrong[self.size]:.1e} "
                               f"of the largest one at {self.size} px")  # fmt: skip
        if wrong:
            *some, last = map(str, sorted(wrong))
            sizes = " and ".join([", ".join(some), last] if some else [last])
            reason = f"read at {self.size} px; the module computes something else at {sizes} px"
            built.network = built.network.with_(unscalable=(("resolution", reason),))
        return built

    def wrong(self, built: ConvNet) -> dict[int, float]:
        return differing(built, self.model, self.images, self.size)

    def begun(self) -> tuple[Capture, ConvNet]:
        """The first reading, from larger images where the maps of the example's size leave open what is done."""
        found = capture(self.model, self.images(self.size))
        try:
            return found, self.written(found)
        except NoBlock as error:
            if error.side > SMALL:
                raise
            try:
                found = capture(self.model, self.images(self.size * 4))
                return found, self.written(found)
            except ReadingError as again:
                if isinstance(again, NoBlock) and again.side == error.side:  # behind a pool, whatever the example
                    raise error from None
                hint = f"maps of {error.side}×{error.side} are there; a larger example may tell more"
                raise ReadingError(f"{error} ({hint})") from None

    def written(self, found: Capture) -> ConvNet:
        """The network that was found, built with the model's weights."""
        network = network_of(self.name, found.graph, self.size, found.dropout, self.blocks)
        built = build(network).to(next(self.model.parameters())).eval()
        copy_weights(built, found, self.model)
        return built

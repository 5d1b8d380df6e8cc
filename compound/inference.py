"""Running a model over images: what evaluation and prediction share.

The network computes chunks of one size, so that no result depends on how many images were asked for at once: libraries
choose another kernel for another batch size, and with it other last digits. Smaller ones are computed where they were
found to give the same digits (`compound.digits`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from compound.cost import cost
from compound.data import DamageLog, Preprocessing, Source, loading, make_loader
from compound.digits import SameKernels, equal_sizes, known_sizes
from compound.errors import CompoundError
from compound.execution import Execution
from compound.network import Network
from compound.nn import ConvNet, evaluating

CHUNK_MACS = {"cpu": 2e9, "cuda": 5e11}  # multiply-adds that keep a device busy; more only takes memory
LARGEST_CHUNK = 256


def chunk_size(network: Network, device: torch.device) -> int:
    """Images that are computed at once: a power of two that follows from the network and the kind of device alone."""
    images = CHUNK_MACS.get(device.type, CHUNK_MACS["cpu"]) / max(cost(network).macs, 1)
    return 1 << min(max(int(images), 1).bit_length() - 1, LARGEST_CHUNK.bit_length() - 1)


class Classifier(Protocol):
    """Anything that turns pixels into logits, with what its images must look like."""

    @property
    def network(self) -> Network: ...

    @property
    def channels(self) -> int: ...

    @property
    def sizes(self) -> tuple[int, ...]:
        """Images that are computed at once, smaller than a chunk, with the digits of a whole one; ascending."""

    def logits(self, pixels: Tensor) -> Tensor:
        """uint8 (N, channels, R, R), resized by the network's preprocessing, to (N, classes) on the CPU."""


class Eager:
    """A built network as PyTorch runs it, on `device`. Must be used within `evaluating(model)`."""

    def __init__(self, model: ConvNet, device: torch.device) -> None:
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.network, self.channels = model.network, model.channels
        self.device = device
        self.preprocessing = Preprocessing.of(model.network)
        self.sizes: tuple[int, ...] = ()
        self._same = SameKernels(model)

    def find_sizes(self) -> None:
        """Find the `sizes`: as long as three chunks take, once for these weights and machine."""
        side = self.network.resolution
        chunk = chunk_size(self.network, self.device)
        if chunk > 1 and self.device.type == "cpu":
            find = partial(equal_sizes, self.logits, (self.channels, side, side), chunk)
            self.sizes = tuple(size for size in known_sizes(self.model, find) if 0 < size < chunk)

    def logits(self, pixels: Tensor) -> Tensor:
        with torch.inference_mode(), self._same(len(pixels)):
            images = self.preprocessing.normalise(pixels.to(self.device)).contiguous(memory_format=torch.channels_last)
            result: Tensor = self.model(images).float().cpu()
        return result


@dataclass(frozen=True)
class Answered:
    """What a network says of some readable images: logits (N, classes), with labels (N,) or (N, classes), positions
    (N,) in their source, and the uint8 images (N, C, R, R) as the network received them; all on the CPU."""

    logits: Tensor
    labels: Tensor
    indices: Tensor
    images: Tensor

    @property
    def brightness(self) -> list[float]:
        return brightness_of(self.images).tolist()


def brightness_of(images: Tensor) -> Tensor:
    """The mean of each of uint8 images (N, C, R, R), from 0 to 1, (N,) in double precision."""
    return images.double().mean((1, 2, 3)) / 255


def classify(
    model: ConvNet,
    source: Source,
    damage: DamageLog,
    execution: Execution = Execution(),
    *,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Probabilities (N, classes), labels (N,) and positions (N,) of what `logits_over` answers.

    Where the source has several labels an image, (N, classes), each class has a probability of its own.
    """
    for one in logits_over(model, source, damage, execution, rank=rank, world=world):
        yield as_probabilities(one.logits, one.labels.ndim == 2), one.labels, one.indices


def as_probabilities(logits: Tensor, several: bool) -> Tensor:
    """Of logits (N, classes): they sum to one, or with `several` labels an image each class has its own."""
    return logits.sigmoid() if several else logits.softmax(1)


def logits_over(
    model: ConvNet | Classifier,
    source: Source,
    damage: DamageLog,
    execution: Execution = Execution(),
    *,
    few: bool = False,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Answered]:
    """What the model says of the readable images, in order.

    A network in PyTorch runs where the execution says and is left in the mode it was in. The execution's batch of
    images is loaded at once, rounded up to whole chunks (see `chunk_size`); every image has a fixed place in its chunk,
    whatever the batch and whichever other images are damaged, so no digit depends on it. With `world` processes this
    one, `rank`, takes every `world`-th image. Damaged images go to `damage`. With `few`, images that fill no chunk are
    computed in a smaller one where that gives the same digits.
    """
    if isinstance(model, ConvNet):
        with evaluating(model):
            eager, chunk = Eager(model, execution.where), chunk_size(model.network, execution.where)
            if few and len(source) < chunk:
                eager.find_sizes()
            yield from _run(eager, source, damage, execution, chunk, rank, world)
    else:
        yield from _run(model, source, damage, execution, 1, rank, world)


def _run(
    classifier: Classifier, source: Source, damage: DamageLog, execution: Execution, chunk: int, rank: int, world: int
) -> Iterator[Answered]:
    preprocessing = Preprocessing.of(classifier.network)
    batch = -(-execution.batch // chunk) * chunk
    workers = execution.workers_for(source)
    loader = make_loader(source, preprocessing, batch, workers=workers, rank=rank, world=world)
    with loading():
        for number, one in enumerate(loader):
            damage.add(one)
            if len(one.labels):
                places = (one.indices - number * batch * world - rank) // world
                found = in_chunks(classifier, one.images, places, chunk)
                refuse_no_numbers(classifier.network, found, [source.path(i) for i in one.indices.tolist()])
                yield Answered(found, one.labels, one.indices, one.images)


def refuse_no_numbers(network: Network, logits: Tensor, names: list[str]) -> None:
    """Raise `CompoundError` where an answer is not a number: nothing can be said of such an image, nor counted."""
    wrong = (~torch.isfinite(logits).all(1)).nonzero()[:, 0].tolist()
    if wrong:
        raise CompoundError(
            f"{network.name} answers {len(wrong)} of {len(names)} images, such as {names[wrong[0]]}, with NaN, "
            "which is not a number; its weights have diverged or are damaged: train again, with a lower rate or for "
            "longer"
        )


def in_chunks(classifier: Classifier, readable: Tensor, places: Tensor, chunk: int) -> Tensor:
    """Logits (N, classes) of the `readable` images (N, C, R, R), each computed at its place of the batch."""
    whole, rest = divmod(int(places[-1]) + 1, chunk)
    last = next((size for size in classifier.sizes if size >= rest), chunk) if rest else 0
    images = readable.new_zeros(whole * chunk + last, *readable.shape[1:])
    images[places] = readable
    return torch.cat([classifier.logits(part) for part in images.split(chunk)])[places]

"""Running a model over images: what evaluation and prediction share.

The network always computes chunks of one size, so that no result depends on how many images were asked for at once:
libraries choose another kernel for another batch size, and with it other last digits.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from compound.cost import cost
from compound.data import ArraySource, Batch, DamageLog, Preprocessing, Source, make_loader
from compound.errors import CompoundError
from compound.network import Network
from compound.nn import ConvNet, evaluating

CHUNK_MACS = {"cpu": 2e9, "cuda": 5e11}  # multiply-adds that keep a device busy; more only takes memory
LARGEST_CHUNK = 256


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise CompoundError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}; use cpu or auto") from None
    return device


def workers_for(source: Source) -> int:
    """Decoding needs processes of its own; arrays in memory do not."""
    return 0 if isinstance(source, ArraySource) else max(torch.get_num_threads() - 1, 1)


def chunk_size(network: Network, device: torch.device) -> int:
    """Images that are computed at once: a power of two that follows from the network and the kind of device alone."""
    images = CHUNK_MACS.get(device.type, CHUNK_MACS["cpu"]) / max(cost(network).macs, 1)
    return 1 << min(max(int(images), 1).bit_length() - 1, LARGEST_CHUNK.bit_length() - 1)


def classify(
    model: ConvNet,
    source: Source,
    damage: DamageLog,
    *,
    batch: int = 128,
    workers: int = 0,
    device: str = "auto",
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Probabilities (N, classes), labels (N,) and positions (N,) of the readable images, in order, on the CPU.

    `batch` images are loaded at once, rounded up to whole chunks (see `chunk_size`); every image has a fixed place in
    its chunk, whatever the batch and whichever other images are damaged, so the digits do not depend on `batch`.
    Damaged images go to `damage`. The model is left in the mode it was in.
    """
    where = pick_device(device)
    preprocessing = Preprocessing.of(model.network, model.channels)
    chunk = chunk_size(model.network, where)
    batch = -(-batch // chunk) * chunk
    model.to(where, memory_format=torch.channels_last)
    with evaluating(model):
        for number, one in enumerate(make_loader(source, preprocessing, batch, workers=workers)):
            damage.add(one)
            if len(one.labels):
                probabilities = _in_chunks(model, preprocessing, one, number * batch, chunk, where)
                yield probabilities, one.labels, one.indices


def _in_chunks(
    model: ConvNet, preprocessing: Preprocessing, batch: Batch, first: int, chunk: int, where: torch.device
) -> Tensor:
    """Probabilities (N, classes) of the batch whose first image would be at position `first` of the source."""
    places = batch.indices - first
    size = -(-(int(places[-1]) + 1) // chunk) * chunk
    images = batch.images.new_zeros(size, *batch.images.shape[1:])
    images[places] = batch.images
    with torch.inference_mode():
        parts = [
            model(preprocessing.normalise(part.to(where)).contiguous(memory_format=torch.channels_last))
            for part in images.split(chunk)
        ]
        return torch.cat(parts).float().softmax(1).cpu()[places]

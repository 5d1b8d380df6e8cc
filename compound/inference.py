"""Running a model over images: what evaluation and prediction share."""

from collections.abc import Iterator

import torch
from torch import Tensor

from compound.data import DamageLog, Preprocessing, Source, loading, make_loader
from compound.errors import CompoundError
from compound.nn import ConvNet


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


def classify(
    model: ConvNet,
    source: Source,
    damage: DamageLog,
    *,
    batch: int = 128,
    workers: int = 0,
    device: str = "auto",
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Probabilities (N, classes), labels (N,) and positions (N,) of the readable images, in order, on the CPU.

    With `world` processes this one, `rank`, takes every `world`-th image. Damaged images go to `damage`. The model is
    left in the mode it was in.
    """
    where, was_training = pick_device(device), model.training
    preprocessing = Preprocessing.of(model.network, model.channels)
    model.to(where, memory_format=torch.channels_last).eval()
    try:
        with loading():
            for one in make_loader(source, preprocessing, batch, workers=workers, rank=rank, world=world):
                damage.add(one)
                if len(one.labels):
                    with torch.inference_mode():
                        images = preprocessing.normalise(one.images.to(where))
                        probabilities = model(images.contiguous(memory_format=torch.channels_last)).float().softmax(1)
                    yield probabilities.cpu(), one.labels, one.indices
    finally:
        model.train(was_training)

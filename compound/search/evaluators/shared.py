"""Candidates judged by inherited weights: a supernet is trained once, then every network costs two forward passes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compound.data import DataSpec, Preprocessing, Source, make_loader
from compound.data.source import subset
from compound.execution import Execution
from compound.network import Network
from compound.search.supernet import Statistics, Supernet
from compound.search.supernet_file import load_supernet, seen_beside, weights_fingerprint
from compound.training.seen import read_seen, recalled
from compound.training.short import opened
from compound.trials import Reporter

BATCH = 256
CPU = torch.device("cpu")


@dataclass(frozen=True)
class SharedWeights:
    """Accuracy on at most `judged` held-out images with the weights of the file `weights`.

    Norms get the statistics of `calibration` training images in this very network (Guo et al. 2020): those met while
    the supernet was trained were of other networks.
    """

    weights: Path
    spec: DataSpec
    calibration: int = 512
    judged: int = 2000
    execution: Execution = Execution()

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        data = opened(self.spec)
        told = {"calibration": self.calibration, "judged": self.judged, "holdout": self.spec.holdout}
        return {
            "data": data.name,
            "fingerprint": data.fingerprint(),
            "weights": weights_fingerprint(self.weights),
            "split": self.spec.seed,
            **told,
        }

    def __call__(self, network: Network, seed: int, report: Reporter) -> float:
        self.execution.take_threads()
        supernet = _loaded(self.weights, self.execution.where)
        return inherited_accuracy(supernet, network, *_sources(self), self.execution.where)


def inherited_accuracy(
    supernet: Supernet, network: Network, training: Source, held: Source, where: torch.device = CPU
) -> float:
    """Top-1 of `network` on `held` with weights of `supernet`, norms calibrated on all of `training` at once."""
    preprocessing = Preprocessing.of(network)

    def batches(source: Source, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for one in make_loader(source, preprocessing, batch):
            images = preprocessing.normalise(one.images.to(where)).contiguous(memory_format=torch.channels_last)
            yield images, one.labels.to(where)

    norms: Statistics = {}
    right = seen = 0
    with torch.inference_mode():
        for images, _ in batches(training, len(training)):
            supernet.run(network, images, norms)
        for images, labels in batches(held, BATCH):
            right += int((supernet.run(network, images, norms).argmax(1) == labels).sum())
            seen += len(labels)
    return right / max(seen, 1)


@lru_cache(maxsize=1)
def _loaded(weights: Path, where: torch.device) -> Supernet:
    return load_supernet(weights).to(where).to(memory_format=torch.channels_last).eval()


@lru_cache(maxsize=1)
def _sources(evaluator: SharedWeights) -> tuple[Source, Source]:
    """The images for calibration and those to judge by, drawn evenly."""
    data, seen = opened(evaluator.spec), read_seen(seen_beside(evaluator.weights))
    if seen is not None:  # the weights are judged by what they were not trained on, whatever came or went since
        data, _ = recalled(seen, data, new=True)
    rng = np.random.default_rng(evaluator.spec.seed)

    def some(source: Source, count: int) -> Source:
        return subset(source, np.sort(rng.permutation(len(source))[:count]))

    return some(data.train, evaluator.calibration), some(data.holdout, evaluator.judged)

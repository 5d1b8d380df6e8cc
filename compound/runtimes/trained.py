"""Trained networks ready to run, whatever computes them.

A runtime takes pixels and gives logits (see `inference.Classifier`), so that prediction, evaluation and serving need
not know which one it is.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from compound.data import Preprocessing
from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet, Weights, described_by
from compound.runtimes.graphs import ExportError
from compound.runtimes.optimize import optimize
from compound.runtimes.registry import OPENERS


class Runtime:
    """A network with something that computes it. `name` and `precision` say what."""

    def __init__(self, name: str, precision: str, described: Weights, compute: Callable[[Tensor], Tensor]) -> None:
        self.name = name
        self.precision = precision
        self.described = described
        self.sizes: tuple[int, ...] = ()  # its chunk is one image already
        self._compute = compute

    @property
    def network(self) -> Network:
        return self.described.network

    @property
    def classes(self) -> tuple[str, ...]:
        return self.described.classes

    @property
    def channels(self) -> int:
        return self.described.channels

    def logits(self, pixels: Tensor) -> Tensor:
        """uint8 (N, channels, R, R) to (N, classes)."""
        return self._compute(pixels)


def in_torch(model: ConvNet, described: Weights, precision: str = "fp32") -> Runtime:
    """The network by `optimize`."""
    preprocessing = Preprocessing.of(described.network)
    side = described.network.resolution
    example = torch.zeros(1, described.channels, side, side)
    fast = optimize(model, example, precision="bf16" if precision == "bf16" else "fp32")
    return Runtime("torch", precision, described, lambda pixels: fast(preprocessing.normalise(pixels)))


def is_exported(path: Path) -> bool:
    """Whether a file of this name is opened by `open_runtime`."""
    return path.suffix in OPENERS and not path.is_dir()


def open_runtime(path: Path, precision: str = "fp32", threads: int | None = None) -> Runtime:
    """The runtime of an exported file, by its suffix."""
    if not is_exported(path):
        raise UsageError(
            f"{path} is no exported network; give auto, torch, or an .onnx, .xml or .pte file of compound export"
        )
    if not path.is_file():
        raise UsageError(f"there is no file {path}; write one with: compound export RUN")
    name, opener = OPENERS[path.suffix]
    opened = opener(path, precision, threads or torch.get_num_threads())
    described = described_by(opened.metadata, path)
    if described is None:
        raise ExportError(f"{path} does not say its network, classes and preprocessing; export it with compound")
    if opened.metadata.get("input") == "uint8":
        return Runtime(name, precision, described, opened.logits)
    normalise = Preprocessing.of(described.network).normalise
    return Runtime(name, precision, described, lambda pixels: opened.logits(normalise(pixels)))

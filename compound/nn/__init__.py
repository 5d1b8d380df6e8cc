"""Networks as torch modules, their initialisation, and their weights in and out."""

from compound.nn.adapt import with_channels
from compound.nn.build import ConvNet, build
from compound.nn.choice import best_published
from compound.nn.fold import fold
from compound.nn.foreign import WeightsError, import_weights
from compound.nn.hub import load_weights, weights_file
from compound.nn.inherit import inherit
from compound.nn.lean import lean
from compound.nn.modes import evaluating
from compound.nn.reading import ReadingError, from_module
from compound.nn.unknown import Unknown, fit_unknown
from compound.nn.weights import (
    Weights,
    describe_model,
    described_by,
    load_model,
    read_weights,
    same_layers,
    save_weights,
)

__all__ = [
    "ConvNet",
    "ReadingError",
    "Unknown",
    "Weights",
    "WeightsError",
    "best_published",
    "build",
    "describe_model",
    "described_by",
    "evaluating",
    "fit_unknown",
    "fold",
    "from_module",
    "import_weights",
    "inherit",
    "lean",
    "load_model",
    "load_weights",
    "read_weights",
    "same_layers",
    "save_weights",
    "weights_file",
    "with_channels",
]

"""Floor 4: networks as torch modules, their initialisation, and their weights in and out."""

from compound.nn.build import ConvNet, build
from compound.nn.foreign import WeightsError, import_weights
from compound.nn.modes import evaluating
from compound.nn.weights import Weights, load_model, read_weights, save_weights

__all__ = [
    "ConvNet",
    "Weights",
    "WeightsError",
    "build",
    "evaluating",
    "import_weights",
    "load_model",
    "read_weights",
    "save_weights",
]

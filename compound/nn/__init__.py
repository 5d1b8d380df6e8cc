"""Floor 4: networks as torch modules, their initialisation, and their weights in and out."""

from compound.nn.build import ConvNet, build
from compound.nn.fold import fold
from compound.nn.foreign import WeightsError, import_weights
from compound.nn.modes import evaluating
from compound.nn.reading import ReadingError, from_module
from compound.nn.weights import Weights, load_model, read_weights, save_weights

__all__ = [
    "ConvNet",
    "ReadingError",
    "Weights",
    "WeightsError",
    "build",
    "evaluating",
    "fold",
    "from_module",
    "import_weights",
    "load_model",
    "read_weights",
    "save_weights",
]

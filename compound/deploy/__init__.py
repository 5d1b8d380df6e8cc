"""Floor 6: a trained network in use."""

from compound.deploy.optimize import Optimized, optimize
from compound.deploy.predict import Prediction, find_images, load_predictor, predict
from compound.deploy.samples import Sample, save_samples

__all__ = [
    "Optimized",
    "Prediction",
    "Sample",
    "find_images",
    "load_predictor",
    "optimize",
    "predict",
    "save_samples",
]

"""Floor 6: a trained network in use."""

from compound.deploy.predict import Prediction, find_images, load_predictor, predict
from compound.deploy.samples import Sample, save_samples

__all__ = ["Prediction", "Sample", "find_images", "load_predictor", "predict", "save_samples"]

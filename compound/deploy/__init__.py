"""A trained network in use."""

from compound.deploy.choose import CHOICE, export_folder, open_choice, open_model
from compound.deploy.export import Exported, Quantised, export
from compound.deploy.predict import Prediction, find_images, predict, predict_frames, weights_file, write_table
from compound.deploy.samples import Sample, save_samples, write_predictions

__all__ = [
    "CHOICE",
    "Exported",
    "Prediction",
    "Quantised",
    "Sample",
    "export",
    "export_folder",
    "find_images",
    "open_choice",
    "open_model",
    "predict",
    "predict_frames",
    "save_samples",
    "weights_file",
    "write_predictions",
    "write_table",
]

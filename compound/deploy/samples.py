"""Sample images of a data set as files, to predict on as a user would and to show in the report."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torchvision.transforms.v2.functional import to_pil_image

from compound.data import DataSet, Source
from compound.deploy.predict import predict
from compound.evaluation import Evaluation
from compound.files import make_folder, write_json, write_with
from compound.nn import load_weights

MISTAKES = 8


@dataclass(frozen=True)
class Sample:
    """One image of the source, written to `path`; `kind` says why it was chosen: `random` or `mistake`."""

    path: Path
    truth: str
    kind: str


def save_samples(
    source: Source,
    classes: tuple[str, ...],
    folder: Path,
    *,
    mistakes: list[int],
    count: int = 12,
    seed: int = 0,
) -> list[Sample]:
    """Write `count` random images and those at the positions `mistakes` as PNG files, at their own size."""
    make_folder(folder)
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = [(index, "random") for index in order[:count]] + [(index, "mistake") for index in mistakes]
    samples = []
    for number, (index, kind) in enumerate(chosen):
        path = folder / f"{number:02d}.png"
        image = to_pil_image(source.load(index))
        write_with(path, partial(image.save, format="PNG"))
        samples.append(Sample(path, classes[int(source.labels[index])], kind))
    return samples


def write_predictions(run: Path, data: DataSet, result: Evaluation, seed: int = 0) -> Path:
    """samples/ and predictions.json of a run directory: test images as files, the network's most confident mistakes
    among them, predicted as a user would, from the weights file alone."""
    wrong = result.most_confident_mistakes(MISTAKES)
    samples = save_samples(data.test, data.classes, run / "samples", mistakes=wrong, seed=seed)
    model, weights = load_weights(run)
    predictions, _ = predict(model, weights, [sample.path for sample in samples], top=3)
    value = [
        {"truth": sample.truth, "kind": sample.kind} | one.to_json() | {"path": f"samples/{sample.path.name}"}
        for sample, one in zip(samples, predictions, strict=True)
    ]
    return write_json(run / "predictions.json", {"predictions": value})

"""`compound predict`: the classes of photos."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.common import Json, answer, find_network
from compound.cli.evaluate import ForeignWeights, Model
from compound.cli.training import Device
from compound.errors import CompoundError


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files, or folders of them.")],
    weights: ForeignWeights = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to name for each image.")] = 5,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 32,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict the classes of photos with a trained network."""
    from compound.deploy import find_images, load_predictor
    from compound.deploy import predict as run_prediction

    found = find_images(images)
    net, described = load_predictor(weights or model, find_network(model) if weights else None)
    predictions, damaged = run_prediction(net, described, found, top=top, batch=batch, device=device)
    lines = []
    for one in predictions:
        lines.append(one.path)
        lines += [f"{probability:>8.1%}  {name}" for _, name, probability in one.classes]
    value = {
        "predictions": [one.to_json() for one in predictions],
        "damaged": [{"path": path, "reason": reason} for path, reason in damaged],
    }
    if predictions or json:
        answer(json, value, "\n".join(lines))
    if damaged:
        named = "; ".join(f"{path}: {reason}" for path, reason in damaged)
        raise CompoundError(f"{len(damaged)} of {len(found)} images could not be read: {named}")

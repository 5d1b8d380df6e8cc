"""`--calibrate`: a temperature fitted on the held-out images, kept in the weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.documents import read_json
from compound.errors import UsageError
from compound.files import stands, write_json
from compound.verbs.given import Say

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.execution import Execution
    from compound.nn import ConvNet, Weights


def run_calibration(net: "ConvNet", images: "DataSet", execution: "Execution", say: Say) -> float:
    """Divide the logits of `net` by the temperature that suits the held-out images, and return it."""
    from compound.evaluation import at_a_bound, calibrate

    if not len(images.holdout):
        raise UsageError(f"{images.name} has no held-out images to calibrate on; give more training images")
    temperature = calibrate(net, images.holdout, images.classes, execution)
    doubt = at_a_bound(temperature)
    if doubt:
        say(f"warning: {doubt}")
    say(f"temperature {temperature:.3f} fitted on {len(images.holdout):,} held-out images")
    return temperature


def keep_calibration(
    path: Path, net: "ConvNet", described: "Weights", temperature: float, fields: dict[str, Any], own: bool
) -> None:
    """Write the calibrated weights, and the new figures of the run's own data beside them."""
    from compound.nn import save_weights

    save_weights(net, path / "model.safetensors" if path.is_dir() else path, described.classes)
    told = path / "evaluation.json"
    if own and stands(told):
        before = read_json(told, "run: compound evaluate")
        fields = fields | {"temperature": temperature * before.get("temperature", 1.0)}  # of all times together
        write_json(told, before | fields)

"""What a training will take, before it is begun: epochs and time by a few measured steps, memory by counting."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from compound.cost import cost
from compound.network import Network
from compound.quantity import short

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.training import Recipe, Setup


@dataclass(frozen=True)
class TrainingEstimate:
    """Of a training of `network`: `seconds` in all, `folds` and all, `bytes` that a step takes by counting."""

    network: Network
    recipe: "Recipe"
    steps: int
    seconds: float
    bytes: int
    folds: int = 0

    def to_json(self) -> dict[str, Any]:
        counted = cost(self.network)
        return {
            "network": self.network.name,
            "resolution": self.network.resolution,
            "params": counted.params,
            "macs": counted.macs,
            "recipe": self.recipe.name,
            "epochs": self.recipe.epochs,
            "steps_an_epoch": self.steps,
            "batch": self.recipe.batch,
            "trainings": self.folds + 1,
            "seconds": round(self.seconds),
            "bytes": self.bytes,
        }

    def __str__(self) -> str:
        counted, recipe = cost(self.network), self.recipe
        epochs = f"{recipe.epochs:,} epoch{'s' * (recipe.epochs != 1)}"
        steps = f"{self.steps:,} step{'s' * (self.steps != 1)} of {recipe.batch} images"
        folds = f", with {self.folds} trainings of folds" if self.folds else ""
        costs = f"{counted.params:,} parameters, {counted.macs:,} MACs at {self.network.resolution} px"
        return (
            f"{self.network.name}: {costs}\n"
            f"{recipe.name} recipe: {epochs} of {steps}, about {_time_text(self.seconds)}{folds} (by measured steps), "
            f"{short(self.bytes)}B a step (by counting)\n"
            "nothing was trained; the same command without --estimate trains"
        )


def estimate(
    network: Network, images: "DataSet", recipe: "Recipe", setup: "Setup", folds: int | None = None
) -> TrainingEstimate:
    """What training `network` on `images` takes here; `folds`: how many trainings cross-validate it.

    Steps start from nothing, which takes as long as from weights. What learns in parts only takes less. Raises what a
    training raises for images and recipes that cannot be.
    """
    from compound.data.readable import refuse_unreadable
    from compound.training.memory import predicted_bytes
    from compound.training.pace import MEASURE_SECONDS, settle
    from compound.training.trial import Trial

    execution = setup.execution
    refuse_unreadable(images, execution.damaged_limit)
    network = network.for_data(images)
    recipe = replace(recipe, batch=min(recipe.batch, len(images.train)))
    recipe = settle(network, images, recipe, execution)
    steps = max(len(images.train) // recipe.batch, 1)
    if recipe.minutes is not None:
        seconds = 60 * recipe.minutes
    else:
        trial = Trial(network, images, recipe, execution, precision=recipe.precision)
        passes = steps + len(images.holdout) / 3 / recipe.batch  # an image that is judged costs a third
        seconds = trial.seconds(MEASURE_SECONDS) * passes * recipe.epochs
    return TrainingEstimate(
        network, recipe, steps, seconds * ((folds or 0) + 1), predicted_bytes(network, recipe), folds or 0
    )


def _time_text(seconds: float) -> str:
    """Two digits are what such an estimate has: 90 s, 12 minutes, 3.5 hours."""
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"

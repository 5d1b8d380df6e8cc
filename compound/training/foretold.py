"""At a third of a training: what it will end at, and at its end whether that held."""

import math
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from compound.evaluation.curves import foresee
from compound.notes import note
from compound.parallel import is_first
from compound.training.metrics import rows_of
from compound.training.recipe import Recipe, Timeline, rate_at

SHARE = 0.9  # of the trainings end within what is said
LEAST = 9  # epochs of a training of which a third is said anything


def epoch_rates(recipe: Recipe, steps: int, epochs: int, timeline: Timeline | None = None) -> list[float]:
    """The learning rate at the end of each of `epochs` epochs of `steps` steps."""
    return [rate_at(recipe, (epoch + 1) * steps - 1, steps, timeline) for epoch in range(epochs)]


class Foretold(Callback):
    """Says once, and notes in `said`, between which held-out accuracies the training ends nine times in ten.

    Comes after `Metrics`, whose rows it reads. An end that `Pace` moves later is not foreseen again.
    """

    def __init__(self, recipe: Recipe, steps: int, images: int, quiet: bool = False) -> None:
        self.recipe, self.steps, self.images, self.quiet = recipe, steps, images, quiet
        self.said: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rows = rows_of(trainer)
        done, epochs = len(rows), int(trainer.max_epochs or 1)
        if self.said or not self.images or epochs < LEAST or not epochs <= 3 * done < 3 * epochs:
            return
        module: Any = pl_module
        rates = epoch_rates(self.recipe, self.steps, epochs, module.timeline)
        low, high = foresee([row["val_top1"] for row in rows], rates, self.images).interval(SHARE)
        self.said = {"epoch": done, "low": round(low, 4), "high": round(high, 4), "share": SHARE}
        self._tell(
            f"epoch {done} of {epochs}: it will end at {span(low, high)} of the held-out images, nine times in ten"
        )

    def checked(self, ended: float) -> dict[str, Any]:
        """What was said, and where the training `ended`; empty where nothing was said."""
        if not self.said or math.isnan(ended):
            return {}
        held = self.said["low"] <= ended <= self.said["high"]
        within = "as foreseen" if held else f"not the {span(self.said['low'], self.said['high'])} that were foreseen"
        self._tell(f"ended at {ended:.1%} of the held-out images, {within} at epoch {self.said['epoch']:.0f}")
        return {"foreseen": self.said | {"ended": round(ended, 4), "held": held}}

    def _tell(self, text: str) -> None:
        if is_first() and not self.quiet:
            note(text)

    def state_dict(self) -> dict[str, Any]:
        return {"said": self.said}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


def span(low: float, high: float) -> str:
    """Two accuracies as people say them: 91 to 93 %, with a digit more where they would be one."""
    digits = 0 if round(100 * high) > round(100 * low) + 1 else 1
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"

"""What a recipe leaves to the machine: the faster precision, and how many epochs fit into some minutes."""

import math
import statistics
import time
from dataclasses import asdict, replace
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer

from compound.data import DataSet
from compound.errors import UsageError
from compound.execution import Execution
from compound.network import Network
from compound.training.compiling import find_compile
from compound.training.finders import find_batch, find_rate
from compound.training.memory import ALONE, Crew, with_memory
from compound.training.precision import find_precision
from compound.training.recipe import Recipe, Timeline
from compound.training.trial import Trial

MEASURE_SECONDS = 2.0
RESERVE = 0.92  # share of the time that is planned; machines are not even


def settle(
    network: Network, data: DataSet, recipe: Recipe, execution: Execution = Execution(), crew: Crew = ALONE
) -> Recipe:
    """The recipe with everything decided that it leaves to the machine (`Recipe.settled`).

    The batch first, for all else depends on it; what must be recomputed to fit the memory; the precision (see
    `find_precision`); the rate; whether compiling pays; and with `minutes`, as many epochs as they hold (at least
    one). All rests on the counted memory and a few training steps on the real batches. What is settled is written into
    the run, so that resuming it measures nothing.
    """
    if recipe.compile == "graphs" and execution.where.type != "cuda":
        raise UsageError("compile graphs needs a GPU, which replays CUDA graphs; use always")
    started = time.perf_counter()
    step = None
    if "batch" in recipe.find:
        recipe = replace(recipe, batch=find_batch(network, data, recipe, execution))
    recipe = with_memory(network, recipe, crew)
    if recipe.precision == "auto":
        recipe = replace(recipe, precision=find_precision(network, data, recipe, execution))
    if recipe.minutes is not None:
        step = Trial(network, data, recipe, execution, precision=recipe.precision).seconds(MEASURE_SECONDS)
    if "rate" in recipe.find:
        recipe = replace(recipe, rate=find_rate(network, data, recipe, execution))
    saved = 0.0
    if recipe.compile == "auto":
        way, saved = find_compile(network, data, recipe, execution, step)
        recipe = replace(recipe, compile=way)
    if recipe.minutes is None or step is None:
        return recipe
    # A validation image costs about a third of a training image, and is not compiled.
    epoch = ((step - saved) * len(data.train) + step * len(data.holdout) / 3) / recipe.batch
    left = recipe.minutes * 60 * RESERVE - (time.perf_counter() - started)
    return replace(recipe, epochs=max(1, math.floor(left / epoch)))


class Pace(Callback):
    """Keeps a training of `minutes` in its time: after every epoch, as many more as the time left holds.

    A machine that became slower or faster gets fewer or more epochs, and the schedule ends with them. Where it keeps
    its speed, to a tenth, nothing is changed.
    """

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.spent = 0.0
        self.recent: list[float] = []  # seconds of the last epochs
        self.timeline: dict[str, float] | None = None  # once it was changed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.timeline:
            self._apply(trainer, pl_module, Timeline(**self.timeline))
        self.begun = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.perf_counter()
        self.recent = [*self.recent[-2:], now - self.begun]
        self.spent += self.recent[-1]
        self.begun = now
        done, planned = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        if done < planned:
            # The median, so that one disturbed epoch decides nothing.
            hold = math.floor((self.seconds - self.spent) / statistics.median(self.recent))
            left = planned - done
            if hold < left or hold > 1.1 * left + 1:
                timeline = cast(Timeline, pl_module.timeline)
                self._apply(trainer, pl_module, timeline.ending(done, done + max(hold, 1)))

    def _apply(self, trainer: Trainer, pl_module: LightningModule, timeline: Timeline) -> None:
        learner: Any = pl_module
        learner.timeline = timeline
        self.timeline = asdict(timeline)
        trainer.fit_loop.max_epochs = int(timeline.epochs)

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.spent, "recent": self.recent, "timeline": self.timeline}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)

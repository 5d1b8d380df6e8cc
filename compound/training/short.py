"""A training that leaves nothing but its accuracy: for searches that can afford one a candidate, and for estimates."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from compound.data import DamageLog, DataSet, DataSpec, Preprocessing, make_loader
from compound.data.readable import refuse_unreadable
from compound.errors import CompoundError, UsageError
from compound.execution import Execution
from compound.mapping import to_mapping
from compound.network import Network
from compound.nn.build import calm
from compound.training.averaging import Averaging
from compound.training.metrics import Damage
from compound.training.module import Training
from compound.training.pace import MEASURE_SECONDS, Pace, settle
from compound.training.recipe import Recipe
from compound.training.start import Start, first_model
from compound.training.trainer import make_trainer
from compound.training.trial import Trial
from compound.trials import Reporter


@lru_cache(maxsize=2)
def opened(spec: DataSpec) -> DataSet:
    """The images of a search; a process opens them once. Raises `UsageError` where an image has several labels."""
    data = spec.open()
    if data.several:
        raise UsageError(f"{data.name} has several labels an image, and a search compares top-1; use compound train")
    refuse_unreadable(data, DamageLog().limit)
    return data


@dataclass(frozen=True)
class ShortTraining:
    """Train a candidate by `recipe`, from nothing or from `weights`, and judge it by the held-out images.

    Nothing is written. Several workers share a machine's cores by the execution's threads.
    """

    spec: DataSpec
    recipe: Recipe
    execution: Execution = Execution()
    weights: str | None = None

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        data = opened(self.spec)
        held = {"holdout": self.spec.holdout, "holdout_images": len(data.holdout), "split": self.spec.seed}
        start = {"weights": self.weights} if self.weights else {}
        recipe = to_mapping(self.recipe)
        return {"data": data.name, "fingerprint": data.fingerprint(), **held, **start, "recipe": recipe}

    def __call__(self, network: Network, seed: int, report: Reporter) -> float:
        return self.judged(network, seed, report)[0]

    def judged(self, network: Network, seed: int, report: Reporter) -> tuple[float, float]:
        """Accuracy and loss on the held-out images, after the last epoch."""
        self.execution.take_threads()
        data, execution = opened(self.spec), self.execution
        network = network.for_data(data)
        if not len(data.holdout):
            raise CompoundError(f"{data.name} has no held-out images to choose by; give it more training images")
        recipe = settle(network, data, replace(self._recipe(data), compile="never"), execution)
        model = first_model(network, data, recipe.transfer, Start(self.weights), execution, seed=seed)
        if recipe.settle and self.weights is None:
            calm(model)
        module = Training(model, recipe, max(len(data.train) // recipe.batch, 1), seed)
        module.fresh_norms = self.weights is None
        averaging, pace = (
            [Averaging(recipe.ema)] if recipe.ema else [],
            [Pace(recipe.minutes)] if recipe.minutes else [],
        )
        judge = Judge(report)
        trainer = make_trainer(recipe, execution, [*averaging, Damage(execution.damage_log()), *pace, judge])
        preprocessing, workers = Preprocessing.of(network), execution.workers_for(data.train)
        train = make_loader(
            data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, drop_last=True,
            seed=seed, workers=workers, repeats=recipe.repeats,
        )  # fmt: skip
        trainer.fit(module, train, make_loader(data.holdout, preprocessing, recipe.batch, workers=workers))
        return judge.accuracy, judge.loss

    def seconds(self, network: Network) -> float:
        """About how long one training takes here, by a few measured steps. A holdout image costs a third of one."""
        self.execution.take_threads()
        if self.recipe.minutes:
            return 60 * self.recipe.minutes
        data = opened(self.spec)
        network = network.for_data(data)
        recipe = self._recipe(data)
        step = Trial(network, data, recipe, self.execution, precision=recipe.precision).seconds(MEASURE_SECONDS)
        return step * recipe.epochs * (len(data.train) + len(data.holdout) / 3) / recipe.batch

    def _recipe(self, data: DataSet) -> Recipe:
        return replace(self.recipe, batch=min(self.recipe.batch, len(data.train)))


class Judge(Callback):
    """Reports the held-out accuracy of every epoch; `accuracy` and `loss` are the last one's."""

    def __init__(self, report: Reporter) -> None:
        self.report, self.accuracy, self.loss = report, float("nan"), float("nan")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.accuracy = round(trainer.callback_metrics["val_top1"].item(), 6)  # fp32 holds no more
        self.loss = round(trainer.callback_metrics["val_loss"].item(), 6)
        self.report(trainer.current_epoch + 1, self.accuracy)


def median_seconds(evaluator: ShortTraining, networks: list[Network]) -> float:
    """The median of what trainings of these networks take."""
    return statistics.median(evaluator.seconds(network) for network in networks)

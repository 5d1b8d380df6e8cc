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
from compound.measurement.machine import keep_freed_memory
from compound.network import Network
from compound.nn import ConvNet
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

    Nothing is written. Several workers share a machine's cores by the execution's threads. `steps`: of an epoch, where
    it shall not be a pass over the images but the first so many batches of one.
    """

    spec: DataSpec
    recipe: Recipe
    execution: Execution = Execution()
    weights: str | None = None
    steps: int | None = None

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        data = opened(self.spec)
        held = {"holdout": self.spec.holdout, "holdout_images": len(data.holdout), "split": self.spec.seed}
        start: dict[str, Any] = {"weights": self.weights} if self.weights else {}
        start |= {"steps": self.steps} if self.steps else {}
        recipe = to_mapping(self.recipe)
        return {"data": data.name, "fingerprint": data.fingerprint(), **held, **start, "recipe": recipe}

    def __call__(self, network: Network, seed: int, report: Reporter) -> float:
        return self.judged(network, seed, report)[0]

    def judged(self, network: Network, seed: int, report: Reporter) -> tuple[float, float]:
        """Accuracy and loss on the held-out images, after the last epoch."""
        return self.trained(network, opened(self.spec), seed, report)[1].last

    def trained(self, network: Network, data: DataSet, seed: int, report: Reporter) -> "tuple[ConvNet, Judge]":
        """The network as it is after the last epoch, and what the held-out images of `data` said of every one."""
        self.execution.take_threads()
        keep_freed_memory()
        execution, network = self.execution, network.for_data(data)
        if not len(data.holdout):
            raise CompoundError(f"{data.name} has no held-out images to choose by; give it more training images")
        recipe = settle(network, data, replace(self._recipe(data), compile="never"), execution)
        model = first_model(network, data, recipe.transfer, Start(self.weights), execution, seed=seed)
        if recipe.settle and self.weights is None:
            calm(model)
        steps = self.steps or max(len(data.train) // recipe.batch, 1)
        module = Training(model, recipe, steps, seed)
        module.fresh_norms = self.weights is None
        averaging, pace = (
            [Averaging(recipe.ema)] if recipe.ema else [],
            [Pace(recipe.minutes)] if recipe.minutes else [],
        )
        judge = Judge(report)
        trainer = make_trainer(recipe, execution, [*averaging, Damage(execution.damage_log()), *pace, judge])
        trainer.limit_train_batches = steps
        preprocessing, workers = Preprocessing.of(network), execution.workers_for(data.train)
        train = make_loader(
            data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, drop_last=True,
            seed=seed, workers=workers, repeats=recipe.repeats,
        )  # fmt: skip
        trainer.fit(module, train, make_loader(data.holdout, preprocessing, recipe.batch, workers=workers))
        return model, judge

    def seconds(self, network: Network) -> float:
        """About how long one training takes here, by a few measured steps. A holdout image costs a third of one."""
        self.execution.take_threads()
        if self.recipe.minutes:
            return 60 * self.recipe.minutes
        data = opened(self.spec)
        network = network.for_data(data)
        recipe = self._recipe(data)
        step = Trial(network, data, recipe, self.execution, precision=recipe.precision).seconds(MEASURE_SECONDS)
        learned = self.steps * recipe.batch if self.steps else len(data.train)
        return step * recipe.epochs * (learned + len(data.holdout) / 3) / recipe.batch

    def _recipe(self, data: DataSet) -> Recipe:
        return replace(self.recipe, batch=min(self.recipe.batch, len(data.train)))


class Judge(Callback):
    """Reports the held-out accuracy of every epoch; `curve` has the accuracy and the loss of each."""

    def __init__(self, report: Reporter) -> None:
        self.report = report
        self.curve: list[tuple[float, float]] = []

    @property
    def last(self) -> tuple[float, float]:
        """Accuracy and loss after the last epoch."""
        return self.curve[-1]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        accuracy, loss = (round(trainer.callback_metrics[name].item(), 6) for name in ("val_top1", "val_loss"))
        self.curve.append((accuracy, loss))  # fp32 holds no more digits
        self.report(trainer.current_epoch + 1, accuracy)


def median_seconds(evaluator: ShortTraining, networks: list[Network]) -> float:
    """The median of what trainings of these networks take."""
    return statistics.median(evaluator.seconds(network) for network in networks)

"""Accuracy by a short training: the evaluator of searches that can afford one a candidate."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from compound.data import DamageLog, DataSet, DataSpec, Preprocessing, make_loader
from compound.errors import CompoundError, UsageError
from compound.inference import pick_device
from compound.mapping import to_mapping
from compound.network import Network
from compound.training.averaging import Averaging
from compound.training.fit import default_workers, quieten
from compound.training.metrics import Damage
from compound.training.module import Training
from compound.training.pace import MEASURE_SECONDS, Pace, settle
from compound.training.recipe import Recipe
from compound.training.start import first_of
from compound.training.trial import Trial
from compound.trials import Reporter


@lru_cache(maxsize=2)
def opened(spec: DataSpec) -> DataSet:
    """The images of a search; a process opens them once. Raises `UsageError` where an image has several labels."""
    data = spec.open()
    if data.several:
        raise UsageError(f"{data.name} has several labels an image, and a search compares top-1; use compound train")
    return data


@dataclass(frozen=True)
class ShortTraining:
    """Train a candidate by `recipe`, from nothing or from `weights`, and judge it by the held-out images.

    Nothing is written.
    `threads` is how many the process may use, None as many as torch takes: several workers share a machine's cores.
    """

    spec: DataSpec
    recipe: Recipe
    threads: int | None = None
    device: str = "auto"
    damaged_limit: float = 0.01
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
        if self.threads:
            torch.set_num_threads(self.threads)
        data, recipe, where = opened(self.spec), self.recipe, pick_device(self.device)
        if not len(data.holdout):
            raise CompoundError(f"{data.name} has no held-out images to choose by; give it more training images")
        recipe = replace(recipe, batch=min(recipe.batch, len(data.train)), compile="never")
        recipe = settle(network, data, recipe, workers=default_workers(data), device=self.device)
        module, averaging = self._module(network, data, recipe, seed), [Averaging(recipe.ema)] if recipe.ema else []
        pace = [Pace(recipe.minutes)] if recipe.minutes else []
        judge = Judge(report)
        quieten()
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(where.type, where.type),
            devices=1,
            precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
            max_epochs=recipe.epochs,
            callbacks=[*averaging, Damage(DamageLog(self.damaged_limit)), *pace, judge],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        preprocessing = Preprocessing.of(network, data.channels)
        workers = default_workers(data)
        train = make_loader(
            data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, drop_last=True,
            seed=seed, workers=workers, repeats=recipe.repeats,
        )  # fmt: skip
        trainer.fit(module, train, make_loader(data.holdout, preprocessing, recipe.batch, workers=workers))
        return judge.accuracy, judge.loss

    def seconds(self, network: Network) -> float:
        """About how long one training takes here, by a few measured steps. A holdout image costs a third of one."""
        if self.threads:
            torch.set_num_threads(self.threads)
        if self.recipe.minutes:
            return 60 * self.recipe.minutes
        data = opened(self.spec)
        recipe = replace(self.recipe, batch=min(self.recipe.batch, len(data.train)))
        workers = default_workers(data)
        trial = Trial(network, data, recipe, precision=recipe.precision, workers=workers, device=self.device)
        step = trial.seconds(MEASURE_SECONDS)
        return step * recipe.epochs * (len(data.train) + len(data.holdout) / 3) / recipe.batch

    def _module(self, network: Network, data: DataSet, recipe: Recipe, seed: int) -> Training:
        running = {"workers": default_workers(data), "device": self.device}
        model = first_of(network, data, recipe.transfer, self.weights, seed=seed, **running)
        return Training(model, recipe, max(len(data.train) // recipe.batch, 1), seed)


@dataclass(frozen=True)
class FineTuned:
    """`training` with another rate and weight decay: see `compound.search.transfer.FineTuning`."""

    training: ShortTraining

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.training.settings

    def __call__(
        self, network: Network, rate: float, weight_decay: float, seed: int, report: Reporter
    ) -> tuple[float, float]:
        recipe = replace(self.training.recipe, rate=rate, weight_decay=weight_decay)
        return replace(self.training, recipe=recipe).judged(network, seed, report)


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

"""A session of a training: from where its run stands to the last step, and what comes of it."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from pytorch_lightning import Callback, Trainer
from torch.utils.data import DataLoader

from compound.data import Batch, DataSet, Preprocessing, end_workers, loading, make_loader
from compound.data.sampler import EpochSampler
from compound.errors import Stopped, UsageError
from compound.evaluation import Evaluation, evaluate, recalibrate, saw_little
from compound.execution import Execution
from compound.nn import ConvNet, save_weights
from compound.nn.build import calm
from compound.notes import note
from compound.parallel import World, from_first, gathered, is_first, rank, share_of, share_statistics, together
from compound.quantity import Interval
from compound.training.averaging import Averaging
from compound.training.better import keep_better, keep_probe
from compound.training.checkpoints import Checkpoints, EndOfSession
from compound.training.display import Display
from compound.training.divergence import Watch, highest_loss
from compound.training.final import keep_result
from compound.training.foretold import Foretold
from compound.training.metrics import Damage, Metrics, hyperparameters
from compound.training.module import Training
from compound.training.origin import origin, start_of
from compound.training.pace import Pace
from compound.training.run import Run, resume_command
from compound.training.selection import Best
from compound.training.sharding import unsharded
from compound.training.start import FRESH, Start, first_model
from compound.training.storage import Found, Storage, load, newest
from compound.training.teacher import find_teacher
from compound.training.trackers import loggers_of
from compound.training.trainer import make_trainer


class Interrupted(Stopped):
    """Training stopped on request; the run can be resumed."""


OnNan = Literal["stop", "retry", "go-on"]


@dataclass(frozen=True)
class Safeguards:
    """What a training does so that little is lost.

    `save_every` is for checkpoints within an epoch; each epoch ends with one. `on_nan`: when loss or gradients are no
    longer numbers, or the loss has exploded, "stop", or "retry": go back to the newest checkpoint and halve the rate.
    "go-on" says of a loss that has exploded, and stops where it is not finite.
    """

    save_every: Interval = Interval(seconds=600)
    on_nan: OnNan = "stop"


class Session:
    """The steps of `fit` in order: checkpoint, loaders, module, trainer; then `result`."""

    def __init__(
        self, run: Run, data: DataSet, execution: Execution, world: World, safeguards: Safeguards, quiet: bool
    ) -> None:
        self.run, self.data, self.execution, self.world, self.quiet = run, data, execution, world, quiet
        self.safeguards, recipe = safeguards, run.recipe
        self.loaders: tuple[DataLoader[Batch], ...] = ()
        self.damage = execution.damage_log()
        self.checkpoints = Checkpoints(run.checkpoints, safeguards.save_every)
        self.averaging = Averaging(recipe.ema) if recipe.ema else None
        self.warmup = recipe.warmup  # as it will be, wherever `Pace` moves the end
        self.best = Best(run.checkpoints / "best.ckpt", recipe.patience) if recipe.keeps_best else None
        self.metrics = Metrics(run.metrics, hyperparameters(run))
        self.foretold = Foretold(recipe, self.steps, len(data.holdout), quiet)

    def fit(self, start: Start) -> Training:
        """Train to the last step. Raises `Interrupted` with the checkpoint saved, or `Diverged`."""
        found = find_checkpoint(self.run)
        tell(found, self.quiet)
        self.loaders = self.open_loaders(found)
        if not found:  # a run that was stopped before its first checkpoint starts from what it started from
            start = start_of(self.run.start) if start == FRESH else start
            self.run = replace(self.run, start=from_first(lambda: origin(start, self.run.network)))
        module = self.module(FRESH if found else start)  # a checkpoint holds everything that was learned
        if self.run.recipe.grow_magnitude < 1:  # what is loaded ahead follows the step it is for
            cast(EpochSampler, self.loaders[0].batch_sampler).magnitude = module.magnitude_at
        if not found:
            keep_probe(module.model, self.run, self.data, start)
        trainer = self.trainer(found)
        self.run = self.run.now("training")
        try:
            with loading(), together():
                trainer.fit(module, *self.loaders, ckpt_path=found.path if found else None, weights_only=True)
        except EndOfSession:
            self.run.now("stopped")
            raise Interrupted(
                f"stopped at step {trainer.global_step} and saved; go on with: {resume_command(self.run.path)}"
            ) from None
        except RuntimeError as error:
            if found and "loading state_dict" in str(error):
                raise UsageError(
                    f"{found.path} holds other weights than the network of {self.run.path / 'network.yaml'} has; "
                    "put that file back as it was, or train anew"
                ) from error
            raise
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt if isinstance(error.__context__, KeyboardInterrupt) else error from None
        # `Pace` may have moved the end.
        self.run = replace(self.run, recipe=replace(self.run.recipe, epochs=int(module.timeline.epochs)))
        return module

    @cached_property
    def share(self) -> int:
        """Images of a batch that this process takes."""
        recipe = self.run.recipe
        parts = 1 if self.execution.pipeline else recipe.accumulate  # it takes the batch of all, in parts
        return from_first(lambda: share_of(recipe.batch, len(self.data.holdout), parts))

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return max(len(self.data.train) // self.run.recipe.batch, 1)

    def close(self) -> None:
        """End the processes that load images, and let signals mean what they meant before."""
        for loader in self.loaders:
            end_workers(loader)
        self.checkpoints.return_signals()

    def open_loaders(self, found: Found | None) -> tuple[DataLoader[Batch], DataLoader[Batch]]:
        """Batches to learn from, from the step of the checkpoint on, and those held out."""
        data, recipe, share = self.data, self.run.recipe, self.share
        preprocessing = Preprocessing.of(self.run.network)
        workers, world = self.execution.workers_for(data.train), self.world.size
        epoch, batch = divmod(found.step if found else 0, self.steps)
        learned = make_loader(
            data.train, preprocessing, share, augment=recipe.augment, shuffle=True, drop_last=True,
            seed=self.run.seed, workers=workers, epoch=epoch, start_batch=batch, rank=rank(), world=world,
            repeats=recipe.repeats,
        )  # fmt: skip
        return learned, make_loader(data.holdout, preprocessing, share, workers=workers, rank=rank(), world=world)

    def module(self, start: Start) -> Training:
        """The network as the session starts, with how it takes a step."""
        run, recipe = self.run, self.run.recipe
        model = first_model(run.network, self.data, recipe.transfer, start, self.execution, seed=run.seed)
        if recipe.settle and run.start is None:
            calm(model)
        lowered = replace(recipe, rate=recipe.rate * 0.5**run.lowered)
        module = Training(model, lowered, self.steps, run.seed, find_teacher(recipe, self.data))
        module.fresh_norms = run.start is None
        module.take_steps(recipe.compile, self.share)
        return module

    def trainer(self, found: Found | None) -> Trainer:
        run, recipe, setting = self.run, self.run.recipe, hyperparameters(self.run)
        callbacks: list[Callback | None] = [
            # In this order: what a checkpoint holds comes before the one that writes it.
            self.best,
            self.averaging,
            Watch(
                self.data.train,
                run.path / "diverged.json",
                highest_loss(run.network.classes, run.recipe.loss),
                self.safeguards.on_nan == "go-on",
            ),
            Damage(self.damage),
            self.metrics,
            self.foretold,
            Pace(recipe.minutes) if recipe.minutes else None,
            Display(self.quiet),
            self.checkpoints,
        ]
        given, loggers = [one for one in callbacks if one], loggers_of(run, setting)
        return make_trainer(recipe, self.execution, given, world=self.world, plugins=[Storage(found)], logger=loggers)

    def result(self, module: Training, final: bool | None) -> tuple[Run, Evaluation]:
        """Write the weights that the recipe chooses, and evaluate them on the test images (`final` False: held out)."""
        run, data, seconds = self.run, self.data, self.checkpoints.seconds
        model, execution = self.chosen(module), replace(self.execution, batch=run.recipe.batch)
        better = keep_better(model, run, data, execution)
        if is_first():
            save_weights(model, run.weights, data.classes)
        result = evaluate(model, data.holdout if final is False else data.test, data.classes, execution)
        told = self.told(seconds) | ({"fine_tuning": better} if better else {})
        if is_first():
            keep_result(run, result, told, final)
        return run.now("done"), result

    def chosen(self, module: Training) -> ConvNet:
        """The network with the weights to keep, the same in all processes."""
        if self.averaging:
            self.averaging.apply(module)
        if self.best:
            self.best.apply(module)
        model = unsharded(module.model)
        if self._estimates_norms(model):
            recalibrate(model, self.data.train, self.execution, seed=self.run.seed)
        share_statistics(model)
        return model

    def _estimates_norms(self, model: ConvNet) -> bool:
        """Whether all norms learned, for so few steps that their statistics are not those of the weights as they are.

        A run of an older version, which has no list of its images, ends as it was to end.
        """
        recipe, transfer = self.run.recipe, self.run.recipe.transfer
        learned = transfer.train == "all" and transfer.norm_mode == "train" and not transfer.unfreeze
        settled = recipe.settle and self.run.start is None
        return learned and self.run.images.exists() and saw_little(model, fast=settled)

    def told(self, seconds: float) -> dict[str, Any]:
        """What is told of a training beside its accuracy."""
        damaged = {path: reason for process in gathered(self.damage.damaged) for path, reason in process.items()}
        told: dict[str, Any] = {"training_seconds": round(seconds, 1), "warmup_epochs": self.warmup}
        told |= self.foretold.checked(self.metrics.rows[-1]["val_top1"]) if self.metrics.rows else {}
        told["damaged_training"] = [{"path": path, "reason": reason} for path, reason in damaged.items()]
        if self.best and self.best.epoch:
            images = len(self.data.holdout)
            told["chosen"] = {"epoch": self.best.epoch, "top1": self.best.accuracy, "images": images}
        return told


def find_checkpoint(run: Run) -> Found | None:
    """The newest whole checkpoint; process 0 looks, for all."""
    mine: list[Found] = []

    def look() -> Path | None:
        mine.extend(found for found in [newest(run.checkpoints)] if found)
        return mine[0].path if mine else None

    path = from_first(look)
    if path is None:
        return None
    return mine[0] if mine else Found(path, load(path), [])


def tell(found: Found | None, quiet: bool) -> None:
    """On standard error, which checkpoint a resumed run goes on from; what is damaged is said in any case."""
    if found and is_first() and (found.wrong or not quiet):
        reasons = "".join(f"warning: {said}\n" for said in found.wrong)
        note(f"{reasons}going on from {found.path} at step {found.step}")

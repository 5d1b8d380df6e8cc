"""`train`: network + data + recipe -> run directory."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from compound.data import DamageLog, DataSet, Preprocessing, make_loader
from compound.errors import CompoundError, UsageError
from compound.evaluation import Evaluation, evaluate
from compound.files import make_folder, write_json
from compound.inference import pick_device, workers_for
from compound.network import Network
from compound.nn import ConvNet, build, load_model, save_weights
from compound.train.averaging import Averaging
from compound.train.checkpoints import AtomicCheckpointIO, Checkpoints, Stopped
from compound.train.display import Display
from compound.train.metrics import Damage, Metrics
from compound.train.module import Training
from compound.train.pace import Pace, settle
from compound.train.recipe import Recipe
from compound.train.run import Run, open_run
from compound.train.selection import Best
from compound.train.teacher import find_teacher


class Interrupted(CompoundError):
    """Training stopped on request; the run can be resumed."""

    exit_code = 130


def start_run(
    network: Network,
    data: DataSet,
    spec: str,
    recipe: Recipe,
    out: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    workers: int | None = None,
    device: str = "auto",
) -> Run:
    """A fresh run directory, or the one to go on with.

    An existing run is never overwritten: without `resume` it is refused, with it network, data, recipe and seed must be
    the same. What the recipe leaves to the machine is settled once, when the run is fresh (see `settle`).
    """
    out = Path(out)
    if recipe.batch > len(data.train):
        recipe = replace(recipe, batch=len(data.train))
    told = {"spec": spec, "name": data.name, "channels": data.channels, "holdout": data.held}
    told["fingerprint"] = data.fingerprint()
    existing = open_run(out) if (out / "run.yaml").exists() else None
    if existing is None or existing.state == "created":  # never trained a step: nothing to lose
        if resume:
            raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")
        if existing is None and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out} exists and is not an empty folder; choose another --out")
        make_folder(out)  # before the measurement: an unwritable place is said at once
        workers = default_workers(data) if workers is None else workers
        recipe = settle(network, data, recipe, workers=workers, device=device)
        return Run(out, network, recipe, told | {"classes": list(data.classes)}, seed).save()
    if not resume:
        raise UsageError(f"{out} already holds a run; go on with --resume, or choose another --out")
    recipe = replace(recipe, **{name: getattr(existing.recipe, name) for name in recipe.settled})
    changed = [
        name
        for name, then, now in (
            ("network", existing.network, network),
            ("data", {k: existing.data.get(k) for k in told}, told),
            ("recipe", existing.recipe, recipe),
            ("seed", existing.seed, seed),
        )
        if then != now
    ]
    if changed:
        raise UsageError(
            f"{out} was started with another {' and '.join(changed)}; resume with the same, or choose another --out"
        )
    return existing


def train(
    run: Run,
    data: DataSet,
    *,
    weights: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    damaged_limit: float = 0.01,
    quiet: bool = False,
) -> tuple[Run, Evaluation]:
    """Train the run from where it stands, then evaluate it once on the test images.

    Everything is written into the run directory. Raises `Interrupted` after Ctrl-C or SIGTERM, with the checkpoint
    saved, and `Diverged` when the loss is no longer a number.
    """
    recipe, where = run.recipe, pick_device(device)
    preprocessing = Preprocessing.of(run.network, data.channels)
    workers = default_workers(data) if workers is None else workers
    steps = max(len(data.train) // recipe.batch, 1)
    done_epochs, done_steps = divmod(checkpoint_step(run), steps)
    loader = make_loader(
        data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, drop_last=True,
        seed=run.seed, workers=workers, epoch=done_epochs, start_batch=done_steps,
    )  # fmt: skip
    holdout = make_loader(data.holdout, preprocessing, recipe.batch, workers=workers)
    model = first_model(run, data, weights)
    module = Training(model, recipe, steps, run.seed, find_teacher(recipe, data))
    damage = DamageLog(damaged_limit)
    averaging = [Averaging(recipe.ema)] if recipe.ema else []
    chosen = recipe.select == "best" or recipe.patience is not None
    best = [Best(run.path / "checkpoints" / "best.ckpt", recipe.patience)] if chosen else []
    pace = [Pace(recipe.minutes)] if recipe.minutes else []
    checkpoints = Checkpoints(run.checkpoint)
    # In this order: what a checkpoint holds comes before the one that writes it.
    callbacks = [*best, *averaging, Damage(damage), Metrics(run.metrics), *pace, Display(quiet), checkpoints]
    quieten()
    trainer = Trainer(
        accelerator={"cuda": "gpu"}.get(where.type, where.type),
        devices=1,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(run.path, name="", version="tensorboard"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    run = run.now("training")
    try:
        resume_from = run.checkpoint if run.checkpoint.exists() else None
        trainer.fit(module, loader, holdout, ckpt_path=resume_from, weights_only=True)
    except Stopped:
        run.now("stopped")
        raise Interrupted(
            f"stopped at step {trainer.global_step} and saved; go on with --resume --out {run.path}"
        ) from None
    seconds = checkpoints.seconds
    run = replace(run, recipe=replace(recipe, epochs=int(module.timeline.epochs)))  # `Pace` may have moved the end
    for weights_to_keep in (*averaging, *(best if recipe.select == "best" else ())):
        weights_to_keep.apply(module)
    save_weights(model, run.weights, data.classes)
    result = evaluate(
        model, data.test, data.classes, batch=recipe.batch, workers=workers, device=device, damaged_limit=damaged_limit
    )
    summary = result.summary() | {"training_seconds": round(seconds, 1)}
    summary["damaged_training"] = [{"path": path, "reason": reason} for path, reason in damage.damaged.items()]
    write_json(run.evaluation, summary)
    return run.now("done"), result


def first_model(run: Run, data: DataSet, weights: str | Path | None) -> ConvNet:
    """The network with fresh weights, or with `weights` except for a classifier of other classes."""
    model = build(run.network, len(data.classes), data.channels, seed=run.seed)
    if weights is None:
        return model
    given, _ = load_model(weights, run.network)
    if given.channels != data.channels:
        raise UsageError(
            f"{weights} takes {given.channels} channels and {data.name} has {data.channels}; "
            f"use --channels {given.channels}"
        )
    state = given.state_dict()
    fresh = model.state_dict()
    model.load_state_dict({n: state[n] if state[n].shape == t.shape else t for n, t in fresh.items()})
    return model


def checkpoint_step(run: Run) -> int:
    """Optimiser steps that lie in the run's checkpoint; 0 without one."""
    if not run.checkpoint.exists():
        return 0
    return int(AtomicCheckpointIO().load_checkpoint(run.checkpoint)["global_step"])


def default_workers(data: DataSet) -> int:
    """See `workers_for`."""
    return workers_for(data.train)


def quieten() -> None:
    """Lightning's tips and warnings that do not concern our way of using it."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")

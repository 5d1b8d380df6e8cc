"""`train`: network + data + recipe -> run directory."""

import logging
import sys
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from compound.data import DamageLog, DataSet, Preprocessing, loading, make_loader
from compound.errors import CompoundError, UsageError
from compound.evaluation import Evaluation, evaluate
from compound.files import clear_leftovers, locked, make_folder
from compound.inference import pick_device, workers_for
from compound.measurement.machine import keep_freed_memory
from compound.network import Network
from compound.nn import save_weights
from compound.notation import load_network
from compound.parallel import World, from_first, gathered, is_first, join, rank, share_of, share_statistics, together
from compound.quantity import Interval
from compound.training.averaging import Averaging
from compound.training.changes import described, differences
from compound.training.checkpoints import Checkpoints, Stopped
from compound.training.display import Display
from compound.training.divergence import Diverged, Watch
from compound.training.final import keep_result, refuse_second, refuse_unseen
from compound.training.memory import Crew
from compound.training.metrics import Damage, Metrics
from compound.training.module import Training
from compound.training.pace import Pace, settle
from compound.training.recipe import Recipe
from compound.training.run import Run, data_fields, open_run
from compound.training.selection import Best
from compound.training.sharding import Sharded, unsharded
from compound.training.start import first_model
from compound.training.storage import Found, Storage, load, newest
from compound.training.teacher import find_teacher

RETRIES = 3  # halvings of the rate after which a training that diverges is given up


class Interrupted(CompoundError):
    """Training stopped on request; the run can be resumed."""

    exit_code = 130


def start_run(
    network: Network,
    data: DataSet,
    recipe: Recipe,
    out: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    workers: int | None = None,
    device: str = "auto",
    shard: bool = False,
) -> Run:
    """A fresh run directory, or the one to go on with.

    An existing run is never overwritten: without `resume` it is refused, with it network, data, recipe and seed must be
    the same. What the recipe leaves to the machine is settled once, when the run is fresh (see `settle`); `shard` says
    that the network will be divided among the processes, which then need less memory.
    """
    world = join(pick_device(device))
    if shard:
        refuse_undivided(recipe, world)
    crew = Crew(world.size, shard)
    return from_first(lambda: _start_run(network, data, recipe, Path(out), seed, resume, workers, device, crew))


def _start_run(
    network: Network,
    data: DataSet,
    recipe: Recipe,
    out: Path,
    seed: int,
    resume: bool,
    workers: int | None,
    device: str,
    crew: Crew,
) -> Run:
    refuse_single(recipe, data)
    if recipe.batch > len(data.train):
        recipe = replace(recipe, batch=len(data.train))
    told = data_fields(data)
    existing = open_run(out) if (out / "run.yaml").exists() else None
    if existing is None or existing.state == "created":  # never trained a step: nothing to lose
        if resume and existing is None:
            raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")
        if existing is None and not is_free(out, network):
            raise UsageError(f"{out} exists and is not an empty folder; choose another --out")
        find_teacher(recipe, data)  # one that cannot be used is said before anything is written
        make_folder(out)  # before the measurement: an unwritable place is said at once
        workers = default_workers(data) if workers is None else workers
        recipe = settle(network, data, recipe, workers=workers, device=device, crew=crew)
        return Run(out, network, recipe, told, seed).save()
    if not resume:
        raise UsageError(f"{out} already holds a run; go on with --resume, or choose another --out")
    recipe = replace(recipe, **{name: getattr(existing.recipe, name) for name in recipe.settled})
    then = existing.data | existing.spec.to_mapping()  # an older version's file says less
    changed = differences(
        described(existing.network, then, existing.recipe, existing.seed), described(network, told, recipe, seed)
    )
    if changed:
        raise UsageError(
            f"{out} was started with other settings (then → now): {'; '.join(changed)}; "
            "resume with the same, or choose another --out"
        )
    return existing


def refuse_single(recipe: Recipe, data: DataSet) -> None:
    """What makes no sense where an image has several labels."""
    if data.several and recipe.loss != "bce":
        raise UsageError(
            f"{data.name} has several labels an image, and recipe {recipe.name} one; write loss: bce in it"
        )
    for field in ("teacher", "class_weights"):
        if data.several and getattr(recipe, field):
            raise UsageError(f"{data.name} has several labels an image, and {field} is made for one; leave it out")


def refuse_undivided(recipe: Recipe, world: World) -> None:
    """What a network divided among processes cannot do."""
    if world.size == 1:
        raise UsageError("--shard divides a network among processes, and here is one; start several with torchrun")
    if recipe.compile in ("always", "graphs"):
        raise UsageError(f"--shard does not go with compile {recipe.compile}; leave one of them out")
    if recipe.transfer.unfreeze:
        raise UsageError("--shard does not go with --unfreeze: what learns is settled when weights are divided")


def is_free(out: Path, network: Network) -> bool:
    """Whether nothing is at `out` but an empty folder, or one whose start was killed half-way."""
    if not out.is_dir():
        return not out.exists()
    names = {path.name for path in out.iterdir() if not path.match(".*.tmp")}
    return not names or (names == {"network.yaml"} and load_network(out / "network.yaml") == network)


def train(
    run: Run,
    data: DataSet,
    *,
    weights: str | Path | None = None,
    inherited: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    damaged_limit: float = 0.01,
    save_every: Interval = Interval(seconds=600),
    on_nan: Literal["stop", "retry"] = "stop",
    sync_norm: bool = False,
    shard: bool = False,
    final: bool | None = None,
    quiet: bool = False,
) -> tuple[Run, Evaluation]:
    """Train the run from where it stands, then evaluate it once on the test images.

    `final` True refuses a run that was evaluated on them already; False leaves them alone and evaluates on the held-out
    images instead, see `compound.training.final`.

    Everything is written into the run directory, which no other process may train meanwhile. `save_every` is for
    checkpoints within an epoch; each epoch ends with one. `on_nan` "retry" goes back to the newest checkpoint and
    halves the rate when the training diverges, `RETRIES` times in a run.

    Processes started by torchrun or srun share every batch of the recipe; process 0 alone writes. `sync_norm` makes
    their batch norms use the statistics of the whole batch instead of their share. `shard` divides weights, gradients,
    optimiser and average among them (see `compound.training.sharding`).

    Raises `Interrupted` after Ctrl-C or SIGTERM, with the checkpoint saved, and `Diverged` when loss, gradients or
    weights are no longer numbers; then nothing of that step is kept.
    """
    keep_freed_memory()  # a step makes the same maps again, and fresh pages cost more than many of its operators
    world = join(pick_device(device))
    from_first(lambda: refuse_unseen(run) if final is None else refuse_second(run))
    with ExitStack() as stack:
        from_first(lambda: _take(run, stack))
        while True:
            try:
                return _train(
                    run, data, weights, inherited, workers, device, damaged_limit, save_every, sync_norm, shard, world,
                    final, quiet,
                )  # fmt: skip
            except Diverged as error:
                if on_nan == "stop" or run.lowered == RETRIES:
                    raise
                run = replace(run, lowered=run.lowered + 1)
                if is_first():
                    print(f"{error}; going back, with the rate × {0.5**run.lowered:g}", file=sys.stderr)


def _take(run: Run, stack: ExitStack) -> None:
    """The run directory for this process until `stack` ends, rid of what a killed one left."""
    make_folder(run.checkpoints)
    stack.enter_context(locked(run.checkpoints / ".lock", str(run.path)))
    for folder in (run.path, run.checkpoints):
        clear_leftovers(folder)


def _train(
    run: Run,
    data: DataSet,
    weights: str | Path | None,
    inherited: str | Path | None,
    workers: int | None,
    device: str,
    damaged_limit: float,
    save_every: Interval,
    sync_norm: bool,
    shard: bool,
    world: World,
    final: bool | None,
    quiet: bool,
) -> tuple[Run, Evaluation]:
    recipe, where = run.recipe, pick_device(device)
    if sync_norm and where.type != "cuda":
        raise UsageError(f"--sync-norm needs GPUs: torch's SyncBatchNorm does not run on {where.type}; leave it out")
    if shard:
        refuse_undivided(recipe, world)
    preprocessing = Preprocessing.of(run.network, data.channels)
    workers = default_workers(data) if workers is None else workers
    steps = max(len(data.train) // recipe.batch, 1)
    found = find_checkpoint(run)
    tell(found, quiet)
    share = from_first(lambda: share_of(recipe.batch, len(data.holdout), recipe.accumulate))
    done_epochs, done_steps = divmod(found.step if found else 0, steps)
    loader = make_loader(
        data.train, preprocessing, share, augment=recipe.augment, shuffle=True, drop_last=True,
        seed=run.seed, workers=workers, epoch=done_epochs, start_batch=done_steps, rank=rank(), world=world.size,
        repeats=recipe.repeats,
    )  # fmt: skip
    holdout = make_loader(data.holdout, preprocessing, share, workers=workers, rank=rank(), world=world.size)
    start = (weights, inherited) if found is None else (None, None)  # a checkpoint holds everything that was learned
    model = first_model(run, data, *start, workers=workers, device=device)
    lowered = replace(recipe, rate=recipe.rate * 0.5**run.lowered)
    module = Training(model, lowered, steps, run.seed, find_teacher(recipe, data))
    module.take_steps(recipe.compile, share)
    damage = DamageLog(damaged_limit)
    averaging = [Averaging(recipe.ema)] if recipe.ema else []
    chosen = recipe.select == "best" or recipe.patience is not None
    best = [Best(run.checkpoints / "best.ckpt", recipe.patience)] if chosen else []
    pace = [Pace(recipe.minutes)] if recipe.minutes else []
    watch = Watch(data.train, run.path / "diverged.json")
    checkpoints = Checkpoints(run.checkpoints, save_every)
    # In this order: what a checkpoint holds comes before the one that writes it.
    callbacks = [*best, *averaging, watch, Damage(damage), Metrics(run.metrics), *pace, Display(quiet), checkpoints]
    quieten()
    trainer = Trainer(
        accelerator={"cuda": "gpu"}.get(where.type, where.type),
        strategy=Sharded() if shard else "ddp" if world.size > 1 else "auto",
        devices=world.local,
        num_nodes=world.nodes,
        sync_batchnorm=sync_norm and world.size > 1,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        callbacks=callbacks,
        plugins=[Storage(found), *([world.environment] if world.environment else [])],
        logger=TensorBoardLogger(run.path, name="", version="tensorboard"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    run = run.now("training")
    try:
        with loading(), together():
            trainer.fit(module, loader, holdout, ckpt_path=found.path if found else None, weights_only=True)
    except Stopped:
        run.now("stopped")
        raise Interrupted(
            f"stopped at step {trainer.global_step} and saved; go on with --resume --out {run.path}"
        ) from None
    seconds = checkpoints.seconds
    run = replace(run, recipe=replace(recipe, epochs=int(module.timeline.epochs)))  # `Pace` may have moved the end
    for weights_to_keep in (*averaging, *(best if recipe.select == "best" else ())):
        weights_to_keep.apply(module)
    model = unsharded(model)
    share_statistics(model)
    if is_first():
        save_weights(model, run.weights, data.classes)
    source = data.holdout if final is False else data.test
    result = evaluate(
        model, source, data.classes, batch=recipe.batch, workers=workers, device=device, damaged_limit=damaged_limit
    )
    damaged = {path: reason for process in gathered(damage.damaged) for path, reason in process.items()}
    told: dict[str, Any] = {"training_seconds": round(seconds, 1)}
    told["damaged_training"] = [{"path": path, "reason": reason} for path, reason in damaged.items()]
    if recipe.select == "best" and best[0].epoch:
        told["chosen"] = {"epoch": best[0].epoch, "top1": best[0].accuracy, "images": len(data.holdout)}
    if is_first():
        keep_result(run, result, told, final)
    return run.now("done"), result


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
        print(f"{reasons}going on from {found.path} at step {found.step}", file=sys.stderr)


def default_workers(data: DataSet) -> int:
    """See `workers_for`."""
    return workers_for(data.train)


def quieten() -> None:
    """Lightning's tips and warnings that do not concern our way of using it."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")

"""The one place that makes Lightning's Trainer."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger

from compound.execution import Execution
from compound.parallel import World
from compound.training.pipelined import Pipelined
from compound.training.recipe import Recipe
from compound.training.sharding import Sharded


def make_trainer(
    recipe: Recipe,
    execution: Execution,
    callbacks: Sequence[Callback],
    *,
    world: World = World(),
    plugins: Sequence[Any] = (),
    logger: Logger | list[Logger] | None = None,
    clip: float | None = None,
) -> Trainer:
    """A trainer for the recipe's epochs that prints nothing and writes nothing but what `callbacks` and `logger` do.

    `world` is who trains together; `clip` the largest norm of the gradient.
    """
    quieten()
    several: Any = "ddp" if world.size > 1 else "auto"
    if execution.shard or execution.pipeline:
        several = Sharded() if execution.shard else Pipelined()
    return Trainer(
        accelerator={"cuda": "gpu"}.get(execution.where.type, execution.where.type),
        strategy=several,
        devices=world.local,
        num_nodes=world.nodes,
        sync_batchnorm=execution.sync_norm and world.size > 1,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        gradient_clip_val=clip,
        callbacks=list(callbacks),
        plugins=[*plugins, *([world.environment] if world.environment else [])],
        logger=logger or False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def quieten() -> None:
    """Lightning's tips and warnings that do not concern our way of using it."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")

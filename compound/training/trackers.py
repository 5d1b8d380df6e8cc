"""Where the figures of a training go beside its own files: TensorBoard always, MLflow and Weights & Biases if asked."""

import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger

from compound.documents import read_json
from compound.errors import UsageError
from compound.files import write_json
from compound.mapping import nearest
from compound.parallel import is_first
from compound.training.run import Run

TRACKERS = ("tensorboard", "mlflow", "wandb")
REMEDY = "delete it, and the trackers begin a new run"


def refuse_missing(wanted: tuple[str, ...]) -> None:
    """Raises `UsageError` for a tracker that is not known, or whose package is not installed."""
    for name in wanted:
        if name not in TRACKERS:
            raise UsageError(f"--log {name!r} is no tracker; {nearest(name, TRACKERS, 'trackers')}")
        if name != "tensorboard" and find_spec(name) is None:
            raise UsageError(f"--log {name} needs the package {name}, which is not installed; run: pip install {name}")


def loggers_of(run: Run, setting: dict[str, Any]) -> list[Logger]:
    """The loggers that the run was started with; a resumed run goes on in the runs that its trackers have already.

    MLflow is told at MLFLOW_TRACKING_URI, else in `mlflow.db` beside the run; wandb as its own variables say.
    """
    board = TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False)
    board.log_hyperparams(setting)  # kept as hparams.yaml; `Metrics` tells TensorBoard
    loggers: list[Logger] = [board]
    if not is_first():
        return loggers
    wanted = tuple((run.setup or {}).get("log") or ())
    refuse_missing(wanted)
    file = run.path / "trackers.json"
    known: dict[str, str] = dict(read_json(file, REMEDY)) if file.is_file() else {}
    for name, make in {"mlflow": _mlflow, "wandb": _wandb}.items():
        if name in wanted:
            logger, known[name] = make(run, known.get(name), setting)
            loggers.append(logger)
    if known:
        write_json(file, known)
    return loggers


def _mlflow(run: Run, known: str | None, setting: dict[str, Any]) -> tuple[Logger, str]:
    from pytorch_lightning.loggers import MLFlowLogger

    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.path.resolve().parent / 'mlflow.db'}"
    logger = MLFlowLogger(str(run.data["name"]), run.path.name, place, run_id=known)
    if known is None:  # MLflow keeps what it was told first, and refuses a change
        logger.log_hyperparams(setting)
    return logger, str(logger.run_id)


def _wandb(run: Run, known: str | None, setting: dict[str, Any]) -> tuple[Logger, str]:
    from pytorch_lightning.loggers import WandbLogger

    name = known or secrets.token_hex(4)
    project = os.environ.get("WANDB_PROJECT") or "compound"
    logger = WandbLogger(name=run.path.name, save_dir=Path(run.path), id=name, project=project)
    logger.log_hyperparams(setting)
    return logger, name

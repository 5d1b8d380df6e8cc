"""A run of a study: a whole training in a run directory of its own, judged by the test images."""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compound.data import DataSpec
from compound.documents import read_json
from compound.execution import Execution
from compound.mapping import to_mapping
from compound.network import Network
from compound.studies.result import SeedRun, Variant
from compound.studies.variants import slug
from compound.training import Interrupted, Recipe, Run, open_run, start_run, train
from compound.training.short import ShortTraining, opened
from compound.trials import Reporter


@dataclass(frozen=True)
class WholeTraining:
    """Train a variant by `recipe` into `folder`; a training that was cut off goes on from its checkpoint.

    The seed decides weights, order and augmentation; images and the holdout are the same for all. Checkpoints go
    when a run is done.
    """

    spec: DataSpec
    recipe: Recipe
    folder: Path
    execution: Execution = Execution()

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        data = opened(self.spec)
        held = {"holdout": self.spec.holdout, "split": self.spec.seed}
        return {"data": data.name, "fingerprint": data.fingerprint(), **held, "recipe": to_mapping(self.recipe)}

    def __call__(self, variant: Variant, network: Network, seed: int, report: Reporter) -> SeedRun:
        self.execution.take_threads()
        out = self.folder / f"{slug(variant.name)}-seed-{seed}"
        if self._is_done(out):  # its worker died before it could say so
            return seed_run(open_run(out))
        data = opened(self.spec)
        run = start_run(
            network, data, self.recipe, out, self.execution, seed=seed, resume=(out / "run.yaml").exists()
        )  # fmt: skip
        try:
            with not_interrupted():
                run, _ = train(run, data, execution=self.execution, quiet=True)
        except Interrupted:  # SIGTERM: whoever goes on finds the checkpoint
            os._exit(128 + signal.SIGTERM)
        shutil.rmtree(run.checkpoints)
        return seed_run(run)

    def seconds(self, network: Network) -> float:
        """About how long one training takes here, by a few measured steps."""
        return ShortTraining(self.spec, self.recipe, self.execution).seconds(network)

    def _is_done(self, out: Path) -> bool:
        return (out / "run.yaml").exists() and open_run(out).state == "done"


def seed_run(run: Run) -> SeedRun:
    """What a finished run directory says."""
    found = read_json(run.evaluation, f"delete {run.path}, and the study trains it again")
    correct, images = round(found["top1"] * found["images"]), found["images"]
    return SeedRun(run.seed, correct / images, correct, images, found["loss"], found["training_seconds"])


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, is for the one that started us to judge."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

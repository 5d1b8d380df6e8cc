"""A run of a study: a whole training in a run directory of its own, judged by the test images."""

from collections.abc import Mapping
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
from compound.training import Recipe, Run
from compound.training.short import ShortTraining, opened
from compound.training.whole import whole_run
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
        return seed_run(whole_run(network, opened(self.spec), self.recipe, out, self.execution, seed))

    def seconds(self, network: Network) -> float:
        """About how long one training takes here, by a few measured steps."""
        return ShortTraining(self.spec, self.recipe, self.execution).seconds(network)


def seed_run(run: Run) -> SeedRun:
    """What a finished run directory says."""
    found = read_json(run.evaluation, f"delete {run.path}, and the study trains it again")
    correct, images = round(found["top1"] * found["images"]), found["images"]
    return SeedRun(run.seed, correct / images, correct, images, found["loss"], found["training_seconds"])

"""An architecture search as what a user asked for: plain values that are saved with its results and say all of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner

from compound.data import DataSpec
from compound.documents import read_yaml
from compound.errors import UsageError
from compound.execution import Execution
from compound.files import make_folder, write_text
from compound.mapping import from_mapping, to_mapping
from compound.search.architecture import ArchitectureSearch
from compound.search.evaluators.base import Evaluator
from compound.search.evaluators.shared import SharedWeights
from compound.search.evaluators.shrunken import Shrunken
from compound.search.objective import Form, Objective
from compound.search.space import Space
from compound.search.space_file import load_space
from compound.search.spending import device_latency
from compound.search.supernet import Supernet
from compound.search.supernet_training import train_supernet
from compound.training import Recipe, find_recipe
from compound.training.foretold import epoch_rates
from compound.training.short import ShortTraining, opened
from compound.trials.foreseeing import CurvePruner

Estimation = Literal["shared", "full", "short", "shrunken", "halving", "curves"]
# A short training has this share of a whole one's steps, with a schedule that ends there: the cheapest that ranks.
SHORT_SHARE, LEAST_STEPS = 1 / 16, 50
MOST_EPOCHS = 1000  # of shared weights, whose end their minutes set
# Weights that many networks pull at want half a single network's rate and less decay (docs/decisions, shared weights).
SHARED_RATE, SHARED_DECAY = 0.5, 1e-4


@dataclass(frozen=True)
class ArchitecturePlan:
    """`evaluation` says how candidates are judged: by a `short` training (a sixteenth of the steps), by a `full` one,
    with `shared` weights (trained for `minutes`), by full training of a `shrunken` relative, or by full trainings that
    successive `halving` or learning `curves` stop. `least` and `most` are the window of cost in terms of `target`.
    """

    data: str
    cost: str
    target: float
    objective: Form = "soft"
    cost_exponent: float = -0.07
    exponent_below: float | None = None
    least: float = 0.5
    most: float = 1.2
    evaluation: Estimation = "short"
    minutes: float = 5.0
    epochs: int | None = None
    recipe: str = "small"
    holdout: float = 0.2
    channels: int | None = None
    root: str | None = None
    download: bool = False
    device: str = "auto"
    table: str | None = None  # of a device, where `cost` is "latency" and `target` seconds
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("target", "least", "most", "minutes"):  # 5 and 5.0 are the same search
            object.__setattr__(self, name, float(getattr(self, name)))
        if not 0 <= self.least < self.most:
            raise UsageError(
                f"no cost lies between {self.least:g} and {self.most:g} times the target; use e.g. 0.5 and 1.2"
            )
        if not 0 < self.holdout < 1:
            raise UsageError(f"holdout {self.holdout:g} leaves no images to choose or to train by; use e.g. 0.2")

    @cached_property
    def spec(self) -> DataSpec:
        """The question that opens the images."""
        root = Path(self.root) if self.root else None
        return DataSpec(self.data, self.channels, self.holdout, self.seed, root, self.download)

    def execution(self, threads: int | None = None) -> Execution:
        return Execution(self.device, threads=threads)

    @cached_property
    def training(self) -> Recipe:
        """How a network is trained in full."""
        recipe = find_recipe(self.recipe)
        return replace(recipe, epochs=self.epochs or recipe.epochs, precision="fp32")

    def trainer(self, threads: int | None = None) -> ShortTraining:
        """The evaluator that is the truth: full training."""
        return ShortTraining(self.spec, self.training, self.execution(threads))

    def evaluator(self, folder: Path, threads: int | None = None) -> Evaluator:
        if self.evaluation == "shared":
            return SharedWeights(weights_of(folder), self.spec, execution=self.execution(threads))
        full = self.trainer(threads)
        if self.evaluation == "short":
            return shortened(full, self.steps)
        return Shrunken(full) if self.evaluation == "shrunken" else full

    @property
    def pruner(self) -> BasePruner:
        """Successive halving: after 1, 2, 4, … epochs the better half goes on (Jamieson & Talwalkar 2016).

        By learning curves: what will not be the best is stopped.
        """
        if self.evaluation == "halving":
            return SuccessiveHalvingPruner(reduction_factor=2)
        if self.evaluation != "curves":
            return NopPruner()
        rates = epoch_rates(self.training, self.steps, self.training.epochs)
        return CurvePruner(rates, len(opened(self.spec).holdout))

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        images = len(opened(self.spec).train)
        return max(images // min(self.training.batch, images), 1)

    def problem(self, space: Space, evaluator: Evaluator) -> ArchitectureSearch:
        space, measure = space.for_data(opened(self.spec)), device_latency(self.cost, self.table)
        objective = Objective(self.cost, self.target, self.objective, self.cost_exponent, measure, self.exponent_below)
        name = f"architecture-{space.name}"
        return ArchitectureSearch(space, objective, evaluator, self.least, self.most, name)

    def save(self, folder: Path, space: Space) -> None:
        """search.yaml and space.yaml, which say all that `validate` needs. Refuses a folder of another search."""
        texts = {
            "search.yaml": yaml.safe_dump(to_mapping(self), sort_keys=False),
            "space.yaml": yaml.safe_dump(dict(space.source), sort_keys=False),
        }
        make_folder(folder)
        for name, text in texts.items():
            if (folder / name).exists() and (folder / name).read_text(encoding="utf-8") != text:
                raise UsageError(f"{folder} holds another search (its {name} differs); choose another --out")
            write_text(folder / name, text)


def open_plan(folder: Path) -> tuple[ArchitecturePlan, Space]:
    """What was searched in a folder."""
    if not (folder / "search.yaml").is_file():
        raise UsageError(f"{folder} holds no architecture search; give the --out of one")
    given = read_yaml(folder / "search.yaml", "search again into another folder")
    return from_mapping(ArchitecturePlan, given, f"{folder}/search.yaml"), load_space(folder / "space.yaml")


def shortened(full: ShortTraining, steps: int) -> ShortTraining:
    """`SHORT_SHARE` of the training `full`, whose epochs have so many steps; never fewer than `LEAST_STEPS`."""
    total = full.recipe.epochs * steps
    wanted = max(math.ceil(SHORT_SHARE * total), min(LEAST_STEPS, total))
    epochs = math.ceil(wanted / steps)
    return replace(full, recipe=replace(full.recipe, epochs=epochs), steps=math.ceil(wanted / epochs))


def weights_of(folder: Path) -> Path:
    return folder / "shared.safetensors"


def share_weights(
    plan: ArchitecturePlan, space: Space, folder: Path, say: Callable[[str], None], paths: int = 1
) -> None:
    """Train the shared weights of a search, unless its folder has them."""
    if plan.evaluation != "shared" or weights_of(folder).exists():
        return
    data = opened(plan.spec)
    window = plan.problem(space, plan.trainer())
    supernet = Supernet(window.space, paths=paths, admits=window.admits, seed=plan.seed)
    recipe = replace(
        plan.training,
        minutes=plan.minutes,
        epochs=MOST_EPOCHS,
        rate=plan.training.rate * SHARED_RATE,
        weight_decay=SHARED_DECAY,
        warmup_epochs=1,
    )
    train_supernet(supernet, data, recipe, weights_of(folder), plan.execution(), seed=plan.seed, say=say)

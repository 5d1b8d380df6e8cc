"""A size cut out of a run that was trained elastic, as an ordinary network with weights."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.budget import Budget, fit_budget
from compound.cost import cost
from compound.errors import BudgetError, UsageError
from compound.files import make_folder, write_bytes
from compound.network import Network
from compound.verbs.given import Place

if TYPE_CHECKING:
    from compound.evaluation import Evaluation
    from compound.training import Run


@dataclass(frozen=True)
class Size:
    """Of a run that was trained with smaller sizes (`Recipe.elastic`), the one of a φ or the largest in a budget."""

    run: Place
    size: Budget | float

    @property
    def name(self) -> str:
        return "budget" if isinstance(self.size, Budget) else f"phi{self.size:g}"


@dataclass(frozen=True)
class Sized:
    """The network of `phi` in the weights file `file`, and what it makes of the held-out images, if there are any."""

    file: Path
    phi: float
    network: Network
    result: "Evaluation | None"

    def to_json(self) -> dict[str, Any]:
        told = {"phi": self.phi, "file": str(self.file), "resolution": self.network.resolution}
        told |= {"macs": cost(self.network).macs, "params": cost(self.network).params}
        if self.result is None:
            return told
        interval = list(self.result.interval())
        return told | {"top1": self.result.top(1), "top1_interval": interval, "images": self.result.images}


def cut_size(size: Size, out: Path) -> Sized:
    """Write the network of a size with its part of the run's weights into the folder.

    Its batch norms have the statistics that the run's training images give them in this very network. Raises
    `UsageError` where the run has no such size, `BudgetError` where none is within the budget.
    """
    from torch.nn import BatchNorm2d

    from compound.evaluation import evaluate, recalibrate
    from compound.nn import load_weights, save_weights
    from compound.nn.elastic import cut_out
    from compound.training import open_run
    from compound.training.elastic import sized
    from compound.training.judging import data_of_run
    from compound.training.seen import list_beside

    found = open_run(Path(size.run))
    phi = phi_of(found, size.size)
    whole, described = load_weights(found.weights)
    images, _ = data_of_run(found)
    made = cut_out(whole, sized(whole.network, phi))
    if phi and any(isinstance(module, BatchNorm2d) for module in made.modules()):
        recalibrate(made, images.train, seed=found.seed)
    file = save_weights(made, make_folder(out) / "model.safetensors", described.classes)
    if found.images.is_file():  # it learned what the run learned, and its accuracy is of no such image
        write_bytes(list_beside(file), found.images.read_bytes())
    result = evaluate(made, images.holdout, images.classes) if len(images.holdout) else None
    return Sized(file, phi, made.network, result)


def phi_of(run: "Run", size: Budget | float) -> float:
    """The φ of a size that the run was trained at."""
    from compound.training.elastic import RULE

    smallest = run.recipe.elastic
    if not smallest:
        raise UsageError(
            f"{run.path} was trained at one size; train with --elastic φ=-2..0, or make it smaller with: "
            f"compound shrink {shlex.quote(str(run.path))}"
        )
    if isinstance(size, Budget):
        if size.admits(size.cost(run.network)):
            return 0.0
        phi = fit_budget(run.network, size, RULE).phi
        if phi < smallest:
            raise BudgetError(
                f"the smallest size of {run.path}, φ = {smallest:g}, is beyond the budget; give a larger one"
            )
        return phi
    if not smallest <= size <= 0:
        raise UsageError(f"{run.path} has sizes from φ = {smallest:g} to 0, and {size:g} is none; give one of these")
    return size

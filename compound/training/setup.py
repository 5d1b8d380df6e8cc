"""What a training is set up with, beside its network, data and recipe."""

from dataclasses import dataclass, replace
from typing import Any

from compound.execution import Execution
from compound.mapping import from_mapping, to_mapping
from compound.notation import dump_network, parse_network
from compound.training.run import Run
from compound.training.session import Safeguards
from compound.training.start import FRESH, Start
from compound.training.trackers import refuse_missing

USUAL = Safeguards()
OF, FOLDS = "of", "folds"  # the network of the weights, and a cross-validation beside it, in what a run keeps


@dataclass(frozen=True)
class Setup:
    """Everything of a training that is neither network, data nor recipe.

    `start`: the weights it starts from. `execution`: where and how it runs.
    `class_weights`: weights of classes in the loss, as words: `balanced`, a JSON file of shares, or `target:DATA`.
    `seed`: of weights, order and augmentation, and of the parts of data that is named and not opened.
    `final`: True: the epoch that is best on the held-out images is evaluated once on the test images, and no other
        time; False: the test images are left alone, and the held-out ones judge. See `compound.training.final`.
    `resume`: go on with the run in the output folder; its settings must be the same.
    `log`: trackers beside the run's own files, of tensorboard (always there), mlflow and wandb.
    `progress`: a bar and a line an epoch on standard error.
    """

    start: Start = FRESH
    execution: Execution = Execution()
    safeguards: Safeguards = USUAL
    class_weights: str | None = None
    seed: int = 0
    final: bool | None = None
    resume: bool = False
    progress: bool = False
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_missing(self.log)


def kept(setup: Setup) -> dict[str, Any]:
    """What a run keeps of its setup, as plain values: all that the run does not say itself, and that lasts."""
    weights, inherited = (place and str(place) for place in (setup.start.weights, setup.start.inherited))
    lasting = replace(setup, start=Start(weights, inherited), class_weights=None, seed=0, resume=False, progress=False)
    found = to_mapping(lasting)
    return found | {OF: dump_network(setup.start.of)} if setup.start.of else found


def setup_of(run: Run, progress: bool = False) -> Setup:
    """The setup with which a run goes on; of a run of an older version, the usual one.

    Raises `UsageError` for a run.yaml whose setup was written by no version.
    """
    where, given = f"{run.path / 'run.yaml'}: setup", dict(run.setup or {})
    of, _ = given.pop(OF, None), given.pop(FOLDS, None)
    found = from_mapping(Setup, given, where)
    if of is not None:
        found = replace(found, start=replace(found.start, of=parse_network(str(of), where)))
    return replace(found, seed=run.seed, resume=True, progress=progress)

"""What a training is set up with, beside its network, data and recipe."""

from dataclasses import dataclass

from compound.execution import Execution
from compound.training.session import Safeguards
from compound.training.start import FRESH, Start

USUAL = Safeguards()


@dataclass(frozen=True)
class Setup:
    """Everything of a training that is neither network, data nor recipe.

    `start`: the weights it starts from. `execution`: where and how it runs.
    `class_weights`: weights of classes in the loss, as words: `balanced`, a JSON file of shares, or `target:DATA`.
    `seed`: of weights, order and augmentation, and of the parts of data that is named and not opened.
    `final`: True: the epoch that is best on the held-out images is evaluated once on the test images, and no other
        time; False: the test images are left alone, and the held-out ones judge. See `compound.training.final`.
    `resume`: go on with the run in the output folder; its settings must be the same.
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

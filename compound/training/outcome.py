"""What a finished training says of itself that its user should not overlook: a loss that grew, a result of no use."""

from collections.abc import Sequence

import torch

from compound.documents import damaged, read_records
from compound.evaluation import Evaluation
from compound.training.divergence import loss_of_guessing
from compound.training.run import Run

TENFOLD = 10.0
REMEDY = "copy the run again, or train anew"


def cautions_of(run: Run, result: Evaluation, part: str) -> list[str]:
    """`cautions` on a run, by what its metrics.csv has."""
    losses: list[float] = []
    if run.metrics.is_file():
        with damaged(run.metrics, REMEDY):
            losses = [float(row["train_loss"]) for row in read_records(run.metrics, REMEDY, "train_loss")]
    return cautions(losses, loss_of_guessing(run.network.classes, run.recipe.loss), result, part)


def cautions(losses: Sequence[float], guess: float, result: Evaluation, part: str) -> list[str]:
    """Sentences on a training whose epochs had these mean `losses`, and on its `result` by the images of `part`.

    `guess` is the loss of guessing. A training that went well has none.
    """
    found = (_grown(losses, guess), None if result.labels.ndim == 2 else _useless(result, part))
    return [said for said in found if said]


def _grown(losses: Sequence[float], guess: float) -> str | None:
    """The first epoch whose loss is above guessing and ten times that of guessing, or of an epoch before."""
    lowest = guess
    for epoch, loss in enumerate(losses, 1):
        if loss > max(TENFOLD * lowest, guess):
            than = "guessing has" if lowest == guess else "an epoch before had"
            return (
                f"the training loss was {loss:.3g} in epoch {epoch}, and {than} {lowest:.3g}: "
                "the rate is too high for this network and these images; lower --rate"
            )
        lowest = min(lowest, loss)
    return None


def _useless(result: Evaluation, part: str) -> str | None:
    """Where the interval of the accuracy does not lie above the share of the largest class."""
    counts = torch.bincount(result.labels, minlength=len(result.classes))
    share = counts.max().item() / len(result.labels)
    if result.interval()[0] > share:
        return None
    return (
        f"top-1 {result.top(1):.1%} is not clearly above the {share:.1%} of the {part} images that are of the largest "
        f"class, {result.classes[int(counts.argmax())]}; train longer, start from weights (--weights auto), or look at "
        "the images (compound data check)"
    )

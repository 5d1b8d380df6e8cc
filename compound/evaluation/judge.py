"""Running a model over a source, and what comes of it."""

import torch

from compound.data import Source
from compound.errors import CompoundError
from compound.evaluation.result import Evaluation
from compound.evaluation.several import SeveralLabels
from compound.execution import Execution
from compound.inference import Classifier, as_probabilities, logits_over
from compound.nn import ConvNet
from compound.parallel import gathered, rank, size


def evaluate(
    model: ConvNet | Classifier,
    source: Source,
    classes: tuple[str, ...],
    execution: Execution = Execution(),
) -> Evaluation:
    """Run `model`, a network or what runs one, over `source` once, in order. The network is left in the mode it was in.

    Several processes share the images, each image once, and all return the whole. Of a source with several labels an
    image the result is `SeveralLabels`.
    """
    damage = execution.damage_log()
    mine = [
        (as_probabilities(one.logits, one.labels.ndim == 2), one.labels, one.indices, one.logits.double().logsumexp(1))
        for one in logits_over(model, source, damage, execution, rank=rank(), world=size())
    ]
    damage.close()
    parts = [part for process in gathered(mine) for part in process]
    damaged = [item for process in gathered(damage.damaged) for item in process.items()]
    if not parts:
        raise CompoundError("not one image could be read; check the paths and the files")
    probabilities, labels, indices, energies = (torch.cat(column) for column in zip(*parts, strict=True))
    order = indices.argsort()
    kind = SeveralLabels if labels.ndim == 2 else Evaluation
    return kind(classes, probabilities[order], labels[order], indices[order], damaged, energies[order])

"""`compound predict --coverage`: for each photo the classes among which the right one is, with a chosen probability."""

from collections.abc import Sequence
from os import fspath
from typing import TYPE_CHECKING

from compound.errors import UsageError
from compound.verbs.given import Place, Say, heard, paths, silent
from compound.verbs.predict import Predicted, runtime_of

if TYPE_CHECKING:
    from compound.execution import Execution


@heard
def predict_sets(
    run: Place,
    images: Place | Sequence[Place],
    coverage: float,
    *,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> Predicted:
    """Predict sets of classes, the most probable first, by conformal prediction (`compound.nn.conformal`).

    Args:
        run: a run that held images out, which the sets are fitted on.
        images: files, folders or patterns.
        coverage: how often the right class shall be in its set, such as 0.9.
        execution: where it runs. say: told of how many images the guarantee rests on.

    Raises `UsageError` for what is no run, and where too few images were held out.
    """
    from dataclasses import replace

    import torch

    from compound.deploy import find_images
    from compound.deploy import predict as run_prediction
    from compound.deploy.predict import FEW
    from compound.evaluation import evaluate
    from compound.nn import load_weights
    from compound.nn.conformal import fit_sets
    from compound.training.judging import data_of_run, run_of

    found, owner, running = find_images(paths(images)), run_of(fspath(run)), execution or FEW
    if owner is None:
        raise UsageError(f"--coverage rests on the held-out images of a run, and {run} is none; give a run directory")
    net, described = load_weights(fspath(run), several=True)
    if described.several:
        raise UsageError(f"--coverage needs one label an image, and {run} knows several; leave it out")
    data, _ = data_of_run(owner)
    if not len(data.holdout):
        raise UsageError(f"{run} held no image out, and --coverage rests on these; train with e.g. --holdout 0.1")
    held = evaluate(net, data.holdout, data.classes, running)
    sets = fit_sets(held.probabilities, held.labels, coverage)
    say(
        f"sets hold the right class of {coverage:.0%} of such photos as the {sets.images:,} held-out images are, "
        "by which they were fitted"
    )
    count = len(described.classes)
    predictions, bad = run_prediction(net, described, found, running, top=count)
    named = []
    for one in predictions:
        row = torch.zeros(1, count)
        for index, _, probability in one.classes:
            row[0, index] = probability
        inside = sets.chosen(row)[0]
        named.append(replace(one, classes=[each for each in one.classes if inside[each[0]]]))
    return Predicted(named, dict(bad), runtime=runtime_of(net))

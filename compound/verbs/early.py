"""Errors of a training that no image is needed for, raised before any is read."""

from pathlib import Path
from typing import TYPE_CHECKING

from compound.budget import Budget
from compound.errors import UsageError
from compound.network import Network
from compound.scaling import Rule
from compound.verbs.given import Place, check_budget, find_network, find_rule

if TYPE_CHECKING:
    from compound.training import Recipe, Setup


def refuse_early(
    setup: "Setup", recipe: "Recipe | None" = None, out: Place | None = None, network: Network | None = None
) -> None:
    """Raise what a training raises for a device, an output folder, weights or a teacher that cannot be used.

    Local weights are compared with `network`, where that is known; nothing is fetched.
    """
    from compound.nn.hub import refuse_absent
    from compound.nn.weights import refuse_missing_file
    from compound.training.open import refuse_taken

    _ = setup.execution.where
    if out is not None:
        refuse_taken(Path(out), setup.resume)
    for given in (setup.start.weights, setup.start.inherited):
        if given is not None:
            refuse_absent(given)
    if recipe is not None and recipe.teacher is not None:
        teacher = Path(recipe.teacher)
        refuse_missing_file(teacher / "model.safetensors" if teacher.is_dir() else teacher)
    if network is not None and (weights := setup.start.weights) is not None and Path(weights).exists():
        refuse_others(weights, setup.start.of or network)


def refuse_others(weights: Place, network: Network) -> None:
    """Raise `WeightsError` where local weights are not of `network`."""
    from compound.nn import load_weights

    load_weights(Path(weights), network, several=True, to_train=True)


def refuse_early_fit(
    setup: "Setup", baseline: Network | Place | None, rule: Rule | str | None, budget: Budget | None = None
) -> None:
    """`refuse_early` of what `compound.fit` takes beside a training."""
    if setup.final is False:
        raise UsageError("--no-final leaves the test images alone, and the report shows some; use compound train")
    if budget is not None:
        check_budget(budget)
    if rule is not None:
        find_rule(rule)
    weights = setup.start.weights
    if baseline is not None:
        refuse_early(setup, network=find_network(baseline))
    elif weights is not None and Path(weights).exists():
        named_by(weights)


def named_by(weights: str | Path) -> Network:
    """The network that `weights` say they are of. Raises `UsageError` where they do not."""
    from compound.nn import load_weights
    from compound.nn.weights import Unnamed

    try:
        return load_weights(weights, several=True)[1].network
    except Unnamed as error:
        raise UsageError(error.with_remedy("--baseline ")) from None

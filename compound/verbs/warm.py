"""`compound plan --weights`: what given weights become within a budget, before anything is trained."""

from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Any

from compound.budget import Budget, Plan, fit_budget
from compound.cost import CONVENTION, cost, cost_fields
from compound.errors import BudgetError, UsageError
from compound.network import Network
from compound.quantity import limit_text
from compound.scaling import RULES, Rule
from compound.verbs.given import Place, Say, check_budget, find_network, heard, silent
from compound.verbs.plan import plan, plan_text


@dataclass(frozen=True)
class WarmPlan:
    """The network `given`, of which there are weights, and `network`, which `compound.fit` would train from them.

    `plan` and `rule` are None where `auto` found weights whose network is within the budget as it is. `learned` are
    the channels of the images that the weights were trained on: of others, the first layer is adapted.
    """

    weights: str
    given: Network
    network: Network
    budget: Budget
    learned: int
    plan: Plan | None = None
    rule: str | None = None

    @property
    def whole(self) -> bool:
        """Whether every layer starts from weights as they are, apart from a classifier of other classes."""
        return (self.given.stem, self.given.stages, self.given.head) == (
            self.network.stem, self.network.stages, self.network.head,
        )  # fmt: skip

    @property
    def adapted(self) -> bool:
        """Whether the first layer is made for other channels."""
        return self.learned != self.network.channels

    def to_json(self) -> dict[str, Any]:
        counted = {"budget": self.budget.limits()} | cost_fields(self.network, cost(self.network))
        start = {"network": self.given.name, "resolution": self.given.resolution, "params": cost(self.given).params}
        told = {"weights": self.weights, "start": start, "rule": self.rule, "inherited": self.inherited()}
        return (self.plan.to_json() if self.plan else counted) | told

    def inherited(self) -> dict[str, Any]:
        """Whether all layers start from weights as they are, and in how many of their blocks there are some."""
        both = zip(self.given.stages, self.network.stages, strict=True)
        return {
            "layers": ("all but the first" if self.adapted else "all") if self.whole else "what fits",
            "blocks": sum(min(before.layers, after.layers) for before, after in both),
            "of_blocks": sum(stage.layers for stage in self.given.stages),
        }


@heard
def plan_weights(
    weights: Place,
    budget: Budget,
    network: Network | Place | None = None,
    rule: Rule | str | None = None,
    *,
    classes: int | None = None,
    channels: int | None = None,
    say: Say = silent,
) -> WarmPlan:
    """What `compound.fit` trains from `weights` within a budget, and what of them it keeps: the same choice.

    Args:
        weights: a run, a file, a published name, or `auto`: the most accurate published ones whose network is within
            the budget, or those of `network`.
        budget: limits, as for `compound.plan`.
        network: what the weights are of; needed for another library's file.
        rule: how the network is scaled; by default `default_rule`.
        classes, channels: those of the images; by default the network's.
        say: told which weights `auto` found, and what `compound.plan` says.

    Published weights are not fetched. Raises `BudgetError` where nothing fits, `compound.nn.weights.WeightsError`
    for weights that are not the network's, `compound.nn.carrying.InheritError` where the scaled network cannot take
    them.
    """
    from compound.nn.choice import AUTO
    from compound.nn.hub import network_of
    from compound.nn.inherit import check_kinds, check_operators
    from compound.nn.weights import Unnamed

    check_budget(budget)
    if weights == AUTO and network is None:
        return _best(budget, classes, channels, say)
    try:
        held = network_of(fspath(weights), None if network is None else find_network(network))
    except Unnamed as error:
        raise UsageError(error.with_remedy("compound plan ", f" --weights {weights}")) from None
    start = find_network(held if network is None else network, classes, channels)
    chosen = rule or default_rule(start, budget)
    found = plan(start, budget, chosen, say=say)
    done = WarmPlan(fspath(weights), start, found.network, budget, held.channels, found, str(chosen))
    if not done.whole:
        check_kinds(start, found.network)
        check_operators(start, found.network)
    return done


@dataclass(frozen=True)
class _Images:
    """What a network is counted for where there are no images yet."""

    classes: range
    channels: int


def _best(budget: Budget, classes: int | None, channels: int | None, say: Say) -> WarmPlan:
    """Published weights of the highest accuracy whose network is within the budget."""
    from compound.nn.choice import best_published
    from compound.nn.hub import network_of

    images = None if classes is None and channels is None else _Images(range(classes or 1000), channels or 3)
    choice = best_published(budget, data=images)
    say(choice.text())
    held = network_of(choice.weights).with_(resolution=choice.row.pixels)
    found = find_network(held, classes, channels)
    return WarmPlan(choice.weights, found, found, budget, held.channels)


def default_rule(start: Network, budget: Budget) -> str:
    """How a network that has weights is scaled: `shrink`, its resolution alone, unless that takes it below a stride.

    A resolution changes no weight, while a width that shrinks cuts channels which few photos cannot learn anew. Where
    the limit is of parameters, or the images would have fewer pixels than a position of the last map reads,
    `compound`.
    """
    try:
        resolution = fit_budget(start, budget, RULES["shrink"]).network.resolution
    except BudgetError:
        return "compound"
    return "shrink" if resolution >= start.total_stride else "compound"


def warm_text(found: WarmPlan) -> str:
    """The plan in sentences, and what is inherited."""
    if found.plan is None:
        counted = cost(found.network)
        used = [
            f"{name.replace('_', ' ')}: {limit_text(name, value)} of {limit_text(name, found.budget.limits()[name])}"
            for name, value in found.budget.use(counted).items()
        ]
        sizes = f"params {counted.params:,}, MACs {counted.macs:,}, activations {counted.activations:,}"
        lines = [found.network.table(), "", CONVENTION, sizes, *used]
    else:
        lines = [plan_text(found.plan)]
    before, after, told = found.given, found.network, found.inherited()
    name = Path(found.weights).name if Path(found.weights).exists() else found.weights
    lines.append(f"weights: {name}, of {before.name} at {before.resolution} px")
    if found.whole:
        smaller = f"; only the images change, from {before.resolution} to {after.resolution} px"
        first = " but the first, whose filters become their mean over the channels" if found.adapted else ""
        kept = f"every layer as it is{first}{smaller if after.resolution != before.resolution else ''}"
    else:
        kept = (
            f"{told['blocks']} of {told['of_blocks']} blocks, scaled by {found.rule}; of fewer channels those with the "
            "largest filters stay, more are copies, and a new block begins near the identity"
        )
    lines.append(f"inherited: {kept}; the classifier is new where the classes are")
    return "\n".join(lines)

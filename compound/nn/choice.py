"""`auto`: of all published weights of the zoo's networks the most accurate that fit, among those that can be had here.

Accuracy, test size and source are those of `compound.paper.published`, the table behind `compound plan --published`:
both answer alike where everything can be fetched. Here a network is counted for the user's images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compound.budget import Budget
from compound.errors import BudgetError
from compound.network import Labelled, Network
from compound.nn.fetching import Reach, how_to_fetch, is_cached
from compound.nn.foreign import WeightsError
from compound.nn.weights import same_layers
from compound.paper.published import Published, best_first, published
from compound.quantity import limit_text, short

AUTO = "auto"


@dataclass(frozen=True)
class PublishedChoice:
    """The row of the weights that are taken, and the more accurate one that was wanted and cannot be had, with why."""

    row: Published
    wanted: Published | None = None
    why: str = ""

    @property
    def weights(self) -> str:
        return self.row.weights

    def text(self) -> str:
        """What is taken, before anything is fetched; and how to get what would be better."""
        row = self.row
        there = "in the cache" if is_cached(row.weights) else f"about {short(4 * row.params)}B to fetch"
        said = f"weights {row.weights}: {_accuracy(row)}, {short(row.params)} parameters, {there}"
        if self.wanted is None:
            return said
        return f"{said}; {self.wanted.weights} has {_accuracy(self.wanted)}, but {self.why}: {_remedy(self.wanted)}"


def best_published(
    budget: Budget | None = None, network: Network | None = None, data: Labelled | None = None
) -> PublishedChoice:
    """The published weights of the highest ImageNet accuracy within `budget`, or of `network`, that can be had.

    With `data`, what is within the budget is the network for that data, at the size that it was tested at. Of
    `network` the accuracies at the sizes nearest to its own count. Nothing is fetched, but hosts are asked whether
    they have what is not in a cache. Raises `WeightsError` with the name of what would have been taken, and how it is
    to be had.
    """
    rows = best_first(published() if network is None else _of(network))
    reach, beyond = Reach(), []
    wanted, why = None, ""
    for row in rows:
        share = _used_share(row, budget, data) if budget is not None else 0.0
        if share > 1:
            beyond.append((share, row))
            continue
        missing = reach.missing(row.weights)
        if missing is None:
            return PublishedChoice(row, wanted, why)
        if wanted is None:
            wanted, why = row, missing
    what = f"of {network.name}" if network is not None else "within the budget"
    near = _nearest(beyond, budget, data, reach) if budget is not None else ""
    if wanted is None:
        raise WeightsError(f"there are no published weights {what}; {near or 'give --weights a file or a name'}")
    raise WeightsError(
        f"of the published weights {what} none can be had here; {wanted.weights} would be taken, {_accuracy(wanted)}, "
        f"but {why}: {_remedy(wanted)}; or {near or 'give --weights a file'}"
    )


def _accuracy(row: Published) -> str:
    return f"{row.top1:.1%} of ImageNet at {row.pixels} px by {row.source}".replace("%", " %", 1)


def _remedy(row: Published) -> str:
    return f"where there is a network, {how_to_fetch(row.weights)}"


def _of(network: Network) -> list[Published]:
    """All weights of `network`'s layers, each tested at the size nearest to it."""
    known: dict[str, Published] = {}
    for row in published():
        if not same_layers(row.sized(), network):
            continue
        before = known.get(row.weights)
        if before is None or _apart(row, network) < _apart(before, network):
            known[row.weights] = row
    return list(known.values())


def _apart(row: Published, network: Network) -> int:
    return abs(row.pixels - network.resolution)


def _sized(row: Published, data: Labelled | None) -> Network:
    return row.sized().for_data(data) if data else row.sized()


def _used_share(row: Published, budget: Budget, data: Labelled | None) -> float:
    """The largest share of a limit that the network uses; infinite where the device's table has no time of it."""
    share = None if data else row.share(budget.limits())
    if share is not None:
        return share
    try:
        return max(budget.shares(budget.cost(_sized(row, data))).values())
    except BudgetError:
        return math.inf


def _nearest(beyond: Sequence[tuple[float, Published]], budget: Budget, data: Labelled | None, reach: Reach) -> str:
    """Of weights beyond `budget`, with the share they use, those that are the least so and can be had, and how they
    come within it."""
    least_first = sorted(beyond, key=lambda one: (one[0], -one[1].top1))
    rows = (row for share, row in least_first if share < math.inf and reach.missing(row.weights) is None)
    row = next(rows, None)
    if row is None:
        return ""
    used = budget.use(budget.cost(_sized(row, data)))
    needed = ", ".join(
        f"{limit.replace('_', ' ')} {limit_text(limit, used[limit])} of {limit_text(limit, most)}"
        for limit, most in budget.limits().items()
    )
    return (
        f"the nearest, {row.weights} at {row.pixels} px, take {needed}; with --weights {row.weights} and the same "
        "budget their network is scaled down to it, or raise the budget"
    )

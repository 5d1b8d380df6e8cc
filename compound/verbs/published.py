"""`compound plan --published`: the most accurate published weights within a budget."""

from dataclasses import asdict, dataclass
from typing import Any

from compound.budget import Budget, Plan
from compound.errors import BudgetError
from compound.network import Network
from compound.paper.published import Published, best_first, front, published
from compound.quantity import limit_text
from compound.scaling import Rule
from compound.verbs.given import Say, silent
from compound.verbs.plan import plan

COLUMNS = ("macs", "params", "activations", "memory")  # limits that the table itself answers
LISTED = 15  # rows that are printed; JSON has them all


@dataclass(frozen=True)
class PublishedPlan:
    """Published weights within `budget`, the most accurate first, and what `baseline` scales to within it."""

    budget: Budget
    within: tuple[Published, ...]
    baseline: Plan | None

    @property
    def cost(self) -> str:
        """The column that the front is drawn against: the first limit that is a column, else multiply-adds."""
        return next((name for name in self.budget.limits() if name in COLUMNS), "macs")

    def to_json(self) -> dict[str, Any]:
        return {
            "budget": self.budget.limits(),
            "published": [asdict(row) | {"other_size": row.other_size} for row in self.within],
            "front": [row.weights for row in front(self.within, self.cost)],
            "baseline": self.baseline.to_json() if self.baseline else None,
        }


def plan_published(
    budget: Budget, network: Network | None = None, rule: Rule | str = "compound", *, say: Say = silent
) -> PublishedPlan:
    """All published weights within every limit; a network is counted with its 1,000 classes at the size of its test.

    With `network`, that is scaled to the budget, too. Raises `BudgetError` where no weights are within the budget, or
    not even the smallest scaled `network`.
    """
    within = best_first(row for row in published() if _fits(row, budget))
    if not within:
        limits = ", ".join(f"{name} {limit_text(name, limit)}" for name, limit in budget.limits().items())
        raise BudgetError(f"no published weights fit {limits}; raise the budget, or scale a network down")
    scaled = plan(network, budget, rule, say=say) if network is not None else None
    return PublishedPlan(budget, tuple(within), scaled)


def _fits(row: Published, budget: Budget) -> bool:
    limits = budget.limits()
    if any(getattr(row, name) > limits[name] for name in COLUMNS if name in limits):
        return False
    if limits.keys() <= set(COLUMNS):
        return True
    try:
        return budget.admits(budget.cost(row.sized()))
    except BudgetError:  # the device's table has no time of a unit of it
        return False


def published_text(found: PublishedPlan) -> str:
    """The most accurate weights, the front, and the scaled baseline beside them."""
    head = f"{'weights':<52} {'top-1':>6} {'px':>4} {'params':>8} {'MACs':>8}  source"
    lines = ["Top-1 on ImageNet's validation images, as published; * at another size than the network's own.", "", head]
    lines += [_line(row) for row in found.within[:LISTED]]
    if len(found.within) > LISTED:
        lines.append(f"and {len(found.within) - LISTED} more (--json lists all)")
    best = front(found.within, found.cost)
    lines += ["", f"The front of accuracy and {found.cost}, from cheap to dear:", *(_line(row) for row in best)]
    if found.baseline is not None:
        scaled, counted = found.baseline.network, found.baseline.cost
        lines += ["", f"{scaled.name}, scaled to the same budget and yet to be trained:"]
        lines.append(
            f"{'':<52} {'?':>6} {scaled.resolution:>4} {counted.params / 1e6:>7.2f}M {counted.macs / 1e9:>7.3f}G"
        )
    lines += ["", f"start from the first with: --weights {found.within[0].weights}"]
    return "\n".join(lines)


def _line(row: Published) -> str:
    mark = "*" if row.other_size else " "
    return (
        f"{row.weights:<52} {row.top1:>6.2%} {row.pixels:>3}{mark} {row.params / 1e6:>7.2f}M {row.macs / 1e9:>7.3f}G  "
        f"{row.source}"
    )

"""`compound plan --published`: the most accurate published weights within a budget."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compound.budget import Budget, Plan
from compound.cost import cost_fields
from compound.errors import BudgetError
from compound.files import ending
from compound.network import Network
from compound.paper.published import Published, best_first, front, published
from compound.quantity import limit_text, short
from compound.scaling import Rule
from compound.verbs.given import Place, Say, silent
from compound.verbs.plan import plan

# Limits that are columns of the table, and what they are called.
COLUMNS = {"macs": "MACs", "params": "params", "activations": "activations", "memory": "memory"}
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
    share = row.share(budget.limits())
    if share is not None:
        return share <= 1
    try:
        return budget.admits(budget.cost(row.sized()))
    except BudgetError:  # the device's table has no time of a unit of it
        return False


def published_text(found: PublishedPlan) -> str:
    """The most accurate weights, the front, and the scaled baseline beside them."""
    listed, best = found.within[:LISTED], front(found.within, found.cost)
    width = max(len(row.weights) for row in (*listed, *best))
    more = len(found.within) - len(listed)
    lines = ["Top-1 on ImageNet's validation images, as published; * at another size than the network's own.", ""]
    lines += [_head(width, found.cost), *(_line(row, width, found.cost) for row in listed)]
    lines += [f"and {more} more (--json lists all)"] if more else []
    lines += ["", f"The front of accuracy and {COLUMNS[found.cost]}, from cheap to dear:"]
    lines += [_head(width, found.cost), *(_line(row, width, found.cost) for row in best)]
    if found.baseline is not None:
        scaled = found.baseline.network
        counted = cost_fields(scaled, found.baseline.cost)
        costs = _costs(counted["params"], counted["macs"], counted[found.cost], found.cost)
        lines += ["", f"{scaled.name}, scaled to the same budget and yet to be trained:"]
        lines.append(f"{'':<{width}} {'?':>7} {scaled.resolution:>5}  {costs}")
    sources = " and ".join(sorted({row.source for row in (*listed, *best)}))
    lines += ["", f"accuracy from {sources}; cost counted here"]
    lines.append(f"start from the first with: --weights {found.within[0].weights}")
    return "\n".join(lines)


def draw_published(found: PublishedPlan, out: Place) -> Path:
    """Accuracy against what the budget limits, else multiply-adds, as an .svg or .png: all within it, and the front."""
    from compound.reporting.cost_figures import AXES, CostName, Curve, Point, accuracy_plot
    from compound.reporting.picture import FILES, write_picture

    path = Path(out)
    ending(path, FILES, "picture")
    cost: CostName = "params" if found.cost == "params" else "macs"

    def points(rows: Sequence[Published]) -> list[Point]:
        return [Point("", row.macs, row.params, row.top1, row.top1, row.top1) for row in rows]

    curves = [Curve("the front", points(front(found.within, cost)), strong=True)]
    curves.append(Curve("published within the budget", points(found.within), joined=False))
    title = f"Published weights within the budget, against {AXES[cost]}"
    return write_picture(accuracy_plot("published", curves, cost, title, "", (700, 420)), path)


def _head(width: int, cost: str) -> str:
    more = f" {COLUMNS[cost]:>11}" if cost in ("activations", "memory") else ""
    return f"{'weights':<{width}} {'top-1':>7} {'px':>5}  {'params':>7} {'MACs':>7}{more}"


def _line(row: Published, width: int, cost: str) -> str:
    costs = _costs(row.params, row.macs, getattr(row, cost), cost)
    return f"{row.weights:<{width}} {row.top1:>7.2%} {row.pixels:>5}{'*' if row.other_size else ' '} {costs}"


def _costs(params: float, macs: float, limited: float, cost: str) -> str:
    """Parameters, multiply-adds, and what the budget limits where it is neither."""
    more = f" {short(limited):>11}" if cost in ("activations", "memory") else ""
    return f"{short(params):>7} {short(macs):>7}{more}"

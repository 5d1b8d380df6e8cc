"""The published variants beside what the formula gives (`compound scale efficientnet-b0 --published`)."""

from typing import Any

from compound.budget import Budget, fit_budget
from compound.cost import CONVENTION, Cost, cost
from compound.errors import UsageError
from compound.network import Network
from compound.scaling import Rule, scale
from compound.zoo import ZOO
from compound.zoo.efficientnet import PRINTED, PUBLISHED


def published_gap(baseline: Network, rule: Rule) -> tuple[dict[str, Any], str]:
    """Each published variant, the formula at the φ of its number, and the φ at which the formula costs the same."""
    if baseline.name not in PUBLISHED:
        raise UsageError(f"{baseline.name} has no published variants; use {' or '.join(PUBLISHED)}")
    rows, lines = [], [CONVENTION, HEADER]
    for number, (name, (width, depth, resolution, _)) in enumerate(PUBLISHED[baseline.name].items()):
        real = cost(ZOO[name].with_(classes=baseline.classes, channels=baseline.channels))
        formula = scale(baseline, rule(number))
        counted = cost(formula)
        factors = rule(number)
        equal = fit_budget(baseline, Budget(macs=real.macs), rule).phi if number else 0.0
        printed = PRINTED.get(name, ("", ""))
        rows.append(
            {
                "name": name,
                "published": {
                    "depth": depth,
                    "width": width,
                    "resolution": resolution,
                    "params": real.params,
                    "macs": real.macs,
                },
                "printed": {"params": printed[0], "flops": printed[1]},
                "formula": {
                    "phi": number,
                    "depth": factors.depth,
                    "width": factors.width,
                    "resolution": formula.resolution,
                    "params": counted.params,
                    "macs": counted.macs,
                },
                "phi_of_equal_macs": equal,
            }
        )
        lines.append(
            f"{name:<18} {depth:>5.2f} {width:>5.2f} {resolution:>4} {figures(real)} {printed[1]:>6}"
            f" | {number:>2} {factors.depth:>5.2f} {factors.width:>5.2f} {formula.resolution:>4} {figures(counted)}"
            f" {counted.macs / real.macs - 1:>+7.1%} | {equal:>6.3f}"
        )
    lines.append("φ= : the largest φ whose net counts no more MACs than the published one")
    return {"name": baseline.name, "variants": rows}, "\n".join(lines)


def figures(counted: Cost) -> str:
    return f"{counted.params / 1e6:>7.2f}M {counted.macs / 1e9:>8.3f}G"


HEADER = (
    f"{'published':<18} {'d':>5} {'w':>5} {'px':>4} {'params':>8} {'MACs':>9} {'print':>6}"
    f" | {'φ':>2} {'d':>5} {'w':>5} {'px':>4} {'params':>8} {'MACs':>9} {'gap':>7} | {'φ=':>6}"
)

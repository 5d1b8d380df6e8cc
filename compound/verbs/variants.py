"""The published variants of a baseline beside what the formula gives (`compound scale efficientnet-b0 --published`)."""

from dataclasses import dataclass
from typing import Any

from compound.budget import Budget, fit_budget
from compound.cost import CONVENTION, Cost, cost
from compound.errors import UsageError
from compound.network import Network
from compound.scaling import Rule, Scaling, scale
from compound.verbs.given import Place, find_rule, network_to_count
from compound.zoo import ZOO
from compound.zoo.efficientnet import PRINTED, PUBLISHED


@dataclass(frozen=True)
class PublishedVariant:
    """A published network, what the paper prints of it (Table 2), and the formula at the φ of its number."""

    network: Network
    published: Scaling  # the factors that it was built by
    counted: Cost
    printed: tuple[str, str]  # parameters and FLOPS, empty where none are printed
    phi: int
    formula: Network
    factors: Scaling
    formula_counted: Cost
    equal_phi: float  # the largest φ whose net counts no more multiply-adds than the published one

    def to_json(self) -> dict[str, Any]:
        published, factors, real, formula = self.published, self.factors, self.counted, self.formula_counted
        return {
            "name": self.network.name,
            "published": {
                "depth": published.depth,
                "width": published.width,
                "resolution": self.network.resolution,
                "params": real.params,
                "macs": real.macs,
            },
            "printed": {"params": self.printed[0], "flops": self.printed[1]},
            "formula": {
                "phi": self.phi,
                "depth": factors.depth,
                "width": factors.width,
                "resolution": self.formula.resolution,
                "params": formula.params,
                "macs": formula.macs,
            },
            "phi_of_equal_macs": self.equal_phi,
        }


def published_variants(network: Network | Place, rule: Rule | str = "compound") -> list[PublishedVariant]:
    """The gap between a family as it was published and Equation 3, network by network, in classes and channels of
    `network`.

    Raises `UsageError` for a baseline that has no published variants.
    """
    baseline, line = network_to_count(network), find_rule(rule)
    if baseline.name not in PUBLISHED:
        raise UsageError(f"{baseline.name} has no published variants; use {' or '.join(PUBLISHED)}")
    found = []
    for phi, (name, (width, depth, resolution, _)) in enumerate(PUBLISHED[baseline.name].items()):
        real = ZOO[name].with_(classes=baseline.classes, channels=baseline.channels)
        formula, counted = scale(baseline, line(phi)), cost(real)
        equal = fit_budget(baseline, Budget(macs=counted.macs), line).phi if phi else 0.0
        built = Scaling(depth, width, resolution / baseline.resolution)
        printed = PRINTED.get(name, ("", ""))
        found.append(PublishedVariant(real, built, counted, printed, phi, formula, line(phi), cost(formula), equal))
    return found


def variants_text(variants: list[PublishedVariant]) -> str:
    lines = [
        f"{each.network.name:<18} {each.published.depth:>5.2f} {each.published.width:>5.2f} "
        f"{each.network.resolution:>4} {_figures(each.counted)} {each.printed[1]:>6}"
        f" | {each.phi:>2} {each.factors.depth:>5.2f} {each.factors.width:>5.2f} {each.formula.resolution:>4} "
        f"{_figures(each.formula_counted)} {each.formula_counted.macs / each.counted.macs - 1:>+7.1%}"
        f" | {each.equal_phi:>6.3f}"
        for each in variants
    ]
    last = "φ= : the largest φ whose net counts no more MACs than the published one"
    return "\n".join([CONVENTION, HEADER, *lines, last])


def _figures(counted: Cost) -> str:
    return f"{counted.params / 1e6:>7.2f}M {counted.macs / 1e9:>8.3f}G"


HEADER = (
    f"{'published':<18} {'d':>5} {'w':>5} {'px':>4} {'params':>8} {'MACs':>9} {'print':>6}"
    f" | {'φ':>2} {'d':>5} {'w':>5} {'px':>4} {'params':>8} {'MACs':>9} {'gap':>7} | {'φ=':>6}"
)

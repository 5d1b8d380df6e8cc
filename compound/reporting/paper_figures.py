"""Figures of the paper from what is printed and counted: 1, 2, 5 and 8. No training is needed."""

from collections.abc import Callable, Sequence

from compound.errors import UsageError
from compound.network import Network
from compound.paper import PaperLine, table
from compound.reporting.cost_figures import CostName, Curve, Point, accuracy_plot
from compound.reporting.drawing import CAPTION, Drawing
from compound.reporting.picture import Picture, Plot
from compound.scaling import RULES, Rule, Scaling, scale

FAMILY = "EfficientNet"
WAYS = ("width", "depth", "resolution")  # as Figure 2 orders them
EXCHANGED = "Single dimensions count 12 to 19 % less than the compound network that print calls equal to them."


def paper_figure(number: int, networks: Sequence[Network], phi: float, rule: Rule) -> Picture:
    """A figure without a study. Raises `UsageError` for those whose curves the paper prints no numbers for."""
    if number == 2:
        return figure_2(networks, phi, rule)
    if number not in PRINTED:
        raise UsageError(
            f"the paper prints no numbers for figure {number}: name a study (figures 1, 3, 4, 5, 6 and 8), "
            "or ask for figure 1, 2, 5 or 8, which need none"
        )
    return PRINTED[number]()


def figure_1() -> Plot:
    return _imagenet(1, "params", "Model size against ImageNet accuracy")


def figure_5() -> Plot:
    return _imagenet(5, "macs", "Multiply-adds against ImageNet accuracy")


def _imagenet(number: int, cost: CostName, title: str) -> Plot:
    """Table 2: EfficientNets joined, every other network a point."""
    family: list[Point] = []
    others: list[Point] = []
    for line in table(2).lines:
        point = _point(line, line.label.removeprefix(f"{FAMILY}-"))
        if point.macs and point.params:
            (family if line.label.startswith(FAMILY) else others).append(point)
    curves = [Curve(FAMILY, family, True), Curve("other ConvNets of Table 2", others, joined=False)]
    caption = (
        f"Figure {number}: top-1 accuracy as printed in Table 2, cost as counted here at the resolution of print. "
        "Networks to the left reach the same accuracy with less."
    )
    return accuracy_plot(f"figure-{number}", curves, cost, title, caption, (680, 440))


def figure_8() -> Plot:
    """Table 7: what print gives of Figure 8, each way's last network."""
    baseline, *scaled = [_point(line, line.label) for line in table(7).lines]
    start = baseline._replace(label="")
    curves = [Curve(p.label, [start, p._replace(label="")], p.label == "compound") for p in reversed(scaled)]
    caption = f"Figure 8, of which print gives the ends (Table 7): printed accuracy, counted multiply-adds. {EXCHANGED}"
    return accuracy_plot("figure-8", curves, "macs", "EfficientNet-B0 scaled by different ways", caption, (620, 400))


def figure_2(networks: Sequence[Network], phi: float, rule: Rule) -> Drawing:
    """One network: it, wider, deeper, of higher resolution, and all three; several: each as it is."""
    if len(networks) > 1:
        return Drawing(tuple(networks), "figure-2", "Networks to scale")
    (one,) = networks
    ways = [(way, RULES[way](phi)) for way in WAYS] + [("compound", rule(phi))]
    drawn = [one.with_(name=f"(a) baseline: {one.name}")]
    for letter, (way, factors) in zip("bcde", ways, strict=True):
        drawn.append(scale(one, factors).with_(name=f"({letter}) {way}: {_factors(factors)}"))
    caption = (
        f"Figure 2 of {one.name}: each way has about {2**phi:.3g} times the baseline's cost (φ {phi:g}). {CAPTION}"
    )
    return Drawing(tuple(drawn), "figure-2", "Ways of scaling", caption)


PRINTED: dict[int, Callable[[], Plot]] = {1: figure_1, 5: figure_5, 8: figure_8}


def _point(line: PaperLine, label: str) -> Point:
    accuracy = float(line.printed["top1"]) / 100
    macs, params = float(line.macs.counted or 0), float(line.params.counted or 0)
    return Point(label, macs, params, accuracy, accuracy, accuracy)


def _factors(factors: Scaling) -> str:
    named = {"d": factors.depth, "w": factors.width, "r": factors.resolution}
    return ", ".join(f"{name} {value:.3g}" for name, value in named.items() if value != 1)

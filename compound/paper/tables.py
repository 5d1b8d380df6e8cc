"""Tables 1 to 5 and 7 of the paper (Tan & Le 2019), computed.

The printed figures are the CSV files beside this one; `networks.csv` says which network of the zoo a printed name
stands for and at which resolution, `reasons.csv` why print and count part by more than `TOLERANCE`.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from compound.cost import Cost, cost, stage_costs
from compound.errors import UsageError
from compound.network import Network
from compound.scaling import Scaling, scale
from compound.zoo import ZOO

TOLERANCE = 0.02
UNITS = {"M": 1e6, "B": 1e9}
ROUNDED = "the same number with as few digits as are printed"


@dataclass(frozen=True)
class Figure:
    """A number as printed, such as `5.3M` (empty where nothing is), and as counted."""

    printed: str = ""
    counted: int | None = None

    @property
    def deviation(self) -> float | None:
        """Counted over printed, less one."""
        if not self.printed or self.counted is None:
            return None
        return self.counted / (float(self.printed[:-1]) * UNITS[self.printed[-1]]) - 1

    @property
    def rounds(self) -> bool:
        """Whether the count, with as many digits as print has, is what is printed."""
        if not self.printed or self.counted is None:
            return True
        digits = len(self.printed[:-1].partition(".")[2])
        return round(self.counted / UNITS[self.printed[-1]], digits) == float(self.printed[:-1])

    @property
    def parts(self) -> bool:
        """Whether print and count part by more than the tolerance."""
        return self.deviation is not None and abs(self.deviation) > TOLERANCE


@dataclass(frozen=True)
class PaperLine:
    """A printed row, and the same row counted; ratios are to the EfficientNet of equal accuracy (Table 2)."""

    label: str
    printed: dict[str, str]
    network: str = ""
    resolution: int | None = None
    params: Figure = Figure()
    macs: Figure = Figure()
    params_ratio: float | None = None
    macs_ratio: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper."""

    number: int
    title: str
    lines: tuple[PaperLine, ...]


@lru_cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a CSV file in this room."""
    text = files("compound.paper").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def find(model: str) -> Network:
    """The network a printed name stands for, at the resolution it was evaluated at."""
    for row in rows("networks"):
        if row["model"] == model:
            return ZOO[row["network"]].with_(resolution=int(row["resolution"]))
    return ZOO[model]


@lru_cache
def counted(network: Network) -> Cost:
    return cost(network)


def line(number: int, label: str, printed: dict[str, str], network: Network, params: Figure, macs: Figure) -> PaperLine:
    """A line with the reasons of its deviations."""
    known = {(r["row"], r["quantity"]): r["reason"] for r in rows("reasons") if r["table"] == str(number)}
    figures = (("params", params), ("macs", macs))
    reasons = [ROUNDED if figure.rounds else known[label, name] for name, figure in figures if figure.parts]
    return PaperLine(
        label, printed, network.name, network.resolution, params, macs, reasons=tuple(dict.fromkeys(reasons))
    )


def table_1() -> Iterator[PaperLine]:
    """EfficientNet-B0 by stage, with the resolution a stage receives; the paper numbers the stem 1."""
    network = ZOO["efficientnet-b0"]
    blocks = {row.stage: row for row in reversed(network.blocks())}
    stages = (network.stem, *network.stages)
    described = [(stage.channels, stage.layers) for stage in stages] + [(network.head.channels, 1)]
    for number, one in enumerate(stage_costs(network).values()):
        printed = rows("table1_efficientnet_b0")[number]
        pixels, (channels, layers) = blocks[number].input[1], described[number]
        ours, theirs = (pixels, channels, layers), tuple(int(printed[n]) for n in ("resolution", "channels", "layers"))
        reasons = () if ours == theirs else (f"resolution, channels and layers are {ours} here",)
        label = f"{printed['stage']} {printed['operator']} to {printed['channels']}, {printed['layers']} layers"
        params, macs = Figure(counted=one.params), Figure(counted=one.macs)
        yield PaperLine(label, printed, network.name, pixels, params, macs, reasons=reasons)


def table_2() -> Iterator[PaperLine]:
    """Groups of equal accuracy, each begun by its EfficientNet."""
    leader = Cost(params=1, macs=1)
    for printed in rows("table2_imagenet"):
        network = find(printed["model"])
        count = counted(network)
        leader = count if printed["model"].startswith("EfficientNet") else leader
        params, macs = Figure(printed["params"], count.params), Figure(printed["flops"], count.macs)
        found = line(2, printed["model"], printed, network, params, macs)
        yield replace(found, params_ratio=count.params / leader.params, macs_ratio=count.macs / leader.macs)


def scaled(number: int, label: str, printed: dict[str, str], baseline: Network) -> PaperLine:
    """A row of one scaling; the compound rows that print no factors cannot be counted."""
    if not printed["depth"]:
        return PaperLine(
            label, printed, baseline.name, macs=Figure(printed["flops"]), reasons=("print gives no factors",)
        )
    factors = Scaling(float(printed["depth"]), float(printed["width"]), float(printed["resolution"]))
    network = scale(baseline, factors)
    count = counted(network)
    return line(number, label, printed, network, Figure(counted=count.params), Figure(printed["flops"], count.macs))


def table_3() -> Iterator[PaperLine]:
    for printed in rows("table3_scaling_other_networks"):
        yield scaled(3, f"{printed['network']} {printed['scaling']}", printed, find(printed["network"]))


def table_4() -> Iterator[PaperLine]:
    for printed in rows("table4_cpu_latency"):
        network = find(printed["model"])
        count = counted(network)
        params, macs = Figure(counted=count.params), Figure(counted=count.macs)
        yield line(4, f"{printed['model']}, {printed['latency_s']} s", printed, network, params, macs)


def table_5() -> Iterator[PaperLine]:
    """Parameters without the classifier, as every printed figure is; each network once."""
    printed = (*rows("table5_transfer_public"), *rows("table5_transfer_reported"))
    figures = [(row["model"], row["params"]) for row in printed]
    figures += [(row["baseline"], row["baseline_params"]) for row in printed]
    for model, params in sorted({figure for figure in figures if figure[1]}):
        network = find(model)
        *_, head = network.blocks()
        last = head.trace.steps[-1]
        bare = counted(network).params - last.operator.params(head.trace.shapes[last.inputs[0]])
        yield line(5, model, {"params": params}, network, Figure(params, bare), Figure())


def table_7() -> Iterator[PaperLine]:
    for printed in rows("table7_scaled_b0"):
        yield scaled(7, printed["scaling"], printed, ZOO["efficientnet-b0"])


TABLES: dict[int, tuple[str, Callable[[], Iterator[PaperLine]]]] = {
    1: ("EfficientNet-B0, stage by stage", table_1),
    2: ("ImageNet: EfficientNet and networks of equal accuracy", table_2),
    3: ("Scaling up MobileNets and ResNet", table_3),
    4: ("The networks whose CPU latency is compared", table_4),
    5: ("Transfer: parameters without classifier", table_5),
    7: ("EfficientNet-B0 scaled by one dimension and by all", table_7),
}
UNCOUNTED = {
    6: "of the data sets of transfer (compound data check NAME)",
    8: "of accuracies on ImageNet's validation and test images (compound predict --submission)",
}


def table(number: int) -> PaperTable:
    """A table of the paper, computed; raises `UsageError` for one with nothing to count."""
    if number not in TABLES:
        use = f"use {', '.join(map(str, TABLES))}"
        if number in UNCOUNTED:
            raise UsageError(f"table {number} has no networks to count, it is {UNCOUNTED[number]}; {use}")
        raise UsageError(f"the paper has no table {number}; {use}")
    title, lines = TABLES[number]
    return PaperTable(number, title, tuple(lines()))

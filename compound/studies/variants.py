"""From a plan to the networks of a study. Nothing here needs torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import product
from pathlib import Path

from compound.cost import cost
from compound.errors import UsageError
from compound.latency import DeviceTable, call_seconds
from compound.mapping import nearest
from compound.network import Network
from compound.notation import load_network
from compound.scaling import RULES, CompoundRule, Rule, Scaling, load_rule, scale
from compound.studies.equal import TOLERANCE, equal_cost
from compound.studies.plan import GIVEN, PlanRow, StudyPlan, values
from compound.studies.result import Variant
from compound.zoo import ZOO

BASELINE = "baseline"


@dataclass(frozen=True)
class PlannedNetwork:
    """A row's network before it has a name."""

    row: PlanRow
    network: Network
    scaling: Scaling


@dataclass(frozen=True)
class Layout:
    """A plan for one baseline: `variants` in the plan's order, and their networks by variant name.

    `ratio` is what the costs of the plan are powers of, `rule` what the plan calls "given", `table` the device whose
    latency is predicted.
    """

    plan: StudyPlan
    baseline: Network
    ratio: float = 4.0
    rule: Rule = field(default_factory=CompoundRule)
    table: DeviceTable | None = None

    def __post_init__(self) -> None:
        if not (self.ratio > 0 and self.ratio != 1 and self.ratio < 1e4):
            raise UsageError(f"ratio {self.ratio:g} compares nothing; use e.g. 4 for four times the multiply-adds")

    @cached_property
    def networks(self) -> dict[str, Network]:
        return {variant.name: network for variant, network in self._made[0]}

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        return tuple(variant for variant, _ in self._made[0])

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the plan could not be had as it stands there."""
        return self._made[1]

    @cached_property
    def _made(self) -> tuple[list[tuple[Variant, Network]], tuple[str, ...]]:
        rows = [row for row in self.plan.rows if self.table or row.measure != "latency"]
        levels, apart = self._solved(rows)
        made: list[tuple[Variant, Network]] = []
        notes = [] if len(rows) == len(self.plan.rows) else ["equal latency is left out: it needs a --device FILE"]
        seen: dict[tuple[str, Network], str] = {}
        for row in rows:
            for one in [levels[row, power] for power in values(row.power)] if row.solved else self._made_of(row):
                network = one.network.with_(name=self.baseline.name) if row.network is None else one.network
                if (row.group, network) in seen:
                    scaled = factors(one.scaling, row.dimension)
                    notes.append(f"{row.dimension} ({scaled}) is the same net as {seen[row.group, network]}")
                    continue
                variant = self._variant(one, {v.name for v, _ in made})
                seen[row.group, network] = variant.name
                made.append((variant, one.network.with_(name=f"{self.baseline.name} {variant.name}")))
        return made, (*notes, *apart)

    def _solved(self, rows: Sequence[PlanRow]) -> tuple[dict[tuple[PlanRow, float], PlannedNetwork], list[str]]:
        """The rows whose cost is given: those of one group, measure and cost are solved for together.

        And which of them could not be brought to one cost.
        """
        levels: dict[tuple[str, str, float], list[PlanRow]] = {}
        for row in rows:
            for power in values(row.power) if row.solved else ():
                levels.setdefault((row.group, row.measure, power), []).append(row)
        found: dict[tuple[PlanRow, float], PlannedNetwork] = {}
        notes: list[str] = []
        for (_, measure, power), members in levels.items():
            spent = self._spent(measure)
            target = spent(self.baseline) * self.ratio**power
            rules = [self._rule(row) for row in members]
            points = equal_cost(self.baseline, rules, spent, target)
            for row, point in zip(members, points, strict=True):
                found[row, power] = PlannedNetwork(row, point.network, point.scaling)
            notes += unequal(measure, {r.dimension: point.spent for r, point in zip(members, points, strict=True)})
        return found, notes

    def _made_of(self, row: PlanRow) -> Iterator[PlannedNetwork]:
        """The networks of a row whose factors are given."""
        start = self._network(row)
        if row.rule:
            for phi in values(row.phi):
                scaling = self._rule(row)(phi)
                yield PlannedNetwork(row, scale(start, scaling), scaling)
            return
        for triple in product(values(row.depth), values(row.width), values(row.resolution)):
            yield PlannedNetwork(row, scale(start, Scaling(*triple)), Scaling(*triple))

    def _variant(self, one: PlannedNetwork, taken: set[str]) -> Variant:
        counted = cost(one.network)
        begin = one.row.dimension if one.row.network is None else one.network.name
        words = [begin, factors(one.scaling, one.row.dimension)]
        name = " ".join(word for word in words if word)
        name = f"{name}, {one.row.group}" if name in taken else name
        return Variant(
            name=name,
            dimension=one.row.dimension,
            group=one.row.group,
            network=f"networks/{slug(name)}.yaml",
            depth=one.scaling.depth,
            width=one.scaling.width,
            resolution_factor=one.scaling.resolution,
            resolution=one.network.resolution,
            params=counted.params,
            macs=counted.macs,
            latency=self._spent("latency")(one.network) if self.table else None,
        )

    def _spent(self, measure: str) -> Callable[[Network], float]:
        """What a network costs in terms of `measure`."""
        if measure == "macs":
            return macs_of
        assert self.table is not None
        return partial(call_seconds, table=self.table)

    def _rule(self, row: PlanRow) -> Rule:
        name = str(row.rule)
        if name == GIVEN:
            return self.rule
        if name.endswith((".yaml", ".yml")):
            return load_rule(self.plan.folder / name)
        if name not in RULES:
            raise UsageError(f"plan {self.plan.name}: there is no rule {name!r}; {nearest(name, RULES, 'rules')}")
        return RULES[name]

    def _network(self, row: PlanRow) -> Network:
        if row.network is None:
            return self.baseline
        path = Path(row.network)
        found = load_network(self.plan.folder / path) if path.suffix in (".yaml", ".yml") else ZOO[row.network]
        return found.with_(classes=self.baseline.classes, channels=self.baseline.channels)


def unequal(measure: str, costs: dict[str, float]) -> list[str]:
    """What there is to say of nets that could not be brought to one cost; `costs` are theirs by dimension."""
    if max(costs.values()) / min(costs.values()) - 1 <= TOLERANCE:
        return []
    middle = sorted(costs.values())[len(costs) // 2]
    off = [f"{name} {value / middle - 1:+.1%}" for name, value in costs.items() if value != middle]
    return [f"no nets of equal {measure} within {TOLERANCE:.0%}; the nearest differ: {', '.join(off)}"]


@lru_cache(maxsize=4096)
def macs_of(network: Network) -> float:
    return cost(network).macs


def factors(scaling: Scaling, dimension: str) -> str:
    """`d1.2 w1.1`; where `dimension` alone is scaled, the number; nothing where nothing is."""
    scaled = {name: f"{value:.4g}" for name, value in vars(scaling).items() if value != 1}
    return scaled[dimension] if scaled.keys() == {dimension} else " ".join(f"{n[0]}{v}" for n, v in scaled.items())


def slug(name: str) -> str:
    """A file name of a variant's name."""
    words = "".join(letter if letter.isalnum() or letter in ".-" else " " for letter in name).split()
    return "-".join(words)

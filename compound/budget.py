"""Budget → network: the largest net within every limit, solved on counted cost (STEP 2 of Section 3.3).

After rounding, cost is a staircase in φ and not 2^φ (efficientnet-b0 at φ = 1 counts 2.57 times its MACs), so the
knob is bisected on what `cost` counts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from compound.cost import PAPERS, Cost, Upkeep, cost, cost_fields, memory_to_give
from compound.errors import BudgetError, NetworkError, TooLargeError, UsageError
from compound.files import write_json
from compound.latency import DeviceTable, call_seconds
from compound.markup import html_table
from compound.network import Network
from compound.notation import dump_network
from compound.quantity import limit_text
from compound.scaling import CompoundRule, Rule, Scaling, scale

PHI_LOW, PHI_HIGH = -40.0, 40.0
SMALLEST_RESOLUTION = 8  # px; below it no network of the zoo has a map to speak of


NO_LIMITS = ("batch", "upkeep", "device")  # what limits are counted with


@dataclass(frozen=True)
class Budget:
    """Upper limits; None is no limit. Memory is in bytes, latency in seconds of one call on `device`.

    Of several devices each has to answer in time, so that the slowest counts. A predicted latency counts with its
    table's margin, so that nine of ten networks stay within the limit; a training step with the room that it needs
    beside what is counted: where a network is within `training_memory`, a training with that limit has nothing to
    recompute.
    """

    macs: float | None = None
    params: float | None = None
    activations: float | None = None
    memory: float | None = None  # of inference, one image
    training_memory: float | None = None  # of a step of `batch` images at a time, which holds `upkeep`
    latency: float | None = None
    batch: int = 32
    upkeep: Upkeep = PAPERS
    device: DeviceTable | Sequence[DeviceTable] | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits().items():
            if not (math.isfinite(limit) and limit > 0):
                raise UsageError(f"budget {name} {limit} is not a positive number; give e.g. 400M")
        if not self.limits():
            names = ", ".join(f.name for f in fields(self) if f.name not in NO_LIMITS)
            raise UsageError(f"the budget has no limit; give at least one of {names}")
        if (self.latency is None) != (not self.devices):
            missing = "latency" if self.devices else "device table"
            raise UsageError(f"latency and device table go together; give a {missing} too")

    @property
    def devices(self) -> tuple[DeviceTable, ...]:
        """The device, or all of them."""
        return (self.device,) if isinstance(self.device, DeviceTable) else tuple(self.device or ())

    def limits(self) -> dict[str, float]:
        return {n: v for n, v in vars(self).items() if n not in NO_LIMITS and v is not None}

    def cost(self, network: Network) -> Cost:
        """The network's cost, with its latency where there are devices: that of the slowest, margins included."""
        counted = cost(network)
        if not self.devices:
            return counted
        slowest = max(self.latencies(network), key=lambda one: one[1] * (1 + one[0].margin))
        return replace(counted, latency=slowest[1], margin=slowest[0].margin)

    def latencies(self, network: Network) -> list[tuple[DeviceTable, float]]:
        """Predicted seconds of one call on every device, without margins."""
        return [(device, call_seconds(network, device)) for device in self.devices]

    def use(self, spent: Cost) -> dict[str, float]:
        """What a cost is in the terms of each limit."""
        figures: dict[str, Callable[[], float]] = {
            "macs": lambda: spent.macs,
            "params": lambda: spent.params,
            "activations": lambda: spent.activations,
            "memory": spent.memory,
            "training_memory": lambda: memory_to_give(spent.training_memory(self.batch, self.upkeep)),
            "latency": lambda: spent.latency * (1 + spent.margin),
        }
        return {name: figures[name]() for name in self.limits()}

    def shares(self, spent: Cost) -> dict[str, float]:
        """Used share of each limit; the largest one is limiting."""
        return {name: used / self.limits()[name] for name, used in self.use(spent).items()}

    def admits(self, spent: Cost) -> bool:
        return max(self.shares(spent).values()) <= 1


@dataclass(frozen=True)
class Plan:
    """The answer to a budget: the largest net within it and the smallest one beyond it, both on the rule's line."""

    baseline: Network
    budget: Budget
    phi: float
    scaling: Scaling
    network: Network
    cost: Cost
    next_phi: float | None  # None where the rule goes no further
    next_network: Network | None
    next_cost: Cost | None

    @property
    def binding(self) -> str:
        """The limit that stops the net from being larger: the first one that the next step up breaks."""
        shares = self.budget.shares(self.next_cost or self.cost)
        return max(shares, key=lambda name: shares[name])

    @property
    def use(self) -> float:
        """Used share of the binding limit."""
        return self.budget.shares(self.cost)[self.binding]

    def _repr_html_(self) -> str:
        """For Jupyter: the network, then what it takes of each limit."""
        used, limits = self.budget.use(self.cost), self.budget.limits()
        rows = [
            (name, limit_text(name, used[name]), limit_text(name, most), f"{used[name] / most:.1%}")
            for name, most in limits.items()
        ]
        table = html_table(f"budget: φ {self.phi:.4g}, limited by {self.binding}", ("", "used", "of", "share"), rows)
        return self.network._repr_html_() + table

    def to_json(self) -> dict[str, Any]:
        """As plain values: the network and its cost, φ and factors, limits and the limiting one, the next step up."""
        value = cost_fields(self.network, self.cost) | {"phi": self.phi} | self.scaling.to_json()
        value |= {"budget": self.budget.limits(), "binding": self.binding, "used": self.use, "next": None}
        if self.budget.devices:
            value["margin"] = self.cost.margin  # of the predicted latency
        if len(self.budget.devices) > 1:
            value["devices"] = [
                {"device": device.name, "latency": seconds, "margin": device.margin}
                for device, seconds in self.budget.latencies(self.network)
            ]
        value |= self._to_train(self.cost)
        if self.next_network and self.next_cost:
            value["next"] = cost_fields(self.next_network, self.next_cost) | {"phi": self.next_phi}
            value["next"] |= self._to_train(self.next_cost)
        return value

    def _to_train(self, spent: Cost) -> dict[str, float]:
        """The memory of a training where it is limited: how it is counted no other figure says."""
        return {name: used for name, used in self.budget.use(spent).items() if name == "training_memory"}


def save_plan(path: Path, baseline: Network, plan: Plan | None, rule: str) -> Path:
    """plan.json of a run: where its network came from; `plan` is None where there was no budget."""
    start = cost_fields(baseline, cost(baseline)) | {"network": dump_network(baseline)}
    return write_json(path, {"baseline": start, "rule": rule, "plan": plan.to_json() if plan else None})


def fit_budget(
    network: Network,
    budget: Budget,
    rule: Rule | None = None,
    *,
    fill: bool = False,
) -> Plan:
    """The largest net on the rule's line within every limit, on counted cost.

    With `fill`, resolution alone takes what the rule's last step leaves; the net is then beside the line. Raises
    `BudgetError` when not even the smallest net of the line fits, with that net's cost.
    """
    rule = rule or CompoundRule()

    def at(phi: float) -> tuple[Network, Cost]:
        scaled = scale(network, rule(phi))
        return scaled, budget.cost(scaled)

    def fits(phi: float) -> bool:
        try:
            return budget.admits(at(phi)[1])
        except TooLargeError:  # the line ends where no network may be larger
            return False

    lowest = _lowest_phi(network, rule)
    if not fits(lowest):
        smallest, spent = at(lowest)
        needs = ", ".join(f"{name} {limit_text(name, used)}" for name, used in budget.use(spent).items())
        limits = ", ".join(f"{name} {limit_text(name, limit)}" for name, limit in budget.limits().items())
        raise BudgetError(
            f"no {network.name} fits {limits}: its smallest net ({smallest.resolution} px) already has {needs}; "
            "raise the budget or take a smaller baseline"
        )
    inside, outside = _bracket(fits, lowest)
    phi = _fewest_digits(inside, lambda candidate: at(candidate)[1] == at(inside)[1])
    scaled, spent = at(phi)
    try:
        next_network, next_cost = at(outside) if outside is not None else (None, None)
    except TooLargeError:
        outside = next_network = next_cost = None
    plan = Plan(network, budget, phi, rule(phi), scaled, spent, outside, next_network, next_cost)
    return _filled(plan) if fill else plan


def _filled(plan: Plan) -> Plan:
    """The plan's net at the highest resolution within the budget; the next step is one pixel more."""

    def at(pixels: int) -> tuple[Scaling, Network, Cost]:
        factors = replace(plan.scaling, resolution=pixels / plan.baseline.resolution)
        scaled = scale(plan.baseline, factors)
        return factors, scaled, plan.budget.cost(scaled)

    low = plan.network.resolution
    high = low + 1
    while plan.budget.admits(at(high)[2]):
        low, high = high, 2 * high - low
        if low > plan.network.resolution * 4:  # no limit depends on the resolution
            return plan
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if plan.budget.admits(at(middle)[2]) else (low, middle)
    _, beyond, beyond_cost = at(high)
    kept = low == plan.network.resolution
    factors, scaled, spent = (plan.scaling, plan.network, plan.cost) if kept else at(low)
    return replace(
        plan,
        scaling=factors,
        network=scaled,
        cost=spent,
        next_phi=None,
        next_network=beyond,
        next_cost=beyond_cost,
    )


def _lowest_phi(network: Network, rule: Rule) -> float:
    """The φ where the rule's line begins: no resolution below SMALLEST_RESOLUTION, and no map that vanishes."""
    floor = min(SMALLEST_RESOLUTION, network.resolution)
    lowest = _bisect(lambda phi: network.resolution * rule(phi).resolution < floor, PHI_LOW, 0.0)[1]

    def vanishes(phi: float) -> bool:
        try:
            scale(network, rule(phi)).blocks()
        except NetworkError:
            return True
        return False

    return _bisect(vanishes, lowest, 0.0)[1] if vanishes(lowest) else lowest


def _bracket(fits: Callable[[float], bool], lowest: float) -> tuple[float, float | None]:
    """The last φ that fits and the first that does not (None where the rule's line ends before)."""
    if fits(0.0):
        inside, outside = 0.0, 1.0
        while fits(outside):
            inside, outside = outside, 2 * outside
            if outside > PHI_HIGH:
                return inside, None
    else:
        inside, outside = -1.0, 0.0
        while inside > lowest and not fits(inside):
            inside, outside = 2 * inside, inside
        inside = max(inside, lowest)
    return _bisect(fits, inside, outside)


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> tuple[float, float]:
    """Where `holds` turns from true to false between `low` and `high`, to a millionth."""
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def _fewest_digits(phi: float, same: Callable[[float], bool]) -> float:
    """A shorter φ that means the same net: 1.03 rather than 1.034271."""
    for digits in range(6):
        short_phi: float = math.floor(phi * 10**digits) / 10**digits
        if same(short_phi):
            return short_phi
    return phi

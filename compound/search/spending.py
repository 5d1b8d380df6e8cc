"""What a search holds a network's cost to: a count, or the predicted time of one call on a device."""

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from compound.cost import Cost
from compound.errors import UsageError
from compound.latency import DeviceTable, call_seconds, latency, load_table
from compound.network import Network
from compound.search.covering import cover
from compound.search.space import Space

COUNTED: dict[str, Callable[[Cost], float]] = {
    "macs": lambda spent: spent.macs,
    "params": lambda spent: spent.params,
    "activations": lambda spent: spent.activations,
    "memory": lambda spent: spent.memory(),
}
LATENCY = "latency"
LOOKED_AT = 200  # networks of a space, for the units that it has


@dataclass(frozen=True)
class DeviceLatency:
    """Predicted seconds of one call on the device of `table`, with the table's margin as budgets count it."""

    table: DeviceTable

    def __call__(self, network: Network) -> float:
        """Raises `BudgetError` where the table lacks a unit of `network`."""
        return call_seconds(network, self.table) * (1 + self.table.margin)

    def refuse_missing(self, space: Space) -> None:
        """Raise `UsageError` where networks of `space` have a kind of unit that was never timed."""
        networks = islice(cover(space, random.Random(0)), LOOKED_AT)
        missing = sorted({kind for network in networks for kind in latency(network, self.table).missing})
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise UsageError(
                f"the device table has no time of {', '.join(missing[:3])}{more}, which networks of {space.name} have; "
                f"make one that has: compound measure device --space {space.name} --runtime {self.table.runtime} "
                "-o FILE.json"
            )

    @cached_property
    def settings(self) -> Mapping[str, str]:
        """What tells two tables apart; workers that join a search must have the same one."""
        timed = json.dumps([self.table.runtime, self.table.threads, self.table.batch, self.table.units], sort_keys=True)
        return {"device": hashlib.sha256(timed.encode()).hexdigest()[:16]}


def device_latency(cost: str, table: str | Path | None) -> DeviceLatency | None:
    """The measure of a search whose cost is "latency", None for counted ones. Raises `UsageError` for half of it."""
    if cost == LATENCY and table is None:
        raise UsageError("latency needs --device FILE.json; make one with: compound measure device -o FILE.json")
    if table is None:
        return None
    if cost != LATENCY:
        raise UsageError(f"--device {table} is a table of latencies, but the cost is {cost}; use latency, or leave it")
    return DeviceLatency(load_table(table))

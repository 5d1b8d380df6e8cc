"""What a search holds a network's cost to: a count, or the predicted time of one call on a device."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compound.cost import Cost
from compound.errors import UsageError
from compound.latency import DeviceTable, call_seconds, load_table
from compound.network import Network

COUNTED: dict[str, Callable[[Cost], float]] = {
    "macs": lambda spent: spent.macs,
    "params": lambda spent: spent.params,
    "activations": lambda spent: spent.activations,
    "memory": lambda spent: spent.memory(),
}
LATENCY = "latency"


@dataclass(frozen=True)
class DeviceLatency:
    """Predicted seconds of one call on the device of `table`, with the table's margin as budgets count it."""

    table: DeviceTable

    def __call__(self, network: Network) -> float:
        """Raises `BudgetError` where the table lacks a unit of `network`."""
        return call_seconds(network, self.table) * (1 + self.table.margin)

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

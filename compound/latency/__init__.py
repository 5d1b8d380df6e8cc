"""How long a network runs on a device, from a table of units timed there. Nothing is built, nothing is run."""

from compound.latency.table import DeviceTable, Latency, call_seconds, latency, load_table, save_table
from compound.latency.units import PlacedUnit, Unit, unit_kinds, units

__all__ = [
    "DeviceTable",
    "Latency",
    "PlacedUnit",
    "Unit",
    "call_seconds",
    "latency",
    "load_table",
    "save_table",
    "unit_kinds",
    "units",
]

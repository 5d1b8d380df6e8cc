"""Names and values as people read them: a scaled network by its baseline and its cost, not by its factors."""

import re
from typing import Any

from compound.network import Network
from compound.quantity import short

FACTORS = re.compile(r"(?: [dwr]\d[\d.]*)+$")  # as `compound.scaling` names what it makes


def short_name(name: str, macs: float) -> str:
    """`efficientnet-b0 d1.2 w1.1 r1.15` of 713M multiply-adds is `efficientnet-b0, 713M MACs`."""
    base = FACTORS.sub("", name)
    return name if base == name else f"{base}, {short(macs)} MACs"


def shortly(network: Network, macs: float) -> Network:
    """The same network under its short name."""
    return network.with_(name=short_name(network.name, macs))


def plain(value: Any) -> str:
    """yes, no, and what a list holds."""
    if isinstance(value, bool) or value is None or value == ():
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

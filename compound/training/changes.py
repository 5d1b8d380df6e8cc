"""What differs between a run as it was started and as it is to be resumed."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from compound.network import Network
from compound.notation import dump_architecture
from compound.training.recipe import Recipe


def described(network: Network, data: Mapping[str, Any], recipe: Recipe, seed: int) -> dict[str, Any]:
    """What decides a training, as plain values; where on a machine images are looked for does not."""
    plain = yaml.safe_load(dump_architecture(network))
    asked = {name: value for name, value in data.items() if name not in ("root", "download")}
    return {"network": plain, "data": asked, "recipe": asdict(recipe), "seed": seed}


def differences(then: Any, now: Any, place: str = "") -> list[str]:
    """`field: then → now` for each value that differs; class lists by the names that came and went."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        inside = f"{place}." if place else ""
        names = [*then, *(name for name in now if name not in then)]
        return [line for name in names for line in differences(then.get(name), now.get(name), f"{inside}{name}")]
    if isinstance(then, list | tuple) and isinstance(now, list | tuple):
        if all(isinstance(item, str) for item in (*then, *now)):
            return _names(list(then), list(now), place)
        if len(then) == len(now):
            pairs = enumerate(zip(then, now, strict=True), 1)
            return [line for i, (a, b) in pairs for line in differences(a, b, f"{place} {i}")]
    return [] if then == now else [f"{place}: {_shown(then)} → {_shown(now)}"]


def _names(then: list[str], now: list[str], place: str) -> list[str]:
    if then == now:
        return []
    gone, come = [x for x in then if x not in now], [x for x in now if x not in then]
    said = [f"without {_listed(gone)}"] if gone else []
    said += [f"with {_listed(come)}"] if come else []
    return [f"{place}: {len(then)} → {len(now)}, {' and '.join(said) or 'in another order'}"]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)

"""The networks of the sources by name: baselines and published variants, one file a family.

A family file holds `NETWORKS`, and `ALIASES` where other libraries' names differ by more than case and hyphens.
`OTHERS` says of names that other libraries have for something else what that is. A file is read when a name is asked
for that no family before it has.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import import_module

from compound.errors import UsageError
from compound.mapping import nearest
from compound.network import Network

FAMILIES = (
    "efficientnet",
    "mobilenet",
    "resnet",
    "alexnet",
    "vgg",
    "googlenet",
    "densenet",
    "squeezenet",
    "shufflenet",
    "efficientnetv2",
    "edgetpu",
    "mnasnet",
    "mobilenetv3",
    "tinynet",
    "senet",
    "regnet",
    "nfnet",
    "inception",
    "xception",
    "polynet",
    "nasnet",
    "amoebanet",
    "mobilenetv4",
    "convnext",
    "repvgg",
    "lcnet",
    "mixnet",
    "fbnet",
    "hardcorenas",
    "ghostnet",
    "fasternet",
    "repvit",
    "rexnet",
    "starnet",
)


def plain(name: str) -> str:
    """What a name is compared by: case, hyphens, underscores and spaces do not matter."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def spaced(name: str) -> str:
    """A name in torchvision's spelling, whose separators tell `regnet_x_1_6gf` from `regnet_x_16gf`."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())


@lru_cache
def networks(family: str) -> tuple[Network, ...]:
    """The networks of one family file."""
    found: tuple[Network, ...] = import_module(f"compound.zoo.{family}").NETWORKS
    return found


@lru_cache
def names(family: str) -> dict[str, Network]:
    """The networks of one family file by their spaced and plain names, other libraries' included."""
    by_name = {network.name: network for network in networks(family)}
    aliases: dict[str, str] = getattr(import_module(f"compound.zoo.{family}"), "ALIASES", {})
    named = {**{name: name for name in by_name}, **aliases}
    return {how(given): by_name[name] for how in (spaced, plain) for given, name in named.items()}


class Zoo(Mapping[str, Network]):
    """Networks by name; timm's and torchvision's names work too.

    A name with timm's prefix `tf_` is the same network with TensorFlow's padding.
    """

    def __getitem__(self, name: str) -> Network:
        if found := _named(name):
            return found
        hint = nearest(name, self, "networks", "`compound zoo` lists all", plain)
        raise UnknownNetwork(f"no network is called {name!r}; {hint}")

    def __contains__(self, name: object) -> bool:
        """Without the search for names alike that an unknown one costs."""
        try:
            return isinstance(name, str) and _named(name) is not None
        except UnknownNetwork:
            return False

    def __iter__(self) -> Iterator[str]:
        return (network.name for family in FAMILIES for network in networks(family))

    def __len__(self) -> int:
        return sum(len(networks(family)) for family in FAMILIES)

    def families(self) -> dict[str, tuple[Network, ...]]:
        """Networks by family file."""
        return {family: networks(family) for family in FAMILIES}


def _named(name: str) -> Network | None:
    """Raises `UnknownNetwork` as `_refuse_others`."""
    _refuse_others(name)
    wanted = plain(name)
    if found := _find(spaced(name)) or _find(wanted):
        return found
    if wanted.startswith("tf") and (found := _find(wanted[2:])):
        return replace(found, style=replace(found.style, padding="same"))
    return None


def _find(wanted: str) -> Network | None:
    """The network of that plain name; families are read until one has it."""
    return next((found for family in FAMILIES if (found := names(family).get(wanted))), None)


def _refuse_others(name: str) -> None:
    """Raise `UnknownNetwork` for a name, spelt as another library spells it, that has another network there."""
    for family in FAMILIES if "_" in name else ():
        if reason := getattr(import_module(f"compound.zoo.{family}"), "OTHERS", {}).get(name.lower()):
            raise UnknownNetwork(f"the zoo has no {name!r}: {reason}")
        if spaced(name) in names(family):
            return


class UnknownNetwork(UsageError, KeyError):
    """No network of that name; the message offers the nearest ones."""

    __str__ = Exception.__str__


ZOO = Zoo()

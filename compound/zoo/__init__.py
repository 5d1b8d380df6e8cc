"""The networks of the sources by name: baselines and published variants, one file a family.

A family file holds `NETWORKS`, and `ALIASES` where other libraries' names differ by more than case and hyphens.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from compound.errors import UsageError
from compound.network import Network
from compound.zoo import (
    alexnet,
    amoebanet,
    densenet,
    edgetpu,
    efficientnet,
    efficientnetv2,
    googlenet,
    inception,
    mnasnet,
    mobilenet,
    mobilenetv3,
    nasnet,
    nfnet,
    polynet,
    regnet,
    resnet,
    senet,
    shufflenet,
    squeezenet,
    tinynet,
    vgg,
    xception,
)

FAMILIES = {
    "efficientnet": efficientnet,
    "mobilenet": mobilenet,
    "resnet": resnet,
    "alexnet": alexnet,
    "vgg": vgg,
    "googlenet": googlenet,
    "densenet": densenet,
    "squeezenet": squeezenet,
    "shufflenet": shufflenet,
    "efficientnetv2": efficientnetv2,
    "edgetpu": edgetpu,
    "mnasnet": mnasnet,
    "mobilenetv3": mobilenetv3,
    "tinynet": tinynet,
    "senet": senet,
    "regnet": regnet,
    "nfnet": nfnet,
    "inception": inception,
    "xception": xception,
    "polynet": polynet,
    "nasnet": nasnet,
    "amoebanet": amoebanet,
}


def plain(name: str) -> str:
    """What a name is compared by: case, hyphens, underscores and spaces do not matter."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


class Zoo(Mapping[str, Network]):
    """Networks by name; timm's and torchvision's names work too.

    A name with timm's prefix `tf_` is the same network with TensorFlow's padding.
    """

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {n.name: n for family in FAMILIES.values() for n in family.NETWORKS}
        self._names = {plain(name): name for name in self._networks}
        for family in FAMILIES.values():
            self._names |= {plain(alias): name for alias, name in getattr(family, "ALIASES", {}).items()}

    def __getitem__(self, name: str) -> Network:
        wanted = plain(name)
        if wanted in self._names:
            return self._networks[self._names[wanted]]
        if wanted.startswith("tf") and wanted[2:] in self._names:
            network = self._networks[self._names[wanted[2:]]]
            return replace(network, style=replace(network.style, padding="same"))
        import difflib  # only an error needs it

        near = [self._names[n] for n in difflib.get_close_matches(wanted, self._names, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "`compound zoo` lists all"
        raise UnknownNetwork(f"no network is called {name!r}; {hint}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def families(self) -> dict[str, tuple[Network, ...]]:
        """Networks by family file."""
        return {name: family.NETWORKS for name, family in FAMILIES.items()}


class UnknownNetwork(UsageError, KeyError):
    """No network of that name; the message offers the nearest ones."""

    __str__ = Exception.__str__


ZOO = Zoo()

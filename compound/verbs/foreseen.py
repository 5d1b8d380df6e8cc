"""`compound.predict_networks`: how accurate networks will be, by what a search has learnt, without training any."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.cost import cost
from compound.verbs.given import Place, find_network

if TYPE_CHECKING:
    from compound.network import Network
    from compound.search.surrogate import Surrogate


@dataclass(frozen=True)
class ForeseenNetwork:
    """A network and the accuracy foreseen; its counted cost is that for the data of the search."""

    network: str
    accuracy: float
    macs: int
    params: int


@dataclass(frozen=True)
class ForeseenNetworks:
    """The networks, the best first, and the surrogate that foresaw."""

    networks: tuple[ForeseenNetwork, ...]
    surrogate: "Surrogate"

    def to_json(self) -> dict[str, Any]:
        """With what the surrogate is worth: `error` is the root mean square of networks it had not seen, and `tau`
        Kendall's of their ranking."""
        known = self.surrogate
        told = {"of": known.of, "learnt_from": known.networks, "error": known.ridge.error, "tau": known.tau}
        return {"networks": [asdict(one) for one in self.networks], **told}


def predict_networks(search: Place, networks: "Sequence[Network | Place]") -> ForeseenNetworks:
    """The accuracy that a search's surrogate foresees of networks, without training any.

    Args:
        search: the folder of an architecture search, or its surrogate.json.
        networks: of the search's space, as for `compound.plan`.

    Raises `UsageError` where there is no surrogate, or the space has no such network.
    """
    from compound.search.surrogate import load_surrogate

    surrogate = load_surrogate(Path(search))
    about = {name: surrogate.space.template[name] for name in ("classes", "channels")}
    found = []
    for one in networks:
        network = find_network(one).with_(**about)
        counted = cost(network)
        found.append(ForeseenNetwork(network.name, round(surrogate.predict(network), 6), counted.macs, counted.params))
    return ForeseenNetworks(tuple(sorted(found, key=lambda each: -each.accuracy)), surrogate)

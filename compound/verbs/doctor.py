"""`compound.doctor`: this machine, and the layers of a network on it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compound.bounds import check_call
from compound.diagnosis import Machine, look
from compound.network import Network
from compound.verbs.given import Place, Say, find_network, heard, silent

if TYPE_CHECKING:
    from compound.diagnosis.findings import Diagnosis


@dataclass(frozen=True)
class Checkup:
    """The machine, and where a network was given, its layers."""

    machine: Machine
    network: "Diagnosis | None" = None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"machine": self.machine.to_json(), "doubts": list(self.machine.doubts())}
        return value | {"network": self.network.to_json()} if self.network else value


@heard
def doctor(
    network: Network | Place | None = None,
    *,
    resolution: int | None = None,
    batch: int = 32,
    threads: int | None = None,
    say: Say = silent,
) -> Checkup:
    """Look at this machine; with a network, time its distinct layers in training, forward and both gradients.

    Args:
        network: a network, its name, file or run directory.
        resolution: of the images; default the network's.
        batch: images a step.
        threads: default all cores that this process may use.
        say: told which layer is timed.

    Without a network this needs no torch. Raises `UsageError` for an unknown name and `CompoundError` where the
    network is too large for this machine.
    """
    check_call(batch, threads)
    machine = look()
    if network is None:
        return Checkup(machine)
    from compound.diagnosis.findings import diagnose
    from compound.runtimes import Call

    found = find_network(network)
    if resolution is not None:
        found = found.with_(resolution=resolution)
    return Checkup(machine, diagnose(found, Call(batch, threads or machine.cores), say))

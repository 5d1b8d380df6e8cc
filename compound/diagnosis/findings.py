"""What a table of layers says: which passes are slow, wrong or out of order, what they cost a step, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from compound.diagnosis.implementations import NATIVE, Place, implementations
from compound.diagnosis.layers import PRECISIONS, LayerTimes, Pass, Roof, distinct_layers, roof, time_layer
from compound.network import Network
from compound.runtimes import Call

SLOW = 0.2  # a share of the roofline below which a pass is worth a look
MATTERS = 0.02  # and the share of all time that it must cost
# The largest difference to float64, as a share of the largest number: rounding alone stays ten times below.
WRONG = {"fp32": 1e-3, "bf16": 5e-2}


@dataclass(frozen=True)
class Diagnosis:
    """The layers of a network on this machine, in calls of so many images and threads."""

    network: str
    resolution: int
    call: Call
    roof: Roof
    layers: tuple[LayerTimes, ...]
    implementations: dict[Place, str]

    def implementation(self, number: int, precision: str, name: str) -> str:
        return self.implementations.get((number, precision, name), NATIVE)

    def total(self, precision: str, own: bool = False) -> float:
        """Seconds of these layers in a training step; `own`: with compound's kernels where they were timed."""
        every = (
            (times.layer.count, one)
            for times in self.layers
            for key, one in times.passes.items()
            if key[0] == precision
        )
        return sum(count * ((own and one.own) or one.seconds) for count, one in every)

    def findings(self) -> list[str]:
        """A sentence for each pass that is wrong, and for each that is slow and matters, the costliest first."""
        found = sorted(self._faults(), key=lambda fault: -fault[0])
        return [text for _, text in found]

    def _faults(self) -> Iterator[tuple[float, str]]:
        totals = {precision: self.total(precision) for precision in PRECISIONS}
        for number, times in enumerate(self.layers):
            for (precision, name), one in times.passes.items():
                by = self.implementation(number, precision, name)
                lost = times.layer.count * one.seconds * (1 - min(1.0, one.possible))
                slow = one.possible < SLOW and lost > MATTERS * totals[precision]
                reasons = [
                    text
                    for text, holds in {
                        f"differs from float64 by {one.error:.1g} of the largest number": one.error > WRONG[precision],
                        "puts out maps whose channels are not innermost, which the next layer copies": not one.ordered,
                        "is a plain loop (`ref`)": by.startswith("ref"),
                        f"takes {one.seconds * 1e3:.1f} ms, {one.possible:.0%} of the possible rate": slow,
                    }.items()
                    if holds
                ]
                if reasons:
                    what = "forward pass" if name == "forward" else f"gradient of the {name}"
                    said = f"{precision}, {times.layer.name}, {what} ({by}): {'; '.join(reasons)}"
                    yield lost, said + self._remedy(times, precision, name, one)

    def _remedy(self, times: LayerTimes, precision: str, name: str, one: Pass) -> str:
        if one.own and one.own < one.seconds:
            return f"; compound's own way takes {one.own * 1e3:.1f} ms"
        if precision == "bf16" and (plain := times.passes["fp32", name]).seconds < one.seconds:
            return f"; fp32 takes {plain.seconds * 1e3:.1f} ms: compare with --precision fp32"
        return ""

    def to_json(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "resolution": self.resolution,
            "batch": self.call.batch,
            "threads": self.call.threads,
            "roof": asdict(self.roof),
            "layers": [
                {"layer": times.layer.name, "count": times.layer.count}
                | {
                    f"{precision} {name}": asdict(one)
                    | {"implementation": self.implementation(number, precision, name)}
                    for (precision, name), one in times.passes.items()
                }
                for number, times in enumerate(self.layers)
            ],
            "findings": self.findings(),
        }


def diagnose(network: Network, call: Call, say: Callable[[str], None] = lambda text: None) -> Diagnosis:
    """Time every distinct layer of a network as training runs it, alone; about a third of a second a layer.

    Raises `CompoundError` where oneDNN's names cannot be had.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(call.threads)
    try:
        names = implementations(network, call)
        limits, layers = roof(call.threads), distinct_layers(network, call.batch)
        times = []
        for number, layer in enumerate(layers):
            say(f"layer {number + 1} of {len(layers)}: {layer.name}")
            times.append(time_layer(layer, limits))
    finally:
        torch.set_num_threads(before)
    return Diagnosis(network.name, network.resolution, call, limits, tuple(times), names)

"""What a competition of networks within a budget found: each one's accuracy, cost and time, and the winner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.cost import cost

if TYPE_CHECKING:
    from compound.evaluation import Comparison, Evaluation
    from compound.training import Run


@dataclass(frozen=True)
class Contender:
    """A network in the competition: its run, what it makes of the held-out images, and `seconds` of one call.

    `file`: what computes it, an exported file; of `precision` other than fp32 the file is what competes.
    """

    way: str
    run: "Run"
    result: "Evaluation"
    seconds: float | None = None
    file: Path | None = None
    precision: str = "fp32"

    @property
    def place(self) -> Path:
        """The run, or the file that is more than it."""
        return self.run.path if self.precision == "fp32" or self.file is None else self.file

    def to_json(self) -> dict[str, Any]:
        counted, network = cost(self.run.network), self.run.network
        return {
            "way": self.way,
            "out": str(self.place),
            "precision": self.precision,
            "resolution": network.resolution,
            "params": counted.params,
            "macs": counted.macs,
            "seconds": self.seconds,
            "top1": self.result.top(1),
            "top1_interval": list(self.result.interval()),
            "loss": self.result.loss,
        }


@dataclass(frozen=True)
class Shrunk:
    """The network as it was, those within the budget, the best first, and why other ways were left out.

    `against`: each other way beside the winner, image by image. `slower`: files of another precision that took longer
    than the budget or, where it is not in seconds, than all networks within it. `runtime`: what they were timed in.
    `test`: the winner on the test images, which were looked at for it alone; None until then.
    """

    whole: Contender
    contenders: tuple[Contender, ...]
    left_out: Mapping[str, str]
    against: "Mapping[str, Comparison]" = field(default_factory=dict)
    slower: tuple[Contender, ...] = ()
    runtime: str = ""
    test: "Evaluation | None" = None

    @property
    def winner(self) -> Contender:
        return self.contenders[0]

    def to_json(self) -> dict[str, Any]:
        told = {
            way: {"difference": one.difference, "interval": list(one.interval()), "p_value": one.p_value}
            for way, one in self.against.items()
        }
        return {
            "images": self.whole.result.images,
            "runtime": self.runtime,
            "whole": self.whole.to_json(),
            "ways": [one.to_json() | ({"against_winner": told[one.way]} if one.way in told else {})
                     for one in self.contenders],
            "slower": [one.to_json() for one in self.slower],
            "left_out": dict(self.left_out),
            "winner": self.winner.way,
            "test": self.test.summary() if self.test else None,
        }  # fmt: skip

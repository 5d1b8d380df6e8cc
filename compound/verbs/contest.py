"""What a competition of networks within a budget found: each one's accuracy, cost and time, and the winner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compound.cost import cost

if TYPE_CHECKING:
    from compound.evaluation import Comparison, Evaluation
    from compound.training import Run


@dataclass(frozen=True)
class Contender:
    """A network in the competition: its run, what it makes of the held-out images, and `seconds` of one call."""

    way: str
    run: "Run"
    result: "Evaluation"
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        counted, network = cost(self.run.network), self.run.network
        return {
            "way": self.way,
            "out": str(self.run.path),
            "resolution": network.resolution,
            "params": counted.params,
            "macs": counted.macs,
            "seconds": self.seconds,
            "top1": self.result.top(1),
            "top1_interval": list(self.result.interval()),
        }


@dataclass(frozen=True)
class Shrunk:
    """The network as it was, those within the budget, the best first, and why other ways were left out.

    `against`: each other way beside the winner, image by image. `test`: the winner on the test images, which were
    looked at for it alone; None until then.
    """

    whole: Contender
    contenders: tuple[Contender, ...]
    left_out: Mapping[str, str]
    against: "Mapping[str, Comparison]" = field(default_factory=dict)
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
            "whole": self.whole.to_json(),
            "ways": [one.to_json() | ({"against_winner": told[one.way]} if one.way in told else {})
                     for one in self.contenders],
            "left_out": dict(self.left_out),
            "winner": self.winner.way,
            "test": self.test.summary() if self.test else None,
        }  # fmt: skip

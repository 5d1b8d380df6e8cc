"""The accuracy of published weights of the zoo's networks, and what of them is best within a budget. No torch.

The table holds top-1 accuracy on ImageNet's 50,000 validation images as torchvision and timm publish it, at the test
size they publish it for, beside the cost that is counted here. `scripts/published_table.py` makes it.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from compound.network import Network
from compound.zoo import ZOO

TABLE = Path(__file__).parent / "published.csv"
COLUMNS = ("weights", "network", "pixels", "usual", "top1", "params", "macs", "activations", "memory", "source")
LIMITS = {"params", "macs", "activations", "memory"}  # columns that a budget can limit


@dataclass(frozen=True)
class Published:
    """Weights that anybody can fetch: a name that `--weights` takes, accuracy (share of one) and cost at `pixels`."""

    weights: str
    network: str
    pixels: int
    usual: int  # the network's own size in px; it stands in the table so that a list of weights reads no family
    top1: float
    params: int
    macs: int
    activations: int
    memory: int  # bytes of inference on one image
    source: str

    def sized(self) -> Network:
        """The network at the size it was tested at."""
        return ZOO[self.network].with_(resolution=self.pixels)

    def share(self, limits: Mapping[str, float]) -> float | None:
        """The largest share that it uses of limits; None where the table has no column of one of them."""
        if not limits.keys() <= LIMITS:
            return None
        return max(float(getattr(self, name)) / limit for name, limit in limits.items())

    @property
    def other_size(self) -> bool:
        """Whether it was tested at another size than its network's own."""
        return self.pixels != self.usual


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """Every row of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(
                row["weights"], row["network"], int(row["pixels"]), int(row["usual"]), float(row["top1"]),
                int(row["params"]), int(row["macs"]), int(row["activations"]), int(row["memory"]), row["source"],
            )
            for row in csv.DictReader(file)
        )  # fmt: skip


def best_first(rows: Iterable[Published]) -> list[Published]:
    """From the most accurate on; of equals the cheaper first."""
    return sorted(rows, key=lambda row: (-row.top1, row.macs, row.weights))


def front(rows: Sequence[Published], cost: str) -> list[Published]:
    """What no other row beats in both accuracy and `cost` (a column), from cheap to dear."""
    found: list[Published] = []
    for row in sorted(rows, key=lambda row: (getattr(row, cost), -row.top1)):
        if not found or row.top1 > found[-1].top1:
            found.append(row)
    return found

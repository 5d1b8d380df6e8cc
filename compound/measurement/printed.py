"""What the paper prints about accuracy and CPU latency, by the names of the zoo, to stand beside what is measured."""

from functools import lru_cache
from typing import NamedTuple

from compound.errors import UsageError
from compound.paper.tables import rows
from compound.zoo import ZOO


class SpeedPair(NamedTuple):
    """Two networks of Table 4: seconds at batch 1 on one core, mean of 20 runs, and the printed ratio."""

    slow: str
    slow_seconds: float
    fast: str
    fast_seconds: float
    ratio: float


@lru_cache
def top1() -> dict[str, float]:
    """ImageNet top-1 as a share, single crop (Table 2)."""
    return {zoo_name(row["model"]): float(row["top1"]) / 100 for row in rows("table2_imagenet")}


@lru_cache
def table4() -> tuple[SpeedPair, ...]:
    """The pairs of Table 4; its rows come in twos, the slow network first."""
    lines = rows("table4_cpu_latency")
    return tuple(
        SpeedPair(
            zoo_name(slow["model"]),
            float(slow["latency_s"]),
            zoo_name(fast["model"]),
            float(fast["latency_s"]),
            float(fast["speedup"]),
        )
        for slow, fast in zip(lines[::2], lines[1::2], strict=True)
    )


def zoo_name(printed: str) -> str:
    """The zoo's name of a network that the paper prints."""
    known = {row["model"]: row["network"] for row in rows("networks")}
    name = known.get(printed, printed)
    if name not in ZOO:
        raise UsageError(f"the paper's {printed} is not in the zoo")
    return ZOO[name].name

"""Which scaled networks a device table is made of, and which are left out of it to check it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from compound.errors import UsageError
from compound.latency import unit_kinds
from compound.network import Network
from compound.scaling import Scaling, scale

# Depths of the networks that are timed: two repeats of a stage hold all the units that more would have, and above 1 the
# stages of a single block have a second one, too.
DEPTHS = (0.51, 0.51, 1.01)
LEFT_OUT = len(DEPTHS) + 1  # one network of so many is predicted, not timed for the table
LONGEST = 86_400.0  # seconds of a session
MOST_NETWORKS = 10_000
WIDEST = 16  # times a network's own width or resolution, beyond which none of a family is built


@dataclass(frozen=True)
class Sampling:
    """How many scaled `networks` are timed, a quarter of them to check the table, and for how many `seconds`.

    Widths and resolutions lie between 1/`span` and `span` times the family's own. Raises `UsageError` for a span that
    leaves no range, and for no time.
    """

    networks: int = 48
    span: float = 2.0
    seconds: float = 120.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 < self.span <= WIDEST:
            raise UsageError(f"--span {self.span} leaves no range of sizes; use more than 1, to {WIDEST}; usually 2")
        if not 0 < self.seconds <= LONGEST:
            raise UsageError(f"--seconds {self.seconds} is no time to measure in; use e.g. 120")
        if self.networks > MOST_NETWORKS:
            raise UsageError(f"--networks {self.networks:,} are too many; use at most {MOST_NETWORKS:,}, usually 48")


USUAL = Sampling()


@dataclass(frozen=True)
class TimedNetwork:
    """A network to run, and whether it is left out of the table."""

    network: Network
    left_out: bool


def choose(families: Sequence[Network], samples: int, span: float, seed: int) -> list[TimedNetwork]:
    """Scaled networks, evenly spread over the logarithms of width and resolution.

    Those that are left out have any depth, too, and no kind of unit that the others lack. Classes and image channels
    vary, for the linear layers and the stems.
    """
    rng = random.Random(seed)
    chosen = []
    for turn, (number, family) in product(range(-(-samples // len(families))), enumerate(families)):
        step = turn + number
        # Additive recurrence with the plastic number (Roberts 2018): no two samples fall close together.
        places = [(0.5 + (step + 1) / 1.32471795724474602596**axis) % 1 for axis in (1, 2)]
        width, resolution = (span ** (2 * place - 1) for place in places)
        left_out = step % LEFT_OUT == LEFT_OUT - 1
        depth = rng.uniform(0.5, 1.5) if left_out else DEPTHS[step % LEFT_OUT]
        wanted = {"depth": depth, "width": width, "resolution": resolution}
        fixed = {dimension for dimension, _ in family.unscalable}
        scaling = Scaling(**{name: 1.0 if name in fixed else value for name, value in wanted.items()})
        about = {"classes": rng.choice((10, 100, 1000)), "channels": rng.choice((1, 3, 3))}
        chosen.append(TimedNetwork(scale(family, scaling).with_(**about), left_out))
    timed = {kind for one in chosen if not one.left_out for kind in unit_kinds(one.network)}
    return [replace(one, left_out=one.left_out and unit_kinds(one.network) <= timed) for one in chosen]


def to_time(families: Sequence[Network], sampling: Sampling) -> list[TimedNetwork]:
    """The networks of a session. Raises `UsageError` where none of them can be left out."""
    chosen = choose(families, sampling.networks, sampling.span, sampling.seed)
    if not any(one.left_out for one in chosen):
        raise UsageError(
            f"each of {len(chosen)} networks has units that no other has, so that none can check the table; "
            "use more --samples"
        )
    return chosen

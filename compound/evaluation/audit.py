"""The doubtful images of a data set by name, ranked within each kind of doubt."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from compound.data import DataSpec, Source
from compound.data.check import look_through
from compound.data.identity import names_within
from compound.data.source import Labels, concatenated
from compound.data.twins import repeats
from compound.errors import UsageError
from compound.evaluation.folds import OutOfFold
from compound.evaluation.labels import Confident, Doubt
from compound.notes import Say

SURE = 10  # times as probable as the given class is the one that a list of corrections gives instead


@dataclass(frozen=True)
class Doubtful:
    """An image, what is doubtful about it, and the class that is proposed; `index` is its position in the source.

    `kept`: of copies with different labels, whether its label is the most probable one. `copy`: the name of the other.
    """

    doubt: Doubt
    name: str
    identity: int
    index: int
    given: str
    proposed: str
    given_probability: float
    proposed_probability: float
    copy: str = ""
    kept: bool = True


@dataclass(frozen=True)
class Audit:
    """The doubtful images, each kind by itself and ranked; `noise` is the estimated share of wrong labels in all."""

    table: OutOfFold
    source: Source
    doubtful: Sequence[Doubtful]
    noise: float

    def of(self, doubt: str) -> list[Doubtful]:
        return [one for one in self.doubtful if one.doubt == doubt]

    @property
    def corrected(self) -> list[Doubtful]:
        """Those called wrong whose label is to be changed without anybody looking.

        Where models are weak most that they call wrong is right: their doubts are worth a look, and as corrections they
        would be errors. What they are surer of is planted errors, mostly (`benchmarks.cleaned`).
        """
        return [one for one in self.of(Doubt.WRONG) if one.proposed_probability >= SURE * one.given_probability]

    def to_json(self) -> dict[str, Any]:
        counts = {doubt.value: len(self.of(doubt)) for doubt in Doubt}
        return self.table.to_json() | {
            "data": self.table.data["name"],
            "estimated_noise": self.noise,
            "doubts": counts,
            "corrected": len(self.corrected),
        }


def find_doubts(table: OutOfFold, say: Say) -> Audit:
    """What is doubtful about the labels of a table; pictures and copies are looked for in its data."""
    source, at = reopened(table)
    if gone := int((at < 0).sum()):
        say(f"{gone:,} of {len(at):,} images are no longer there, or have other bytes; they are left out")
    counted, classes = Confident.of(table.result), table.result.classes
    pairs = twins(source, at, counted.labels)
    found = counted.doubts(np.array(sorted(pairs), dtype=np.int64))
    within = names_within(str(table.data["spec"]))
    names = [within(name) for name in table.names]
    doubtful = []
    for doubt, positions in found.items():
        for i in positions[at[positions] >= 0].tolist():
            other = pairs.get(i) if doubt is Doubt.DUPLICATE else None
            given = int(counted.labels[i])
            best = int(counted.labels[other]) if other is not None else int(counted.proposed[i])
            chances = counted.probabilities[i]
            doubtful.append(
                Doubtful(
                    doubt, names[i], int(table.identities[i]), int(at[i]), classes[given], classes[best],
                    float(chances[given]), float(chances[best]), "" if other is None else names[other],
                    other is None or bool((chances[given], -i) > (chances[best], -other)),
                )
            )  # fmt: skip
    return Audit(table, source, doubtful, counted.noise)


def reopened(table: OutOfFold) -> tuple[Source, Labels]:
    """All images of the table's data, and where each of the table stands among them, (n,); −1 for those that went."""
    data = DataSpec.from_mapping(table.data, 0).open()
    if tuple(data.classes) != table.result.classes:
        raise UsageError(f"{data.name} has other classes than when it was folded; make it again with --folds")
    parts = [part for part in (data.train, data.holdout, data.test) if len(part)]
    source = reduce(concatenated, parts[1:], parts[0])
    names: dict[tuple[int, str], int] = {}
    known: dict[int, int] = {}
    for position, identity in enumerate(source.identities().tolist()):
        names[identity, source.path(position)] = position
        known.setdefault(identity, position)
    wanted = zip(table.identities.tolist(), table.names, strict=True)
    at = [names.get((identity, name), known.get(identity, -1)) for identity, name in wanted]
    if all(position < 0 for position in at):
        raise UsageError(f"not one image of {data.name} is the one that was folded; make it again with --folds")
    return source, np.array(at, dtype=np.int64)


def twins(source: Source, at: Labels, labels: Labels) -> dict[int, int]:
    """For each image with a copy of another label, by position in the table, one such copy.

    Copies have the same bytes, or look the same at another size or compression (see `compound.data.twins`).
    """
    found: dict[int, int] = {}
    there = np.flatnonzero(at >= 0)
    of = {int(at[i]): int(i) for i in there}
    first: dict[int, list[int]] = {}
    for i, identity in zip(there.tolist(), source.identities()[at[there]].tolist(), strict=True):
        first.setdefault(identity, []).append(i)
    pairs = [(a, b) for group in first.values() if len(group) > 1 for a in group for b in group]
    looked = look_through(source, tuple(map(str, range(int(labels.max()) + 1))))
    pairs += [(of[x], of[y]) for a, b in repeats(looked.hashed) if a in of and b in of for x, y in ((a, b), (b, a))]
    for a, b in pairs:
        if labels[a] != labels[b]:
            found.setdefault(a, b)
    return found

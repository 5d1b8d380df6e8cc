"""Whether some images fare worse than the rest: accuracy by size, brightness, folder, and what the user names.

With many groups one of them looks bad by chance. So each is compared with all other images by an interval that is
widened for the number of comparisons (Bonferroni): of all groups that are no worse, one is called worse in 5 % of
evaluations at most.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compound.data import Preprocessing, Source, make_loader, subset
from compound.data.folds import names_by
from compound.data.identity import names_within
from compound.evaluation.result import Evaluation
from compound.evaluation.statistics import newcombe, wilson
from compound.execution import Execution
from compound.inference import brightness_of

LEAST = 10  # images below which a group is told and not compared
MOST = 20  # groups of one kind that are told, the largest
LEVEL = 0.05


@dataclass(frozen=True)
class Group:
    """Images that have something in common, and how many are named rightly, beside all `others`.

    `compared`: the number of comparisons that the interval of the difference is corrected for, 0 where this group was
    not compared.
    """

    by: str
    name: str
    images: int
    right: int
    others: int
    others_right: int
    compared: int

    @property
    def top1(self) -> float:
        return self.right / self.images

    @property
    def others_top1(self) -> float:
        return self.others_right / self.others

    @property
    def difference(self) -> tuple[float, float]:
        """The interval of this group's top-1 less that of the others, of all comparisons together at 95 %."""
        z = NormalDist().inv_cdf(1 - LEVEL / 2 / max(self.compared, 1))
        return newcombe(self.top1, self.images, self.others_top1, self.others, z)

    @property
    def worse(self) -> bool:
        """Whether it is, as far as can be told."""
        return self.compared > 0 and self.difference[1] < 0

    def to_json(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "group": self.name,
            "images": self.images,
            "top1": self.top1,
            "top1_interval": list(wilson(self.top1, self.images)),
            "others": self.others,
            "others_top1": self.others_top1,
            "difference_interval": list(self.difference) if self.compared else None,
            "compared": self.compared,
            "worse": self.worse,
        }


def by_groups(
    result: Evaluation,
    source: Source,
    where: str,
    named: Sequence[str],
    preprocessing: Preprocessing,
    execution: Execution,
) -> list[Group]:
    """Groups of the images of `result`, by each kind that divides them, and by each of `named`.

    `where`: the place of the data, for names and columns; `named`: columns or patterns, see `names_by`.
    """  # fmt: skip
    source = subset(source, result.indices.numpy())
    names = [source.path(index) for index in range(len(source))]
    kinds = {
        "size": thirds(sides(source), "{:,.0f} px"),
        "brightness": thirds(brightness(source, preprocessing, execution), "{:.1%}"),
        "folder": folders([*map(names_within(where), names)], result.classes),
    }
    for what in named:
        kinds[what] = names_by(where, what, names)
    return compared(kinds, result.hits(1))


def compared(kinds: dict[str, list[str]], right: torch.Tensor) -> list[Group]:
    """The largest groups of each kind with two or more; `kinds` has a name for every image, `right` (images,)."""
    hits, total = right.tolist(), int(right.sum())
    found = []
    for by, names in kinds.items():
        images, ones = Counter(names), Counter(name for name, hit in zip(names, hits, strict=True) if hit)
        for name, count in sorted(images.most_common(MOST), key=_third) if len(images) > 1 else ():
            found.append((by, name, count, ones[name], len(hits) - count, total - ones[name]))
    able = [min(group[2], group[4]) >= LEAST for group in found]
    return [Group(*group, sum(able) if fit else 0) for group, fit in zip(found, able, strict=True)]


def sides(source: Source) -> NDArray[np.float64]:
    """The side in px of a square of as many pixels as each image has, (n,)."""
    return np.array([np.sqrt(np.prod(source.size(index), dtype=float)) for index in range(len(source))])


def brightness(source: Source, preprocessing: Preprocessing, execution: Execution) -> NDArray[np.float64]:
    """The mean of each image as the network receives it, from 0 to 1, (n,); NaN where it cannot be read any more."""
    found = np.full(len(source), np.nan)
    for batch in make_loader(source, preprocessing, execution.batch, workers=execution.workers_for(source)):
        if len(batch):
            found[batch.indices.numpy()] = brightness_of(batch.images).numpy()
    return found


def thirds(values: NDArray[np.float64], form: str) -> list[str]:
    """The name of the third that each of `values` (n,) lies in; where many are equal, thirds are not equally large."""
    first, second = np.nanquantile(values, [1 / 3, 2 / 3], method="lower")
    low, high = form.format(first), form.format(second)
    named = (f"up to {low}", f"{low} to {high}", f"over {high}")
    return [named[int(value > first) + int(value > second)] for value in values]


def _third(group: tuple[str, int]) -> int:
    """The place of a third among its like; groups of other kinds stay in their order, the largest first."""
    return group[0].startswith("over ") - group[0].startswith("up to ")


def folders(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """The folder of each image within the data, without those that are named after classes or that all share."""
    known = set(classes)
    places = [tuple(part for part in PurePath(name).parts[:-1] if part not in known) for name in names]
    shared = 0
    while len({place[: shared + 1] for place in places}) == 1 and all(len(place) > shared for place in places):
        shared += 1
    return ["/".join(place[shared:]) or "." for place in places]

"""The robustness sets of ImageNet in the layouts they are published in, evaluated over the classes they have.

imagenet         validation images below a folder for each WordNet id, 50,000 images
imagenet-real    the same or flat, with real.json: a list of class numbers an image (Beyer et al. 2020)
imagenet-v2      a folder for each class number, 0 to 999, 10,000 images (Recht et al. 2019)
imagenet-a       a folder for each of 200 WordNet ids, 7,500 images (Hendrycks et al. 2021)
imagenet-r       a folder for each of 200 WordNet ids, 30,000 images (Hendrycks et al. 2021)
imagenet-sketch  a folder for each WordNet id, 50,889 images (Wang et al. 2019)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from compound.data import FileSource
from compound.data.listing import listed
from compound.data.source import Labels
from compound.documents import read_json
from compound.errors import UsageError
from compound.evaluation.result import Evaluation

LAYOUTS = {
    "imagenet": 50_000,
    "imagenet-real": 46_837,  # the others have no right label
    "imagenet-v2": 10_000,
    "imagenet-a": 7_500,
    "imagenet-r": 30_000,
    "imagenet-sketch": 50_889,
}
"""The images of each set that are judged."""
# Where only the set's own 200 classes can be chosen, as their authors evaluate; in the order of their WordNet ids, from
# github.com/hendrycks/imagenet-r and natural-adv-examples by way of timm's lists.
NARROWED = {"imagenet-a": "imagenet_a_classes.txt", "imagenet-r": "imagenet_r_classes.txt"}


@dataclass(frozen=True)
class LabelledSet:
    """Images with class numbers of the network; `classes` are those that can be chosen, None for all.

    `answers` holds the right class numbers of each image where there are several or other ones than the folder says.
    """

    name: str
    source: FileSource
    classes: tuple[int, ...] | None = None
    answers: tuple[tuple[int, ...], ...] | None = None

    def judge(self, result: Evaluation, rows: Labels | None = None) -> Evaluation:
        """`result`, over all classes of the network, as this set judges it; of some of its images those at `rows`.

        Where the set has few classes, only those can be chosen. Of several right answers the most probable one is the
        label, so that the top-k figures count an image as right if any of them is among the k first.
        """
        if self.answers is not None:
            return replace(result, labels=self._most_probable(result, rows))
        return result.only(list(self.classes)) if self.classes else result

    def _most_probable(self, result: Evaluation, rows: Labels | None) -> torch.Tensor:
        assert self.answers is not None
        places = result.indices.tolist() if rows is None else rows[result.indices.numpy()].tolist()
        each = zip(result.probabilities, places, strict=True)
        return torch.tensor([max(self.answers[i], key=lambda label: float(row[label])) for row, i in each])


def open_layout(name: str, folder: Path, classes: Sequence[str], channels: int, labels: Path | None) -> LabelledSet:
    """The images of `folder` in the layout `name`, for a network that knows `classes` and takes `channels`.

    The network's classes are ImageNet's thousand in the usual order, or WordNet ids. `labels` is real.json.
    """
    if name not in LAYOUTS:
        raise UsageError(f"there is no layout {name!r}; use {', '.join(LAYOUTS)}")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give the one that holds the images of {name}")
    if (labels is not None) != (name == "imagenet-real"):
        raise UsageError("--labels real.json belongs to the layout imagenet-real, and it needs them")
    numbers = class_numbers(classes)
    if labels is not None:
        return _open_real(folder, numbers, channels, labels)
    by_number = {str(i): synset for i, synset in enumerate(synsets())} if name == "imagenet-v2" else {}
    own = _listed_in(NARROWED[name]) if name in NARROWED else ()
    paths: list[Path] = []
    found: list[int] = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        synset = by_number.get(place.name, place.name)
        if synset not in numbers or (own and synset not in own):
            wanted = "a class number from 0 to 999" if by_number else "the WordNet id of a class that the network knows"
            wanted += f" and {name} has" * bool(own)
            raise UsageError(f"{place} is not {wanted}; {name} has a folder for each class, so check the layout")
        inside = _images(place)
        paths += inside
        found += [numbers[synset]] * len(inside)
    if not paths:
        raise UsageError(f"{folder} holds no images in class folders; {name} has a folder for each class")
    chosen = tuple(sorted(numbers[synset] for synset in own if synset in numbers)) if own else None
    return LabelledSet(name, FileSource(paths, found, channels), chosen)


def class_numbers(classes: Sequence[str]) -> dict[str, int]:
    """The network's number of each WordNet id."""
    if set(classes) <= set(synsets()):
        return {synset: number for number, synset in enumerate(classes)}
    if len(classes) == len(synsets()):
        return {synset: number for number, synset in enumerate(synsets())}
    raise UsageError(
        f"ImageNet's sets need a network of its 1,000 classes or of WordNet ids; this one knows {len(classes)}, "
        f"{', '.join(classes[:3])} …"
    )


@cache
def synsets() -> tuple[str, ...]:
    """The WordNet ids of ILSVRC 2012's classes in their usual order, the alphabet's."""
    return _listed_in("imagenet_synsets.txt")


def _listed_in(file: str) -> tuple[str, ...]:
    return tuple((Path(__file__).parent / file).read_text().split())


def _open_real(folder: Path, numbers: dict[str, int], channels: int, labels: Path) -> LabelledSet:
    """Images by the number in their file name; those without any right label are left out, as the authors do."""
    answers = _read_real(labels)
    paths, kept = [], []
    for path in _images(folder):
        match = re.search(r"val_(\d{8})$", path.stem)
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(answers):
            raise UsageError(f"{path} has no label in {labels}; validation images are called ILSVRC2012_val_00000001…")
        right = tuple(numbers[s] for s in (synsets()[i] for i in answers[number - 1]) if s in numbers)
        if right:
            paths.append(path)
            kept.append(right)
    if not paths:
        raise UsageError(f"{folder} holds no validation image with a label in {labels}")
    source = FileSource(paths, [right[0] for right in kept], channels)
    return LabelledSet("imagenet-real", source, answers=tuple(kept))


def _read_real(labels: Path) -> list[list[int]]:
    found: Any = read_json(labels, "give the real.json of the reassessed labels")
    last = len(synsets()) - 1
    if not isinstance(found, list) or not all(
        isinstance(one, list) and all(isinstance(i, int) and 0 <= i <= last for i in one) for one in found
    ):
        raise UsageError(f"{labels} is not a list that has, for each image, a list of class numbers from 0 to {last}")
    return found


def _images(folder: Path) -> list[Path]:
    return [Path(path) for path in listed(folder).files]

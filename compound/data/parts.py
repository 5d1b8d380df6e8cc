"""Which folders are the parts of a data set, and not its classes."""

import re
from collections.abc import Mapping
from pathlib import Path

# What people call the three parts, in the order of preference.
TRAIN, HOLDOUT, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
PARTS = {"train": TRAIN, "holdout": HOLDOUT, "test": TEST}
WHAT = ("set", "data", "images")  # what a part may be called the part of: trainset, train_data


def part_in(name: str) -> str | None:
    """The part that is a word of a name, as of `seg_train`, `Test-Set`, `val2017`; None where it is none, or two."""
    words = set()
    for word in re.findall("[a-z]+", name.lower()):
        words |= {word, *(word.removesuffix(what) for what in WHAT)}
    found = [part for part, known in PARTS.items() if words & set(known)]
    return found[0] if len(found) == 1 else None


def parts_in_words(names: Mapping[str, Path]) -> dict[str, Path]:
    """The folder of each part where all `names` are of parts, each of another, and one is to train on; else none."""
    found = {part: place for name, place in names.items() if (part := part_in(name))}
    return found if len(found) == len(names) > 1 and "train" in found else {}


def alike(folders: Mapping[str, set[str]]) -> str:
    """A doubt where a few folders hold folders of the same names, which classes seldom do and parts always."""
    inner, *others = folders.values()
    if not 1 <= len(others) < len(PARTS) or len(inner) < 2 or any(names != inner for names in others):
        return ""
    shown = ", ".join(sorted(inner)[:3]) + ", …" * (len(inner) > 3)
    named, parts = " and ".join(folders), "train and test" if len(folders) == 2 else "train, val and test"
    return (
        f"{named} are taken for classes and hold folders of the same names ({shown}); if those are the classes, "
        f"rename {named} to {parts}"
    )

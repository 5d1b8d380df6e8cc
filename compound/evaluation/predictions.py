"""Predictions as files: a CSV of every image, and what a challenge with hidden labels asks for (Table 8)."""

from dataclasses import dataclass
from pathlib import Path

from compound.bounds import bound
from compound.data import Source
from compound.documents import write_csv
from compound.errors import UsageError
from compound.evaluation.result import Evaluation
from compound.files import read_regular, write_text

GUESSES = 5  # classes of a line of an ImageNet submission, and of a row of predictions


def write_predictions(result: Evaluation, source: Source, path: Path) -> Path:
    """A row for each readable image: path, label, predicted, confidence (of that class), label_probability.

    After them the most probable classes and their probabilities, the best first, up to five: class1, probability1, …
    """
    names = result.classes
    given = result.probabilities.gather(1, result.labels[:, None])[:, 0]
    best = result.probabilities.topk(min(GUESSES, len(names)))
    columns = (result.indices, result.labels, result.predicted, result.confidence, given, best.indices, best.values)
    rows = []
    for index, label, predicted, confidence, chance, order, values in zip(*(c.tolist() for c in columns), strict=True):
        guesses = [word for i, p in zip(order, values, strict=True) for word in (names[i], f"{p:.6g}")]
        rows.append(
            (source.path(index), names[label], names[predicted], f"{confidence:.6g}", f"{chance:.6g}", *guesses)
        )
    ranked = [f"{what}{rank}" for rank in range(1, best.indices.shape[1] + 1) for what in ("class", "probability")]
    return write_csv(path, ("path", "label", "predicted", "confidence", "label_probability", *ranked), rows)


@dataclass(frozen=True)
class Submission:
    """How predictions become a file: `.txt` as ImageNet's server reads it, `.csv` with a header and class names.

    `numbers` are the challenge's class numbers in the order of the classes (see `read_numbers`); without them the
    classes count from 1.
    """

    path: Path
    classes: tuple[str, ...]
    numbers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.path.suffix not in (".txt", ".csv"):
            raise UsageError(
                f"a submission ends in .txt (class numbers) or .csv (class names), and {self.path} does not"
            )
        if self.numbers and len(self.numbers) != len(self.classes):
            raise UsageError(
                f"the class numbers are of {len(self.numbers)} classes and the network knows {len(self.classes)}"
            )


def write_submission(wanted: Submission, best: dict[str, list[int]]) -> Path:
    """Write the most probable classes of each image (file name to class positions), in the order of the names."""
    rows = sorted((name, order[:GUESSES]) for name, order in best.items())
    if wanted.path.suffix == ".txt":
        numbers = wanted.numbers or tuple(range(1, len(wanted.classes) + 1))
        return write_text(wanted.path, "".join(" ".join(str(numbers[i]) for i in order) + "\n" for _, order in rows))
    columns = ("image", *(f"class{rank}" for rank in range(1, min(GUESSES, len(wanted.classes)) + 1)))
    return write_csv(wanted.path, columns, ((name, *(wanted.classes[i] for i in order)) for name, order in rows))


def read_numbers(path: Path) -> tuple[int, ...]:
    """Class numbers in the order of the WordNet ids, from the challenge's map_clsloc.txt: `n02119789 1 kit_fox`."""
    try:
        text = read_regular(path, bound("COMPOUND_MAX_TABLE")).decode("utf-8")
        return tuple(int(row[1]) for row in sorted(line.split() for line in text.splitlines() if line.strip()))
    except OSError as error:
        reason = error.strerror or str(error)
    except (IndexError, ValueError):  # text that is no UTF-8 is a ValueError too
        reason = "a line has no number"
    raise UsageError(f"cannot read class numbers from {path}: {reason}; give lines of `WORDNET-ID NUMBER NAME`")

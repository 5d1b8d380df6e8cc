"""`compound.evaluate_all`: several networks on several sets of images, as one table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.documents import write_csv
from compound.errors import UsageError
from compound.verbs.evaluate import Evaluated, Judging, asked_of, find_layout, place_of, to_judge
from compound.verbs.given import Place, Say, heard, silent
from compound.verbs.models import find_model

if TYPE_CHECKING:
    from compound.data import DataSpec
    from compound.evaluation.layouts import LabelledSet
    from compound.execution import Execution
    from compound.nn import Weights
    from compound.training.judging import Judged

COLUMNS = (
    "model", "data", "judged", "images", "top1", "top1_low", "top1_high", "mean_per_class", "top5",
    "mean_average_precision", "loss", "calibration_error",
)  # fmt: skip
MOST = 10_000  # networks times sets


@dataclass(frozen=True)
class SetAsked:
    """A set of images, and how its folder is laid out where it is a published one (see `Judging.layout`)."""

    data: "DataSpec | Place"
    layout: str | None = None


@dataclass(frozen=True)
class EvaluatedAll:
    """A row for each network on each set, in the order they were asked for."""

    rows: tuple[Evaluated, ...]

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """`COLUMNS` of every row; accuracies are shares, with 95 % intervals (Wilson 1927), None what is not known."""
        return [_record(row) for row in self.rows]

    def write_csv(self, path: Place) -> None:
        """A CSV file with a line for each row."""
        write_csv(Path(path), COLUMNS, (tuple(row.values()) for row in self.records()))


@heard
def evaluate_all(
    models: Sequence[Place],
    sets: "Iterable[SetAsked | DataSpec | Place]" = (),
    *,
    again: bool = False,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> EvaluatedAll:
    """Evaluate every network on every set, each as `compound.evaluate` does it alone.

    All is opened before anything is computed, so what cannot be is said at once.

    Args:
        models: runs, weights files or published names.
        sets: the questions that open the images, or only where they lie; by default what each run was trained on.
        again: one more look at images that were to be looked at once.
        execution: where it runs. say: told by which images each is judged.

    Raises `UsageError` for no network, and what `compound.evaluate` raises.
    """
    from compound.evaluation import evaluate as run_evaluation
    from compound.execution import Execution

    given = [one if isinstance(one, SetAsked) else SetAsked(one) for one in sets] or [SetAsked("")]
    if not models or len(models) * len(given) > MOST:
        raise UsageError(f"{len(models):,} networks on {len(given):,} sets is no table; use 1 to {MOST:,} rows")
    execution = execution or Execution()
    opened = [(model, _all_judged(model, given, again, say)) for model in models]
    rows = []
    for model, every in opened:
        net, described = find_model(model, several=True)
        for labelled, judged in every:
            say(f"{model}: judged by {len(judged.source):,} images: {judged.said}")
            result = run_evaluation(net, judged.source, described.classes, execution)
            rows.append(Evaluated(fspath(model), labelled.judge(result, judged.rows) if labelled else result, judged))
    return EvaluatedAll(tuple(rows))


def _all_judged(
    model: Place, sets: Sequence[SetAsked], again: bool, say: Say
) -> "list[tuple[LabelledSet | None, Judged]]":
    """What `model` is judged by of each set."""
    _, described = find_model(model, several=True)
    return [_judged(model, one, described, again, say) for one in sets]


def _judged(
    model: Place, one: SetAsked, described: "Weights", again: bool, say: Say
) -> "tuple[LabelledSet | None, Judged]":
    judging = Judging(again=again, layout=one.layout)
    if one.layout and described.several:
        raise UsageError(f"a layout has one label an image, and {model} knows several; leave one of them out")
    labelled = find_layout(judging, one.data, described, say) if one.layout else None
    judged = to_judge(fspath(model), asked_of(one.data, described, judging=judging), labelled)
    place = place_of(one.data)  # two folders may have one name
    named = f"{one.layout} in {place}" if one.layout else place
    return labelled, replace(judged, name=named or judged.name)


def _record(row: Evaluated) -> dict[str, Any]:
    from compound.evaluation import SeveralLabels

    result = row.result
    low, high = result.interval()
    several = isinstance(result, SeveralLabels)
    values = (
        row.model, row.judged.name, row.judged.said, result.images, result.top(1), low, high,
        None if several else result.mean_per_class, result.top(5),
        result.mean_average_precision if isinstance(result, SeveralLabels) else None, result.loss,
        None if several else result.calibration_error,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))

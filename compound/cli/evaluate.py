"""`compound evaluate`: a trained network on the test images of a data set."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.answers.evaluated import evaluated_lines, table_lines
from compound.cli.options.evaluation import (
    Again,
    By,
    Calibrate,
    Corruptions,
    Coverage,
    Final,
    Groups,
    LabelsFile,
    Layout,
    Predictions,
    Recalibrate,
    Reliability,
    Resolutions,
    Shortcuts,
    TableFile,
    Unknown,
)
from compound.cli.options.execution import ExecutionOptions, with_execution
from compound.cli.options.networks import in_order, is_network
from compound.cli.options.training import Download, Root
from compound.errors import UsageError
from compound.verbs import evaluate as verb
from compound.verbs import evaluations as verbs
from compound.verbs.calibration import Fitting

if TYPE_CHECKING:
    from compound.data import DataSpec
    from compound.execution import Execution

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A run directory, a .safetensors file, or a network's name with --weights."),
]
DataDefault = Annotated[str | None, typer.Argument(metavar="[DATA]", help="Default: what the run was trained on.")]
MoreData = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[DATA]...",
        help="Default: what the run was trained on. With more runs and sets, also imagenet-r=FOLDER, a table.",
    ),
]
ForeignWeights = Annotated[
    str | None, typer.Option("--weights", help="For NETWORK: another library's .pth file, or a published name.")
]


@with_execution
def evaluate(
    model: Model,
    data: MoreData = None,
    weights: ForeignWeights = None,
    calibrate: Calibrate = False,
    unknown: Unknown = None,
    coverage: Coverage = None,
    reliability: Reliability = None,
    predictions: Predictions = None,
    csv: TableFile = None,
    final: Final = False,
    again: Again = False,
    resolutions: Resolutions = None,
    recalibrate: Recalibrate = False,
    corruptions: Corruptions = False,
    groups: Groups = False,
    group: By = None,
    shortcuts: Shortcuts = False,
    layout: Layout = None,
    labels: LabelsFile = None,
    *,
    running: ExecutionOptions,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Evaluate a trained network: top-1 with its intervals, top-5, loss, calibration, per class; several as a table."""
    words = in_their_order(model, data, weights)
    of_groups = groups or bool(group)
    if (
        (csv is not None and not of_groups)
        or len(words) > 1
        or any(is_model(word) or layout_in(word) for word in words)
    ):
        refuse_alone(
            weights=weights, calibrate=calibrate, reliability=reliability, predictions=predictions, final=final,
            resolutions=resolutions, recalibrate=recalibrate, layout=layout, labels=labels, unknown=unknown,
            coverage=coverage, corruptions=corruptions, groups=groups, group=group or None, shortcuts=shortcuts,
        )  # fmt: skip
        return answer_table([model, *words], spec_of("", root, download), again, running.execution(), csv, json)
    sweep = verb.Sweep(
        tuple(parse_resolutions(resolutions)), recalibrate, corruptions, groups, tuple(group or ()), shortcuts
    )
    found = verb.evaluate(
        model, spec_of(words[0] if words else "", root, download),
        weights=weights, judging=verb.Judging(final, again, layout, labels), sweep=sweep,
        calibrate=Fitting(calibrate, unknown, coverage), predictions=predictions, reliability=reliability,
        execution=running.execution(), say=note,
    )  # fmt: skip
    if csv is not None:
        found.write_groups(csv)
    return answer(json, found.to_json(), "\n".join(evaluated_lines(found)))


def in_their_order(model: str, data: list[str] | None, weights: str | None) -> list[str]:
    """The words after the first. Raises `UsageError` where data stands in the place of a network."""
    words = list(data or [])
    if words and not weights and not is_model(model):
        in_order("evaluate", model, words[0])
    return words


def spec_of(where: str, root: Path | None, download: bool) -> "DataSpec":
    from compound.data import DataSpec

    return DataSpec(where, root=root, download=download)


def is_model(word: str) -> bool:
    """Whether a word names a trained network, and not images."""
    return is_network(word) or word.startswith(("hf:", "timm/", "torchvision/")) or word.endswith((".pth", ".pt"))


def layout_in(word: str) -> str | None:
    """The published layout that a word begins with, as in `imagenet-r=FOLDER`."""
    from compound.evaluation import LAYOUTS

    name = word.partition("=")[0]
    return name if "=" in word and name in LAYOUTS else None


def answer_table(
    words: list[str], asked: "DataSpec", again: bool, execution: "Execution", csv: Path | None, json: bool
) -> None:
    """Every network among `words` on every set among them; `asked` has the rest of their questions."""
    sets = []
    for word in words[1:]:
        if is_model(word):
            continue
        layout = layout_in(word)
        if layout == "imagenet-real":
            raise UsageError("imagenet-real needs its labels; give it alone: --layout imagenet-real --labels real.json")
        sets.append(verbs.SetAsked(replace(asked, where=word[len(layout) + 1 :] if layout else word), layout))
    models = [words[0], *filter(is_model, words[1:])]
    every = verbs.evaluate_all(models, sets, again=again, execution=execution, say=note)
    if csv is not None:
        every.write_csv(csv)
    answer(json, every.to_json(), "\n".join(table_lines(every)))


def refuse_alone(**options: object) -> None:
    """Raise `UsageError` for what is of one network on one set."""
    for name, value in options.items():
        if value is not None and value is not False:
            raise UsageError(f"--{name} is of one network on one set, and a table is asked for; leave it out")


def parse_resolutions(text: str | None) -> list[int]:
    try:
        sizes = [int(word) for word in text.split(",")] if text else []
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise UsageError(f"--resolutions {text!r} is not a list of pixels; use e.g. 224,256,288")
    return sizes

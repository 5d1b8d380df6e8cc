"""`compound.evaluate`: a trained network on the images it may be judged by; `compound.compare`: two of them."""

from dataclasses import dataclass, field, replace
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.bounds import check_sides
from compound.documents import write_csv
from compound.errors import UsageError
from compound.files import ending
from compound.verbs.calibration import Calibrated, Fitting, covered_of, fit, keep_figures, keep_weights, refused_of
from compound.verbs.given import Place, Say, heard, silent
from compound.verbs.models import find_model

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec, Source
    from compound.evaluation import Comparison, Evaluation
    from compound.evaluation.layouts import LabelledSet
    from compound.execution import Execution
    from compound.nn import ConvNet, Weights
    from compound.training.judging import AskedImages, Judged


@dataclass(frozen=True)
class Judging:
    """By which images, where it is not simply the test images.

    `final`: the one evaluation of a run that keeps its test images, written into it. `again`: one more look at images
    that were to be looked at once. `layout`: the data is a folder laid out as imagenet, imagenet-real (with `labels`,
    its real.json), imagenet-v2, imagenet-a, imagenet-r or imagenet-sketch.
    """

    final: bool = False
    again: bool = False
    layout: str | None = None
    labels: Path | None = None

    def options(self) -> dict[str, Any]:
        """What needs one label an image, by the names of its options."""
        return {"--layout": self.layout}


@dataclass(frozen=True)
class Sweep:
    """Test resolutions in px besides the network's; `recalibrate`: batch norms re-estimated on training images.

    `corruptions`: also images with noise, blur, JPEG's and brightness (`compound.evaluation.robustness`). `groups`:
    also by size, brightness and folder, and by each of `by`, columns or patterns (`compound.evaluation.groups`).
    `shortcuts`: also where the heat of each class lies (`compound.explanation.border`).
    """

    resolutions: tuple[int, ...] = ()
    recalibrate: bool = False
    corruptions: bool = False
    groups: bool = False
    by: tuple[str, ...] = ()
    shortcuts: bool = False

    def __post_init__(self) -> None:
        check_sides("--resolutions", self.resolutions)
        if self.recalibrate and not self.resolutions:
            raise UsageError("--recalibrate belongs to --resolutions; name them, such as --resolutions 224,256")

    def options(self) -> dict[str, Any]:
        """What was asked for, by the names of its options."""
        return {
            "--resolutions": self.resolutions,
            "--corruptions": self.corruptions,
            "--groups": self.groups,
            "--group": self.by,
            "--shortcuts": self.shortcuts,
        }


GROUP_COLUMNS = ("by", "group", "images", "top1", "top1_low", "top1_high", "others", "others_top1", "difference_low",
                 "difference_high", "compared", "worse")  # fmt: skip


@dataclass(frozen=True)
class Evaluated:
    """The result, the images that it is of, and what else was asked for.

    `fitted`: what was fitted on the held-out images, and `before`: the calibration error without the temperature.
    `unknown`: the network's threshold and what it refuses of these images; `sets`: its sets, and how often these
    images' classes are in theirs. `swept`: figures at other resolutions; `robustness`: under corruptions; `groups`: of
    images that have something in common; `borders`: whether classes are known by the border of their images.
    """

    model: str
    result: "Evaluation"
    judged: "Judged"
    fitted: Calibrated = field(default_factory=Calibrated)
    before: float | None = None
    unknown: dict[str, Any] | None = None
    sets: dict[str, Any] | None = None
    robustness: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    borders: list[dict[str, Any]] = field(default_factory=list)
    swept: list[dict[str, Any]] = field(default_factory=list)

    @property
    def temperature(self) -> float | None:
        return self.fitted.temperature

    def write_groups(self, path: Place) -> None:
        """A CSV file with a row a group: accuracies are shares, with 95 % intervals."""
        rows = [
            (one["by"], one["group"], one["images"], one["top1"], *one["top1_interval"], one["others"],
             one["others_top1"], *(one["difference_interval"] or ("", "")), one["compared"], int(one["worse"]))
            for one in self.groups
        ]  # fmt: skip
        write_csv(Path(path), GROUP_COLUMNS, rows)

    def to_json(self) -> dict[str, Any]:
        head = {"model": self.model, "data": self.judged.name, "judged": self.judged.said}
        return head | self.figures() | ({"resolutions": self.swept} if self.swept else {})

    def figures(self) -> dict[str, Any]:
        """The summary, the calibration and the threshold."""
        calibrated = {"temperature": self.temperature, "calibration_error_before": self.before}
        more = {"unknown": self.unknown, "sets": self.sets, "robustness": self.robustness}
        more |= {"groups": self.groups, "borders": self.borders}
        known = {name: value for name, value in more.items() if value}
        return self.result.summary() | (calibrated if self.temperature else {}) | known


@dataclass(frozen=True)
class Compared:
    """Two networks on the images that both can be judged by; `said` tells which these are."""

    first: str
    second: str
    data: str
    said: str
    comparison: "Comparison"

    def to_json(self) -> dict[str, Any]:
        head = {"first": self.first, "second": self.second, "data": self.data, "judged": self.said}
        return head | self.comparison.summary()


@heard
def evaluate(
    model: Place,
    data: "DataSpec | Place | None" = None,
    *,
    weights: Place | None = None,
    judging: Judging = Judging(),
    sweep: Sweep = Sweep(),
    calibrate: bool | Fitting = False,
    predictions: Place | None = None,
    reliability: Place | None = None,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> Evaluated:
    """Evaluate a trained network: top-1 with its intervals, top-5, loss, calibration, per class, confusion.

    No image counts that the network was trained on (see `compound.training.judging`).

    Args:
        model: a run or a weights file; with `weights`, the name of a network.
        data: the question that opens the images, or only where they lie; by default what the run was trained on.
        weights: another library's weights, or a published name, for the network `model`.
        judging: which images, where it is not simply the test images. sweep: other resolutions.
        calibrate: keep a temperature, fitted on held-out images, in the weights (Guo et al. 2017); or more (`Fitting`).
        predictions: write a CSV file with a row an image. reliability: draw accuracy by confidence, .svg, .png or .pdf.
        execution: where it runs. say: told of warnings.

    Raises `UsageError` for what says nothing together, and for a look at test images that is one too many.
    """
    from compound.evaluation import evaluate as run_evaluation
    from compound.evaluation.figures import FORMATS
    from compound.execution import Execution
    from compound.training import open_run
    from compound.training.final import finish

    fitting = calibrate if isinstance(calibrate, Fitting) else Fitting(calibrate)
    refuse_mixtures(data, weights, judging, sweep, fitting)
    if reliability:
        ending(Path(reliability), FORMATS, "picture")
    name, execution = fspath(model), execution or Execution()
    net, described = find_model(model, weights, several=True)
    if described.several:
        files = {"--reliability": reliability, "--predictions": predictions}
        refuse_single(name, files | fitting.options() | judging.options() | sweep.options())
    labelled = find_layout(judging, data, described, say) if judging.layout else None
    question = asked_of(data, described, parts=bool(fitting or sweep.resolutions), judging=judging)
    judged = to_judge(weights or name, question, labelled)
    images = judged.data
    say(f"judged by {len(judged.source):,} images: {judged.said}")
    fitted = fit(net, images, fitting, execution, say) if fitting and images else Calibrated()
    result = run_evaluation(net, judged.source, described.classes, execution)
    result = labelled.judge(result, judged.rows) if labelled else result
    found = Evaluated(name, result, judged, fitted, _before(result, fitted.temperature))
    found = found if labelled else _promised(found, net, sweep, place_of(data), execution)
    if judging.final:
        finish(open_run(name), result)
    _kept(found, net, described)
    if sweep.resolutions and images:
        found = replace(found, swept=_swept(net, images, sweep, execution))
    return _written(found, net.network.name, predictions, reliability)


def _promised(found: Evaluated, net: "ConvNet", sweep: Sweep, place: str, execution: "Execution") -> Evaluated:
    """With what the network's threshold and its sets say of these images, its accuracy on them made worse and
    by groups, and what it rests on."""
    from compound.data import Preprocessing
    from compound.evaluation.groups import by_groups
    from compound.evaluation.robustness import robustness
    from compound.explanation.border import borders
    from compound.training import open_run

    source, groups = found.judged.source, []
    worse = robustness(net, source, execution) if sweep.corruptions else []
    looked = borders(net, source, found.result.classes, execution) if sweep.shortcuts else []
    if sweep.groups or sweep.by:
        where = place or open_run(found.model).spec.where
        groups = by_groups(found.result, source, where, sweep.by, Preprocessing.of(net.network), execution)
    return replace(
        found,
        unknown=refused_of(found.result, net.unknown) if net.unknown else None,
        sets=covered_of(found.result, net.sets) if net.sets else None,
        robustness=[one.to_json() for one in worse],
        groups=[one.to_json() for one in groups],
        borders=[one.to_json() for one in looked],
    )


def _kept(found: Evaluated, net: "ConvNet", described: "Weights") -> None:
    """Weights with what was fitted for them, and figures that the run's evaluation.json lacks."""
    path = Path(found.model)
    if found.fitted.kept:
        keep_weights(path, net, described)
    if found.judged.own and (found.fitted.kept or found.robustness or found.groups or found.borders):
        keep_figures(path, found.temperature, found.figures())


def _written(found: Evaluated, name: str, predictions: Place | None, reliability: Place | None) -> Evaluated:
    from compound.evaluation import write_predictions
    from compound.evaluation.figures import reliability_diagram, save_figure

    if predictions:
        write_predictions(found.result, found.judged.source, Path(predictions))
    if reliability:
        save_figure(reliability_diagram(found.result, f"{name} on {found.judged.name}"), Path(reliability))
    return found


@heard
def compare(
    first: Place,
    second: Place,
    data: "DataSpec | Place | None" = None,
    *,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> Compared:
    """Compare two networks image by image: difference of top-1 with its interval, and McNemar's exact test.

    Args:
        first: a run or a weights file.
        second: another that knows the same classes.
        data: the question that opens the images, or only where they lie; by default what both runs were trained on.
        execution: where it runs.
        say: told by which images they are judged.

    Raises `UsageError` where the two have no images in common that both can be judged by.
    """
    from compound.evaluation import compare as run_comparison
    from compound.evaluation import evaluate as run_evaluation
    from compound.execution import Execution

    names, execution = (fspath(first), fspath(second)), execution or Execution()
    loaded = [find_model(each) for each in names]
    if loaded[0][1].classes != loaded[1][1].classes:
        raise UsageError(f"{first} and {second} know different classes, so they cannot be right about the same images")
    again = Judging(again=True)
    judged = [
        to_judge(name, asked_of(data, described, judging=again))
        for name, (_, described) in zip(names, loaded, strict=True)
    ]
    sources = in_common(judged[0].source, judged[1].source)
    fewer = any(len(s) < len(j.source) for s, j in zip(sources, judged, strict=True))
    if not len(sources[0]) or (fewer and not place_of(data)):
        raise UsageError(f"{first} and {second} were tested on different images; name DATA that neither was trained on")
    said = " and ".join(sorted({one.said for one in judged}))
    say(f"judged by {len(sources[0]):,} images: {said}")
    results = [
        run_evaluation(net, source, described.classes, execution)
        for (net, described), source in zip(loaded, sources, strict=True)
    ]
    return Compared(*names, judged[0].name, said, run_comparison(*results))


def asked_of(
    data: "DataSpec | Place | None", described: "Weights", *, judging: Judging, parts: bool = False
) -> "AskedImages":
    """What a network of these weights is to be judged by; an empty place stands for what its run was trained on."""
    from compound.data import DataSpec
    from compound.training.judging import AskedImages

    spec = data if isinstance(data, DataSpec) else DataSpec(place_of(data))
    spec = replace(spec, channels=described.channels)
    return AskedImages(spec, described.classes, described.several, parts, judging.final, judging.again)


def place_of(data: "DataSpec | Place | None") -> str:
    from compound.data import DataSpec

    return data.where if isinstance(data, DataSpec) else fspath(data or "")


def to_judge(model: Place, asked: "AskedImages", labelled: "LabelledSet | None" = None) -> "Judged":
    """The images that `model` is judged by: a labelled set, those asked for, or by default those of its run."""
    from compound.training import open_run
    from compound.training.judging import Judged, images_to_judge, run_of, unseen

    run = run_of(fspath(model))
    if labelled is not None:
        return unseen(Judged(labelled.name, labelled.source, "all of it"), run, asked, fspath(model))
    if not asked.spec.where:
        run = run or open_run(fspath(model))
        root, download = asked.spec.root or run.spec.root, asked.spec.download or run.spec.download
        asked = replace(asked, spec=replace(asked.spec, where=run.spec.where, root=root, download=download))
    return images_to_judge(asked, run, fspath(model))


def in_common(first: "Source", second: "Source") -> "tuple[Source, Source]":
    """The images that both have, in the order of the first."""
    import numpy as np

    from compound.data import subset

    at = {second.path(i): i for i in range(len(second))}
    rows = [(i, at[path]) for i in range(len(first)) if (path := first.path(i)) in at]
    chosen = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return subset(first, chosen[:, 0]), subset(second, chosen[:, 1])


def refuse_single(model: str, asked: dict[str, Any]) -> None:
    """What is made for one label an image."""
    for option, value in asked.items():
        if value:
            raise UsageError(f"{option} needs one label an image, and {model} knows several; leave it out")


def refuse_mixtures(
    data: "DataSpec | Place | None", weights: Place | None, judging: Judging, sweep: Sweep, fitting: Fitting
) -> None:
    """Options that say nothing together."""
    layout, sizes, named = judging.layout, sweep.resolutions, bool(place_of(data))
    if judging.final and (named or weights or layout or sizes):
        raise UsageError("--final is of a run, its own test images and its own resolution; leave all other out")
    asked = next((option for option, given in fitting.options().items() if given), None)
    if asked and weights:
        raise UsageError(f"{asked} keeps what it finds in our own weights file, and {weights} is another's")
    swept = next((option for option, given in sweep.options().items() if given), None)
    if layout and (asked or swept):
        raise UsageError(f"a --layout has test images alone; {asked or swept} needs a data set or a run")
    if layout and not named:
        raise UsageError(f"--layout {layout} says how a folder is laid out; give the folder as DATA")
    if judging.labels and not layout:
        raise UsageError("--labels belongs to --layout imagenet-real")


def find_layout(judging: Judging, data: "DataSpec | Place | None", described: "Weights", say: Say) -> "LabelledSet":
    """The set in a published layout; it says where it is not whole."""
    from compound.evaluation import LAYOUTS, open_layout

    layout, place = str(judging.layout), place_of(data)
    found = open_layout(layout, Path(place), described.classes, described.channels, judging.labels)
    if len(found.source) != LAYOUTS[layout]:
        say(f"warning: {layout} has {LAYOUTS[layout]:,} images to judge and {place} has {len(found.source):,}")
    return found


def _before(result: "Evaluation", temperature: float | None) -> float | None:
    """The calibration error without the temperature."""
    from compound.evaluation.calibration import tempered

    if not temperature:
        return None
    return replace(result, probabilities=tempered(result, 1 / temperature)).calibration_error


def _swept(net: "ConvNet", images: "DataSet", wanted: Sweep, execution: "Execution") -> list[dict[str, Any]]:
    """Figures at every resolution."""
    from compound.evaluation import sweep

    training = images.train if wanted.recalibrate else None
    return [
        {"resolution": size, "recalibrated": wanted.recalibrate, "top1": one.top(1),
         "top1_interval": list(one.interval()), "top5": one.top(5), "loss": one.loss,
         "calibration_error": one.calibration_error}
        for size, one in sweep(net, images.test, images.classes, list(wanted.resolutions), execution, training=training)
    ]  # fmt: skip

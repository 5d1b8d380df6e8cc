"""The page of a run: everything it shows is read from the run directory, and what is not there yet is said."""

import csv
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from compound.cost import CONVENTION, Cost, cost, stage_costs
from compound.errors import UsageError
from compound.files import write_text
from compound.network import describe
from compound.quantity import short
from compound.report import figures
from compound.report.drawing import boxes, draw_networks
from compound.report.making import commands, recipe_fields
from compound.report.plan import PlanView, drawable_baseline, view_plan
from compound.report.results import Card, Confused, Recall, cards, check_confusion, most_confused, recalls
from compound.train.run import Run, open_run

MATRIX = 20  # classes up to which the confusion matrix has numbers
DAMAGED = 20  # damaged images that are named
LONG_RECALL = 40  # classes from which only both ends of the recalls are shown


@dataclass(frozen=True)
class StageLine:
    """A row of the network's table."""

    label: str
    operator: str
    resolution: int
    channels: int
    layers: int
    stride: int | None
    cost: Cost
    share: float


@dataclass(frozen=True)
class RunReport:
    """A run directory as the page tells it. A file that is not there is None."""

    run: Run
    versions: dict[str, str]
    plan_file: dict[str, Any] | None
    metrics: dict[str, list[float]] | None
    evaluation: dict[str, Any] | None
    predictions: list[dict[str, Any]] | None

    @classmethod
    def read(cls, path: Path) -> "RunReport":
        run = open_run(path)
        given = yaml.safe_load((path / "run.yaml").read_text(encoding="utf-8"))
        predictions = _json(path / "predictions.json")
        report = cls(
            run,
            {str(name): str(number) for name, number in (given.get("versions") or {}).items()},
            _json(path / "plan.json"),
            _metrics(run.metrics),
            _json(run.evaluation),
            predictions["predictions"] if predictions else None,
        )
        if report.confusion:
            check_confusion(report.confusion, report.classes, run.evaluation)
        return report

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.run.data["classes"]]

    @property
    def confusion(self) -> list[list[int]] | None:
        return self.evaluation.get("confusion") if self.evaluation else None

    @cached_property
    def cost(self) -> Cost:
        return cost(self.run.network, len(self.classes), self.run.data["channels"])

    @property
    def plan(self) -> PlanView | None:
        given = self.plan_file
        return view_plan(given, self.run.network, self.cost, self.run.recipe.batch) if given else None

    def drawing(self) -> str:
        """The network to scale, its baseline before it where that is known."""
        baseline = drawable_baseline(self.plan_file, self.run.network)
        return draw_networks([baseline, self.run.network] if baseline else [self.run.network])

    def stages(self) -> list[StageLine]:
        network = self.run.network
        costs = stage_costs(network, len(self.classes), self.run.data["channels"])
        rows = [(describe(stage.block), stage.stride) for stage in (network.stem, *network.stages)]
        head = "conv 1×1, pool, linear" if network.head.channels else "pool, linear"
        return [
            StageLine(
                box.label, what, box.resolution, box.channels, box.layers, stride,
                costs[box.label], costs[box.label].macs / max(self.cost.macs, 1),
            )
            for box, (what, stride) in zip(boxes(network), [*rows, (head, None)], strict=True)
        ]  # fmt: skip

    def curves(self) -> dict[str, str]:
        """Loss, accuracy and rate by epoch, as SVG."""
        if not self.metrics:
            return {}
        m = self.metrics
        epochs = [int(epoch) for epoch in m["epoch"]]
        return {
            "loss": figures.curves("loss-by-epoch", epochs, m["train_loss"], m["val_loss"], False),
            "top1": figures.curves("top-1-by-epoch", epochs, m["train_top1"], m["val_top1"], True),
            "rate": figures.rates("learning-rate-by-epoch", epochs, m["rate"]),
        }

    def best(self) -> tuple[int, float] | None:
        """The epoch with the best held-out accuracy."""
        held = zip(self.metrics["epoch"], self.metrics["val_top1"], strict=True) if self.metrics else ()
        known = [(value, -int(epoch)) for epoch, value in held if math.isfinite(value)]
        value, epoch = max(known, default=(math.nan, 0))
        return (-epoch, value) if known else None

    def confusion_map(self) -> str:
        return figures.confusion_map("confusion-matrix", self.confusion) if self.confusion else ""

    def confusion_cells(self) -> str:
        each = figures.pooled(len(self.classes))
        return f", the largest of the {each} × {each} classes of a cell" if each > 1 else ""

    def confused(self) -> list[Confused]:
        return most_confused(self.confusion, self.classes) if self.confusion else []

    def recalls(self) -> list[Recall]:
        return recalls(self.confusion, self.classes) if self.confusion else []

    def cards(self, kind: str) -> list[Card]:
        return cards(self.run.path, self.predictions or [], kind)


def write_run_report(path: Path) -> Path:
    """Write `path`/report.html, one page that needs nothing else, and return where it is."""
    path = Path(path)
    return write_text(path / "report.html", render(RunReport.read(path)))


def render(report: RunReport) -> str:
    """The page. Everything is escaped but the SVG made here."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("compound", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": short, "percent": _percent}
    limits = {"MATRIX": MATRIX, "DAMAGED": DAMAGED, "LONG_RECALL": LONG_RECALL}
    made = {"recipe": recipe_fields(report.run), "commands": commands(report.run)}
    return environment.get_template("run.html").render(report=report, convention=CONVENTION, **made, **limits)


def _percent(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}%}"


def _json(file: Path) -> Any:
    """The file's value, None where there is no file."""
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is damaged: {error}; delete it, or make it again") from None


def _metrics(file: Path) -> dict[str, list[float]] | None:
    """metrics.csv by column, None without a finished epoch."""
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    try:
        return {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{file} is damaged: {error}; delete it, or make it again") from None

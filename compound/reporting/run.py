"""The sections of a run: everything is read from its directory, and what is not there yet is said."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compound.cost import Cost, cost
from compound.data.sheet import NAMED
from compound.documents import damage, read_records, read_yaml
from compound.files import stands
from compound.reporting import figures
from compound.reporting.drawing import Drawing
from compound.reporting.making import commands, origin_fields, recipe_fields
from compound.reporting.names import short_name, shortly
from compound.reporting.page import REMEDY, Report, Section, read_if_there, rendered
from compound.reporting.picture import Plot
from compound.reporting.plan import PlanView, drawable_baseline, view_plan
from compound.reporting.results import (
    Card,
    Confused,
    Confusion,
    Recall,
    cards,
    columns_of,
    image_uri,
    most_confused,
    read_confusion,
    recalls,
)
from compound.reporting.stages import network_part, stage_lines, stage_table
from compound.reporting.table import Cell, Column, Table, exact, percent
from compound.reporting.trust import trust_section
from compound.reporting.typed import Advice
from compound.training.better import better_text
from compound.training.pictures import BATCH, CLASSES, SHEET
from compound.training.run import Run, open_run

WIDE = 800  # px of a picture of the data
MATRIX = 20  # classes up to which the confusion matrix has numbers
DAMAGED = 20  # damaged images that are named
LONG_RECALL = 40  # classes from which only both ends of the recalls are shown


@dataclass(frozen=True)
class RunReport:
    """A run directory as the page tells it. A file that is not there is None."""

    run: Run
    versions: dict[str, str]
    plan_file: dict[str, Any] | None
    metrics: dict[str, list[float]] | None
    evaluation: dict[str, Any] | None
    held_out: dict[str, Any] | None
    predictions: list[dict[str, Any]] | None

    @classmethod
    def read(cls, path: Path) -> "RunReport":
        run = open_run(path)
        given = read_yaml(path / "run.yaml", REMEDY)
        predictions = read_if_there(path / "predictions.json")
        report = cls(
            run,
            {str(name): str(number) for name, number in (given.get("versions") or {}).items()},
            read_if_there(path / "plan.json"),
            _metrics(run.metrics),
            read_if_there(run.evaluation, dict),
            read_if_there(run.held_out),
            predictions["predictions"] if predictions else None,
        )
        _ = report.confusion  # one that does not fit is said at once
        return report

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.run.data["classes"]]

    @cached_property
    def confusion(self) -> Confusion | None:
        return read_confusion(self.evaluation, self.classes, self.run.evaluation) if self.evaluation else None

    def matrix(self) -> list[list[int]] | None:
        """All of it, where classes are few."""
        if self.confusion is None or len(self.classes) > MATRIX:
            return None
        return [[row.get(number, 0) for number in range(len(self.classes))] for row in self.confusion]

    @cached_property
    def cost(self) -> Cost:
        return cost(self.run.network)

    @property
    def name(self) -> str:
        """The network's, as people read it."""
        return short_name(self.run.network.name, self.cost.macs)

    @property
    def plan(self) -> PlanView | None:
        given = self.plan_file
        return view_plan(given, self.run.network, self.cost, self.run.recipe.batch) if given else None

    def drawing(self) -> Drawing:
        """The network to scale, its baseline before it where that is known."""
        baseline = drawable_baseline(self.plan_file, self.run.network)
        network = shortly(self.run.network, self.cost.macs)
        return Drawing((baseline, network) if baseline else (network,), "network")

    def curves(self) -> dict[str, Plot]:
        """Loss, accuracy and rate by epoch."""
        if not self.metrics:
            return {}
        m = self.metrics
        epochs = [int(epoch) for epoch in m["epoch"]]

        def both(name: str, title: str, quantity: str, percent: bool) -> Plot:
            held = figures.EpochCurve("held out", epochs, m[f"val_{quantity}"])
            train = figures.EpochCurve("training", epochs, m[f"train_{quantity}"])
            return figures.curves(name, title, [held], percent=percent, dashed=[train])

        return {
            "loss": both("loss-by-epoch", "Loss", "loss", False),
            "top1": both("top-1-by-epoch", "Top-1 accuracy", "top1", True),
            "rate": figures.rates("learning-rate-by-epoch", "Learning rate", epochs, m["rate"]),
        }

    def best(self) -> tuple[int, float] | None:
        """The epoch with the best held-out accuracy."""
        held = zip(self.metrics["epoch"], self.metrics["val_top1"], strict=True) if self.metrics else ()
        known = [(value, -int(epoch)) for epoch, value in held if math.isfinite(value)]
        value, epoch = max(known, default=(math.nan, 0))
        return (-epoch, value) if known else None

    def epochs_text(self) -> str:
        """How many epochs were trained, and of how many, where it ended earlier."""
        planned = self.run.recipe.epochs
        done = len(self.metrics["epoch"]) if self.metrics else planned
        many = f"{done:,} epoch{'s' if done != 1 else ''}"
        return many if done == planned else f"{many} of {planned:,}"

    def warmup_text(self) -> str:
        """The warm-up as it was: a short training has less than its recipe says."""
        told = (self.evaluation or self.held_out) or {}
        epochs = float(told.get("warmup_epochs", self.run.recipe.warmup))
        return f"after {epochs:.3g} warm-up epoch{'s' * (epochs != 1)}" if epochs else ""

    def kept_text(self) -> str:
        """Which epoch's weights a finished run kept, and why; runs of older versions kept the last after patience."""
        if not self.metrics or self.run.state != "done":
            return ""
        recipe, done = self.run.recipe, len(self.metrics["epoch"])
        chosen = ((self.evaluation or self.held_out) or {}).get("chosen")
        kept = f"those of epoch {chosen['epoch']}, the best" if chosen else f"those of the last epoch, {done}"
        said = f"The weights kept are {kept}."
        if better := ((self.evaluation or self.held_out) or {}).get("fine_tuning"):
            said = better_text(better) if better["kept"] == "probe" else f"{said} {better_text(better)}"
        if recipe.patience is not None and done < recipe.epochs:
            said += f" Training stopped after {done} of {recipe.epochs} epochs, {recipe.patience} without a better one."
        return said

    def confusion_map(self) -> Plot | None:
        """The colour map of many classes; few ones have a table of numbers."""
        many = self.confusion is not None and len(self.classes) > MATRIX
        return figures.confusion_map("confusion-matrix", self.confusion or []) if many else None

    def confusion_cells(self) -> str:
        each = figures.pooled(len(self.classes))
        return f", the largest of the {each} × {each} classes of a cell" if each > 1 else ""

    def confused(self) -> list[Confused]:
        return most_confused(self.confusion, self.classes) if self.confusion else []

    def recalls(self) -> list[Recall]:
        return recalls(self.confusion, self.classes) if self.confusion else []

    def cards(self, kind: str) -> list[Card]:
        return cards(self.run.path, self.predictions or [], kind)

    def title(self) -> str:
        return f"{self.name} on {self.run.data['name']}"

    def report(self) -> Report:
        """The page of this run alone."""
        trained = (self._data(), self._training(), self._classes(), self._examples())
        sections = (*self._trust(), self._plan(), self._network(), *trained, self._making())
        return Report(self.title(), rendered("run_top.html", report=self, advice=Advice.of(self.run)), sections)

    def _trust(self) -> tuple[Section, ...]:
        """Nothing before a test, nor of several labels an image."""
        if not self.evaluation or not self.confusion:
            return ()
        return (trust_section(self.run, self.evaluation, self.confusion, self.classes),)

    def _plan(self) -> Section:
        plan = self.plan
        tables: tuple[Table, ...] = ()
        if plan and plan.lines:
            columns = (Column("role"), Column("network"), *map(Column, plan.columns))
            tables = (
                Table("plan", "The plan", columns, tuple((one.role, one.name, *one.figures) for one in plan.lines)),
            )
        return Section("plan", "The plan", rendered("run_plan.html", plan=plan), (), tables)

    def _network(self) -> Section:
        drawing = self.drawing()
        body = network_part(drawing, self.run.network)
        return Section("network", "The network", body, (drawing,), (self.stage_table("stages"),))

    def _data(self) -> Section:
        """What it was trained on."""
        uris = {name: image_uri(self.run.path, file, WIDE)[0] for name, file in (("sheet", SHEET), ("batch", BATCH))}
        return Section("data", "The data", rendered("run_data.html", report=self, CLASSES=CLASSES, NAMED=NAMED, **uris))

    def _training(self) -> Section:
        curves = self.curves()
        body = rendered("run_training.html", report=self, curves=curves)
        return Section("training", "Training", body, tuple(curves.values()))

    def _classes(self) -> Section:
        drawn = self.confusion_map()
        limits = {"MATRIX": MATRIX, "LONG_RECALL": LONG_RECALL}
        body = rendered(
            "run_classes.html", report=self, confusion=self.confusion, matrix=self.matrix(), map=drawn, **limits
        )
        return Section("classes", "Classes", body, (drawn,) if drawn else (), self.class_tables())

    def _examples(self) -> Section:
        return Section(
            "examples", "Examples", rendered("run_examples.html", report=self, DAMAGED=DAMAGED, columns_of=columns_of)
        )

    def _making(self) -> Section:
        made = {"recipe": recipe_fields(self.run), "origin": origin_fields(self.run), "lines": commands(self.run)}
        return Section("making", "How it was made", rendered("run_making.html", report=self, **made))

    def stage_table(self, name: str) -> Table:
        return stage_table(name, stage_lines(self.run.network))

    def class_tables(self) -> tuple[Table, ...]:
        """Recall of every class, and the matrix where it is small."""
        if not self.confusion:
            return ()
        columns = (Column("class"), Column("recall", percent), Column("right", exact), Column("images", exact))
        found = tuple((one.name, one.share, one.right, one.images) for one in self.recalls())
        recall = Table("recall", "Recall", columns, found)
        if len(self.classes) > MATRIX:
            return (recall,)
        counts = zip(self.classes, self.matrix() or [], strict=True)
        rows: tuple[tuple[Cell, ...], ...] = tuple((name, *row) for name, row in counts)
        predicted = (Column(name, exact) for name in self.classes)
        return (recall, Table("confusion", "Confusion", (Column("true class"), *predicted), rows))


def _metrics(file: Path) -> dict[str, list[float]] | None:
    """metrics.csv by column, None without a finished epoch."""
    if not stands(file):
        return None
    rows = read_records(file, REMEDY, "epoch")
    try:
        found = {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else None
        if found and not all(map(math.isfinite, found["epoch"])):  # a loss may well be no number
            raise ValueError
        return found
    except (TypeError, ValueError):
        raise damage(file, "a cell is not a number, or is missing", REMEDY) from None

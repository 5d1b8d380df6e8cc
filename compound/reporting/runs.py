"""The sections of several runs side by side. What only one run has, classes and examples, its own page shows."""

from collections.abc import Sequence
from typing import Any

from compound.quantity import short
from compound.reporting import figures
from compound.reporting.cost_figures import Point, against_cost
from compound.reporting.drawing import Drawing
from compound.reporting.making import commands
from compound.reporting.page import Part, Section, rendered, section
from compound.reporting.picture import Picture
from compound.reporting.run import RunReport
from compound.reporting.table import Column, Table, exact, percent2

OF_A_KIND = "Runs are compared by their test images; those of different data sets are not comparable."


def run_sections(runs: Sequence[RunReport], seen: Sequence[Section] = ()) -> list[Section]:
    """What the runs reached, what it cost, their networks and curves, and how to repeat them."""
    names = labels(runs)
    parts: list[Part] = [run_table(runs, names)]
    if len({run.run.data["fingerprint"] for run in runs}) > 1:
        parts.append(OF_A_KIND)
    points = [_point(run, name) for run, name in zip(runs, names, strict=True) if run.evaluation]
    if len(points) > 1:
        parts += [against_cost(f"runs-{cost}", points, cost) for cost in ("macs", "params")]
    drawn = tuple(run.run.network.with_(name=name) for run, name in zip(runs, names, strict=True))
    stages = [_stages(run, name, number) for number, (run, name) in enumerate(zip(runs, names, strict=True), 1)]
    found = [section("runs", "What the runs reached", parts, pairs=True)]
    found.append(section("networks", "The networks", [Drawing(drawn), *stages]))
    curves = _curves(runs, names)
    if curves:
        found.append(section("training", "Training", curves, pairs=True))
    return [*found, *seen, section("making", "How they were made", [_making(runs, names)])]


def labels(runs: Sequence[RunReport]) -> list[str]:
    """The networks' names where they tell the runs apart, else the directories'."""
    short = [run.name for run in runs]
    names = [run.run.network.name for run in runs]
    folders = [run.run.path.resolve().name for run in runs]
    return next(
        (many for many in (short, names, folders) if len(set(many)) == len(runs)), [str(r.run.path) for r in runs]
    )


def run_table(runs: Sequence[RunReport], names: Sequence[str]) -> Table:
    columns = (
        Column("run"), Column("data"), Column("resolution", exact), Column("parameters", short), Column("MACs", short),
        Column("epochs", exact), Column("test top-1", percent2), Column("95 % interval", str),
        Column("test images", exact), Column("state"),
    )  # fmt: skip
    rows = []
    for run, name in zip(runs, names, strict=True):
        tested: dict[str, Any] = run.evaluation or {}
        ends = tested.get("top1_interval")
        between = f"{ends[0]:.2%} to {ends[1]:.2%}" if ends else None
        epochs = len(run.metrics["epoch"]) if run.metrics else 0
        sizes = (run.run.network.resolution, run.cost.params, run.cost.macs, epochs)
        judged = (tested.get("top1"), between, tested.get("images"))
        rows.append((name, run.run.data["name"], *sizes, *judged, run.run.state))
    best = max((row[6] for row in rows if row[6] is not None), default=None)
    marked = frozenset(number for number, row in enumerate(rows) if best is not None and row[6] == best)
    caption = "The interval is Wilson's for the test images; it does not hold what another seed would change."
    return Table("runs", "", columns, tuple(rows), caption, marked)


def _point(run: RunReport, name: str) -> Point:
    tested = run.evaluation or {}
    low, high = tested["top1_interval"]
    return Point(name, run.cost.macs, run.cost.params, tested["top1"], low, high)


def _stages(run: RunReport, name: str, number: int) -> Table:
    table = run.stage_table(f"stages-{number}")
    return Table(table.name, f"Cost of {name} by stage", table.columns, table.rows)


def _curves(runs: Sequence[RunReport], names: Sequence[str]) -> list[Picture]:
    """Held-out loss and accuracy of all runs that finished an epoch."""
    known = [(name, run.metrics) for run, name in zip(runs, names, strict=True) if run.metrics]
    pictures: list[Picture] = []
    kinds = (("val_loss", "Held-out loss", False), ("val_top1", "Held-out top-1 accuracy", True))
    for column, title, percent in (*kinds, ("train_loss", "Training loss", False)) if known else ():
        lines = [figures.EpochCurve(name, [int(epoch) for epoch in m["epoch"]], m[column]) for name, m in known]
        pictures.append(figures.curves(column.replace("_", "-"), title, lines, percent=percent))
    return pictures


def _making(runs: Sequence[RunReport], names: Sequence[str]) -> Any:
    made = [
        {"name": name, "run": run.run, "versions": run.versions, "lines": commands(run.run)[:2]}
        for run, name in zip(runs, names, strict=True)
    ]
    return rendered("runs_making.html", made=made)

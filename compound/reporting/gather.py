"""What a report is made of: each place that is named says what it is and brings its sections."""

from collections.abc import Sequence
from pathlib import Path

from compound.documents import write_csv
from compound.errors import UsageError
from compound.files import make_folder, write_bytes, write_text
from compound.places import nearest_run
from compound.reporting.figures import confusion_picture
from compound.reporting.page import Report, Section, rendered
from compound.reporting.run import RunReport
from compound.reporting.runs import labels, run_sections

RESULTS = {  # columns of metrics.csv, and what Ultralytics calls them
    "epoch": "epoch", "train_loss": "train/loss", "train_top1": "train/accuracy_top1", "val_loss": "val/loss",
    "val_top1": "metrics/accuracy_top1", "rate": "lr/pg0",
}  # fmt: skip


def write_report(
    places: Sequence[Path], out: Path, files: Path | None = None, images: Sequence[Path] = (), device: str = "auto"
) -> Report:
    """Write the page of `places` to `out`, and its figures and tables into the folder `files`."""
    report = read_report(places, images, device)
    make_folder(out.parent)
    write_text(out, report.html())
    if files is not None:
        report.write_files(files)
    return report


def write_run_report(path: Path) -> Path:
    """Write `path`/report.html, one page that needs nothing else, and return where it is.

    Beside it results.csv and confusion_matrix.png, the figures under the names that Ultralytics gives them.
    """
    path = Path(path)
    read = RunReport.read(path)
    if read.metrics:
        rows = zip(map(int, read.metrics["epoch"]), *(read.metrics[name] for name in list(RESULTS)[1:]), strict=True)
        write_csv(path / "results.csv", RESULTS.values(), rows)
    if read.confusion:
        write_bytes(path / "confusion_matrix.png", confusion_picture(read.confusion, read.classes).files()["png"])
    return write_text(path / "report.html", read.report().html())


def read_report(places: Sequence[Path], images: Sequence[Path] = (), device: str = "auto") -> Report:
    """The report of run directories, searches and studies; a run alone has its own page.

    `images` are seen through all runs, as in Figure 7.
    """
    kinds = [_kind(place) for place in places]
    runs = [RunReport.read(place) for place, kind in zip(places, kinds, strict=True) if kind == "run"]
    if images and not runs:
        raise UsageError("--images are seen through runs, and no run directory is given; name one or more")
    seen = [_maps(runs, images, device)] if images else []
    if len(runs) == len(places) == 1:
        alone = runs[0].report()
        return Report(alone.title, alone.top, (*alone.sections[:-1], *seen, alone.sections[-1]))
    sections: list[Section] = []
    counts = dict.fromkeys(("study", "search"), 0)
    for place, kind in zip(places, kinds, strict=True):
        if kind != "run":
            counts[kind] += 1
            name = kind if kinds.count(kind) == 1 else f"{kind}-{counts[kind]}"
            sections += _sections(place, kind, name)
    if runs:
        sections += run_sections(runs, seen)
    title = _title(places, kinds, runs)
    top = rendered("top.html", title=title, sections=sections)
    return Report(title, top, tuple(sections))


def _sections(place: Path, kind: str, name: str) -> list[Section]:
    """Of a study or a search; what they need (Optuna, SciPy) is asked of nobody who reports on runs."""
    if kind == "study":
        from compound.reporting.study import study_sections

        return study_sections(place, name)
    from compound.reporting.search import read_search

    return read_search(place).sections(name)


def _kind(place: Path) -> str:
    if (place / "study.json").is_file() or (place.name.startswith("study") and place.suffix == ".json"):
        return "study"
    if (place / "run.yaml").is_file():
        return "run"
    if (place / "leaderboard.json").is_file():
        return "search"
    if not place.exists():
        raise UsageError(f"there is no {place}; {nearest_run(place)}")
    raise UsageError(
        f"{place} is no run (run.yaml), no search (leaderboard.json) and no study (study.json); {nearest_run(place)}"
    )


def _maps(runs: Sequence[RunReport], images: Sequence[Path], device: str) -> Section:
    from compound.reporting.maps import map_section  # only maps need torch

    named = [(name, run.run.path) for name, run in zip(labels(runs), runs, strict=True)]
    return map_section(named, images, device)


def _title(places: Sequence[Path], kinds: Sequence[str], runs: Sequence[RunReport]) -> str:
    if len(places) == 1:
        name = places[0].resolve().stem if places[0].is_file() else places[0].resolve().name
        return f"The {kinds[0]} {name.removeprefix(f'{kinds[0]}-')}"
    counted = [
        f"{kinds.count(kind)} {many if kinds.count(kind) > 1 else kind}"
        for kind, many in (("study", "studies"), ("search", "searches"), ("run", "runs"))
        if kind in kinds
    ]
    data = {run.run.data["name"] for run in runs}
    words = " and ".join([", ".join(counted[:-1]), counted[-1]] if len(counted) > 1 else counted)
    return words + (f" on {data.pop()}" if len(data) == 1 and len(runs) == len(places) else "")

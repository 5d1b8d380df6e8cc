"""The sections of a study: the verdict, the paper's figures, every network with its interval, the paired tests."""

from dataclasses import replace
from pathlib import Path

from compound.errors import UsageError
from compound.network import Network
from compound.notation import load_network
from compound.quantity import brief_seconds, or_none, short
from compound.reporting.drawing import Drawing
from compound.reporting.names import FACTORS
from compound.reporting.page import Part, Section, rendered, section
from compound.reporting.study_figures import differences_plot, seeds_plot, study_figures
from compound.reporting.table import Column, Table, exact, factor, percent2
from compound.studies import Study, Variant, read_study
from compound.studies.statistics import PairedComparison, compare, means, verdict


def study_sections(place: Path, name: str) -> list[Section]:
    """What the study found, its networks, and how to repeat it. A study that is not finished is reported as it is."""
    study = study_for_people(read_study(place))
    title = f"{study.baseline} on {study.data}: plan {study.plan}"
    if not any(variant.runs for variant in study.variants):
        return [section(name, title, ["No training is finished yet."]), _making(study, name)]
    comparisons = compare(study)
    parts: list[Part] = [*_state(study), *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in verdict(study))]
    parts += [*study_figures(study, name), seeds_plot(study, name)]
    parts += [differences_plot(comparisons, name)] if comparisons else []
    parts.append(variant_table(study, name))
    if comparisons:
        parts.append(comparison_table(comparisons, name))
    parts += [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in study.notes]
    networks = _networks(study, place if place.is_dir() else place.parent)
    drawn = [section(f"{name}-networks", "Its networks", [Drawing(networks, f"{name}-networks")])] if networks else []
    return [section(name, title, parts, pairs=True), *drawn, _making(study, name)]


def variant_table(study: Study, name: str) -> Table:
    known = means(study)
    columns = (
        Column("network"), Column("group"), Column("d", factor), Column("w", factor), Column("r", factor),
        Column("px", exact), Column("parameters", short), Column("MACs", short), Column("latency", brief_seconds),
        Column("seeds", exact), Column("top-1", percent2), Column("low", percent2), Column("high", percent2),
    )  # fmt: skip
    rows = []
    for v in study.variants:
        found = known.get(v.name)
        middle = found.mean if found else None
        ends = (found.low, found.high) if found and found.count > 1 else (None, None)
        sizes = (v.depth, v.width, v.resolution_factor, v.resolution, v.params, v.macs, v.latency)
        rows.append((v.name, v.group, *sizes, len(v.runs), middle, *ends))
    best = max(range(len(rows)), key=lambda i: rows[i][10] or 0.0)
    caption = (
        "Counted parameters and multiply-adds. Top-1 is the mean over seeds on the test images, low and high the ends "
        "of its 95 % interval by Student's t: what other seeds would give."
    )
    keep = [i for i in range(len(columns)) if any(row[i] not in (None, "") for row in rows)]
    chosen = tuple(tuple(row[i] for i in keep) for row in rows)
    return Table(f"{name}-variants", "Networks", tuple(columns[i] for i in keep), chosen, caption, frozenset({best}))


def comparison_table(comparisons: list[PairedComparison], name: str) -> Table:
    """Differences in points of accuracy."""
    columns = (
        Column("reference"), Column("less"), Column("difference, points", _points), Column("low", _points),
        Column("high", _points), Column("seeds", exact), Column("p", _p), Column("p after Holm", _p),
        Column("other's MACs", _times), Column("shown"),
    )  # fmt: skip
    rows = []
    for c in comparisons:
        ends = (or_none(100 * c.difference.low), or_none(100 * c.difference.high))
        tested = (c.difference.count, or_none(c.p), or_none(c.adjusted), c.macs, "yes" if c.shown else "no")
        rows.append((c.reference, c.other, 100 * c.difference.mean, *ends, *tested))
    caption = (
        "Runs of equal seed are paired. p is of the two-sided paired t-test; other's MACs are a multiple "
        "of the reference's."
    )
    return Table(f"{name}-comparisons", "Paired comparisons", columns, tuple(rows), caption)


def study_for_people(study: Study) -> Study:
    """The same study, its networks called by what was scaled: `compound`, `resolution 1.98`.

    The small change of another factor that gives networks equal cost stands in the table of all factors. A name is
    kept where two networks would be called the same.
    """
    short = {variant.name: _of(variant, study) for variant in study.variants}
    taken = list(short.values())
    clear = {new for new in taken if taken.count(new) == 1}
    names = {old: new if new in clear and new not in short.keys() - {old} else old for old, new in short.items()}
    return replace(study, variants=tuple(replace(variant, name=names[variant.name]) for variant in study.variants))


def _of(variant: Variant, study: Study) -> str:
    alike = [one for one in study.variants if one.dimension == variant.dimension]
    factors = {"depth": variant.depth, "width": variant.width, "resolution": variant.resolution_factor}
    if variant.group or not FACTORS.search(variant.name):
        return variant.name
    own = factors.get(variant.dimension)
    if own is not None:
        return f"{variant.dimension} {own:.3g}"
    return variant.dimension if len(alike) == 1 else f"{variant.dimension}, {short(variant.macs)} MACs"


def _state(study: Study) -> list[Part]:
    """What is still to come."""
    done = sum(len(variant.runs) for variant in study.variants)
    most = max(len(variant.runs) for variant in study.variants)
    if done == most * len(study.variants):
        return []
    return [f"The study is not finished: {done} trainings of at least {most * len(study.variants)} are done."]


def _networks(study: Study, folder: Path) -> tuple[Network, ...]:
    """Those whose files are there, under the study's names."""
    files = [(variant.name, folder / variant.network) for variant in study.variants]
    for name, file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{folder}/study.json: the network file of {name} lies outside of the study; {file}")
    return tuple(load_network(file).with_(name=name) for name, file in files if file.is_file())


def _making(study: Study, name: str) -> Section:
    return section(f"{name}-making", "How to repeat it", [rendered("study_making.html", study=study)])


def _points(value: float) -> str:
    return f"{value:+.2f}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _times(value: float) -> str:
    return f"{value:.3f}×"

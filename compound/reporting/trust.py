"""Whether the classifier of a run can be trusted: five sentences for the owner of the photos, and what they rest on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compound.documents import damage, read_records
from compound.evaluation.audit import SURE
from compound.evaluation.labels import Doubt
from compound.files import stands
from compound.reporting.page import REMEDY, Section, rendered, section
from compound.reporting.results import Confusion, columns_of, image_uri, most_confused
from compound.reporting.table import Column, Table, exact, percent
from compound.reporting.typed import Advice, typed
from compound.training.run import Run

DOUBTS = 10  # images whose labels are named
BELIEVED = 0.05  # mean distance of probability and accuracy up to which probabilities may be taken as they are
WORST = 3  # groups that are named
SHOWN = ("path", "given", "proposed", "doubt")
AUDIT = Path("folds", "audit", "audit.csv")  # where `compound data audit RUN` writes
PICTURES = "pictures"  # beside it, the most doubtful images by their rank


def trust_section(run: Run, told: Mapping[str, Any], confusion: Confusion, classes: Sequence[str]) -> Section:
    """The section, of a run's evaluation.json, its confusions, and the list of its audit where there is one."""
    doubts, advice = read_doubts(run.path / AUDIT), Advice.of(run)
    sentences = (
        accuracy(told, advice),
        probabilities(told, advice),
        labels(doubts, advice),
        mistakes(told, confusion, classes, advice),
        strangers(told, advice),
    )
    tables = [
        table
        for table in (doubted(doubts or []), promises(told), covered(told), broken(told), grouped(told), bordered(told))
        if table.rows
    ]
    drawn = pictured(run.path / AUDIT.parent / PICTURES, doubts or [])
    body = rendered("run_trust.html", sentences=sentences, doubts=drawn, columns=columns_of(len(drawn)))
    return section("trust", "Can it be trusted?", [body, *tables])


def accuracy(told: Mapping[str, Any], advice: Advice) -> str:
    low, high = told["top1_interval"]
    said = (
        f"It names {told['top1']:.0%} of the {told['images']:,} test images rightly; with so many images the true "
        f"share lies between {low:.0%} and {high:.0%} in 95 of 100 such tests."
    )
    return Markup("{} {}").format(said, kinds(told, advice))


def kinds(told: Mapping[str, Any], advice: Advice) -> str:
    """Which images fare worse than the rest."""
    groups = told.get("groups") or []
    if not groups:
        unknown = Markup("Whether small, dark or other images fare worse was not measured: {} does that.")
        return unknown.format(advice.evaluate("--groups"))
    worse = sorted((one for one in groups if one["worse"]), key=lambda one: float(one["top1"]))
    compared = max(one["compared"] for one in groups)
    if not compared:
        return "Its groups of images are too small to compare."
    if not worse:
        return f"None of the {compared} groups of images below fares worse by more than chance explains."
    named = ", ".join(
        f"{one['by']} {one['group']} ({one['top1']:.0%} of {one['images']:,} images)" for one in worse[:WORST]
    )
    more = f", and {len(worse) - WORST} more below" if len(worse) > WORST else ""
    return f"It is worse than on the rest for images of {named}{more}."


def probabilities(told: Mapping[str, Any], advice: Advice) -> str:
    """Whether they may be taken as they are."""
    error = told.get("calibration_error")
    if error is None:
        said = Markup("Whether its probabilities can be believed was not measured: {} does that.")
        return said.format(advice.evaluate())
    far = f"on average they are {100 * error:.1f} points away from how often it is right"
    if error <= BELIEVED:
        return f"Its probabilities can be taken as they are: {far}."
    said = Markup("Do not take its probabilities as they are: {}. Most of that is mended by {}.")
    return said.format(far, advice.by_held_out("--calibrate"))


def labels(doubts: Sequence[Mapping[str, str]] | None, advice: Advice) -> str:
    if doubts is None:
        return Markup("Nobody has looked for wrong labels yet: train with {}, then {} ranks the doubtful ones.").format(
            typed("--folds 5"), advice.audit()
        )
    if not doubts:
        return "No label looks doubtful to models that never saw the picture."
    images = "1 label looks" if len(doubts) == 1 else f"{len(doubts):,} labels look"
    clear = sum(is_clear(one) for one in doubts)
    return (
        f"{images} doubtful to models that never saw the picture, {clear:,} clearly wrong; the most doubtful "
        "stand below."
    )


def is_clear(doubt: Mapping[str, str]) -> bool:
    """Whether it is among the corrections of the audit."""
    given, proposed = (float(doubt[f"{name}_probability"]) for name in ("given", "proposed"))
    return doubt["doubt"] == Doubt.WRONG and proposed >= SURE * given


def mistakes(told: Mapping[str, Any], confusion: Confusion, classes: Sequence[str], advice: Advice) -> str:
    """What it confuses, and on what it breaks."""
    most = most_confused(confusion, classes, 1)
    said = "It confused no two classes in the test"
    if most:
        one = most[0]
        said = f"Most often it takes {one.truth} for {one.predicted}, {one.times} of {one.images} times"
    rows, rests = told.get("robustness") or [], shortcuts(told, advice)
    if not rows:
        unknown = Markup("{}; what blur and noise do to it was not measured: {} does that. {}")
        return unknown.format(said, advice.evaluate("--corruptions"), rests)
    worst = min(rows, key=lambda row: float(row["top1"]))
    suffers = (
        f"{said}; it suffers most from {worst['corruption']} (severity {worst['severity']} of 5), under which it names "
        f"{worst['top1']:.0%} rightly."
    )
    return Markup("{} {}").format(suffers, rests)


def shortcuts(told: Mapping[str, Any], advice: Advice) -> str:
    """Whether a class is known by what stands at the border of its images."""
    looked = told.get("borders") or []
    if not looked:
        unknown = Markup("Whether it knows classes by a watermark or the background was not looked at: {} does that.")
        return unknown.format(advice.evaluate("--shortcuts"))
    found = [f"{one['class']} ({one['place']})" for one in looked if one["shortcut"]]
    if not found:
        return "Its maps are not warmer at the border than elsewhere, as they would be with a watermark there."
    more = f" and {len(found) - WORST} more" if len(found) > WORST else ""
    return (
        f"It seems to know {', '.join(found[:WORST])}{more} by the border of the images: look there for a watermark, a "
        "frame or a background."
    )


def strangers(told: Mapping[str, Any], advice: Advice) -> str:
    """When it says that a photo is of no class."""
    known = told.get("unknown")
    if not known:
        never = "It never says that it does not know: a photo of anything else gets one of its classes"
        return Markup("{}. When it shall say so is chosen by {}.").format(never, advice.by_held_out("--unknown 0.05"))
    return (
        f"It says unknown where a photo is less like its classes than all but {known['refused']:.0%} of the held-out "
        f"images, as it did of {known['refused_here']:.1%} of the test images; a stranger that looks like a class "
        "still gets its name."
    )


def promises(told: Mapping[str, Any]) -> Table:
    """What was chosen on held-out images, and how it held on the test images."""
    rows: list[tuple[Any, ...]] = []
    if known := told.get("unknown"):
        low, high = known["refused_here_interval"]
        rows.append(("refused wrongly", known["refused"], known["refused_here"], low, high, known["images"]))
    if sets := told.get("sets"):
        low, high = sets["covered_interval"]
        rows.append(("right class in its set", sets["coverage"], sets["covered"], low, high, sets["images"]))
    named = ("what", "promised", "measured", "from", "to", "held-out images")
    columns = (Column(named[0]), *(Column(name, percent) for name in named[1:5]), Column(named[5], exact))
    return Table("promises", "What was promised, and what the test images show", columns, tuple(rows))


def covered(told: Mapping[str, Any]) -> Table:
    """How often the set of an image holds its class, of each class with enough images, the least first."""
    found = (told.get("sets") or {}).get("per_class") or {}  # files of older versions have none
    ordered = sorted(found.items(), key=lambda each: float(each[1]["covered"]))
    rows = tuple((name, one["images"], one["covered"], *one["covered_interval"]) for name, one in ordered)
    columns = (
        Column("class"),
        Column("images", exact),
        *(Column(name, percent) for name in ("in its set", "from", "to")),
    )
    title = "How often its set holds the class; what is promised is of all classes together"
    return Table("covered", title, columns, rows)


def broken(told: Mapping[str, Any]) -> Table:
    """Accuracy under each corruption, the worst first."""
    rows = sorted(told.get("robustness") or [], key=lambda row: float(row["top1"]))
    columns = (Column("corruption"), Column("severity", exact), Column("top-1", percent), Column("from", percent),
               Column("to", percent))  # fmt: skip
    cells = tuple((row["corruption"], row["severity"], row["top1"], *row["top1_interval"]) for row in rows)
    return Table("corruptions", "Photos made worse", columns, cells)


def grouped(told: Mapping[str, Any]) -> Table:
    """Accuracy by group, those that are worse first."""
    rows = sorted(told.get("groups") or [], key=lambda row: (not row["worse"], row["top1"]))
    columns = (Column("by"), Column("group"), Column("images", exact), Column("top-1", percent),
               Column("from", percent), Column("to", percent), Column("rest", percent), Column("worse"))  # fmt: skip
    cells = tuple(
        (row["by"], row["group"], row["images"], row["top1"], *row["top1_interval"], row["others_top1"],
         "yes" if row["worse"] else "not shown" if row["compared"] else "too few")
        for row in rows
    )  # fmt: skip
    compared = max((row["compared"] for row in rows), default=0)
    title = f"Accuracy by group; worse where an interval corrected for {compared} comparisons says so"
    return Table("groups", title, columns, cells)


def bordered(told: Mapping[str, Any]) -> Table:
    """How much heat lies at the border of each class's images, those with most first."""
    rows = sorted(told.get("borders") or [], key=lambda row: (not row["shortcut"], -row["energy"]))
    columns = (Column("class"), Column("images", exact), Column("heat at the border", percent),
               Column("area of the border", percent), Column("warmest"), Column("looks like a shortcut"))  # fmt: skip
    cells = tuple(
        (row["class"], row["images"], row["energy"], row["area"], row["place"],
         "yes" if row["shortcut"] else "no" if row["compared"] else "too few")
        for row in rows
    )  # fmt: skip
    return Table("borders", "What classes are known by: heat of their maps at the border", columns, cells)


def doubted(doubts: Sequence[Mapping[str, str]]) -> Table:
    rows = tuple(tuple(row[name] for name in SHOWN) for row in doubts[:DOUBTS])
    return Table("doubtful-labels", "The most doubtful labels", tuple(map(Column, SHOWN)), rows)


def pictured(folder: Path, doubts: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The most doubtful labels with their pictures, as far as the audit kept some."""
    found = []
    for number, one in enumerate(doubts[:DOUBTS], 1):
        uri, tiny = image_uri(folder, f"{number:02}.png")
        if uri:
            found.append({name: one[name] for name in SHOWN} | {"uri": uri, "tiny": tiny})
    return found


def read_doubts(file: Path) -> list[dict[str, str]] | None:
    """The rows of an audit's list, None where there is none."""
    if not stands(file):
        return None
    rows = read_records(file, REMEDY)
    needed = (*SHOWN, "given_probability", "proposed_probability")
    if rows and any(row.get(name) is None for row in rows for name in needed):
        raise damage(file, f"it lacks a column of {', '.join(needed)}", REMEDY)
    try:
        [is_clear(row) for row in rows]
    except ValueError:
        raise damage(file, "a probability in it is no number", REMEDY) from None
    return rows

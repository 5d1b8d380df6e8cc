"""What an evaluation looks like in lines of text."""

from typing import TYPE_CHECKING, Any

from compound.cli.train import evaluation_text
from compound.terminal import MOST_CLASSES, OF_MORE

if TYPE_CHECKING:
    from compound.verbs.evaluate import Evaluated
    from compound.verbs.evaluations import EvaluatedAll

SHARES = ("recall", "precision", "f1")


def evaluated_lines(found: "Evaluated") -> list[str]:
    """Accuracy, calibration, a line a class and a line a resolution."""
    from compound.evaluation import SeveralLabels

    result, fields = found.result, found.figures()
    if isinstance(result, SeveralLabels):
        return [evaluation_text(result), *class_lines(fields["per_class"], ("average_precision", *SHARES))]
    low, high = fields["bootstrap"]["calibration_error"]
    lines = [
        evaluation_text(result),
        f"calibration error {result.calibration_error:.2%} (95 % bootstrap interval {low:.2%} to {high:.2%})",
    ]
    if found.temperature:
        lines.append(f"it was {found.before:.2%} before; temperature {found.temperature:.3f} is in the weights now")
    if one := found.unknown:
        low, high = one["refused_here_interval"]
        lines.append(
            f"unknown below {one['score']} {one['least']:.4g}: {one['refused_here']:.1%} of these images are refused "
            f"(95 % interval {low:.1%} to {high:.1%}; at most {100 * one['refused']:g}% was asked for)"
        )
    if one := found.sets:
        low, high = one["covered_interval"]
        lines.append(
            f"sets of {one['mean_size']:.1f} classes hold the right one for {one['covered']:.1%} of these images "
            f"(95 % interval {low:.1%} to {high:.1%}; {100 * one['coverage']:g}% was asked for)"
        )
        if one["per_class"]:
            name, least = min(one["per_class"].items(), key=lambda each: float(each[1]["covered"]))
            low, high = least["covered_interval"]
            lines.append(
                f"least often for {name}: {least['covered']:.1%} of {least['images']:,} (95 % interval {low:.1%} to "
                f"{high:.1%}); what was asked for is of all classes together"
            )
    lines += class_lines(fields["per_class"], SHARES)
    for one in found.robustness:
        low, high = one["top1_interval"]
        said = f"{one['corruption']}, severity {one['severity']} of 5"
        lines.append(f"{one['top1']:>8.2%}  under {said} (95 % interval {low:.1%} to {high:.1%})")
    lines += group_lines(found.groups) + border_lines(found.borders)
    for one in found.swept:
        told = ", batch norms recalibrated" if one["recalibrated"] else ""
        lines.append(f"{one['top1']:>8.2%}  at {one['resolution']} px{told}, loss {one['loss']:.4f}")
    return lines


def group_lines(groups: list[dict[str, Any]]) -> list[str]:
    """A line a group, and below them which are worse than the rest."""
    lines = []
    for one in groups:
        low, high = one["top1_interval"]
        few = "" if one["compared"] else ", too few to compare"
        lines.append(
            f"{one['top1']:>8.2%}  of {one['images']:,} images of {one['by']} {one['group']} "
            f"(95 % interval {low:.1%} to {high:.1%}{few})"
        )
    compared = max((one["compared"] for one in groups), default=0)
    for one in groups:
        if one["worse"]:
            low, high = one["difference_interval"]
            lines.append(
                f"worse than the rest: {one['by']} {one['group']}, by {-100 * high:.1f} to {-100 * low:.1f} points "
                f"(95 % interval, corrected for {compared} comparisons)"
            )
    if compared and not any(one["worse"] for one in groups):
        lines.append(f"none of {compared} groups is worse than the rest by more than chance explains")
    if groups and not compared:
        lines.append("no group, with the rest, has enough images to be compared")
    return lines


def border_lines(borders: list[dict[str, Any]]) -> list[str]:
    """A line for each class that seems to be known by the border of its images, or one that none is."""
    lines = []
    for one in borders:
        if one["shortcut"]:
            low, high = one["energy_interval"]
            lines.append(
                f"look at the border of {one['class']}, {one['place']}: it holds {one['energy']:.0%} of the heat of "
                f"{one['images']:,} maps and {one['area']:.0%} of the image (95 % interval {low:.0%} to {high:.0%})"
            )
    compared = max((one["compared"] for one in borders), default=0)
    if borders and not lines:
        rest = len(borders) - compared
        few = f"; {rest} with too few images were not looked at" if rest else ""
        lines.append(f"the maps of {compared} classes are not warmer at the border than elsewhere{few}")
    return lines


def table_lines(every: "EvaluatedAll") -> list[str]:
    """A line for each network on each set, and below it by which images, where that is not all of the set."""
    rows = every.records()
    first, second = (max(len(name), *(len(row[name]) for row in rows)) for name in ("model", "data"))
    titles = f"{'images':>8} {'top-1':>8} {'95 % interval':>20} {'per class':>10} {'top-5':>8} {'loss':>8}"
    lines = [f"{'model':<{first}}  {'data':<{second}} {titles}"]
    for row in rows:
        between = f"{row['top1_low']:.2%} to {row['top1_high']:.2%}"
        by_class = "–" if row["mean_per_class"] is None else f"{row['mean_per_class']:.2%}"
        figures = f"{row['images']:>8,} {row['top1']:>8.2%} {between:>20} {by_class:>10} {row['top5']:>8.2%}"
        lines.append(f"{row['model']:<{first}}  {row['data']:<{second}} {figures} {row['loss']:>8.4f}")
    told = {f"{row['model']} on {row['data']}: {row['judged']}" for row in rows if row["judged"] != "all of it"}
    return lines + sorted(told)


def class_lines(classes: dict[str, dict[str, Any]], shares: tuple[str, ...]) -> list[str]:
    """A line a class: images and `shares`; of many classes the worst of those that have images."""
    titles = (name.replace("average_precision", "AP") for name in shares)
    lines = ["  images" + "".join(f"{title:>10}" for title in titles) + "  class"]
    shown = list(classes.items())
    if len(shown) > MOST_CLASSES:
        there = [pair for pair in shown if pair[1]["images"]]
        shown = sorted(there, key=lambda pair: pair[1]["recall"])[:OF_MORE]
        lines = [f"the {len(shown)} of the lowest recall of {len(classes):,} classes; all of them: --json", *lines]
    for name, one in shown:
        told = "".join(f"{'–' if one[key] is None else format(one[key], '.1%'):>10}" for key in shares)
        lines.append(f"{one['images']:>8,}{told}  {name}")
    return lines

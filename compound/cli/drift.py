"""`compound drift`: accuracy without labels, from a log of scores."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options.execution import ExecutionOptions, with_execution
from compound.verbs import drift as verb
from compound.verbs.drift import Drifted


@with_execution
def drift(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="What predict or serve wrote with --log.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run that answered.")],
    last: Annotated[int | None, typer.Option(min=1, help="Only so many of the newest images; default all.")] = None,
    *,
    running: ExecutionOptions,
    json: Json = False,
) -> None:
    """Estimate the accuracy on photos without labels from a log of scores, and say what has moved."""
    found = verb.drift(log, run, last=last, execution=running.execution(), say=note)
    answer(json, found.to_json(), "\n".join(drift_lines(found)))


def drift_lines(found: Drifted) -> list[str]:
    told, one = found.to_json(), found.estimate
    first, last = (f"{datetime.fromtimestamp(told[name], UTC):%Y-%m-%d %H:%M}" for name in ("first", "last"))
    known, (low, high) = told["reference"], one.interval
    lines = [
        f"{one.images:,} images from {first} to {last} UTC",
        f"top-1 about {one.top1:.1%} (95 % interval {low:.1%} to {high:.1%}), if classes come as often as before",
        f"      about {one.by_confidence:.1%} by confidence alone, if they do not",
        f"      {known['top1']:.1%} on {known['images']:,} labelled images; on such made worse the estimate was off by "
        f"{100 * told['error_on_worse_images']:.1f} points",
    ]
    moved = [each for each in found.moved if each.moved]
    if any(each.what.startswith("share of ") for each in moved):
        lines.append(
            "classes are named otherwise than before: other photos come, or wrong answers; a few labels tell which"
        )
    for each in moved:
        low, high = (100 * end for end in each.interval)
        lines.append(
            f"{each.what}: {each.before:.1%} before, {each.now:.1%} now (95 % interval of the difference {low:+.1f} to "
            f"{high:+.1f} points)"
        )
    if not moved:
        lines.append("nothing has moved by more than chance explains")
    if found.log.broken:
        lines.append(f"{found.log.broken:,} lines of the log are damaged and were left out")
    if len(found.log.models) > 1:
        lines.append(f"the log is of several models: {', '.join(found.log.models)}")
    return lines

"""`compound runs`: the runs there are, with what they reached and how they stand."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer
from compound.places import RUNS
from compound.quantity import short
from compound.verbs import runs as verb


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder that runs are in.")] = Path(RUNS),
    json: Json = False,
) -> None:
    """List the runs of a folder, the newest first: accuracy (images), cost, date, and how they stand."""
    found = verb.runs(folder)
    if not found:
        return answer(json, {"runs": []}, f"no runs in {folder}")
    width = max(24, *(len(str(one.path)) for one in found))
    head = f"{'run':<{width}} {'top-1 (images)':>22} {'params':>7} {'MACs':>7} {'epochs':>9}  {'date':<16}  state"
    lines = [head, *(_line(one, width) for one in found)]
    if any(one.state == "stopped" for one in found):
        lines.append("go on with a stopped run: compound resume RUN")
    return answer(json, {"runs": [one.to_json() for one in found]}, "\n".join(lines))


def _line(one: verb.Listed, width: int) -> str:
    start = f"{one.path!s:<{width}}"
    if one.state == "damaged":
        return f"{start} {one.why}"
    top1 = ""
    if one.judged:
        top1 = f"{one.judged['top1']:.1%} ({one.judged['images']:,}{' held out' * (one.part == 'held-out')})"
    params, macs = (short(one.cost.params), short(one.cost.macs)) if one.cost else ("", "")
    done, planned = one.epochs
    return (
        f"{start} {top1:>22} {params:>7} {macs:>7} {f'{done:,}/{planned:,}':>9}  {one.date:%Y-%m-%d %H:%M}  {one.state}"
    )

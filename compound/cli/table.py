"""`compound table`: a table of the paper, its printed figures beside what we count."""

from typing import Annotated, Any

import typer

from compound.cli.answers import Json, answer
from compound.cost import CONVENTION
from compound.documents import csv_text
from compound.errors import UsageError
from compound.paper import Figure, PaperLine, PaperTable
from compound.paper import table as compute
from compound.paper.tables import UNITS


def table(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="1, 2, 3, 4, 5 or 7, as the paper numbers them.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values and nothing else.")] = False,
    json: Json = False,
) -> None:
    """Compute a table of the paper: printed and counted, the deviation, and its reason where it is more than 2 %."""
    if csv and json:
        raise UsageError("--csv and --json exclude each other; give one of them")
    found = compute(number)
    lines = [fields(line) for line in found.lines]
    if csv:
        print(csv_text(lines[0], (line.values() for line in lines)), end="")
        return
    answer(json, {"table": number, "title": found.title, "rows": lines}, text(found))


def fields(line: PaperLine) -> dict[str, Any]:
    """A line as a flat record: what is printed under its own names, what is counted beside it."""
    return {
        "row": line.label,
        **{f"printed_{name}": value for name, value in line.printed.items()},
        "network": line.network,
        "resolution": line.resolution,
        "params": line.params.counted,
        "macs": line.macs.counted,
        "params_deviation": line.params.deviation,
        "macs_deviation": line.macs.deviation,
        "params_ratio": line.params_ratio,
        "macs_ratio": line.macs_ratio,
        "reason": "; ".join(line.reasons),
    }


def text(found: PaperTable) -> str:
    """The table as aligned text; reasons are numbered below."""
    labels = ["", *(line.label for line in found.lines)]
    width = max(map(len, labels))
    ratios = found.number == 2
    head = f"{'':<{width}} {'px':>4} {'print':>6} {'params':>8} {'':>6}  {'print':>6} {'MACs':>8} {'':>6}"
    head += "  params, MACs as multiples of EfficientNet: print, counted" if ratios else ""
    reasons: dict[str, int] = {}
    lines = [f"Table {found.number}. {found.title}", CONVENTION, head.rstrip()]
    for line in found.lines:
        marks = ", ".join(str(reasons.setdefault(reason, len(reasons) + 1)) for reason in line.reasons)
        cells = f"{line.label:<{width}} {line.resolution or '':>4} {shown(line.params)}  {shown(line.macs)}"
        if ratios:
            times = [line.printed["params_ratio"], line.printed["flops_ratio"]]
            cells += f"  {times[0]:>4} {times[1]:>4}   {line.params_ratio:>5.2f} {line.macs_ratio:>6.2f}"
        lines.append(f"{cells}  {f'[{marks}]' if marks else ''}".rstrip())
    lines += [f"[{number}] {reason}" for reason, number in reasons.items()]
    return "\n".join(lines)


def shown(figure: Figure) -> str:
    """Printed, counted, deviation: ` 5.3M    5.29M  -0.2%`."""
    unit = figure.printed[-1:] or ("B" if (figure.counted or 0) >= 1e9 else "M")
    count = "" if figure.counted is None else f"{figure.counted / UNITS[unit]:.{2 if figure.printed else 3}f}{unit}"
    deviation = "" if figure.deviation is None else f"{figure.deviation:+.1%}"
    return f"{figure.printed:>6} {count:>8} {deviation:>6}"

"""A table is written once and shown three ways: in the page, as CSV with every digit, as LaTeX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from compound.documents import csv_text
from compound.quantity import brief_seconds, short

Cell = str | int | float | None
LATEX = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "×": r"$\times$", "−": "$-$",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "φ": r"$\varphi$", "–": "--", "±": r"$\pm$",
}  # fmt: skip


class Column(NamedTuple):
    """`shown` makes text of a value; a column without it is words and stands to the left."""

    title: str
    shown: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Table:
    """`rows` hold plain values; `marked` are the rows to stand out."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    marked: frozenset[int] = frozenset()

    def inline(self) -> Markup:
        head = "".join(
            f"<th{' class=n' if column.shown else ''}>{escape(column.title)}</th>" for column in self.columns
        )
        lines = []
        for number, row in enumerate(self.texts()):
            cells = "".join(
                f"<td{' class=n' if column.shown else ' class=text'}>{escape(text)}</td>"
                for column, text in zip(self.columns, row, strict=True)
            )
            lines.append(f"<tr{' class=is' if number in self.marked else ''}>{cells}</tr>")
        return Markup(
            f'<div class="wide"><table class="lines"><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(lines)}</tbody></table></div>"
        )

    def texts(self) -> list[list[str]]:
        return [
            ["" if value is None else column.shown(value) if column.shown else str(value)
             for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]  # fmt: skip

    def csv(self) -> str:
        return csv_text((column.title for column in self.columns), self.rows)

    def latex(self) -> str:
        """A `tabular` with the rules of the package booktabs."""
        align = "".join("r" if column.shown else "l" for column in self.columns)
        head = [[column.title for column in self.columns]]
        top, *lines = [" & ".join(map(_latex, row)) + r" \\" for row in head + self.texts()]
        body = [
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            top,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        return "\n".join(body) + "\n"


def percent(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}%}"


def exact(value: float) -> str:
    return f"{value:,}"


def factor(value: float) -> str:
    return f"{value:.4g}"


def percent2(value: float) -> str:
    return percent(value, 2)


def of_records(name: str, title: str, records: Sequence[Mapping[str, Any]], caption: str = "", most: int = 0) -> Table:
    """A table of plain records, a column a key, the first `most` of them; numbers stand to the right."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    shown = {}
    for key in keys:
        values = [record[key] for record in records if record.get(key) is not None]
        if values and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            shown[key] = FORMATS.get(key, lambda value: f"{value:.5g}" if isinstance(value, float) else f"{value:,}")
    columns = tuple(Column(key.replace("_", " "), shown.get(key)) for key in keys)
    rows = tuple(tuple(_plain(record.get(key)) for key in keys) for record in records[: most or None])
    return Table(name, title, columns, rows, caption)


FORMATS: dict[str, Callable[[Any], str]] = {
    "accuracy": percent2, "macs": short, "params": short, "activations": short, "memory": lambda v: f"{short(v)}B",
    "seconds": brief_seconds, "cost_factor": lambda v: f"{v:.2f}×", "macs_factor": lambda v: f"{v:.2f}×",
}  # fmt: skip


def _plain(value: Any) -> Cell:
    if isinstance(value, list | tuple):
        return ", ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in value)
    return str(value) if isinstance(value, bool | dict) else value


def _latex(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in text)

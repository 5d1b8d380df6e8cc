"""A report is sections in order; whatever is reported on contributes its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from compound.cost import CONVENTION
from compound.documents import damage, read_json
from compound.files import make_folder, stands, write_bytes, write_text
from compound.quantity import brief_seconds, short
from compound.reporting.names import plain
from compound.reporting.picture import Picture
from compound.reporting.table import Table, percent

if TYPE_CHECKING:
    from jinja2 import Environment

REMEDY = "delete it, or make it again"
Part = Markup | str | Picture | Table  # text, figures, tables


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading. `name` is its id; `pictures` and `tables` are what also become files."""

    name: str
    title: str
    body: Markup
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole page: what stands above the sections, and they."""

    title: str
    top: Markup
    sections: tuple[Section, ...]

    def html(self) -> str:
        return environment().get_template("page.html").render(report=self)

    def write_files(self, folder: Path) -> list[Path]:
        """Every figure as SVG and PNG, every table as CSV and LaTeX, in `folder`."""
        make_folder(folder)
        written = []
        for section in self.sections:
            for picture in section.pictures:
                written += [write_bytes(folder / f"{picture.name}.{kind}", d) for kind, d in picture.files().items()]
            for table in section.tables:
                written.append(write_text(folder / f"{table.name}.csv", table.csv()))
                written.append(write_text(folder / f"{table.name}.tex", table.latex()))
        return written


@cache
def environment(room: str = "reporting") -> "Environment":
    """The templates of a room, which may use those of the reports. Everything is escaped but what is made here."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=ChoiceLoader([PackageLoader("compound", place) for place in dict.fromkeys((room, "reporting"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"short": short, "percent": percent, "seconds": brief_seconds, "plain": plain}
    made.globals["convention"] = CONVENTION
    return made


def rendered(template: str, **values: Any) -> Markup:
    return Markup(environment().get_template(template).render(**values))


def section(name: str, title: str, parts: Sequence[Part], pairs: bool = False) -> Section:
    """A section of parts below each other; with `pairs`, figures that follow each other stand side by side."""
    pictures = tuple(part for part in parts if not isinstance(part, str | Table))
    tables = tuple(part for part in parts if isinstance(part, Table))
    body = rendered("section.html", groups=list(_groups(parts)), pairs=pairs)
    return Section(name, title, body, pictures, tables)


def _groups(parts: Sequence[Part]) -> Iterator[tuple[str, list[Part]]]:
    """(kind, parts): figures that follow each other are one group."""
    figures: list[Part] = []
    for part in parts:
        if not isinstance(part, str | Table):
            figures.append(part)
            continue
        if figures:
            yield "figures", figures
            figures = []
        yield "table" if isinstance(part, Table) else "html" if isinstance(part, Markup) else "text", [part]
    if figures:
        yield "figures", figures


def read_if_there(file: Path, kind: type = object) -> Any:
    """The value of a JSON file, None where there is no file. Raises `UsageError` where it is of another kind."""
    found = read_json(file, REMEDY) if stands(file) else None
    if found is not None and not isinstance(found, kind):
        raise damage(file, "it holds another value than such a file has", REMEDY)
    return found

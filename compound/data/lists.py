"""CSV files that list images: data sets, corrections, groups and boxes call their columns alike and are read alike.

The first line names the columns, in any order and in small or capital letters, with commas between them; with
semicolons, as spreadsheets write where numbers have commas; or with tabs. A cell that was guarded against
spreadsheets (`compound.documents.csv_text`) is read as it was before.
"""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from compound.data.errors import DataError
from compound.documents import open_table, table_fault, unguarded

# What a column may be called, in the order of preference.
PATH, IDENTITY, SPLIT = ("path", "file", "filename", "image"), ("identity",), ("split",)
LABEL, SEVERAL = ("label", "class"), ("labels", "classes")


MARKS = {",": "comma", ";": "semicolon", "\t": "tab"}


class ListLine(NamedTuple):
    """A line of a list: its cells by column, and where it stands, for sentences."""

    where: str
    number: int
    cells: Mapping[str, str]

    def get(self, column: str | None) -> str:
        """The cell of a column, nothing where the list has no such column."""
        return "" if column is None else self.cells[column]


class ImageList:
    """The lines of a CSV file. Raises `DataError` where it is none, or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            file = open_table(path)
            first = file.readline()
            file.seek(0)
            separator = max(",;\t", key=first.count)  # of equally many the comma
            # After a comma a space is none of the cell's, nor a quote behind it; tabs are spaces themselves.
            self._rows = csv.DictReader(
                file, delimiter=separator, strict=True, skipinitialspace=separator != "\t", restval=""
            )
            self.header = tuple(self._rows.fieldnames or ())
        twice = next((name for name in self.header if name and self.header.count(name) > 1), None)
        if twice:
            raise DataError(f"{path} has two columns {twice}; call one of them something else")

    def find(self, names: tuple[str, ...]) -> str | None:
        """The column that is called by the first of `names`."""
        known = {name.strip().lower(): name for name in self.header}
        return next((known[name] for name in names if name in known), None)

    def lacks(self, needed: str) -> DataError:
        """The error that the columns `needed` are not there."""
        shown = ", ".join(self.header) or "none"
        return DataError(f"{self.path}: columns {needed} are needed; its first line names: {shown}")

    def __iter__(self) -> Iterator[ListLine]:
        while True:
            with self._told():
                row = next(self._rows, None)
            if row is None:
                return
            number = self._rows.line_num
            if any(cell.strip() for cell in row.get(None, ())):
                raise DataError(
                    f"{self.path} line {number} has more cells than the first line has columns; quote a cell with a "
                    f"{MARKS[self._rows.reader.dialect.delimiter]} in it"
                )
            cells = {column: unguarded(row[column]).strip() for column in self.header}
            yield ListLine(f"{self.path} line {number}", number, cells)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"cannot read {self.path}: {table_fault(error)}; give a CSV file in UTF-8") from None

"""Small JSON, YAML and CSV files: read within bounds, written so that a spreadsheet runs nothing of them.

A stranger's file may be long, deep, or a few lines that name each other until they stand for gigabytes. Such a file is
refused before anything is made of it. Every error says which file, what is wrong with it, and what to do.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from compound.bounds import bound
from compound.errors import CompoundError, UsageError
from compound.files import read_regular, write_text
from compound.mapping import LONGEST

MOST_VALUES = 100_000  # of a YAML file, once aliases are followed
LONGEST_VALUE = 1 << 16  # characters of one: reading 1:59:59:… as a number takes time that grows as its square
LONGEST_NUMBER = 64  # characters of a number; no figure of ours has more than 24
DEEPEST = 64  # lists and mappings within each other
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a formula to a spreadsheet
PLAIN_NUMBER = re.compile(r"[+-]?[0-9.][0-9a-fA-FxXoO_.:+-]*")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

Failure = type[CompoundError]


def read_json(
    path: str | Path, remedy: str, what: str = "", error: Failure = UsageError, most: str = "COMPOUND_MAX_JSON"
) -> Any:
    """The value in a JSON file. `what` it is begins every error, and `remedy` ends it; `most` names its bound."""
    text = _text(Path(path), remedy, what, error, most)
    try:
        return json.loads(text)
    except json.JSONDecodeError as wrong:
        reason = f"line {wrong.lineno}, column {wrong.colno}: {wrong.msg[:1].lower()}{wrong.msg[1:]}"
    except ValueError:
        reason = "a number in it is too long"
    except RecursionError:
        reason = "it is nested too deeply"
    raise damage(path, reason, remedy, what, error)


def read_yaml(path: str | Path, remedy: str, what: str = "", error: Failure = UsageError) -> Any:
    """The value in a YAML file. `what` and `remedy` are for a file that cannot be read."""
    return parse_yaml(_text(Path(path), remedy, what, error, "COMPOUND_MAX_YAML"), str(path), error)


def parse_yaml(text: str, where: str, error: Failure = UsageError) -> Any:
    """The value in YAML text: plain values only, no tag makes anything else. `where` begins every error."""
    import yaml  # only reading or writing a file needs it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _measure(yaml.parse(text, loader))
        _refuse_twice(yaml.parse(text, loader))
        return yaml.load(text, loader)
    except _TwiceError as twice:
        named = f"{where}{_line(twice.event.start_mark)}: {_cut(twice.event.value)}"
        raise error(f"{named} stands twice in one mapping; leave one out") from None
    except _TooMuchError as much:
        raise error(f"{where}{_line(much.event.start_mark)}: {much}; write less, or divide it") from None
    except yaml.YAMLError as wrong:
        problem = getattr(wrong, "problem", None) or getattr(wrong, "reason", None) or "it cannot be read"
        raise error(f"{where}{_line(getattr(wrong, 'problem_mark', None))}: not valid YAML: {_cut(problem)}") from None
    except Exception as wrong:  # a tag such as !!int or !!timestamp fails in as many ways as there are values
        raise error(f"{where}: not valid YAML: a value is not what its tag says ({type(wrong).__name__})") from None


@contextmanager
def damaged(path: str | Path, remedy: str, what: str = "", error: Failure = UsageError) -> Iterator[None]:
    """What is looked for in a file that was read and is not there, as one sentence."""
    try:
        yield
    except KeyError as missing:
        raise damage(path, f"it has no {missing.args[0]!r}", remedy, what, error) from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError):
        raise damage(path, "its fields hold other values than such a file has", remedy, what, error) from None


def finite_number(value: Any) -> float:
    """`value` as a number. Raises `ValueError` where it is not finite, `OverflowError` where it is too large."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


def damage(path: str | Path, reason: str, remedy: str, what: str = "", error: Failure = UsageError) -> CompoundError:
    return error(f"{what} {path} is damaged: {reason}; {remedy}".lstrip())


def open_table(path: Path) -> IO[str]:
    """The text of a CSV file, for the module `csv`. Raises `OSError` and `UnicodeDecodeError`."""
    return io.StringIO(read_regular(path, bound("COMPOUND_MAX_TABLE")).decode("utf-8-sig"), newline="")


def table_fault(error: Exception) -> str:
    """Why a CSV file cannot be read, in words of our own."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return getattr(error, "strerror", None) or "its quotes or its columns are damaged"


def csv_text(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV (RFC 4180, lines that end in \\n). Text that a spreadsheet would run gets an apostrophe before it;
    numbers stay numbers, and None is an empty cell. `unguarded` takes the apostrophe away again."""
    lines = [",".join(map(_cell, row)) or '""' for row in (columns, *rows)]
    return "\n".join(lines) + "\n"


def unguarded(cell: str) -> str:
    """The text that a cell of `csv_text` was made of."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def read_records(path: Path, remedy: str, column: str = "") -> list[dict[str, str]]:
    """The rows of a CSV file of ours by the columns of its first line, among which must be `column`."""
    try:
        reader = csv.DictReader(open_table(path))
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damage(path, table_fault(error), remedy) from None
    if column and reader.fieldnames and column not in reader.fieldnames:
        raise damage(path, f"it has no column {column}", remedy)
    return rows


def write_csv(path: str | Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Path:
    return write_text(path, csv_text(columns, rows))


def write_records(path: str | Path, records: Sequence[Mapping[str, object]], columns: Iterable[str] = ()) -> Path:
    """A row a record and a column a key, in the order they come up; `columns` come first."""
    keys = dict.fromkeys([*columns, *(key for record in records for key in record)])
    return write_csv(path, keys, ([record.get(key) for key in keys] for record in records))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str) and text.lstrip("'").startswith(FORMULA) and not NUMBER.fullmatch(text):
        text = f"'{text}"
    # The module `csv` leaves a carriage return bare, after which a spreadsheet begins a new cell.
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\r\n') else text


def _text(path: Path, remedy: str, what: str, error: Failure, most: str) -> str:
    named = f"{what} {path}".lstrip()
    try:
        return read_regular(path, bound(most)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{named} is not text in UTF-8; {remedy}") from None
    except OSError as wrong:
        asked = error if issubclass(error, UsageError) else UsageError  # whoever named the file can name another
        raise asked(f"cannot read {named}: {wrong.strerror or wrong}; {remedy}") from None


class _TooMuchError(Exception):
    def __init__(self, event: Any, reason: str) -> None:
        super().__init__(reason)
        self.event = event


class _TwiceError(Exception):
    def __init__(self, event: Any) -> None:
        super().__init__()
        self.event = event


def _refuse_twice(events: Iterable[Any]) -> None:
    """Refuse a key that its mapping has already: which of the two was meant, nobody knows."""
    import yaml

    around: list[tuple[bool, set[str], list[None]]] = []  # whether it is a mapping, its keys, one for all within it
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            around.pop()
        elif isinstance(event, yaml.NodeEvent):
            mapping, keys, inside = around[-1] if around else (False, set(), [])
            if mapping and len(inside) % 2 == 0 and isinstance(event, yaml.ScalarEvent):
                if event.value in keys and event.value != "<<":
                    raise _TwiceError(event)
                keys.add(event.value)
            inside.append(None)
            if isinstance(event, yaml.CollectionStartEvent):
                around.append((isinstance(event, yaml.MappingStartEvent), set(), []))


def _measure(events: Iterable[Any]) -> None:
    """Refuse a document that is too deep or, once its aliases are followed, too large."""
    import yaml

    sizes: dict[str, tuple[int, int]] = {}  # values and characters of what has a name
    open_: list[tuple[str | None, int, int]] = []  # the name of each list or mapping around, and the totals before it
    values = characters = 0
    longest = bound("COMPOUND_MAX_YAML")
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, values, characters))
            values += 1
            if len(open_) > DEEPEST:
                raise _TooMuchError(event, f"more than {DEEPEST} lists and mappings within each other")
        elif isinstance(event, yaml.CollectionEndEvent):
            name, before, written = open_.pop()
            if name is not None:
                sizes[name] = values - before, characters - written
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in (name for name, _, _ in open_):
                raise _TooMuchError(event, f"*{_cut(event.anchor)} stands within itself")
            more, long = sizes.get(event.anchor or "", (0, 0))  # of an unknown name the loader complains
            values, characters = values + more, characters + long
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > LONGEST_VALUE:
                raise _TooMuchError(event, f"a value of more than {LONGEST_VALUE:,} characters")
            if len(event.value) > LONGEST_NUMBER and event.implicit[0] and PLAIN_NUMBER.fullmatch(event.value):
                raise _TooMuchError(event, f"a number of more than {LONGEST_NUMBER} digits")
            values, characters = values + 1, characters + len(event.value)
            if event.anchor is not None:
                sizes[event.anchor] = 1, len(event.value)
        if values > MOST_VALUES or characters > longest:
            raise _TooMuchError(event, f"more than {MOST_VALUES:,} values or {int(longest):,} characters")


def _cut(text: object) -> str:
    return str(text)[:LONGEST]


def _line(mark: Any) -> str:
    return f" line {mark.line + 1}" if mark else ""

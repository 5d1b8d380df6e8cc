"""Frozen dataclasses from and to plain mappings (YAML, JSON), with errors that name place, field, value and remedy."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from compound.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
USUAL_MOST = 1e7  # of a number in a recipe: epochs, images a step, minutes (19 years)
LOOK_ALIKE = str.maketrans("oOlI", "0011")
LONGEST = 200  # characters of a name, and of a value, that an error looks at


@lru_cache
def _adapter(cls: Any) -> Any:
    from pydantic import TypeAdapter  # only reading a file needs it

    return TypeAdapter(cls)


def nearest(given: str, known: Iterable[str], kind: str, otherwise: str = "", key: Callable[[str], str] = str) -> str:
    """A hint: the known names nearest to `given`, else `otherwise`, by default all names of that `kind`.

    Names are alike if what `key` makes of them is.
    """
    import difflib  # only an error needs it

    names = {key(name): name for name in reversed(list(known))}
    asked = key(given[:LONGEST])
    near = difflib.get_close_matches(asked, names, n=10, cutoff=0.6)
    near.sort(key=lambda name: name.translate(LOOK_ALIKE) != asked.translate(LOOK_ALIKE))
    hint = " or ".join(dict.fromkeys(repr(names[one]) for one in near[:3]))
    return f"did you mean {hint}?" if near else otherwise or f"known {kind}: {', '.join(reversed(names.values()))}"


def shown_number(value: float) -> str:
    """A number in an error: as it is written, or by its size where that has many digits."""
    if abs(value) < 1e15:
        return f"{value:,}"
    return f"{value:.3g}" if abs(value) < 1e300 or isinstance(value, float) else "of hundreds of digits"


def shown(value: Any) -> str:
    """A value in an error, cut where it is long."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1e15:
        return shown_number(value)
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def check_names(given: Mapping[str, Any], known: list[str], where: str, error: type[UsageError]) -> None:
    """Refuse a field nobody knows, with the nearest name that is known."""
    for name in given:
        if name not in known:
            raise error(f"{where}: there is no field {shown(name)}; {nearest(str(name), known, 'fields')}")


def from_mapping(cls: type[T], given: Any, where: str, error: type[UsageError] = UsageError) -> T:
    """An instance of the dataclass `cls`; `where` begins every message, `error` is what is raised."""
    from pydantic import ValidationError

    if not isinstance(given, Mapping):
        raise error(f"{where}: {shown(given)} is not a list of fields; write {{field: value, …}}")
    check_names(given, [f.name for f in fields(cls)], where, error)
    for name in (f.name for f in fields(cls) if f.type in (int, float)):
        if isinstance(given.get(name), bool):  # YAML reads `yes` as true, and Python true as 1
            raise error(f"{where}: {name} {given[name]} is not valid: input should be a number")
    try:
        found: T = _adapter(cls).validate_python(dict(given))
        return found
    except ValidationError as invalid:
        first = invalid.errors()[0]
        path = [str(part) for part in first["loc"]]
        if first["type"] == "missing":
            raise error(f"{where}: field {path[-1]!r} is missing; give it a value") from None
        said = first["msg"][0].lower() + first["msg"][1:]
        raise error(f"{where}: {'.'.join(path)} {shown(first['input'])} is not valid: {said}") from None


def refuse_absurd(value: Any, error: type[UsageError] = UsageError, most: Mapping[str, float] = {}) -> None:
    """Raise `error` where a field of a dataclass, or a number of one, is not finite or beyond what it can mean.

    That is `most` of the field, where it is named there, and else `USUAL_MOST`.
    """
    for name, item in vars(value).items():
        limit = most.get(name, USUAL_MOST)
        for number in item if isinstance(item, tuple | list) else (item,):
            if isinstance(number, float) and not math.isfinite(number):
                raise error(f"{name} {number} is not a number; use a finite one")
            if isinstance(number, int | float) and abs(number) > limit:
                raise error(f"{name} {shown_number(number)} is beyond all sense; use at most {limit:,.0f}")


def to_mapping(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, as plain values; nested dataclasses too."""
    result = {}
    for field in fields(value):
        item = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if item != default:
            result[field.name] = plain_value(item)
    return result


def plain_value(item: Any) -> Any:
    """Tuples as lists, dataclasses as mappings."""
    if is_dataclass(item) and not isinstance(item, type):
        return to_mapping(item)
    if isinstance(item, tuple | list):
        return [plain_value(each) for each in item]
    return item

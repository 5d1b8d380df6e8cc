"""Options that several verbs share, as the fields of a dataclass."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from compound.cli.answers import note
from compound.errors import UsageError

Verb = Callable[..., None]


def with_options(kind: type) -> Callable[[Verb], Verb]:
    """A verb as Typer reads it: its parameter of the dataclass `kind` stands for an option for each field.

    A field that is also a parameter of the verb is the verb's.
    """

    def of(verb: Verb) -> Verb:
        signature = inspect.signature(verb)
        given = [field for field in fields(kind) if field.name not in signature.parameters]
        name = next(one.name for one in signature.parameters.values() if one.annotation is kind)
        listed: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name != name:
                listed.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            listed += [
                inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
                for f in given
            ]

        @functools.wraps(verb)
        def called(**values: Any) -> None:
            verb(**{name: kind(**{f.name: values.pop(f.name) for f in given})}, **values)

        called.__signature__ = signature.replace(parameters=listed)  # type: ignore[attr-defined]  # `inspect` reads it of any function
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}
        return called

    return of


def renamed(old: str, new: str, by_old: str | None, by_new: str | None) -> str | None:
    """The value of a renamed option, given by either name; the old one works for one version, with a warning."""
    if by_old is None:
        return by_new
    if by_new is not None:
        raise UsageError(f"{old} is the old name of {new}, and both are given; leave {old} out")
    note(f"warning: {old} is now {new}; the old name goes with the next version")
    return by_old

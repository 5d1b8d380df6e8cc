"""What is noted while something goes on: on standard error, unless somebody listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from compound.terminal import tell

Say = Callable[[str], None]


def aloud(text: str) -> None:
    """On standard error, where answers are not looked for."""
    tell(text)


def silent(text: str) -> None:
    """Nowhere."""


_listener: ContextVar[Say] = ContextVar("listener", default=aloud)
_told: ContextVar[frozenset[str]] = ContextVar("told", default=frozenset())


def note(text: str) -> None:
    """Tell whoever listens; a process or a thread that was started meanwhile tells standard error."""
    _listener.get()(text)


def note_once(text: str) -> None:
    """Tell it unless it was told to the same listener."""
    if text not in (told := _told.get()):
        _told.set(told | {text})
        note(text)


@contextmanager
def heard_by(say: Say) -> Iterator[None]:
    """Notes go to `say`."""
    token, told = _listener.set(say), _told.set(frozenset())
    try:
        yield
    finally:
        _listener.reset(token)
        _told.reset(told)

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


def note(text: str) -> None:
    """Tell whoever listens; a process or a thread that was started meanwhile tells standard error."""
    _listener.get()(text)


@contextmanager
def heard_by(say: Say) -> Iterator[None]:
    """Notes go to `say`."""
    token = _listener.set(say)
    try:
        yield
    finally:
        _listener.reset(token)

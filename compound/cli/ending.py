"""Ctrl-C and SIGTERM where they must not raise: in callbacks, and once a command has its exit code."""

import _thread
import os
import signal
import sys
import time
from contextlib import suppress
from threading import Timer
from types import FrameType

from compound.errors import CompoundError

OWN_END = 10.0  # seconds in which Python and a group of processes (`compound.parallel.leave`) end by themselves
LATER = 0.05  # seconds after which a callback has returned


def hear_everywhere() -> None:
    """Send Ctrl-C again where it fell into a callback, of which Python would print a traceback and go on."""
    before = sys.unraisablehook

    def hook(raised: "sys.UnraisableHookArgs") -> None:
        if raised.exc_type is KeyboardInterrupt:
            with suppress(RuntimeError):  # Python is ending, which is what was asked for
                again = Timer(LATER, _thread.interrupt_main)
                again.daemon = True
                again.start()
        else:
            before(raised)

    sys.unraisablehook = hook


def was_stopped(error: BaseException) -> bool:
    """Whether it is Ctrl-C that became this error: compiled libraries wrap what is raised within them, or quote it."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one and one not in seen:
        quoted = not isinstance(one, CompoundError) and KeyboardInterrupt.__name__ in str(one)
        if quoted or isinstance(one, KeyboardInterrupt):
            return True
        seen.append(one)
        one = one.__cause__ or one.__context__
    return False


def end_with(code: int) -> None:
    """From here on no signal changes `code` or prints a traceback; one that comes after `OWN_END` ends the process."""
    known = time.monotonic()

    def handler(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - known > OWN_END:
            os._exit(code)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # another thread than the main one called the command
            signal.signal(number, handler)

"""Signals in callbacks, and after a command has its exit code."""

import os
import signal
import sys
import time
import weakref

import pytest

from compound import cli
from compound.cli import ending
from compound.cli.ending import end_with, hear_everywhere, was_stopped
from compound.errors import UsageError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def signals_given_back(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def wrapped() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as stop:
        raise ValueError("Error building a serializer") from stop


def quoted() -> None:
    raise ValueError("Error building a serializer: KeyboardInterrupt: ")  # as pydantic's core in Rust


@pytest.mark.parametrize("verb", [wrapped, quoted])
def test_ctrl_c_that_a_library_made_an_error_of_is_a_stop(verb, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli, "application", lambda *_: None)
    monkeypatch.setattr(cli.typer.main, "get_command", lambda _: lambda _: verb())
    monkeypatch.setattr(cli, "hold_sensible", lambda _: None)
    assert cli.run(["show"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_file_named_like_a_stop_is_none() -> None:
    assert not was_stopped(UsageError("cannot read KeyboardInterrupt.yaml"))


class Thing:
    pass


@pytest.mark.slow
def test_ctrl_c_in_a_callback_whose_errors_nobody_hears_comes_again(capfd) -> None:
    hear_everywhere()
    thing = Thing()
    kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing  # the callback raises KeyboardInterrupt, and Python drops it
    assert kept() is None
    with pytest.raises(KeyboardInterrupt):
        time.sleep(20)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("number", SIGNALS)
def test_with_its_exit_code_a_command_ends_in_order_whatever_comes(number) -> None:
    end_with(0)
    signal.raise_signal(number)


def test_an_end_that_hangs_can_be_ended_and_keeps_its_exit_code(monkeypatch) -> None:
    monkeypatch.setattr(ending, "OWN_END", -1.0)
    told = []
    monkeypatch.setattr(os, "_exit", told.append)
    end_with(3)
    signal.raise_signal(signal.SIGINT)
    assert told == [3]

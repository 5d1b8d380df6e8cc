"""Decoding in a process that can be ended: what takes more processor time than is allowed is refused."""

import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO

import numpy as np

from compound.bounds import bound
from compound.data import unpack
from compound.data.unpack import ANSWER, DONE, REQUEST, Pixels, Unreadable

PATIENCE = 2.0  # seconds in which a decoder ends by itself once its pipe is closed


class Guard:
    """A process of `unpack` for this one, started when the first image needs it and again when one has ended it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._seconds = 0.0
        self._of_others: list[subprocess.Popen[bytes] | None] = []

    def unpacked(self, data: bytes | bytearray, limit: int) -> Pixels:
        """What `unpack.unpacked` says, or `Unreadable` where the time or the memory is used up."""
        with self._lock:
            process = self._running(bound("COMPOUND_MAX_DECODE"))
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(REQUEST.pack(len(data), limit))
                process.stdin.write(data)
                process.stdin.flush()
                return _reply(process.stdout)
            except (EOFError, BrokenPipeError):
                self.close()
                raise Unreadable(ended(process.returncode, self._seconds)) from None
            except BaseException:  # an interrupt between question and answer
                process.kill()
                self.close()
                raise

    def _running(self, seconds: float) -> "subprocess.Popen[bytes]":
        if self._process is None or self._seconds != seconds:
            self.close()
            words = [sys.executable, "-I", unpack.__file__, str(seconds)]
            pipe, silent = subprocess.PIPE, subprocess.DEVNULL
            # In a group of its own: Ctrl-C is for the process that asks.
            self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=silent, process_group=0)
            self._seconds = seconds
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what was not yet written to it goes nowhere
                pipe.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # a forked process holds the other end of its pipe, so it waits for more
            process.kill()
            process.wait()

    def after_fork(self) -> None:
        """The process is the parent's, as is whoever held the lock."""
        self._of_others.append(self._process)
        self._process, self._lock = None, threading.Lock()


GUARD = Guard()
atexit.register(GUARD.close)
os.register_at_fork(after_in_child=GUARD.after_fork)


def _reply(source: IO[bytes]) -> Pixels:
    kind, height, width, colours = ANSWER.unpack(_exactly(source, ANSWER.size))
    if kind != DONE:
        raise Unreadable(_exactly(source, height).decode("utf-8", "replace"))
    shape = (height, width, colours) if colours else (height, width)
    return np.frombuffer(_exactly(source, height * width * max(colours, 1)), dtype=np.uint8).reshape(shape)


def _exactly(source: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = source.readinto(view[at:])  # type: ignore[attr-defined]  # a pipe has it
        if not count:
            raise EOFError
        at += count
    return data


def ended(code: int, seconds: float) -> str:
    """Why a decoder's process is no more, by its exit code."""
    if code == -signal.SIGPROF:
        return f"it takes more than {seconds:g} s of processor time to decode"
    if code == -signal.SIGKILL:
        return "it takes more memory to decode than there is"
    return f"its decoder ended with signal {-code}" if code < 0 else f"its decoder ended with exit code {code}"

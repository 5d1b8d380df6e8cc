"""Who works on a trial, and whether that process still lives: on any machine, with any storage.

A worker counts up a number in its trial. Others call it dead when the number has stood still for a whole lease of time
in which they themselves were looking: no clocks are compared, and a machine that slept calls nobody dead. On the same
machine a process that is gone is known at once.
"""

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from threading import Event, Thread, main_thread
from types import TracebackType

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

WORKER, BEAT = "compound:worker", "compound:beat"
BEATS = 6  # in a lease


def me() -> list[str]:
    """This process among all processes of all machines: machine, number, start."""
    return [machine(), str(os.getpid()), _started(os.getpid()) or ""]


@lru_cache
def machine() -> str:
    """This machine since it was started; another container of it is another machine."""
    words = [socket.gethostname()]
    try:
        words += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    except OSError:
        words.append("unknown")
    return " ".join(words)


def is_gone(worker: list[str]) -> bool:
    """True where it is certain: a process of this machine that no longer runs."""
    where, pid, started = worker
    if where != machine() or not started:
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str | None:
    """When a running process was started, in the kernel's ticks; None when it is dead or cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


class FailureDetector:
    """Looks at running trials again and again, and says whose worker is dead."""

    def __init__(self, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lease, self.clock = lease, clock
        self._looked = clock()
        self._still: dict[int, tuple[int, float]] = {}  # by trial: its last beat, and for how long it stands

    def dead(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        now = self.clock()
        passed, self._looked = min(now - self._looked, self.lease / BEATS), now
        still, found = {}, []
        for trial in running:
            beat = trial.system_attrs.get(BEAT, 0)
            before, idle = self._still.get(trial._trial_id, (beat, -passed))
            still[trial._trial_id] = (beat, idle + passed if beat == before else 0.0)
            worker = trial.system_attrs.get(WORKER)
            if still[trial._trial_id][1] > self.lease or (worker and is_gone(worker)):
                found.append(trial)
        self._still = still
        return found


class Heartbeat:
    """Counts up in a trial while this process works on it.

    `late(stack)` is called, with the stack of the main thread, when `timeout` seconds after `evaluating` are over;
    `alive` says whether whoever started this process still lives. `lost` turns true when the trial was taken for dead.
    """

    def __init__(
        self,
        storage: BaseStorage,
        trial_id: int,
        lease: float,
        timeout: float | None,
        late: Callable[[str], None],
        alive: Callable[[], bool],
    ) -> None:
        self.storage, self.trial_id, self.lease, self.timeout = storage, trial_id, lease, timeout
        self.late, self.alive, self.lost = late, alive, False
        self._begun: float | None = None
        self._over = Event()
        self._thread = Thread(target=self._beat, daemon=True)

    def evaluating(self) -> None:
        """From now on the timeout counts."""
        self._begun = time.monotonic()

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        beaten, count = time.monotonic(), 0
        while not self._over.wait(min(1.0, self.lease / BEATS, self.timeout or 1.0)):
            now = time.monotonic()
            if not self.alive():
                os._exit(1)
            if self.timeout is not None and self._begun is not None and now - self._begun > self.timeout:
                frame = sys._current_frames().get(main_thread().ident or 0)
                self.late("".join(traceback.format_stack(frame)))
                return
            if now - beaten >= self.lease / BEATS and not self.lost:
                beaten, count = now, count + 1
                try:
                    self.storage.set_trial_system_attr(self.trial_id, BEAT, count)
                except UpdateFinishedTrialError:
                    self.lost = True
                except Exception:  # the storage is away for a moment; the lease is longer
                    continue

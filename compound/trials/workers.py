"""Several worker processes on this machine: started, watched, replaced when they die, stopped on request."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import FrameType

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from compound.errors import CompoundError, Stopped, UsageError
from compound.trials.board import Board, is_void
from compound.trials.engine import Search, Worker, is_over
from compound.trials.liveness import WORKER, machine
from compound.trials.preload import preloaded
from compound.trials.storage import Patience, masked, reachable, without_password

Show = Callable[[list[FrozenTrial]], None]
EXHAUSTED = "exhausted"
DEATHS = 3  # a worker's place may see of processes that never had a trial, before the search is given up


class SearchStopped(Stopped):
    """The search was stopped on request; the same command goes on with it."""


class SearchFailed(CompoundError):
    """No worker can go on."""


def run(search: Search, workers: int = 1, show: Show = lambda trials: None, say: Callable[[str], None] = print) -> bool:
    """Carry `search` to its end with `workers` processes here, and as many as others give elsewhere.

    `show` gets all trials about once a second, `say` a sentence now and then. True when every place was filled, false
    when the space had no more to give. Raises `SearchStopped` after Ctrl-C.
    """
    if workers < 1:
        raise UsageError(f"workers {workers} cannot search; use 1 or more")
    if search.trials < 1:
        raise UsageError(f"trials {search.trials} searches nothing; use 1 or more")
    storage = search.open()
    pool = WorkerPool(search, storage, workers, say)
    with reachable(search.storage), _asked(pool):
        try:
            return pool.run(show)
        finally:
            pool.end()


class WorkerPool:
    """The worker processes of this machine."""

    def __init__(self, search: Search, storage: BaseStorage, count: int, say: Callable[[str], None]) -> None:
        self.search, self.count, self.say = search, count, say
        self.members: list[tuple[BaseProcess, Connection]] = []
        self.started: set[str] = set()  # the numbers of all processes that ever worked here
        self.asked = 0  # how often someone asked to stop
        self.exhausted = False
        self.idle_deaths = self.done = 0  # the deaths since a trial was last done here
        self.told = False  # that the storage is away
        self.board = Board(storage, search.name, search.lease, Patience(search.lease, self._away))
        # A clean process that imported what they need forks each: cheap, and no thread of this one is cut off in it.
        self.context: ForkServerContext | SpawnContext
        if "forkserver" in multiprocessing.get_all_start_methods():
            self.context = multiprocessing.get_context("forkserver")
            self.context.set_forkserver_preload(preloaded(search, search.storage))
        else:
            self.context = multiprocessing.get_context("spawn")

    def run(self, show: Show) -> bool:
        told = False
        while True:
            trials = self.board.look()
            self.told = False
            self._count(trials)
            show(trials)
            if is_over(self.board, trials, self.search.trials, self.exhausted):
                return not self.exhausted
            if self.asked > 1 or (self.asked and not self.members):
                self._give_back(trials)
                done = sum(trial.state.is_finished() for trial in self.board.placed(trials))
                raise SearchStopped(
                    f"stopped with {done} of {self.search.trials} trials done; the same command goes on with the others"
                )
            if self.asked and not told:
                told = True
                self._request_stop()
                self.say("finishing the trials that run; once more to stop at once (they will be repeated)")
            self._muster(trials)
            time.sleep(0.2)

    def end(self) -> None:
        """No process is left."""
        for process, connection in self.members:
            process.kill()
            process.join()
            connection.close()
        self.members = []

    def _muster(self, trials: list[FrozenTrial]) -> None:
        """Bury the dead, hear what they said, start new ones."""
        for member in list(self.members):
            process, connection = member
            if process.is_alive():
                continue
            self.members.remove(member)
            process.join()
            said = _last_words(connection)
            if said == EXHAUSTED:
                self.exhausted = True
            elif said:
                raise SearchFailed(said)
            elif process.exitcode and not self._had_a_trial(process):
                self._died_idle(f"exit code {process.exitcode}")
        over = is_over(self.board, trials, self.search.trials, self.exhausted)
        needless = over or self.asked or (self.exhausted and not self.board.lost(trials))
        while not needless and len(self.members) < self.count:
            ours, theirs = self.context.Pipe()
            process = self.context.Process(target=_work, args=(self.search, theirs))  # loaders need children
            try:
                process.start()
            except (EOFError, OSError) as error:  # the process that forks was killed; the next look starts another
                ours.close()
                self._died_idle(f"{type(error).__name__}: {error}")
                break
            finally:
                theirs.close()
            self.members.append((process, ours))
            self.started.add(str(process.pid))

    def _count(self, trials: list[FrozenTrial]) -> None:
        """Deaths before a first trial are no pattern as long as trials are done between them."""
        done = sum(trial.state.is_finished() and not is_void(trial) and self._is_ours(trial) for trial in trials)
        if done > self.done:
            self.done, self.idle_deaths = done, 0

    def _died_idle(self, how: str) -> None:
        """Count a worker that did nothing. Raises `SearchFailed` when they never do."""
        self.idle_deaths += 1
        if self.idle_deaths >= DEATHS * self.count:
            raise SearchFailed(
                f"{self.idle_deaths} workers ended before their first trial ({how}); "
                "run again with fewer --workers or look for lack of memory"
            )

    def _had_a_trial(self, process: BaseProcess) -> bool:
        return any(self._is_ours(trial, {str(process.pid)}) for trial in self.board.look())

    def _is_ours(self, trial: FrozenTrial, pids: set[str] | None = None) -> bool:
        where, pid, _ = trial.system_attrs.get(WORKER, ("", "", ""))
        return where == machine() and pid in (self.started if pids is None else pids)

    def _away(self, error: Exception) -> None:
        """The storage does not answer: say so once, and wait, unless someone wants an end."""
        if self.asked > 1:
            raise SearchStopped("stopped while the storage did not answer; the same command goes on when it does")
        if not self.told:
            self.told = True
            where, seconds = masked(self.search.storage), self.search.lease
            self.say(f"storage {where} does not answer; waiting for it, up to {seconds:g} s")

    def _request_stop(self) -> None:
        for _, connection in self.members:
            try:
                connection.send("stop")
            except OSError:  # it has just ended
                continue

    def _give_back(self, trials: list[FrozenTrial]) -> None:
        """The trials that ran here hold no place any more: whoever goes on repeats them."""
        ours = {str(process.pid) for process, _ in self.members}
        self.end()
        for trial in trials:
            if trial.state == TrialState.RUNNING and self._is_ours(trial, ours):
                self.board.void(trial._trial_id, "stopped on request; the configuration is tried again")


@contextmanager
def _asked(pool: WorkerPool) -> Iterator[None]:
    """Ctrl-C asks once, SIGTERM asks for an end at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        pool.asked += 2 if number == signal.SIGTERM else 1

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(search: Search, connection: Connection) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to all; who started us decides
    signal.signal(signal.SIGTERM, _leave)  # Lightning would make an error of it, and the trial would count as failed
    parent = multiprocessing.parent_process()
    try:
        storage = Patience(search.lease)(search.open)
        worker = Worker(search, storage, stop=connection.poll, alive=parent.is_alive if parent else lambda: True)
        with reachable(search.storage):
            worker.run()
        if worker.exhausted:
            connection.send(EXHAUSTED)
    except CompoundError as error:
        connection.send(str(error))
        sys.exit(1)
    except Exception as error:
        print(without_password(traceback.format_exc(), search.storage), file=sys.stderr)
        connection.send(without_password(f"a worker failed: {type(error).__name__}: {error}", search.storage))
        sys.exit(1)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once; the trial is found lost and repeated."""
    os._exit(128 + number)


def _last_words(connection: Connection) -> str:
    with connection:
        try:
            return str(connection.recv()) if connection.poll() else ""
        except (EOFError, OSError):
            return ""

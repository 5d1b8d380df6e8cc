"""Workers that are killed, machines that join, and the count that must come out exact."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from multiprocessing import forkserver
from pathlib import Path

import pytest
from optuna.trial import TrialState
from problems import Hill

from compound.errors import CompoundError
from compound.trials import STRATEGIES, Search, SearchFailed, run, trials_of, write_leaderboard
from compound.trials.board import is_void
from compound.trials.liveness import WORKER
from compound.trials.sharing import carry_out
from compound.trials.storage import with_driver


def kill_some(search, count, seed, over):
    """SIGKILL `count` of the search's own worker processes, each while it has a trial, at random moments."""
    rng = random.Random(seed)
    time.sleep(rng.uniform(0.2, 1.0))
    killed = set()
    while len(killed) < count and not over.is_set():
        running = [t for t in trials_of(search) if t.state == TrialState.RUNNING and WORKER in t.system_attrs]
        pids = sorted({int(t.system_attrs[WORKER][1]) for t in running} - killed)
        if pids:
            killed.add(pid := rng.choice(pids))
            os.kill(pid, signal.SIGKILL)
        time.sleep(rng.uniform(0.0, 0.2))
    return killed


def check_exact(search, log):
    """N trials complete, each configuration once; what was evaluated more often than once was lost in between."""
    trials = trials_of(search)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    assert len(complete) == search.trials
    assert all(is_void(t) for t in trials if t.state != TrialState.COMPLETE)
    found = {(t.params["x"], t.params["y"]) for t in complete}
    assert len(found) == search.trials
    evaluated = Counter(tuple(map(int, line.split())) for line in log.read_text().splitlines())
    assert set(evaluated) == found
    lost = Counter((t.params["x"], t.params["y"]) for t in trials if is_void(t) and t.params)
    assert all(times <= 1 + lost[where] for where, times in evaluated.items())
    assert set(lost) <= found  # what a killed worker held was done again


def eight_workers_two_killed(tmp_path, storage, seed, trials):
    search = Search(Hill(tmp_path / "log", seconds=0.03), storage, trials, seed=seed)
    search.open()
    over = threading.Event()
    killer = threading.Thread(target=kill_some, args=(search, 2, seed, over))
    killer.start()
    try:
        assert run(search, workers=8)
    finally:
        over.set()
        killer.join()
    check_exact(search, tmp_path / "log")


@pytest.mark.slow
def test_eight_workers_two_of_them_killed(tmp_path):
    """With a journal; the nightly has a database too."""
    eight_workers_two_killed(tmp_path, str(tmp_path / "search.journal"), seed=0, trials=24)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_eight_workers_two_of_them_killed_with_many_seeds(tmp_path, storage, seed):
    eight_workers_two_killed(tmp_path, storage, seed, trials=60)


MACHINE = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from problems import Hill
from compound.trials import Search
from compound.trials import SearchFailed, run
if __name__ == "__main__":
    out = Path(sys.argv[2])
    run(Search(Hill(out / "log", seconds=0.05), sys.argv[1], trials=20, seed=3), workers=2)
"""


@pytest.mark.slow
def test_two_machines_share_one_search_anywhere(tmp_path, storage):
    two_machines(tmp_path, storage)


@pytest.mark.long
def test_two_machines_share_one_search(tmp_path):
    two_machines(tmp_path, str(tmp_path / "search.journal"))


def two_machines(tmp_path, storage):
    script = tmp_path / "machine.py"
    script.write_text(MACHINE.format(tests=str(Path(__file__).parent)))
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        out.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    started = [subprocess.Popen([sys.executable, script, storage, out], env=environment) for out in outs]
    assert [process.wait(120) for process in started] == [0, 0]
    (tmp_path / "log").write_text("".join((out / "log").read_text() for out in outs))
    check_exact(Search(Hill(), storage, trials=20, seed=3), tmp_path / "log")
    assert all((out / "log").read_text() for out in outs)


@pytest.mark.long
def test_a_killed_worker_is_replaced_and_a_deadly_configuration_is_blamed_after_three(tmp_path):
    search = Search(
        Hill(tmp_path / "log", side=3, trouble={1: "killed"}),
        str(tmp_path / "j"),
        trials=9,
        strategy=STRATEGIES["grid"],
    )
    assert run(search, workers=2)
    trials = trials_of(search)
    failed = [t for t in trials if t.state == TrialState.FAIL and not is_void(t)]
    assert sorted(t.params["y"] for t in failed) == [0, 1, 2]
    assert all(t.user_attrs["error"].startswith("3 workers died on this configuration") for t in failed)
    assert sum(t.state == TrialState.COMPLETE for t in trials) == 6
    assert Counter((tmp_path / "log").read_text().splitlines())["1 0"] == 3


@pytest.mark.long
def test_the_search_survives_the_process_that_forks_its_workers(tmp_path, monkeypatch):
    search = Search(Hill(tmp_path / "log", seconds=0.03), str(tmp_path / "j"), trials=20)
    started, calls = forkserver.connect_to_new_process, []

    def killed_at_the_third(fds):
        calls.append(fds)
        if len(calls) == 3:
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
            raise EOFError("unexpected EOF")  # what is read from one that dies before it answers
        return started(fds)

    monkeypatch.setattr(forkserver, "connect_to_new_process", killed_at_the_third)
    assert run(search, workers=3)
    assert len(calls) > 3
    check_exact(search, tmp_path / "log")


@pytest.mark.slow
def test_an_evaluation_that_hangs_is_stopped_with_its_stack(tmp_path):
    hill = Hill(side=2, trouble={1: "hang"})
    search = Search(hill, str(tmp_path / "j"), trials=4, strategy=STRATEGIES["grid"], timeout=2.0)
    assert run(search, workers=2)
    failed = [t for t in trials_of(search) if t.state == TrialState.FAIL]
    assert [t.params["x"] for t in failed] == [1, 1]
    assert all("stopped after 2 s" in t.user_attrs["error"] for t in failed)
    assert all("time.sleep(600)" in t.user_attrs["error"] for t in failed)


def interrupted(tmp_path, signals):
    """A search in a process of its own that gets `signals` while trials of 1 s run; its code and messages."""
    script = tmp_path / "machine.py"
    script.write_text(MACHINE.format(tests=str(Path(__file__).parent)).replace("0.05", "1.0").replace("20", "6"))
    journal = str(tmp_path / "j")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, script, journal, tmp_path]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "log").exists():
        time.sleep(0.05)
        assert process.poll() is None
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    out, err = process.communicate(timeout=280)
    return out, err, trials_of(Search(Hill(), journal, trials=6, seed=3))


@pytest.mark.long
def test_ctrl_c_finishes_what_runs(tmp_path):
    out, err, trials = interrupted(tmp_path, [signal.SIGINT])
    assert "finishing the trials that run" in out
    assert "SearchStopped: stopped with" in err
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    assert 1 <= len(trials) < 6


@pytest.mark.slow
def test_sigterm_gives_back_what_runs(tmp_path):
    _, err, trials = interrupted(tmp_path, [signal.SIGTERM])
    assert "SearchStopped: stopped with 0 of 6 trials done; the same command goes on" in err
    assert trials
    assert all(is_void(t) for t in trials)


def own_database(server, name):
    from sqlalchemy import create_engine, text

    engine = create_engine(with_driver(server.url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server.url.rpartition('/')[0]}/{name}"


@pytest.mark.slow
def test_a_database_that_is_restarted_ends_nothing_and_its_password_is_printed_nowhere(tmp_path, server, capfd):
    """Title, remarks, errors, and all that is written."""
    url = own_database(server, "restarted")
    hill = Hill(tmp_path / "log", seconds=0.1, trouble=dict.fromkeys(range(0, 20, 2), with_driver(url)))
    search = Search(hill, url, trials=30, seed=1, lease=30)

    def restart():
        while not (tmp_path / "log").exists():
            time.sleep(0.05)
        server.stop()
        time.sleep(2)
        server.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    try:
        entries = carry_out(search, workers=3, quiet=False)
    finally:
        restarting.join()
    assert Counter(entry.state for entry in entries).keys() == {"complete", "failed"}
    assert len({(entry.parameters["x"], entry.parameters["y"]) for entry in entries}) == 30
    write_leaderboard(entries, tmp_path, ["accuracy"])
    printed = "".join(capfd.readouterr()) + (tmp_path / "leaderboard.json").read_text()
    assert "-> postgresql://search:***@127.0.0.1" in printed
    assert "does not answer; waiting for it, up to 30 s" in printed
    assert "sesame" not in printed


@pytest.mark.slow
def test_a_database_that_stays_away_ends_the_search_in_a_sentence(tmp_path, server):
    search = Search(Hill(tmp_path / "log", seconds=0.1), own_database(server, "gone"), trials=1000, lease=2)

    def stop():
        while not (tmp_path / "log").exists():
            time.sleep(0.05)
        server.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        with pytest.raises(
            CompoundError, match=r"storage postgresql://search:\*\*\*@.* cannot be reached: .*; is it running\?"
        ):
            run(search, workers=2, say=lambda text: None)
    finally:
        stopping.join()
        server.start()


class Unlucky(Hill):
    """Every second process that unpickles it ends, and the others do in their second evaluation."""

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(self.log.with_name("starts"), "a") as file:
            file.write("started\n")
        if len(self.log.with_name("starts").read_text().splitlines()) % 2:
            os._exit(7)

    def evaluate(self, candidate, seed, report):
        if Unlucky in done_here:
            os._exit(8)
        done_here.append(Unlucky)
        return super().evaluate(candidate, seed, report)


done_here = []


@pytest.mark.slow
def test_idle_deaths_over_a_whole_search_do_not_end_it(tmp_path):
    search = Search(Unlucky(tmp_path / "log"), str(tmp_path / "j"), trials=6)
    assert run(search, workers=1)
    check_exact(search, tmp_path / "log")
    assert len((tmp_path / "starts").read_text().splitlines()) == 12


class Unloadable(Hill):
    """Ends every process that unpickles it."""

    def __setstate__(self, state):
        os._exit(7)


@pytest.mark.long
def test_workers_that_end_before_their_first_trial_end_the_search(tmp_path):
    with pytest.raises(SearchFailed, match=r"3 workers ended before their first trial \(exit code 7\)"):
        run(Search(Unloadable(), str(tmp_path / "j"), trials=3), workers=1)

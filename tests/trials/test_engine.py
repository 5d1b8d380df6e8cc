"""The engine in one process: the budget, what may go wrong in a trial, and resuming as if nothing had happened."""

import os
import subprocess
import sys
import threading

import optuna
import pytest
from optuna.pruners import MedianPruner
from optuna.trial import TrialState
from problems import Hill

import compound.trials
from compound.errors import CompoundError, UsageError
from compound.trials import STRATEGIES, Search, find_strategy, masked, open_storage, trials_of, work
from compound.trials.board import SETTLED, is_void
from compound.trials.engine import Worker
from compound.trials.liveness import BEAT, WORKER, FailureDetector, is_gone, me


def chosen(search):
    """What was chosen, in order, by trials that hold a place."""
    return [(t.params["x"], t.params["y"]) for t in trials_of(search) if not is_void(t)]


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program sees it."""


class Fragile(Hill):
    """Dies in the evaluations with these numbers."""

    deaths: list[int] = []  # noqa: RUF012
    count = 0

    def evaluate(self, candidate, seed, report):
        Fragile.count += 1
        if Fragile.count in self.deaths:
            raise Killed
        return super().evaluate(candidate, seed, report)


@pytest.mark.long
@pytest.mark.parametrize("name", ["grid", "random", "tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_search_killed_again_and_again_chooses_as_one_that_is_not(tmp_path, name, monkeypatch):
    strategy = STRATEGIES[name]
    trials = 10 if name == "gp" else 24  # its draws take long; 8 of them are random
    whole = Search(Hill(side=8), str(tmp_path / "whole"), trials, strategy, seed=5)
    work(whole)
    monkeypatch.setattr(Fragile, "deaths", [1, 2, 7, trials, 50])
    monkeypatch.setattr(Fragile, "count", 0)
    parts = Search(Fragile(side=8), str(tmp_path / "parts"), trials, strategy, seed=5)
    for _ in range(5):
        if name == "gp":
            import torch

            torch.manual_seed(1)  # what happened before in the process must not matter
        try:
            work(parts)
        except Killed:
            storage = parts.open()
            storage.set_trial_system_attr(
                trials_of(parts)[-1]._trial_id, WORKER, [me()[0], "1", "a process that is gone"]
            )
    assert chosen(parts) == chosen(whole)
    assert len(set(chosen(whole))) == trials
    assert sum(is_void(t) for t in trials_of(parts)) == 4


@pytest.mark.long
@pytest.mark.parametrize("name", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "nsga2"])
def test_samplers_climb(tmp_path, name):
    search = Search(Hill(side=40), str(tmp_path / "j"), 30, STRATEGIES[name], seed=1)
    work(search)
    found = max(t.value for t in trials_of(search))
    random = Search(Hill(side=40), str(tmp_path / "r"), 30, STRATEGIES["random"], seed=1)
    work(random)
    assert found >= max(t.value for t in trials_of(random))


def test_what_goes_wrong_is_recorded_and_the_search_goes_on(tmp_path):
    trouble = {0: "raise", 1: "nan", 2: "memory", 3: "exit"}
    search = Search(Hill(side=5, trouble=trouble), str(tmp_path / "j"), 25, STRATEGIES["grid"])
    work(search)
    trials = trials_of(search)
    assert len(trials) == 25
    errors = {t.params["x"]: t.user_attrs["error"] for t in trials if t.state == TrialState.FAIL}
    assert sorted(errors) == [0, 1, 2, 3]
    assert "this one cannot be trained" in errors[0]
    assert "problems.py" in errors[0]
    assert "gave (nan,), not 1 finite numbers" in errors[1]
    assert "MemoryError" in errors[2]
    assert sum(t.state == TrialState.COMPLETE for t in trials) == 5


def test_infeasible_configurations_are_not_evaluated_and_cost_nothing(tmp_path):
    trouble = dict.fromkeys(range(1, 6), "infeasible")
    for name in ("grid", "tpe"):
        search = Search(Hill(side=6, trouble=trouble), str(tmp_path / name), 6, STRATEGIES[name])
        work(search)
        assert sorted(chosen(search)) == [(0, y) for y in range(6)]


def test_an_exhausted_space_ends_the_search(tmp_path):
    search = Search(Hill(side=3), str(tmp_path / "j"), 20, STRATEGIES["random"])
    worker = Worker(search, search.open())
    worker.run()
    assert worker.exhausted
    assert len(set(chosen(search))) == len(chosen(search)) == 9


def test_repeats_where_asked(tmp_path):
    search = Search(Hill(side=2), str(tmp_path / "j"), 12, STRATEGIES["random"], repeats=True)
    work(search)
    assert len(chosen(search)) == 12


def test_a_larger_budget_goes_on_where_the_smaller_one_ended(tmp_path):
    for trials in (5, 12):
        work(Search(Hill(), str(tmp_path / "j"), trials, seed=2))
    whole = Search(Hill(), str(tmp_path / "whole"), 12, seed=2)
    work(whole)
    assert chosen(Search(Hill(), str(tmp_path / "j"), 12, seed=2)) == chosen(whole)


def test_hopeless_trials_are_pruned_and_keep_their_last_value(tmp_path):
    search = Search(
        Hill(epochs=3), str(tmp_path / "j"), 20, STRATEGIES["random"], pruner=MedianPruner(n_startup_trials=4)
    )
    work(search)
    pruned = [t for t in trials_of(search) if t.state == TrialState.PRUNED]
    assert 3 < len(pruned) < 17
    assert all(t.value == t.intermediate_values[0] for t in pruned)


def test_several_objectives(tmp_path):
    search = Search(Hill(side=8, directions=("maximize", "minimize")), str(tmp_path / "j"), 20, STRATEGIES["nsga2"])
    work(search)
    assert all(len(t.values) == 2 for t in trials_of(search))


@pytest.mark.long
def test_threads_of_one_process_share_the_budget(tmp_path):
    search = Search(Hill(seconds=0.002), str(tmp_path / "j"), 20, seed=4)
    storage = search.open()
    threads = [threading.Thread(target=Worker(search, storage).run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(chosen(search))) == len(chosen(search)) == 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"problem": Hill(epochs=5)}, "settings training epochs is 1 there and 5 here"),
        ({"problem": Hill(side=6)}, "settings side is 20 there and 6 here"),
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"strategy": STRATEGIES["gp"]}, "sampler is 'tpe' there and 'gp' here"),
    ],
)
def test_a_storage_of_another_search_is_refused_with_the_difference(tmp_path, change, said):
    from dataclasses import replace

    search = Search(Hill(), str(tmp_path / "j"), 3)
    work(search)
    with pytest.raises(UsageError, match="holds another search 'hill'") as caught:
        work(replace(search, **change))
    assert said in str(caught.value)
    assert len(trials_of(search)) == 3
    work(replace(search, **change, study="other"))  # one storage can hold both
    assert len(trials_of(search)) == 3


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("postgresql://me:secret@127.0.0.1:1/none", r"storage postgresql://me:\*\*\*@127.0.0.1:1/none cannot be reached: .*refused"),
        ("postgresql://me:se:secret@cret:x@127.0.0.1/none", r"storage postgresql://me:\*\*\*@127.0.0.1/none is no database URL"),
        ("grpc://127.0.0.1", "has no host and port"),
        ("sqlite:///x.db", "SQLite is not made for several processes"),
        ("FOLDER/notes.txt", "is not the journal of a search"),
        ("/proc/x/journal", "cannot write /proc/x"),
        ("oracle9://x", "oracle9"),
    ],
)  # fmt: skip
def test_a_storage_that_is_none_is_one_sentence(tmp_path, where, said):
    (tmp_path / "notes.txt").write_text("Dear diary\n")
    search = Search(Hill(), where.replace("FOLDER", str(tmp_path)), 3)
    with pytest.raises(CompoundError, match=said) as caught:
        work(search)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql+psycopg://me:se@cret/se cret@host:5432/db?sslmode=require", "postgresql+psycopg://me:***@host:5432/db?sslmode=require"),
        ("mysql://me@host/db?password=secret&charset=utf8", "mysql://me@host/db?password=***&charset=utf8"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("grpc://host:13000", "grpc://host:13000"),
        ("runs/me:you@home/search.journal", "runs/me:you@home/search.journal"),
    ],
)  # fmt: skip
def test_a_storage_is_shown_without_its_password(where, shown):
    assert masked(where) == shown
    assert "secret" not in repr(Search(Hill(), where, 3))


def test_a_journal_stays_where_it_was_when_the_directory_changes(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    search = Search(Hill(), "j", 2)
    monkeypatch.chdir(tmp_path / "elsewhere")
    work(search)
    assert (tmp_path / "j").exists()
    assert not (tmp_path / "elsewhere" / "j").exists()


def test_a_sampler_nobody_knows():
    with pytest.raises(UsageError, match="there is no sampler 'tpo'; did you mean 'tpe'"):
        find_strategy("tpo")


def test_a_journal_cut_in_the_middle_of_a_line_is_healed(tmp_path):
    path = tmp_path / "j"
    work(Search(Hill(), str(path), 4))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 8, "trial_id"')
    search = Search(Hill(), str(path), 6)
    work(search)
    assert path.read_bytes().startswith(whole)
    assert len(chosen(search)) == 6


def test_a_journal_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "j"
    work(Search(Hill(), str(path), 1))
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom compound.trials.storage import JournalLock\n"
        "JournalLock(Path(sys.argv[1])).acquire()\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == -9
    work(Search(Hill(), str(path), 2))  # would wait 30 s with Optuna's locks


def test_who_is_dead_is_told_without_comparing_clocks(tmp_path):
    now = [1000.0]
    watch = FailureDetector(lease=60, clock=lambda: now[0])
    search = Search(Hill(), str(tmp_path / "j"), 1)
    study = optuna.load_study(study_name="hill", storage=search.open())
    elsewhere = ["another machine", "1", "1"]
    system = {WORKER: elsewhere, SETTLED: True}
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING, system_attrs=system))

    def dead(passed):
        now[0] += passed
        return [t.number for t in watch.dead(study.get_trials(deepcopy=False))]

    assert not any(dead(5) for _ in range(12))
    study._storage.set_trial_system_attr(study.trials[0]._trial_id, BEAT, 1)
    assert not any(dead(5) for _ in range(12))
    assert [dead(5), dead(5)] == [[], [0]]
    study._storage.set_trial_system_attr(study.trials[0]._trial_id, BEAT, 2)
    assert not dead(86400)  # all machines slept for a day
    assert not dead(5)


def test_a_process_of_this_machine_is_known_to_be_gone():
    assert not is_gone(me())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    script = "from compound.trials.liveness import me; print(*me(), sep='|')"
    past = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert is_gone(past.strip().split("|"))
    machine, _, started = me()
    assert is_gone([machine, str(child.pid), started])  # the number belongs to another process now
    assert not is_gone(["another machine", "1", started])
    child.kill()
    child.communicate()
    assert os.getpid() == int(me()[1])


def test_a_journal_is_what_optuna_opens(tmp_path):
    search = Search(Hill(), str(tmp_path / "j"), 3)
    work(search)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "j"))
    study = optuna.load_study(study_name="hill", storage=optuna.storages.JournalStorage(backend))
    assert study.best_trial.user_attrs["sum"] == sum(study.best_trial.params.values())
    assert open_storage(str(tmp_path / "j")).get_all_studies()[0].study_name == "hill"


def test_the_front_door_opens_and_what_a_problem_is_needs_no_optuna():
    assert all(hasattr(compound.trials, name) for name in compound.trials.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Serach'"):
        _ = compound.trials.Serach
    script = (
        "import sys\nfrom compound.trials import Candidate, Outcome, Problem, Reporter\n"
        "assert not {'optuna', 'torch'} & sys.modules.keys()\n"
        "from compound.trials import Search, run\nassert 'optuna' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

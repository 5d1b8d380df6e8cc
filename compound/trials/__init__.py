"""Trials that any number of processes share: a problem, a strategy, a budget, and a study that survives its workers.

    from compound.trials import STRATEGIES, Search, best, run, trials_of

    search = Search(problem, "search.journal", trials=100, strategy=STRATEGIES["tpe"])
    run(search, workers=4)
    winner = best(trials_of(search), problem.directions)[0]

What a `Problem` is made of needs no Optuna; it is imported with the first name that does. `compound.trials.testing`
checks a sampler of one's own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compound.trials.board import ERROR, configuration, is_void
    from compound.trials.engine import Search, trials_of, work
    from compound.trials.live import SearchDisplay
    from compound.trials.problem import Candidate, Direction, Outcome, Problem, Reporter, unheard
    from compound.trials.proposals import STRATEGIES, Strategy, choices, find_strategy
    from compound.trials.ranking import RankedTrial, best, leaderboard, write_leaderboard
    from compound.trials.samplers import HistorySampler, Parameters, Past, RandomSearch, Screen
    from compound.trials.storage import StorageError, masked, open_storage, shown
    from compound.trials.workers import SearchFailed, SearchStopped, run

__all__ = [
    "ERROR",
    "STRATEGIES",
    "Candidate",
    "Direction",
    "HistorySampler",
    "Outcome",
    "Parameters",
    "Past",
    "Problem",
    "RandomSearch",
    "RankedTrial",
    "Reporter",
    "Screen",
    "Search",
    "SearchDisplay",
    "SearchFailed",
    "SearchStopped",
    "StorageError",
    "Strategy",
    "best",
    "choices",
    "configuration",
    "find_strategy",
    "is_void",
    "leaderboard",
    "masked",
    "open_storage",
    "run",
    "shown",
    "trials_of",
    "unheard",
    "work",
    "write_leaderboard",
]

FILES = ("problem", "board", "engine", "live", "proposals", "ranking", "samplers", "storage", "workers")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for file in FILES:
            module = import_module(f"{__name__}.{file}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

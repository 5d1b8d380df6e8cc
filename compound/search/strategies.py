"""The strategies of an architecture search by name: ours, with or without a screen, and Optuna's."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from compound.errors import UsageError
from compound.mapping import nearest
from compound.search.objective import Form
from compound.search.samplers.evolution import RegularizedEvolution
from compound.search.samplers.ppo import PPO
from compound.search.samplers.screens import ProxyScreen, SurrogateScreen
from compound.search.space import Space
from compound.search.surrogate import ConfigurationFeatures
from compound.trials import STRATEGIES, RandomSearch, Screen, Strategy

NAMES = ("random", "evolution", "ppo", "tpe", "nsga2")
# What can be set, as the papers have it (Real et al. 2019, Section 3.4) or as PPO has it here.
SETTINGS: dict[str, dict[str, int | float]] = {
    "evolution": {"population": 100, "sample": 25},
    "ppo": {"batch": 16, "epochs": 4, "rate": 0.02},
}
SCREENS = ("none", "surrogate", "naswot", "synflow")
PAPER_TRIALS = (
    400  # from here on evolution has the paper's population of 100; shorter searches a quarter of their trials
)


def architecture_strategy(
    name: str,
    space: Space,
    trials: int,
    *,
    form: Form = "soft",
    screen: str = "none",
    seed: int = 0,
    settings: Mapping[str, float] | None = None,
) -> Strategy:
    """The strategy for a search of `trials` in `space`. It can be pickled, as worker processes receive it.

    `settings` are some of `SETTINGS[name]`.

    Raises `UsageError` for names that do not exist and for combinations that cannot work.
    """
    if name not in NAMES:
        raise UsageError(f"there is no strategy {name!r}; {nearest(name, NAMES, 'strategies')}")
    if form == "pareto" and name in ("evolution", "ppo"):
        raise UsageError(f"strategy {name} follows one value and --objective pareto has two; use nsga2, tpe or random")
    picks = find_screen(screen, space, seed)
    own = checked(name, settings or {})
    if name in ("tpe", "nsga2"):
        if picks:
            raise UsageError(f"--screen {screen} cannot look into {name}; use random, evolution or ppo, or no screen")
        return STRATEGIES[name]
    if form == "pareto" and screen == "surrogate":
        raise UsageError("--screen surrogate predicts one value and --objective pareto has two; use no screen")
    suffix = f" screen {screen}" if picks else ""
    distributions = space.distributions()
    said = "".join(f" {setting} {value:g}" for setting, value in own.items())
    if name == "random":
        return Strategy(f"random{suffix}", partial(RandomSearch, distributions, screen=picks))
    if name == "ppo":
        make = partial(PPO, distributions, controller_seed=seed, trained=[], screen=picks, **own)
        return Strategy(f"ppo{said}{suffix}", make)
    population = 100 if trials >= PAPER_TRIALS else max(trials // 4, 4)
    population = own.pop("population", population)
    sample = own.pop("sample", max(population // 4, 2))
    said = f" population {population}" + (f" sample {sample}" if "sample" in (settings or {}) else "")
    evolution = partial(RegularizedEvolution, distributions, population=population, sample=sample, screen=picks)
    RegularizedEvolution(distributions, 0, population, sample)  # what cannot be is said now and not in a worker
    return Strategy(f"evolution{said}{suffix}", evolution)


def checked(name: str, settings: Mapping[str, float]) -> dict[str, Any]:
    """The settings as the strategy takes them. Raises `UsageError` for those that it does not have."""
    own = SETTINGS.get(name, {})
    for setting, value in settings.items():
        if setting not in own:
            has = f"; {nearest(setting, own, 'settings')}" if own else ""
            raise UsageError(f"strategy {name} has no setting {setting!r}{has}")
        if not 0 < value < 1e6 or type(own[setting])(value) != value:
            raise UsageError(f"{setting} {value:g} is no setting of {name}; use e.g. {own[setting]}")
    return {setting: type(own[setting])(value) for setting, value in settings.items()}


def find_screen(name: str, space: Space, seed: int) -> Screen | None:
    """What picks one of several proposals, or None."""
    if name not in SCREENS:
        raise UsageError(f"there is no screen {name!r}; {nearest(name, SCREENS, 'screens')}")
    if name == "none":
        return None
    if name == "surrogate":
        return SurrogateScreen(ConfigurationFeatures(space))
    from compound.search.proxies import Proxy  # the others need no torch

    return ProxyScreen(space, Proxy(name, seed))

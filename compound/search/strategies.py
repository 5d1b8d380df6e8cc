"""The strategies of an architecture search by name: ours, with or without a screen, and Optuna's."""

from functools import partial

from compound.errors import UsageError
from compound.mapping import nearest
from compound.search.objective import Form
from compound.search.samplers.evolution import RegularizedEvolution
from compound.search.samplers.ppo import PPO
from compound.search.samplers.screens import ConfigurationFeatures, ProxyScreen, SurrogateScreen
from compound.search.space import Space
from compound.trials import STRATEGIES, RandomSearch, Screen, Strategy

NAMES = ("random", "evolution", "ppo", "tpe", "nsga2")
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
) -> Strategy:
    """The strategy for a search of `trials` in `space`. It can be pickled, as worker processes receive it.

    Raises `UsageError` for names that do not exist and for combinations that cannot work.
    """
    if name not in NAMES:
        raise UsageError(f"there is no strategy {name!r}; {nearest(name, NAMES, 'strategies')}")
    if form == "pareto" and name in ("evolution", "ppo"):
        raise UsageError(f"strategy {name} follows one value and --objective pareto has two; use nsga2, tpe or random")
    picks = find_screen(screen, space, seed)
    if name in ("tpe", "nsga2"):
        if picks:
            raise UsageError(f"--screen {screen} cannot look into {name}; use random, evolution or ppo, or no screen")
        return STRATEGIES[name]
    if form == "pareto" and screen == "surrogate":
        raise UsageError("--screen surrogate predicts one value and --objective pareto has two; use no screen")
    suffix = f" screen {screen}" if picks else ""
    distributions = space.distributions()
    if name == "random":
        return Strategy(f"random{suffix}", partial(RandomSearch, distributions, screen=picks))
    if name == "ppo":
        return Strategy(f"ppo{suffix}", partial(PPO, distributions, controller_seed=seed, trained=[], screen=picks))
    population = 100 if trials >= PAPER_TRIALS else max(trials // 4, 4)
    make = partial(
        RegularizedEvolution, distributions, population=population, sample=max(population // 4, 2), screen=picks
    )
    return Strategy(f"evolution population {population}{suffix}", make)


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

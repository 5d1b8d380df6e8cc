"""Whether compiled training steps pay within a run: tried only where that costs next to nothing, then measured."""

import statistics
import time

import torch

from compound.cost import cost, memory_to_give
from compound.data import DataSet
from compound.execution import Execution
from compound.network import Network
from compound.notes import note
from compound.parallel import size
from compound.training.compiled import first_line
from compound.training.finders import free_memory
from compound.training.memory import SLOTS
from compound.training.recipe import Compile, Recipe
from compound.training.trial import WARM_UP, Trial

BLOCK_SECONDS = 6.0  # of compiling a block on two cores; what was measured is in docs/decisions
MOST = 0.02  # of a training's time that trying may take
GAIN = 1.03  # less may be noise
FEW = 1000  # steps of a training that is not even asked how long it takes
PAIRS, PAIR_SECONDS = 3, 5.0  # measured at least
NAMES: dict[Compile, str] = {"never": "uncompiled", "always": "compiled", "graphs": "compiled with CUDA graphs"}


def find_compile(
    network: Network,
    data: DataSet,
    recipe: Recipe,
    execution: Execution = Execution(),
    seconds: float | None = None,
) -> tuple[Compile, float]:
    """How a training that leaves it open is to take its steps, and the seconds that this saves in each.

    `seconds` is what an ordinary step takes, where that is known. Steps are compiled on trial where that is predicted
    to take at most `MOST` of the training's time; then both kinds are taken in turn, on the same batches, and the kind
    that is faster by `GAIN` is chosen. Lines on standard error say what is done and what was measured.

    Not tried with several processes, with `memory`, whose prediction is that of ordinary steps, and where what plain
    autograd would keep is more than the memory that is free.
    """
    steps = recipe.epochs * max(len(data.train) // recipe.batch, 1)
    if size() > 1 or recipe.training_memory is not None or (recipe.minutes is None and steps < FEW):
        return "never", 0.0
    if recipe.minutes is not None:
        left = 60 * recipe.minutes
    else:
        left = steps * (seconds or Trial(network, data, recipe, execution, precision=recipe.precision).seconds(0))
    modes: list[Compile] = ["always", "graphs"] if execution.where.type == "cuda" else ["always"]
    predicted = len(modes) * compile_seconds(network, recipe)
    if predicted > MOST * left or not fits(network, data, recipe, execution.where):
        return "never", 0.0
    note(f"compiling training steps on trial, which may take {predicted:.0f} s")
    times = race(network, data, recipe, execution, modes)
    if "graphs" in modes:
        torch.compiler.reset()  # gives back the memory that CUDA graphs hold; what was compiled is found on disk
    chosen = fastest(times)
    said = [f"{name} {1e3 * times[mode]:.0f} ms" for mode, name in NAMES.items() if mode in times]
    note(f"a training step takes {', '.join(said)}: taken {NAMES[chosen]}")
    return chosen, times["never"] - times[chosen]


def compile_seconds(network: Network, recipe: Recipe) -> float:
    """What compiling all the code of a training is predicted to take."""
    return BLOCK_SECONDS * len(network.blocks()) * variants(network, recipe)


def variants(network: Network, recipe: Recipe) -> int:
    """How often the network is compiled: for every resolution, size of a batch's parts, and set of parts that learn."""
    sides = recipe.grow_stages if recipe.grow_from < 1 else 1
    sizes = 2 if recipe.batch % recipe.accumulate else 1
    joining = len(network.stages) + 3 if recipe.transfer.unfreeze else 1
    return sides * sizes * joining


def fits(network: Network, data: DataSet, recipe: Recipe, where: torch.device) -> bool:
    """Whether a step of plain autograd, which keeps more than a compiled one, fits into the memory that is free."""
    counted = cost(network)
    images = -(-recipe.batch // recipe.accumulate)
    needed = counted.autograd_memory(images, SLOTS[recipe.optimizer], recipe.ema > 0)
    return memory_to_give(needed) <= free_memory(where)


def race(
    network: Network, data: DataSet, recipe: Recipe, execution: Execution, modes: list[Compile]
) -> dict[Compile, float]:
    """Median seconds of a step, loading left out, of ordinary ones and of each of `modes` that can be compiled."""
    kinds: list[Compile] = ["never", *modes]
    trials = {mode: Trial(network, data, recipe, execution, precision=recipe.precision, compile=mode) for mode in kinds}
    times: dict[Compile, list[float]] = {mode: [] for mode in kinds}
    for batch in trials["never"].batches():
        for mode, trial in list(trials.items()):
            begun = time.perf_counter()
            try:
                trial.step(batch)
            except RuntimeError as error:  # no memory for it, or no CUDA graph of it
                if mode == "never":
                    raise
                note(f"steps {NAMES[mode]} fail ({first_line(error)})")
                del trials[mode]
            times[mode].append(time.perf_counter() - begun)
        counted = times["never"][WARM_UP:]
        if len(counted) >= PAIRS and sum(counted) > PAIR_SECONDS:
            break
    working = [mode for mode, trial in trials.items() if not trial.module.compiled or trial.module.compiled.works]
    return {mode: statistics.median(times[mode][WARM_UP:]) for mode in working}


def fastest(seconds: dict[Compile, float]) -> Compile:
    """The way whose steps take least; one that is compiled only where it is clearly faster."""
    best = min(seconds, key=lambda mode: seconds[mode])
    return best if seconds["never"] >= GAIN * seconds[best] else "never"

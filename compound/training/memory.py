"""The memory a training step needs, predicted from the network as data, and how to make it fit.

Numbers are for one image unless said; bytes where it says bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from compound.budget import Budget
from compound.cost import Child, Cost, Upkeep, children, cost, memory_to_give, most_kept
from compound.errors import BudgetError
from compound.network import Network
from compound.quantity import short
from compound.training.recipe import Recipe

SLOTS = {"rmsprop": 2, "adamw": 2, "lamb": 2, "sgd": 1}  # numbers an optimiser remembers of a weight
MOST_PARTS = 12  # children of which every combination is tried


class Crew(NamedTuple):
    """How many processes share a step, and whether the network is divided among them (`compound.training.sharding`)."""

    processes: int = 1
    divided: bool = False


ALONE = Crew()


@dataclass(frozen=True)
class Savings:
    """What a step recomputes and in how many parts it goes through, with the bytes predicted for it."""

    recompute: tuple[str, ...]
    accumulate: int
    bytes: int
    extra_macs: float  # of the recomputed forward pass, as a share of a step's


def step_bytes(counted: Cost, held: int, recipe: Recipe, accumulate: int, crew: Crew = ALONE, largest: int = 0) -> int:
    """Weights, gradients, optimiser, average and what a part of the batch keeps while it goes through, in a process.

    `largest` is the number of parameters of the largest block: of a divided network, as much is whole at a time, and as
    much again is on its way.
    """
    upkeep = upkeep_of(recipe)
    step = replace(counted, step=held + counted.training_live)
    whole = step.training_memory(_at_a_time(recipe, accumulate, crew), upkeep)
    if crew.divided:
        state = counted.state_memory(upkeep.slots, upkeep.ema)
        return whole - state + -(-state // crew.processes) + 4 * 2 * 2 * largest  # two blocks' weights and gradients
    return whole


def upkeep_of(recipe: Recipe) -> Upkeep:
    """What a training by the recipe holds of every weight; a precision yet to be measured counts as fp32."""
    return Upkeep(SLOTS[recipe.optimizer], recipe.ema > 0, recipe.precision == "bf16")


def _at_a_time(recipe: Recipe, accumulate: int, crew: Crew) -> int:
    return -(-recipe.batch // (accumulate * crew.processes))


def as_trained(budget: Budget, recipe: Recipe, crew: Crew = ALONE) -> Budget:
    """The budget with its limit of training memory counted as the recipe trains, so that both say the same of it."""
    images = _at_a_time(recipe, recipe.accumulate, crew)
    return replace(budget, batch=images, upkeep=upkeep_of(recipe))


def fit_memory(network: Network, recipe: Recipe, limit: float, crew: Crew = ALONE) -> Savings:
    """The cheapest way to take a step within `limit` bytes: nothing, recomputing some children, or parts as well.

    Recomputing gives the same bits for at most a third more time. Going through in parts costs little time, but norms
    then see fewer images, which changes what is learned; so the batch is divided only as far as it must be. Several
    processes divide it already, and no further. `limit` is of each process.
    """
    able, counted = children(network), cost(network)
    ways = sorted(_ways(able), key=lambda way: (way[0], len(way[1])))
    largest = max(child.params for child in able)
    most = recipe.batch // 2 if crew.processes == 1 else 1
    for accumulate in range(1, max(most, 1) + 1):
        for macs, names, held in ways:
            needed = step_bytes(counted, held, recipe, accumulate, crew, largest)
            if memory_to_give(needed) <= limit:
                # A step is a forward pass and twice that backward.
                return Savings(names, accumulate, needed, macs / max(3 * counted.training_macs, 1))
    least = memory_to_give(min(step_bytes(counted, held, recipe, max(most, 1), crew, largest) for *_, held in ways))
    if crew.processes == 1:
        what, else_ = "two images at a time", "or a smaller network or resolution"
    else:
        what = f"{recipe.batch // crew.processes} images in each of {crew.processes} processes"
        else_ = "a smaller batch, network or resolution, or more processes" + (", or --shard" * (not crew.divided))
    raise BudgetError(
        f"{network.name} does not train in {short(limit)}B of memory: {what}, all recomputed, take {short(least)}B; "
        f"give that much, {else_}"
    )


def with_memory(network: Network, recipe: Recipe, crew: Crew = ALONE) -> Recipe:
    """The recipe with `recompute` and `accumulate` for its `memory`, if it has one."""
    if recipe.training_memory is None:
        return recipe
    choice = fit_memory(network, replace(recipe, accumulate=1, recompute=()), recipe.training_memory, crew)
    return replace(recipe, recompute=choice.recompute, accumulate=choice.accumulate)


def predicted_bytes(network: Network, recipe: Recipe, crew: Crew = ALONE) -> int:
    """Bytes of a step as the recipe has it, in each process."""
    able = children(network)
    held, largest = most_kept(able, frozenset(recipe.recompute)), max(child.params for child in able)
    return step_bytes(cost(network), held, recipe, recipe.accumulate, crew, largest)


def _ways(given: list[Child]) -> Iterator[tuple[int, tuple[str, ...], int]]:
    """(multiply-adds, names, numbers kept) of what can be recomputed: every combination, of many children every run."""
    able = given[:-1]
    if len(able) <= MOST_PARTS:
        sets = [chosen for count in range(len(able) + 1) for chosen in combinations(able, count)]
    else:
        sets = [(), *(tuple(able[a:b]) for a, b in combinations(range(len(able) + 1), 2))]
    for chosen in sets:
        names = tuple(child.name for child in chosen)
        yield sum(child.macs for child in chosen), names, most_kept(given, frozenset(names))

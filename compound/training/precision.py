"""Which precision a training computes in, where its recipe leaves that to the machine.

bf16 is taken where it is clearly faster; the same question gets the same answer on the same machine.
"""

import hashlib
import json
import statistics
import time
from typing import Any

import torch

from compound.data import DataSet
from compound.execution import Execution
from compound.kept import keep, kept
from compound.machine import instructions, processor
from compound.mapping import to_mapping
from compound.network import Network
from compound.notation import dump_network
from compound.notes import note
from compound.training.recipe import Precision, Recipe
from compound.training.trial import WARM_UP, Trial, long_enough, warmed_up

GAIN = 1.15  # bf16 is taken from here on: less may be noise, and costs digits
PAIRS, PAIR_SECONDS = 5, 4.0  # measured at least
FAST = ("avx512_bf16", "amx_bf16")  # without one of them a processor computes bf16 by way of fp32


def find_precision(network: Network, data: DataSet, recipe: Recipe, execution: Execution = Execution()) -> Precision:
    """fp32, or bf16 where a training step is faster by `GAIN` with it.

    Both take steps in turn on the same batches, so that what else the machine does slows both down, and their medians
    are compared. The answer is kept (`compound.kept`), and the same question is answered by it. A device without
    instructions for bf16 is not asked. What was measured, or known, is noted.
    """
    if not has_bf16(execution.where):
        return "fp32"
    asked = question(network, recipe, execution)
    known = kept().get(asked)
    if known in ("fp32", "bf16"):
        note(f"precision {known}, as was measured here before for this network and batch; --precision chooses another")
        return "fp32" if known == "fp32" else "bf16"
    times = race(network, data, recipe, execution)
    chosen: Precision = "bf16" if times["fp32"] >= GAIN * times["bf16"] else "fp32"
    said = ", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in times.items())
    note(f"a training step takes {said}: taken {chosen} (bf16 where it is {GAIN:g} times as fast); --precision pins it")
    keep(asked, chosen)
    return chosen


def has_bf16(where: torch.device) -> bool:
    """Whether the device has instructions for bf16."""
    if where.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return where.type == "cpu" and bool({*FAST} & {*instructions()})


def race(network: Network, data: DataSet, recipe: Recipe, execution: Execution) -> dict[Precision, float]:
    """Median seconds of a step in each precision, loading left out."""
    kinds: tuple[Precision, ...] = ("fp32", "bf16")
    trials = {kind: Trial(network, data, recipe, execution, precision=kind) for kind in kinds}
    times: dict[Precision, list[float]] = {kind: [] for kind in kinds}
    for batch in trials["fp32"].batches():
        for kind, trial in trials.items():
            begun = time.perf_counter()
            trial.step(batch)
            times[kind].append(time.perf_counter() - begun)
        pairs = [sum(pair) for pair in zip(*times.values(), strict=True)]
        if long_enough(pairs, recipe) or (len(pairs) >= WARM_UP + PAIRS and sum(pairs[WARM_UP:]) > PAIR_SECONDS):
            break
    return {kind: statistics.median(warmed_up(each)) for kind, each in times.items()}


def question(network: Network, recipe: Recipe, execution: Execution) -> str:
    """A digest of all that the answer depends on."""
    told: dict[str, Any] = {
        "network": dump_network(network),
        "classes": [network.classes, network.channels],
        "recipe": to_mapping(recipe) | {"epochs": None, "minutes": None},
        "device": torch.cuda.get_device_name(execution.where) if execution.where.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

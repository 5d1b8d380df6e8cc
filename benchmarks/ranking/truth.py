"""Networks of the space `small`, trained: every epoch's accuracy and loss, and how good each is in the end.

    python -m benchmarks.ranking.truth runs/ranking            # goes on where it was stopped

40 networks over the range of cost (log-uniform, one in each of 40 steps) and 20 of nearly the same cost, each by the
recipe `small` with two seeds, in bf16: 16 epochs of `--steps` steps, with batches drawn anew from the 5,400 training
images of `fashion6k` (84: all of them once). The 600 that it holds out judge every epoch, as a search would see it. The
end is judged by 10,000 others: training images of the whole Fashion-MNIST that `fashion6k` does not have (the folder of
its four idx files, Debian's dataset-fashion-mnist), so that no test image is looked at. The wide networks are then
trained once more by trainings that are short by themselves, with schedules of 1, 2 and 4 epochs and a third seed.

With 84 steps an epoch this is about four hours of a core; with 42, as in the table that is kept, two; with 10, half
an hour, and then seeds differ as much as networks (docs/decisions/018-spaces-and-shared-weights.md). Every training is
a file in the folder; one process of one thread. The table that it makes of them, and of the scores that
`benchmarks.ranking.proxies` left there, is benchmarks/results/ranking-truth.json.
"""

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.environment import write_result
from compound import Network, cost
from compound.data import DataSpec, open_data
from compound.data.source import Source, subset
from compound.documents import read_json
from compound.errors import NetworkError
from compound.evaluation import evaluate
from compound.execution import Execution
from compound.files import make_folder, write_json
from compound.search.space import Space
from compound.search.space_file import find_space
from compound.training import RECIPES
from compound.training.short import ShortTraining, opened
from compound.trials import unheard

SPEC = DataSpec("fashion6k", None, 0.1, 0, None, False)
FASHION = Path("/usr/share/datasets/fashion-mnist")
STEPS = 84  # of an epoch, unless others are asked for
PROXIES = "proxies.json"  # in the folder
JUDGING = 10_000  # images that judge the end
EPOCHS, SHORT = 16, (1, 2, 4)
SEEDS, SHORT_SEED = (0, 1), 2
WIDE, WIDE_COSTS = 40, (2.4e6, 32e6)
NARROW, NARROW_COSTS = 20, (10e6, 11.5e6)  # the upper end is efficientnet-mini's


@dataclass(frozen=True)
class Drawn:
    """A network of the study, with its place in the space and in which of the two samples it is."""

    network: Network
    parameters: dict[str, Any]
    sample: str


def space() -> Space:
    return find_space("small").for_data(opened(SPEC))


@cache
def sample() -> tuple[Drawn, ...]:
    """The networks of the study, the wide ones by cost."""
    low, high = WIDE_COSTS
    edges = [low * (high / low) ** (i / WIDE) for i in range(WIDE + 1)]
    windows = [("wide", edges[i], edges[i + 1]) for i in range(WIDE)] + [("narrow", *NARROW_COSTS)] * NARROW
    found: list[Drawn | None] = [None] * len(windows)
    names = set()
    for parameters, network in space().networks(random.Random(0)):
        try:
            spent = cost(network).macs
        except NetworkError:
            continue
        fits = (i for i, (_, least, most) in enumerate(windows) if found[i] is None and least <= spent < most)
        place = next(fits, None)
        if place is not None and network.name not in names:
            names.add(network.name)
            found[place] = Drawn(network, parameters, windows[place][0])
        if all(found):
            break
    return tuple(one for one in found if one)


@cache
def judging(fashion: Path) -> Source:
    """Images that judge the end: none of them is among those of `fashion6k`."""
    data, others = opened(SPEC), open_data(str(fashion)).train
    own = {each for part in (data.train, data.holdout, data.test) for each in part.identities().tolist()}
    free = [place for place, each in enumerate(others.identities().tolist()) if each not in own]
    return subset(others, free[:JUDGING])


@dataclass(frozen=True)
class Job:
    drawn: Drawn
    seed: int
    epochs: int = EPOCHS

    @property
    def name(self) -> str:
        return f"{self.drawn.network.name}-{self.seed}-{self.epochs}.json"


def jobs() -> Iterator[Job]:
    """What is trained, the most wanted first; the wide networks of all costs in turns."""
    wide, narrow = ([one for one in sample() if one.sample == name] for name in ("wide", "narrow"))
    spread = [wide[i * 17 % WIDE] for i in range(WIDE)]
    yield from (Job(one, seed) for seed in SEEDS for one in spread)
    yield from (Job(one, SEEDS[0]) for one in narrow)
    yield from (Job(one, SHORT_SEED, epochs) for epochs in SHORT for one in spread)
    yield from (Job(one, SEEDS[1]) for one in narrow)


def train(job: Job, fashion: Path, steps: int) -> dict[str, Any]:
    """Curve, end and seconds of this process; a short training has no end."""
    data = opened(SPEC)
    recipe = replace(RECIPES["small"], epochs=job.epochs, precision="bf16")
    trainer = ShortTraining(SPEC, recipe, Execution("cpu", workers=0, threads=1), steps=steps)
    begun = time.process_time()
    model, judge = trainer.trained(job.drawn.network, data, job.seed, unheard)
    found = {"curve": judge.curve, "seconds": round(time.process_time() - begun, 2)}
    if job.epochs == EPOCHS:
        result = evaluate(model, judging(fashion), data.classes, trainer.execution)
        found |= {"top1": round(result.top(1), 6), "loss": round(result.loss, 6)}
    return found


def table(folder: Path, steps: int) -> dict[str, Any]:
    """What is trained so far, a row a network."""
    rows = []
    proxies = read_json(folder / PROXIES, "delete it") if (folder / PROXIES).exists() else {}
    for one in sample():
        counted = cost(one.network)
        row = {"network": one.network.name, "sample": one.sample, "parameters": one.parameters}
        row |= {"macs": counted.macs, "params": counted.params, "activations": counted.activations}
        row |= {"trained": {}, "short": {}, "proxies": proxies.get(one.network.name, {})}
        for job in (job for job in jobs() if job.drawn == one and (folder / job.name).exists()):
            known = read_json(folder / job.name, "delete it")
            if job.epochs == EPOCHS:
                row["trained"][str(job.seed)] = known
            else:
                row["short"][str(job.epochs)] = known
        rows.append(row)
    return {"settings": settings(steps), "rows": rows}


def settings(steps: int) -> dict[str, Any]:
    data = opened(SPEC)
    return {
        "space": "small",
        "data": "fashion6k",
        "training_images": len(data.train),
        "watched_images": len(data.holdout),
        "judging_images": JUDGING,
        "recipe": "small",
        "precision": "bf16",
        "epochs": EPOCHS,
        "steps_an_epoch": steps,
        "seeds": list(SEEDS),
        "short": {"epochs": list(SHORT), "seed": SHORT_SEED},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS, help="of an epoch")
    parser.add_argument("--fashion", type=Path, default=FASHION, help="the folder of Fashion-MNIST")
    parser.add_argument("--table", action="store_true", help="only write the table of what is trained")
    given = parser.parse_args()
    folder = make_folder(given.folder)
    for number, job in enumerate([] if given.table else jobs(), 1):
        if not (folder / job.name).exists():
            found = train(job, given.fashion, given.steps)
            write_json(folder / job.name, found)
            print(number, job.name, found["curve"][-1][0], found.get("top1"), found["seconds"], flush=True)
    print(write_result("ranking-truth", table(folder, given.steps)))


if __name__ == "__main__":
    main()

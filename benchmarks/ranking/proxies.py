"""Scores of the networks of `benchmarks.ranking.truth` that need no training of their own, into the same folder.

    python -m benchmarks.ranking.proxies runs/ranking

synflow and NASWOT of the untrained networks, and the accuracy on the 600 held-out images with shared weights: one
supernet of the space, trained for 1,200 steps on networks within the study's costs. Seconds are the process's own.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ranking.truth import PROXIES, SPEC, WIDE_COSTS, sample, space
from compound import cost
from compound.documents import read_json
from compound.errors import NetworkError
from compound.execution import Execution
from compound.files import make_folder, write_json
from compound.network import Network
from compound.search.architecture_plan import SHARED_DECAY, SHARED_RATE
from compound.search.evaluators.shared import SharedWeights
from compound.search.proxies import PROXIES as SCORES
from compound.search.proxies import Proxy
from compound.search.supernet import Supernet
from compound.search.supernet_training import train_supernet
from compound.training import RECIPES
from compound.training.short import opened
from compound.trials import unheard

SUPERNET_EPOCHS = 14  # of 84 steps
CPU = Execution("cpu", workers=0, threads=1)


def admits(network: Network) -> bool:
    try:
        return WIDE_COSTS[0] <= cost(network).macs <= WIDE_COSTS[1]
    except NetworkError:
        return False


def shared_weights(folder: Path) -> tuple[Path, float]:
    """The file of the supernet, and the seconds that its training took."""
    file, seconds = folder / "shared.safetensors", folder / "shared.json"
    if not seconds.exists():
        CPU.take_threads()
        begun = time.process_time()
        small = RECIPES["small"]
        recipe = replace(
            small, epochs=SUPERNET_EPOCHS, rate=small.rate * SHARED_RATE,
            weight_decay=SHARED_DECAY, warmup_epochs=1,
        )  # fmt: skip
        train_supernet(Supernet(space(), admits=admits, seed=0), opened(SPEC), recipe, file, CPU)
        write_json(seconds, {"seconds": round(time.process_time() - begun, 1)})
    return file, float(read_json(seconds, "delete it")["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = make_folder(parser.parse_args().folder)
    known: dict[str, Any] = read_json(folder / PROXIES, "delete it") if (folder / PROXIES).exists() else {}
    networks = [one.network for one in sample()]
    for name in SCORES:
        for network in networks:
            row = known.setdefault(network.name, {})
            if name not in row:
                begun = time.process_time()
                row[name] = {"score": Proxy(name)(network), "seconds": round(time.process_time() - begun, 3)}
        write_json(folder / PROXIES, known)
    weights, trained = shared_weights(folder)
    judge = SharedWeights(weights, SPEC, execution=CPU)
    for network in networks:
        begun = time.process_time()
        accuracy = judge(network, 0, unheard)
        seconds = time.process_time() - begun
        known[network.name]["shared"] = {"score": round(accuracy, 6), "seconds": round(seconds, 3), "trained": trained}
    print(write_json(folder / PROXIES, known))


if __name__ == "__main__":
    main()

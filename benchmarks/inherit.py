"""Steps that inherited weights save: a scaled network from scratch against one that starts from its baseline's weights.

    python benchmarks/inherit.py [EPOCHS]

trains efficientnet-mini on fashion6k, scales it by φ = 1, trains the larger network both ways with the same recipe and
seed, and writes benchmarks/results/inherit.json: the accuracy on the holdout after every epoch, and the steps that each
way takes to the accuracy that scratch ends with. About 6 minutes on two cores with the default of 12 epochs.
"""

import csv
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from environment import write_result

from compound import ZOO, CompoundRule, Network, cost, scale
from compound.data import open_data
from compound.train import RECIPES, start_run, train


def curve(network: Network, folder: Path, epochs: int, inherited: Path | None = None) -> dict[str, Any]:
    """Holdout accuracy by step, and test accuracy at the end."""
    data = open_data("fashion6k", holdout=0.1)
    recipe = replace(RECIPES["small"], epochs=epochs, precision="fp32")
    run, result = train(start_run(network, data, "fashion6k", recipe, folder), data, inherited=inherited, quiet=True)
    with run.metrics.open() as file:
        rows = [(int(row["step"]), float(row["val_top1"])) for row in csv.DictReader(file)]
    return {"holdout": rows, "test": result.top(1), "test_interval": result.interval(), "test_images": result.images}


def steps_to(rows: list[tuple[int, float]], accuracy: float) -> int | None:
    """The first step after which the holdout is as accurate."""
    return next((step for step, value in rows if value >= accuracy), None)


def main(epochs: int) -> None:
    small = ZOO["efficientnet-mini"]
    large = scale(small, CompoundRule()(1))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result: dict[str, Any] = {"baseline": curve(small, folder / "small", epochs)}
        result["scratch"] = curve(large, folder / "scratch", epochs)
        result["inherited"] = curve(large, folder / "inherited", epochs, folder / "small")
    target = result["scratch"]["holdout"][-1][1]
    result |= {"network": large.name, "params": cost(large, 10, 1).params, "epochs": epochs, "target": target}
    result["steps"] = {way: steps_to(result[way]["holdout"], target) for way in ("scratch", "inherited")}
    write_result("inherit", result)
    print(f"{large.name} to {target:.1%}: {result['steps']}; test {result['scratch']['test']:.1%} from scratch, "
          f"{result['inherited']['test']:.1%} inherited, baseline {result['baseline']['test']:.1%}")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)

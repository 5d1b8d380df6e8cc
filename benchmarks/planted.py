"""Wrong labels planted in Fashion-MNIST: how early does the ranking of `compound data audit` name them?

    python -m benchmarks.planted                    # three seeds, about fifteen minutes on two cores; goes on

Of the 6,000 embedded training images so many labels as --wrong says are moved to another class at random. A small
network is trained --folds times, and every image is ranked by what the network that never saw it says of its label.
Told are the shares of the planted labels among the first 5, 8 and 10 %, how many of the images that are called wrong
were planted, and, where cleanlab is installed, the same by its two scores of the same probabilities. Writes
benchmarks/results/planted.json, a row a seed.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compound
from benchmarks.environment import RESULTS, begun_result, write_result
from compound import RECIPES, ZOO, DataSpec, Setup
from compound.evaluation.labels import Confident, Doubt

FIRST = (0.05, 0.08, 0.10)


def planted(file: Path, share: float, seed: int) -> NDArray[np.int64]:
    """The embedded training images with wrong labels among them, written to `file`; positions of the wrong ones."""
    data, rng = DataSpec("fashion6k", holdout=0).open(), np.random.default_rng(seed)
    images = np.stack([data.train.load(i)[0].numpy().reshape(28, 28) for i in range(len(data.train))])
    labels = np.array(data.train.labels)
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, len(data.classes), len(wrong))) % len(data.classes)
    # A test part that nothing here looks at: without one, some of these images would be taken for it.
    spare = np.stack([data.test.load(i)[0].numpy().reshape(28, 28) for i in range(100)])
    np.savez(
        file, train_images=images, train_labels=labels, test_images=spare,
        test_labels=np.array(data.test.labels)[:100], classes=np.array(data.classes),
    )  # fmt: skip
    return wrong


def measured(share: float, folds: int, epochs: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        wrong = planted(Path(made) / "planted.npz", share, seed)
        spec = DataSpec(str(Path(made) / "planted.npz"), holdout=0)
        recipe = replace(RECIPES["small"], epochs=epochs, precision="fp32")
        run = compound.train(
            ZOO["efficientnet-mini"], spec, recipe, Path(made) / "run", folds=folds, setup=Setup(seed=seed)
        )
    assert run.folded is not None
    table = run.folded
    counted = Confident.of(table.result)
    rows = table.result.indices.numpy()
    is_wrong = np.isin(rows, wrong)
    called = counted.doubts(np.array([], dtype=np.int64))[Doubt.WRONG]
    found = {
        "images": len(rows),
        "planted": int(is_wrong.sum()),
        "top1_of_given_labels": table.result.top(1),
        "within": within(counted.order, is_wrong),
        "called_wrong": len(called),
        "of_them_planted": int(is_wrong[called].sum()),
        "estimated_noise": counted.noise,
    }
    return found | ({"cleanlab": by_cleanlab(counted, is_wrong)} if find_spec("cleanlab") else {})


def within(order: NDArray[np.int64], is_wrong: NDArray[np.bool_]) -> dict[str, float]:
    """The share of the planted labels among the first of a ranking."""
    return {f"{first:g}": float(is_wrong[order[: round(first * len(order))]].sum() / is_wrong.sum()) for first in FIRST}


def by_cleanlab(counted: Confident, is_wrong: NDArray[np.bool_]) -> dict[str, Any]:
    from cleanlab.rank import get_label_quality_scores

    return {
        method: within(
            np.argsort(get_label_quality_scores(counted.labels, counted.probabilities, method=method), kind="stable"),
            is_wrong,
        )
        for method in ("self_confidence", "normalized_margin")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", type=float, default=0.05)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    settings = {"wrong": given.wrong, "folds": given.folds, "epochs": given.epochs, "network": "efficientnet-mini"}
    seeds = begun_result("planted", "seeds", settings, given.results)
    for seed in range(given.seeds):
        if str(seed) not in seeds:
            seeds[str(seed)] = measured(given.wrong, given.folds, given.epochs, seed)
            print(seed, seeds[str(seed)], file=sys.stderr)
            print(write_result("planted", {"settings": settings, "seeds": seeds}, given.results))


if __name__ == "__main__":
    main()

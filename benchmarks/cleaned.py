"""What the corrections of `compound data audit` are worth: wrong labels planted in Fashion-MNIST, and trained again.

    python -m benchmarks.cleaned                          # 10 and 20 % wrong, three seeds each; half an hour; goes on
    python -m benchmarks.cleaned --fashion FOLDER         # judged by Fashion-MNIST's 10,000 test images

Labels are moved as in `benchmarks.planted`. A small network is trained from nothing on what is given, with --folds; the
folds are audited, as `compound data audit` does, and the same network is trained by the same recipe and seed with the
audit's relabel.csv as corrections, with the images of that list dropped instead, and with the labels as they were. All
are judged by test images that no label of was changed and no audit has seen: the embedded ones, or those of --fashion,
FOLDER with the four files of MNIST's format, without the 100 that `planted` takes. Told are top-1, the paired
difference to what was given with its 95 % interval and McNemar's exact p, and how many labels the list sets right and
wrong. Writes benchmarks/results/cleaned.json, a row a share and seed.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import compound
from benchmarks.environment import RESULTS, begun_result, write_result
from benchmarks.planted import planted
from compound import RECIPES, ZOO, Budget, DataSpec, Setup, fit_budget
from compound.data import DataSet, Source, subset
from compound.data.source import Labels
from compound.evaluation import Evaluation, compare, evaluate
from compound.evaluation.audit import Doubtful
from compound.execution import Execution
from compound.nn import load_weights
from compound.training import Recipe

NETWORK, MACS = "efficientnet-mini", 4e6
SPARE = 100  # test images, the first, that the folds see


def judged_by(fashion: Path | None) -> Source:
    """Test images, without those that the folds see."""
    shown = DataSpec("fashion6k", holdout=0).open().test
    test = shown if fashion is None else DataSpec(str(fashion), holdout=0).open().test
    seen = {shown.load(i).numpy().tobytes() for i in range(SPARE)}
    return subset(test, [i for i in range(len(test)) if test.load(i).numpy().tobytes() not in seen])


@dataclass(frozen=True)
class Trainings:
    """Trainings of one network by one recipe and seed, each judged by the same test images."""

    recipe: Recipe
    seed: int
    test: Source

    def run(self, out: Path, spec: DataSpec, folds: int | None = None) -> Evaluation:
        network = fit_budget(ZOO[NETWORK], Budget(macs=MACS)).network
        compound.train(network, spec, self.recipe, out, folds=folds, setup=Setup(seed=self.seed))
        net, described = load_weights(out)
        found = evaluate(net, self.test, described.classes, Execution("cpu", workers=0))
        print(self.seed, out.name, found.top(1), file=sys.stderr)
        return found

    def clean(self, folder: Path) -> Evaluation:
        planted(folder / "clean.npz", 0, self.seed)
        return self.run(folder / "clean", DataSpec(str(folder / "clean.npz"), holdout=0))

    def measured(self, folder: Path, share: float, folds: int, clean: Evaluation) -> dict[str, Any]:
        """`folder` has the clean labels already."""
        file, out = folder / f"{share:g}.npz", folder / f"{share:g}"
        wrong = planted(file, share, self.seed)
        spec = DataSpec(str(file), holdout=0)
        given = self.run(out / "given", spec, folds)
        audited = compound.audit(out / "given")
        corrections = audited.out / "relabel.csv"
        found = {
            "relabelled": self.run(out / "relabelled", replace(spec, relabel=corrections)),
            "dropped": self.run(out / "dropped", replace(spec, drop=corrections)),
            "clean": clean,
        }
        right = np.array(DataSpec(str(folder / "clean.npz"), holdout=0).open().train.labels)
        return {
            "test_images": len(self.test),
            "labels": changed(audited.audit.corrected, spec.open(), right, wrong),
            "top1": {"given": given.top(1)} | {name: one.top(1) for name, one in found.items()},
            "beside_given": {name: beside(given, one) for name, one in found.items()},
        }


def beside(given: Evaluation, other: Evaluation) -> dict[str, Any]:
    told = compare(given, other).summary()
    return {name: told[name] for name in ("difference", "difference_interval", "only_first", "only_second", "p_value")}


def changed(corrected: list[Doubtful], data: DataSet, right: Labels, wrong: Labels) -> dict[str, Any]:
    """How many of the training labels are wrong before and after, and what the list of corrections changes."""
    labels = np.array(data.train.labels)
    after = labels.copy()
    listed = [each for each in corrected if each.index < len(labels)]  # the rest are test images, which stay
    places = [each.index for each in listed]
    after[places] = [data.classes.index(each.proposed) for each in listed]
    return {
        "images": len(labels), "planted": len(wrong), "listed": len(listed),
        "of_them_planted": int(np.isin(places, wrong).sum()), "class_is_right": int((after == right)[places].sum()),
        "wrong_before": float((labels != right).mean()), "wrong_after": float((after != right).mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path)
    parser.add_argument("--wrong", type=float, nargs="+", default=[0.2, 0.1])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    settings = {"folds": given.folds, "epochs": given.epochs, "network": NETWORK, "macs": MACS}
    rows = begun_result("cleaned", "rows", settings, given.results)
    test = judged_by(given.fashion)
    for seed in range(given.seeds):
        names = {f"{share:g}, seed {seed}": share for share in given.wrong}
        if names.keys() <= rows.keys():
            continue
        with tempfile.TemporaryDirectory() as made:
            trainings = Trainings(replace(RECIPES["small"], epochs=given.epochs, precision="fp32"), seed, test)
            clean = trainings.clean(Path(made))
            for name in [each for each in names if each not in rows]:
                rows[name] = trainings.measured(Path(made), names[name], given.folds, clean)
                print(name, rows[name], file=sys.stderr)
                print(write_result("cleaned", {"settings": settings, "rows": rows}, given.results))


if __name__ == "__main__":
    main()

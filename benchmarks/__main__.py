"""The benchmarks of this project, one after the other; each writes a JSON file.

    python -m benchmarks            the quick forms, under 10 minutes on two cores
    python -m benchmarks --full     with all their turns, and those that take longer

Nothing else should run meanwhile. One that fails is named at the end, and the others run all the same.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import RESULTS

QUICK_DEVICE = ("--family", "efficientnet-b0", "--samples", "12", "--seconds", "60")
FULL_DEVICE = ("--family", "efficientnet-b0", "--family", "resnet-50", "--family", "mobilenet-v2", "--samples", "72")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--full", action="store_true", help="all turns, and the benchmarks that take longer")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        for name, words in commands(given.full, given.out, Path(place)):
            begun = time.perf_counter()
            code = subprocess.run([sys.executable, "-m", *words]).returncode
            print(f"{name}: {time.perf_counter() - begun:.0f} s{f', exit code {code}' if code else ''}", flush=True)
            failed += [name] if code else []
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def commands(full: bool, out: Path, place: Path) -> list[tuple[str, list[str]]]:
    """Names, and a module with its arguments."""
    table, latency = str(place / "table.json"), ["benchmarks.latency", str(place / "table.json")]
    form = ["--full"] if full else []
    device = ["compound", "measure", "device", *(FULL_DEVICE if full else QUICK_DEVICE), "-o", table]
    quick_inference = [] if full else ["--parts", "torch,deployed", "--runs", "20"]
    size = [] if full else ["--networks", "8", "--plans", "4", "--seconds", "20"]
    found = [
        ("training", ["benchmarks.training", *form, "-o", str(out)]),
        ("loading", ["benchmarks.loading", *form, "-o", str(out)]),
        ("inference", ["benchmarks.inference", *quick_inference, "-o", str(out)]),
        ("serving", ["benchmarks.serving", *([] if full else ["--quick"]), "--results", str(out)]),
        ("device", device),
        ("latency", [*latency, *size, "-o", str(out / "latency.json")]),
    ]
    if full:
        found += [("inherit", ["benchmarks.inherit"]), ("transfer", ["benchmarks.transfer"])]
        found += [("faults", ["benchmarks.faults", "--results", str(out)]), ("search", ["benchmarks.search"])]
    return found


if __name__ == "__main__":
    sys.exit(main())

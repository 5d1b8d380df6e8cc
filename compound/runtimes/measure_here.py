"""Time a kit of networks on this machine, which needs neither PyTorch nor `compound`.

    pip install numpy onnxruntime
    python measure_here.py                  # beside kit.json; --threads 4, --seconds 300

It runs every network of the kit in turns and writes measured.json, of which `compound measure device --measured
measured.json -o TABLE.json` makes a device table where `compound` is installed. One file, Python 3.9 or later.
"""

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Laps = dict[str, float]  # seconds of one call by the module they were spent in

KIT, MEASURED = "compound-kit-1", "compound-measured-1"
SHORTEST = 0.5e-6  # the profiles of runtimes count in whole microseconds
SCOPE = "__module."  # before a module's name in the names of operators
WITHIN = "model."  # what a file's function calls the network
ROUNDS, RUNS = 3, 3  # rounds at the least; timed calls of a network in a round, after one that is not


def by_module(spent: Iterable[tuple[str, float]]) -> Laps:
    """Seconds by module, of (operator's names, seconds) in order of execution."""
    laps: Laps = {}
    waiting, last = 0.0, ""
    for names, seconds in spent:
        found = [name.partition(SCOPE)[2].partition("/")[0] for name in names.split(",") if SCOPE in name]
        found = [(name[len(WITHIN) :] if f"{name}.".startswith(WITHIN) else name) for name in found]
        waiting += max(seconds, SHORTEST)
        if found and found[0]:
            last = found[0]
            laps[last] = laps.get(last, 0.0) + waiting
            waiting = 0.0
    if last:
        laps[last] += waiting
    return laps


def profiled(file: Path) -> list[Laps]:
    """Of every call that a profile of ONNX Runtime has, but the first: where its time went."""
    calls: list[list[tuple[str, float]]] = [[]]
    for event in json.loads(file.read_text(encoding="utf-8")):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            calls[-1].append((event["name"], event["dur"] / 1e6))
        elif event["name"] == "model_run":  # written when the run is over
            calls.append([])
    return [by_module(one) for one in calls[1:-1]]


def lower_quartile(values: Sequence[float]) -> float:
    """What a call takes when the machine does nothing else: on a shared one the median measures the others too."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 4]


def spent_in(laps: list[Laps]) -> Laps:
    """Seconds by module over several calls; a profile may leave out what took no time."""
    names = {name: None for one in laps for name in one}
    return {name: lower_quartile([one[name] for one in laps if name in one]) for name in names}


class Timed:
    """A network of the kit, ready to run, and its times so far."""

    def __init__(self, folder: Path, told: dict[str, Any], threads: int) -> None:
        import numpy

        self.told, self.threads, self.file = told, threads, str(folder / told["file"])
        self.session = self.start("")
        given = self.session.get_inputs()[0]
        pixels = numpy.random.default_rng(0).integers(0, 256, told["shape"], numpy.uint8)
        self.feed = {given.name: pixels}
        self.calls: list[float] = []
        self.laps: list[Laps] = []

    def start(self, profile: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 3
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, profile
        return onnxruntime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])

    def turn(self) -> None:
        self.session.run(None, self.feed)
        for _ in range(RUNS):
            begun = time.perf_counter()
            self.session.run(None, self.feed)
            self.calls.append(time.perf_counter() - begun)
        if not self.told["left_out"]:
            self.laps += self.profile()

    def profile(self) -> list[Laps]:
        with tempfile.TemporaryDirectory() as folder:
            session = self.start(str(Path(folder) / "laps"))
            for _ in range(RUNS + 1):
                session.run(None, self.feed)
            return profiled(Path(session.end_profiling()))


def machine(threads: int) -> dict[str, Any]:
    """What the times depend on besides the networks."""
    import onnxruntime

    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "Model") and value.strip():
            name = value.strip()
    return {
        "cpu": name, "machine": platform.machine(), "cores": os.cpu_count(), "threads": threads,
        "system": platform.system(), "python": platform.python_version(),
        "versions": {"onnxruntime": onnxruntime.__version__},
    }  # fmt: skip


def main() -> None:
    here = Path(__file__).resolve().parent
    kit = json.loads((here / "kit.json").read_text(encoding="utf-8"))
    if kit["format"] != KIT:
        sys.exit("kit.json is of format {}, and this file reads {}".format(kit["format"], KIT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of a call")
    parser.add_argument("--seconds", type=float, default=120.0, help="time to spend")
    parser.add_argument("--out", type=Path, default=here / "measured.json")
    given = parser.parse_args()
    if given.threads < 1 or not given.seconds > 0:
        parser.error("--threads and --seconds are more than 0")
    timed = [Timed(here, told, given.threads) for told in kit["networks"]]
    order, rng, rounds = list(timed), random.Random(0), 0
    end = time.perf_counter() + given.seconds
    while rounds < ROUNDS or time.perf_counter() < end:
        rng.shuffle(order)
        for one in order:
            one.turn()
        rounds += 1
        print(f"round {rounds}: {len(order)} networks", flush=True)
    about = machine(given.threads)
    about["rounds"] = rounds
    found = {
        "format": MEASURED, "threads": given.threads, "environment": about, "kit": kit,
        "networks": [{"calls": one.calls, "spent": spent_in(one.laps)} for one in timed],
    }  # fmt: skip
    partial = given.out.with_name(given.out.name + ".partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    os.replace(str(partial), str(given.out))
    print(f"written to {given.out}; now: compound measure device --measured {given.out.name} -o TABLE.json")


if __name__ == "__main__":
    main()

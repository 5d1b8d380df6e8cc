"""The command on a device, as a user has it: a training, stopped and resumed, in bf16, compiled; export and measure."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def runs(device: str, folder: Path, rehearsed: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """What came of each, one after the other; the command's last words where it failed."""
    network = "efficientnet-mini"
    train = ["train", network, "fashion6k", "--recipe", "small", "--device", device, "--epochs", "2", "--json"]
    train += ["--batch", "1000" if rehearsed else "228"]  # 25 steps of each 5,700 images
    plain = ["--precision", "fp32", "--deterministic"]
    yield "fp32", compound(folder, *train, *plain, "-o", "straight")
    again = stopped(folder, [*train, *plain, "-o", "stopped", "--save-every", "5"])
    if "failed" not in again and (folder / "straight" / "metrics.csv").exists():
        again["same_rows"] = rows(folder / "straight") == rows(folder / "stopped")
    yield "resumed", again
    yield "bf16", compound(folder, *train, "--precision", "bf16", "-o", "bf16")
    yield "export", compound(folder, "export", "straight", "--to", "torch", "-o", "exported")
    measured = ["measure", network if rehearsed else "efficientnet-b0", "--device", device, "--memory"]
    ways = "channels-last" if rehearsed else "eager,channels-last,graphs"
    yield "measure", compound(folder, *measured, "--runtime", ways, "--batch", "1", "--json")
    yield "compiled", compound(folder, *train, "--precision", "bf16", "--compile", "always", "-o", "compiled")


def rows(run: Path) -> list[list[str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.reader(file))


def words(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "compound", *arguments]


def environment() -> dict[str, str]:
    """This checkout's package, wherever the command runs."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def compound(folder: Path, *arguments: str) -> dict[str, Any]:
    begun = time.perf_counter()
    done = subprocess.run(words(*arguments), cwd=folder, env=environment(), capture_output=True, text=True)
    return told(done.returncode, done.stdout, done.stderr, begun)


def told(code: int, out: str, err: str, begun: float) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds": round(time.perf_counter() - begun, 1)}
    if code:
        return found | {"failed": (err.strip().splitlines() or ["nothing was said"])[-1]}
    try:
        value = json.loads(out)
    except ValueError:
        return found
    times = {one["runtime"]: one["median_ms"] for one in value.get("measured", [])}
    return found | ({"median_ms": times} if times else {n: value[n] for n in ("top1", "loss") if n in value})


def stopped(folder: Path, train: list[str]) -> dict[str, Any]:
    """The training, asked to stop at its first checkpoint and resumed."""
    begun, last = time.perf_counter(), folder / "stopped" / "checkpoints" / "last.ckpt"
    pipe = subprocess.PIPE
    with subprocess.Popen(words(*train), cwd=folder, env=environment(), stdout=pipe, stderr=pipe, text=True) as process:
        while not last.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    if process.returncode != 130:
        return told(process.returncode or 1, out, err or "it was not stopped", begun)
    return compound(folder, "resume", "stopped", "--json")

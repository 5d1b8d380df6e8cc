"""How much of the time goes into steps that count, when the command is killed every so often."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

COMMAND = ("train", "efficientnet-mini", "fashion6k", "--epochs", "100000", "--device", "cpu")


def measure(folder: Path, seconds: float, between_kills: float, save_every: str = "2s") -> dict[str, Any]:
    """Restart `compound train --resume` and kill it every `between_kills` seconds, for `seconds`.

    A step counts once, with the time from its beginning to the next one's (validation and saving included) in the
    session that did it last. Starting, and steps lost to a kill, are what is not counted.
    """
    out, begun, kills = folder / "run", time.monotonic(), 0
    while (left := begun + seconds - time.monotonic()) > 0.5:
        resume = ("--resume",) if (out / "run.yaml").exists() else ()
        words = (*COMMAND, "-o", str(out), "--save-every", save_every, *resume)
        with open(folder / "log", "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.faults.goodput", str(folder / "steps"), *words],
                stdout=log,
                stderr=log,
            )
        try:
            child.wait(min(between_kills, left))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            kills += 1
        if child.wait() != -signal.SIGKILL:
            raise RuntimeError((folder / "log").read_text()[-2000:])
    wall = time.monotonic() - begun
    useful, steps, done = account(folder / "steps")
    return {
        "seconds": round(wall, 1),
        "kills": kills,
        "save_every": save_every,
        "steps": steps,
        "steps_done": done,
        "useful_seconds": round(useful, 1),
        "goodput": round(useful / wall, 4),
    }


def account(path: Path) -> tuple[float, int, int]:
    """(seconds of steps that count, how many they are, how many were done) from lines of process, step, time."""
    lines = [line.split() for line in path.read_text().splitlines()]
    took: dict[int, float] = {}
    for (who, step, at), (next_who, _, until) in pairwise(lines):
        if who == next_who:
            took[int(step)] = float(until) - float(at)
    return sum(took.values()), len(took), len(lines)


def main() -> None:
    """`compound` with its steps and their times logged to the file named first."""
    from compound.cli import before_torch
    from compound.cli import main as command

    before_torch()
    from compound.training import session
    from compound.training.checkpoints import Checkpoints

    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    class Logged(Checkpoints):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):  # type: ignore[no-untyped-def]
            os.write(file, f"{os.getpid()} {trainer.global_step} {time.monotonic()}\n".encode())

    session.Checkpoints = Logged  # type: ignore[misc]
    sys.argv[1:] = sys.argv[2:]
    command()


if __name__ == "__main__":
    main()

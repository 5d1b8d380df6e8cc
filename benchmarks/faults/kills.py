"""SIGKILL at random instants of a training, some of them inside the writing of a checkpoint."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks.faults.subject import fork, images, train_logged
from compound.data import DataSet
from compound.training import open_run, storage

STEPS_FOR_EACH = 12  # that a kill to come must find; two checkpoints are written in so many
EVENTS = 150  # of one checkpoint's writing; more than there are would let the child live
PARTS = ("state_dict", "current_model_state", "averaging_state", "optimizer_states")


def campaign(folder: Path, kills: int, epochs: int, seed: int = 0) -> dict[str, Any]:
    """Train once undisturbed and once with `kills`, a fifth of them in a write; compare what they end in."""
    rng = random.Random(seed)
    data = images()
    whole, parts = folder / "whole", folder / "parts"
    if os.waitstatus_to_exitcode(os.waitpid(fork(lambda: train_logged(whole, data, epochs, 0), folder / "log"), 0)[1]):
        raise RuntimeError((folder / "log").read_text())
    total = len(steps_of(whole))
    kinds = ["write"] * (kills // 5) + ["step"] * (kills - kills // 5)
    rng.shuffle(kinds)
    deaths, unreadable = [], 0
    for number, kind in enumerate(kinds):
        done = len(set(steps_of(parts)))
        aim = (total - done) / (kills - number + 1)  # so that the kills spread over the whole training
        until = min(done + rng.uniform(0, 2) * aim, total - STEPS_FOR_EACH * (kills - number))
        deaths.append(one_life(parts, data, epochs, kind, until, rng, folder / "log"))
        unreadable += sum(not readable(path) for path in (parts / "checkpoints").glob("*.ckpt"))
    last = os.waitpid(fork(lambda: train_logged(parts, data, epochs, 0), folder / "log"), 0)[1]
    if os.waitstatus_to_exitcode(last):
        raise RuntimeError((folder / "log").read_text())
    return {
        "kills": len(deaths),
        "kills_in_writes": sum(death["kind"] == "write" for death in deaths),
        "kills_while_training": sum(death["last_step"] is not None for death in deaths),
        "unreadable_checkpoints": unreadable,
        "steps": total,
        "steps_done_twice": len(steps_of(parts)) - total,
        "identical": compare(whole, parts),
        "deaths": deaths,
    }


def one_life(
    out: Path, data: DataSet, epochs: int, kind: str, until: float, rng: random.Random, log: Path
) -> dict[str, Any]:
    """A child that goes on with the training and is killed; what it had done by then."""
    workers = rng.choice((0, 0, 1, 2))
    die_at = rng.randrange(EVENTS) if kind == "write" else None
    pid = fork(lambda: train_logged(out, data, epochs, workers, die_at), log)
    while kind == "step" and not ended(pid):
        mine = steps_of(out, pid)
        if mine and mine[-1] >= until:
            time.sleep(rng.uniform(0, 0.05))  # anywhere: within a step, a validation, a checkpoint
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != -signal.SIGKILL:
        raise RuntimeError(f"a child ended with {code} before it was killed\n{log.read_text()}")
    mine = steps_of(out, pid)
    first, last = (mine[0], mine[-1]) if mine else (None, None)
    return {"kind": kind, "workers": workers, "resumed_at": first, "last_step": last}


def ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def steps_of(out: Path, pid: int | None = None) -> list[int]:
    """The steps begun in `out`, by all its processes or by one."""
    path = out.with_suffix(".steps")
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [int(step) for who, step in lines if pid is None or int(who) == pid]


def readable(path: Path) -> bool:
    try:
        storage.load(path)
    except storage.DamagedCheckpoint:
        return False
    return True


def compare(a: Path, b: Path) -> dict[str, bool]:
    """Whether two runs ended in the same bits."""
    first, second = load_file(open_run(a).weights), load_file(open_run(b).weights)
    states = [storage.load(path / "checkpoints" / storage.LAST) for path in (a, b)]
    same = {part: equal(states[0].get(part), states[1].get(part)) for part in PARTS}
    same["model.safetensors"] = first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)
    same["metrics.csv"] = open_run(a).metrics.read_bytes() == open_run(b).metrics.read_bytes()
    return same


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)

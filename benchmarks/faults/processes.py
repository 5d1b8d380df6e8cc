"""Trainings in several processes, and whether each process ends as it should: at the end, stopped, or left alone."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchvision.io import write_png

from compound.data import open_data
from compound.notation import save_network
from compound.training import storage

SHARES = {"train": 10, "resume": 10, "shard": 10, "shard-resume": 6, "killed": 8, "twice": 2, "pipeline": 4}  # of 50
LIMIT = 300.0  # seconds for a process, on a machine that others use too
NEVER = ("terminate called", "Traceback (most recent call last)")  # in what a process says
RECIPE = "base: small\nepochs: 3\nbatch: 32\nema: 0.9\nrate: 0.1\nprecision: fp32\naugment: {crop: none}\n"
IMAGES, CLASSES = 192, 3


@dataclass(frozen=True)
class Crew:
    """Processes that `Forks` started, and what they said."""

    forks: "Forks"
    pids: list[int]
    log: Path

    def signal(self, number: int, who: Sequence[int] | None = None) -> None:
        for place in range(len(self.pids)) if who is None else who:
            os.kill(self.pids[place], number)

    def codes(self) -> list[int]:
        """The exit code of each, which is ended after `LIMIT`."""
        end = time.monotonic() + LIMIT
        while any(running(pid) for pid in self.pids) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in self.pids:
            if running(pid):
                os.kill(pid, signal.SIGKILL)
        return [self.forks.ask({"wait": pid}) for pid in self.pids]


class Forks:
    """The process that starts all others, see `benchmarks.faults.forks`."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "benchmarks.faults.forks"]
        one = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one)
        self.port = 20_000 + os.getpid() * 7 % 10_000

    def ask(self, value: dict[str, Any]) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, count: int, arguments: Sequence[str], log: Path) -> Crew:
        """So many processes that find each other as torchrun's do."""
        self.port += 1
        port = free_port(self.port)
        world = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
        world |= {"MASTER_PORT": str(port), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "faults"}
        pids = [
            self.ask(
                {
                    "arguments": list(arguments),
                    "log": str(log),
                    "environment": world | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                }
            )
            for rank in range(count)
        ]
        return Crew(self, pids, log)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def free_port(first: int) -> int:
    """The first from there on that is free; below those that the system gives to any connection."""
    for port in range(first, 32_000):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def running(pid: int) -> bool:
    """Whether a process that is not ours goes on; one that waits to be asked for its code has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def campaign(folder: Path, share: int = 1, seed: int = 0, sizes: Sequence[int] = (2, 4)) -> dict[str, Any]:
    """Every kind of run as often as `SHARES` says, by `share`, in each size; what ended as it should not, in words.

    What has been run is kept in `folder`, and a campaign that was cut short goes on where it was.
    """
    if not (folder / "recipe.yaml").exists():
        prepare(folder)
    kept = folder / "ended.json"
    ended: dict[str, list[str]] = json.loads(kept.read_text()) if kept.exists() else {}
    forks, ran = Forks(), dict[str, int]()
    try:
        for count in sizes:
            for kind, often in SHARES.items():
                for number in range(max(often // share, 1)):
                    name = f"{kind}-{count}-{number}"
                    if name not in ended:
                        shutil.rmtree(folder / name, ignore_errors=True)
                        (folder / name).with_suffix(".log").unlink(missing_ok=True)
                        ended[name] = one_run(forks, folder / name, kind, count, random.Random(f"{seed} {name}"))
                        kept.write_text(json.dumps(ended))
                        print(f"{name}: {'; '.join(ended[name]) or 'as it should'}", flush=True)
                    ran[f"{kind}, {count} processes"] = number + 1
    finally:
        forks.close()
    wrong = [f"{name}: {words}" for name, said in ended.items() for words in said]
    return {"runs": sum(ran.values()), "of": ran, "wrong": wrong}


def prepare(folder: Path) -> None:
    """Pictures as files, so that processes load them, a network and a recipe."""
    from benchmarks.faults.subject import NETWORK

    folder.mkdir(parents=True, exist_ok=True)
    test = open_data("fashion6k").test
    counts = dict.fromkeys(range(CLASSES), 0)
    for index, label in enumerate(test.labels.tolist()):
        if counts.get(label, IMAGES) < IMAGES // CLASSES:
            place = folder / "images" / f"class{label}"
            place.mkdir(parents=True, exist_ok=True)
            write_png(test.load(index), str(place / f"{counts[label]}.png"))
            counts[label] += 1
    save_network(NETWORK, folder / "net.yaml")
    (folder / "recipe.yaml").write_text(RECIPE)


def one_run(forks: Forks, out: Path, kind: str, count: int, rng: random.Random) -> list[str]:
    """One training and, where it was stopped, its end; what was not as it should be, in words."""
    given = [str(out.parent / "net.yaml"), str(out.parent / "images"), "--recipe", str(out.parent / "recipe.yaml")]
    train = [
        "train",
        *given,
        "-o",
        str(out),
        "--device",
        "cpu",
        "--workers",
        "1",
        "--save-every",
        "3",
        "--holdout",
        "0.2",
    ]
    train += ["--shard"] * kind.startswith("shard")
    log = out.with_suffix(".log")
    if kind == "pipeline":
        return ended(forks.start(count, ["pipeline"], log), [0] * count)
    if kind in ("train", "shard"):
        return ended(forks.start(count, train, log), [0] * count)
    last = out / "checkpoints" / storage.LAST
    crew = forks.start(count, [*train, "--epochs", "400"], log)
    if not waited(lambda: last.exists() or not running(crew.pids[0])):
        return ["no checkpoint came", *ended(crew, [0] * count)]
    time.sleep(rng.uniform(0, 0.5))  # anywhere: within a step, a validation, a checkpoint
    wanted = [130] * count
    if kind == "killed":
        victim = rng.randrange(count)
        crew.signal(signal.SIGKILL, [victim])
        wanted = [-signal.SIGKILL if place == victim else 1 for place in range(count)]
    else:
        crew.signal(signal.SIGINT)
        if kind == "twice":
            time.sleep(rng.uniform(1.1, 1.3))
            crew.signal(signal.SIGINT, [place for place in range(count) if running(crew.pids[place])])
    said = ended(crew, wanted)
    again = [*train, "--epochs", "400", "--resume"]
    before = last.stat().st_mtime_ns
    crew = forks.start(count, again, log)
    # Its own checkpoint: until it trains, SIGTERM ends a process as any other.
    if not waited(lambda: last.stat().st_mtime_ns != before or not running(crew.pids[0])):
        said.append("it did not go on")
    crew.signal(signal.SIGTERM)
    return said + [f"resumed: {words}" for words in ended(crew, [130] * count)]


def waited(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def ended(crew: Crew, wanted: list[int]) -> list[str]:
    """How the processes' ends differ from those that are wanted, in words."""
    codes, said = crew.codes(), crew.log.read_text()
    wrong = [f"ended with {codes} instead of {wanted}"] if codes != wanted else []
    return wrong + [f"said {words!r}" for words in NEVER if words in said]

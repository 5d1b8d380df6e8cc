"""Starts the processes of a training in an instant: Python and torch are imported once, then it forks.

Reads a line of JSON for each: `arguments` of the command, `environment`, and the file for what is said; answers with
the process' id. A line {"wait": id} is answered with its exit code. `pipeline` as the only argument is work of its
own: see `pipelined`. Every child ends as any Python does.
"""

import json
import os
import sys
from typing import Any

import compound.cli.train
import compound.training  # noqa: F401  # what a training imports, before any fork
from compound.cli import command
from compound.parallel import join


def serve() -> dict[str, Any] | None:
    """Forks as told. None when there is nothing more to read; in a child, what it is to do."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
            continue
        pid = os.fork()
        if not pid:
            return dict(asked)
        print(pid, flush=True)
    return None


def work(asked: dict[str, Any]) -> None:
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.environ.update(asked["environment"])
    if asked["arguments"] == ["pipeline"]:
        pipelined()
    else:
        sys.argv = ["compound", *asked["arguments"]]
        command()


def pipelined(steps: int = 3) -> None:
    """A few steps of pipeline training outside of any run: the group ends with Python, as `join` has it."""
    import torch
    import torch.nn.functional as F

    from benchmarks.faults.subject import NETWORK
    from compound.nn import build
    from compound.training.pipeline import Pipeline

    torch.set_num_threads(1)
    join(torch.device("cpu"))
    model = build(NETWORK.with_(classes=5, channels=1), seed=0).train()
    pipeline, labels = Pipeline(model, torch.device("cpu")), (torch.arange(16) % 5).chunk(4)
    for _ in range(steps):
        pipeline.step(torch.rand(16, 1, 14, 14).chunk(4), lambda n, logits: F.cross_entropy(logits, labels[n]))
    pipeline.state_dict()


if __name__ == "__main__":
    job = serve()
    if job:
        work(job)

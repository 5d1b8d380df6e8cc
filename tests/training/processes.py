"""Python in processes of its own: one, or several that torchrun starts and that find each other."""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def words(program, count=0):
    """The command that runs `program` (what follows `python`), in so many processes of torchrun, or 0 for none."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count else []
    return [sys.executable, *launch, *map(str, program)]


def environment():
    """One thread each, and this checkout's package and tests to import, as pytest has them."""
    places = (HERE.parents[1], HERE.parent, HERE)
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, places))}


def run(program, folder, count=0):
    """`program` in `folder`, to its end."""
    return subprocess.run(words(program, count), cwd=folder, env=environment(), capture_output=True, text=True)


@cache
def server():
    """`forked.py`, which ends with its input."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(words([HERE / "forked.py"]), env=environment(), stdin=pipe, stdout=pipe, text=True)
    atexit.register(process.communicate)
    return process


def run_forked(program, folder, count, modules=()):
    """`program` (a file or `-m MODULE`, and its arguments) in so many processes, without torchrun.

    torch is imported once for all, and `modules` once for these.
    """
    print(json.dumps([[*map(str, program)], str(folder), count, modules]), file=server().stdin, flush=True)
    code = int(server().stdout.readline())
    out, err = ((Path(folder) / name).read_text() for name in ("out", "err"))
    return subprocess.CompletedProcess(program, code, out, err)

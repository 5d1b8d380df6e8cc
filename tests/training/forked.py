"""`python forked.py`: runs programs, each in several processes, torch imported once for all of them.

It reads a job a line from standard input, `[[words of the program], folder, count, [modules to import]]`, and answers
with its exit code; what the program prints goes to the files `out` and `err` of the folder. Its processes find each
other: what torchrun gives them, without its own process and an import of torch in each.
"""

import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

import compound.spared  # noqa: F401

SHARED = ("compound.training", "torch.utils.tensorboard")  # what the forks would import each


def free_port() -> int:
    """Below those that the system gives to any connection, so that nobody takes it before the processes meet."""
    place = os.getpid() * 7 % 10_000
    for port in range(20_000 + place, 32_000):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def start(program: list[str], place: dict[str, str]) -> int:
    """The id of a process that runs the program; it ends with 1 where that raises."""
    if pid := os.fork():
        return pid
    os.environ |= place
    try:
        if program[0] == "-m":
            sys.argv = program[1:]
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = program
            sys.path.insert(0, os.path.dirname(program[0]))
            runpy.run_path(program[0], run_name="__main__")
        sys.exit()
    except BaseException as end:
        sys.stdout.flush()
        if isinstance(end, SystemExit) and not end.code:
            os._exit(0)
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)


def lead(program: list[str], count: int) -> int:
    """The exit code of all."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "forked"}
    shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"}
    pids = {start(program, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)}
    while pids:
        ended, status = os.wait()
        pids.remove(ended)
        if status:
            for pid in pids:  # they would wait for it
                os.kill(pid, signal.SIGKILL)
            return 1
    return 0


def main() -> None:
    for module in SHARED:
        import_module(module)
    for line in sys.stdin:
        program, folder, count, modules = json.loads(line)
        leader = os.fork()
        if not leader:
            os.chdir(folder)
            for name, number in (("out", 1), ("err", 2)):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            for module in modules:
                import_module(module)
            os._exit(lead(program, count))
        print(os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1]), flush=True)


if __name__ == "__main__":
    main()

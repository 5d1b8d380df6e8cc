"""`python forked.py COUNT PROGRAM …`: a file or `-m MODULE` in several processes, torch imported once for all, and what
the variable FORKED_IMPORTS names beside it.

They find each other: what torchrun gives its processes, without its own process and an import of torch in each.
"""

import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

import compound.spared
import compound.training  # noqa: F401  what the forks would import each


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


def main() -> None:
    count, program = int(sys.argv[1]), sys.argv[2:]
    for module in os.environ.get("FORKED_IMPORTS", "").split():
        import_module(module)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "forked"}
    shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"}
    pids = {start(program, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)}
    while pids:
        ended, status = os.wait()
        pids.remove(ended)
        if status:
            for pid in pids:  # they would wait for it
                os.kill(pid, signal.SIGKILL)
            sys.exit(1)


if __name__ == "__main__":
    main()

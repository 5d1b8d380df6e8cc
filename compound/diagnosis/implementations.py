"""Which of oneDNN's implementations computes a layer, in its own words, from a process that runs with its log on.

oneDNN writes a line for each primitive that it runs (`ONEDNN_VERBOSE=1`). This file, run as a program, calls every pass
of every layer once and writes a line of its own before each, so that the lines between belong to that pass. `ref:any`
is a plain loop and always far too slow; where there is no line torch computed the pass itself.
"""

import os
import subprocess
import sys
from collections.abc import Iterable

from compound.errors import CompoundError
from compound.network import Network
from compound.notation import dump_network, parse_network
from compound.runtimes import Call

MARK = "compound-pass"
NATIVE = "torch"
SECONDS = 300.0
COMPUTING = ("convolution", "matmul", "inner_product", "batch_normalization")  # not those that only move numbers

Place = tuple[int, str, str]  # number of the layer, precision, pass


def implementations(network: Network, call: Call) -> dict[Place, str]:
    """The names of implementations by the place of each layer among `distinct_layers`, its precision and pass.

    Raises `CompoundError` where the process fails or takes more than five minutes.
    """
    words = [sys.executable, "-m", "compound.diagnosis.implementations", str(call.batch), str(call.threads)]
    environment = os.environ | {"ONEDNN_VERBOSE": "1"}
    try:
        ran = subprocess.run(
            words, input=dump_network(network), env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise CompoundError(f"running every layer once took more than {SECONDS:.0f} s; use a smaller --batch") from None
    if ran.returncode:
        raise CompoundError(f"running every layer once failed with exit code {ran.returncode}; use a smaller --batch")
    return read_log(ran.stdout.splitlines())


def read_log(lines: Iterable[str]) -> dict[Place, str]:
    """The implementation of each pass that a log has; the last line of a computing primitive counts."""
    found: dict[Place, str] = {}
    place: Place | None = None
    for line in lines:
        words = line.split(",")
        if words[0] == MARK:
            place = (int(words[1]), words[2], words[3]) if words[2] else None
            if place:
                found[place] = NATIVE
        elif place and words[0] == "onednn_verbose" and "exec" in words:
            at = words.index("exec") + 2  # behind the name of the engine
            if len(words) > at + 1 and words[at] in COMPUTING:
                found[place] = words[at + 1]
    return found


def _run(network: Network, call: Call) -> None:
    import torch

    from compound.diagnosis.layers import distinct_layers, passes

    torch.set_num_threads(call.threads)
    for number, layer in enumerate(distinct_layers(network, call.batch)):
        for (precision, name), compute in passes(layer).items():
            print(MARK, number, precision, name, sep=",", flush=True)
            compute()
        print(MARK, number, "", "", sep=",", flush=True)  # what comes before the next pass belongs to none


if __name__ == "__main__":
    images, cores = map(int, sys.argv[1:])
    _run(parse_network(sys.stdin.read()), Call(images, cores))

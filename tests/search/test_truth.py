"""Networks trained in full by several processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compound import ZOO
from compound.search.truth import trained

MINI = ZOO["efficientnet-mini"]


class Slow:
    """Says who trains, and takes its time."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, network, seed, report):
        (self.folder / f"{os.getpid()}").touch()
        time.sleep(0.1 if network is None else 600)
        return float(seed)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_accuracies_come_network_by_network_and_seed_by_seed(tmp_path):
    assert list(trained(Slow(tmp_path), [None, None], [1, 2], 2)) == [[1.0, 2.0], [1.0, 2.0]]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_killed_process_leaves_no_training_behind(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, __file__, str(tmp_path)], env=environment) as process:
        wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
        process.send_signal(signal.SIGTERM)
        process.wait()
        wait_for(lambda: not any(Path(f"/proc/{path.name}").exists() for path in tmp_path.iterdir()))


def wait_for(condition):
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


if __name__ == "__main__":
    list(trained(Slow(Path(sys.argv[1])), [MINI, MINI], [0], 2))

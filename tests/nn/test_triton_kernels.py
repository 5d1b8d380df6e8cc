"""Kernels for GPUs without a GPU: in Triton's interpreter, and compiled for one."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with CUDA builds")]

SECTIONS = ("tests", "step", "inference", "run")
HERE = Path(__file__).parent


@pytest.mark.timeout(1200)
def test_in_the_interpreter():
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "triton_cases.py")]
    asked = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(words, cwd=HERE.parents[1], env=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.mark.timeout(1200)
def test_compiled_for_a_gpu():
    """Registers, spills, shared memory and widths of loads, as an H100 would have them."""
    words = [sys.executable, "-m", "benchmarks.gpu.compiled"]
    done = subprocess.run(words, cwd=HERE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "depthwise 5x5 to weight, bf16" in done.stdout


@pytest.mark.timeout(1800)
def test_make_gpu_rehearsed(tmp_path):
    """The script of a GPU's first day falls over nothing here: every section runs, on the processor and very small."""
    words = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "-o", str(tmp_path)]
    done = subprocess.run(words, cwd=HERE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["rehearsed"]
    assert {name: section.get("failed") for name, section in found["sections"].items()} == dict.fromkeys(SECTIONS)
    assert "a rehearsal" in (tmp_path / "gpu.md").read_text()


def test_without_a_gpu_it_says_so(tmp_path):
    words = [sys.executable, "-m", "benchmarks.gpu", "-o", str(tmp_path)]
    done = subprocess.run(
        words, cwd=HERE.parents[1], capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no CUDA device" in done.stderr

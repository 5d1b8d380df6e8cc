"""What starting the command imports; each in a process of its own, since this one has imported everything."""

import subprocess
import sys
from types import ModuleType

import pytest

from compound.imports import left_out_of

# What a training on one processor never uses: 2 of the 5 seconds that a start took.
NEVER = ("torch._dynamo", "torch._inductor", "triton", "scipy", "matplotlib", "sympy", "torch.distributed.fsdp")

STEP = """
import sys
from compound.cli import before_torch
before_torch()
import compound.training.start
import torch
from pytorch_lightning import Trainer
from torchvision.transforms import v2
weight = torch.nn.Parameter(torch.ones(2))
for make in (torch.optim.SGD, torch.optim.RMSprop, torch.optim.AdamW):
    optimizer = make([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    assert optimizer.state_dict()["param_groups"]
"""

REAL = """
import scipy.signal, matplotlib.pyplot, torch._dynamo.utils
assert len(scipy.signal.windows.hamming(5)) == 5
assert matplotlib.pyplot.figure
assert callable(torch._dynamo.utils.is_compile_supported)
from torch.utils.flop_counter import FlopCounterMode
with FlopCounterMode(display=False) as count:
    torch.ones(2, 3) @ torch.ones(3, 4)
assert count.get_total_flops() == 2 * 2 * 3 * 4
before = weight.detach().clone()
weight.grad = torch.ones(2)
torch.optim.SGD([weight], lr=0.5).step()
assert torch.equal(weight, before - 0.5) and weight.requires_grad
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_a_step_of_training_imports_no_compiler_and_no_plots() -> None:
    loaded = run(STEP + f"print([name for name in {NEVER} if name in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.slow
def test_what_was_left_out_is_there_for_whoever_imports_it() -> None:
    run(STEP + REAL)


def test_nothing_stands_in_for_parts_of_a_package_that_is_loaded(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("matplotlib", "scipy")]:
        monkeypatch.delitem(sys.modules, name)
    assert {"matplotlib.axes", "scipy.signal"} <= set(left_out_of("torchmetrics"))
    monkeypatch.setitem(sys.modules, "matplotlib", ModuleType("matplotlib"))
    assert not [name for name in left_out_of("torchmetrics") if name.startswith("matplotlib")]
    assert "scipy.signal" in left_out_of("torchmetrics")


def test_planning_imports_no_torch_and_no_numpy() -> None:
    code = """
import sys
from compound.cli import main
sys.argv = ["compound", "scale", "efficientnet-b0", "--phi", "1"]
try:
    main()
except SystemExit:
    pass
heavy = [name for name in ("torch", "numpy", "PIL", "rich", "optuna", "pydantic") if name in sys.modules]
print(heavy, len(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280)
    print(done.stdout, done.stderr)
    assert "[]" in done.stderr

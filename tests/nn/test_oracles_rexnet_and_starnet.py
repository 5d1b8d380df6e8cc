"""timm as the oracle of ReXNet and StarNet: parameters, multiply-adds, logits."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from tests.nn.drawn import randomise, taken_over

pytestmark = pytest.mark.oracle
timm = pytest.importorskip("timm")

REX = [f"rexnet{r}_{100 * width:.0f}" for r in ("", "r") for width in (1, 1.3, 1.5, 2, 3)]
STAR = [f"starnet_{size}" for size in ("s050", "s100", "s150", "s1", "s2", "s3", "s4")]


@pytest.mark.parametrize("name", REX + STAR)
def test_params_and_macs(name):
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counted = cost(ZOO[name])
    assert counted.params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.macs == tracer.get_total_flops()


@pytest.mark.parametrize("name", [name for name in REX if "300" not in name] + STAR)
def test_logits(name):
    """Of timm's state dict as it stands and of one sorted by alphabet."""
    torch.manual_seed(0)
    theirs = randomise(timm.create_model(name)).eval()
    model, x = taken_over(name, theirs.state_dict())
    with torch.inference_mode():
        expected, ours = theirs(x), model(x)
    assert expected.std() > 0.01
    assert ((ours - expected).abs().max() / expected.abs().max()).item() < 1e-4

"""When a network that was read computes what the module does, and when only rounding parts them."""

import pytest
import torch
from torch import nn

from compound.nn.reading.sizes import differing, drawn


class Shifted(nn.Module):
    """Logits of an image, the large number `by` added and taken away again, and `off` added."""

    def __init__(self, by=0.0, off=0.0):
        super().__init__()
        self.last, self.by, self.off = nn.Linear(3, 4), by, off
        nn.init.constant_(self.last.weight, 1.0)

    def forward(self, x):
        return self.last((x + self.by - self.by).mean((2, 3))) + self.off


@pytest.mark.parametrize(("by", "off", "wrong"), [(0, 0, False), (1e6, 0, False), (0, 1.0, True), (1e6, 1.0, True)])
def test_what_only_rounding_parts_is_the_same(by, off, wrong):
    torch.manual_seed(0)
    model, built = Shifted(), Shifted(by, off)
    built.load_state_dict(model.state_dict())
    found = differing(built, model, lambda size: drawn(3, size), 8)
    assert bool(found) == wrong
    if by and not wrong:  # the case is one of rounding
        x = drawn(3, 8)
        assert (model(x) - built(x)).abs().max() > 1e-3

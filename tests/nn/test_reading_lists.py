"""Pieces that are no block of the alphabet are read as lists of its operators, and scale as far as sums allow."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import Scaling, cost, parse_network, scale
from compound.blocks import Wired
from compound.nn import build, from_module
from compound.notation import dump_network


class Middle(nn.Module):
    """A stem, something twice, a strided convolution with a norm, and a classifier."""

    def __init__(self, middle, norm=nn.BatchNorm2d):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), norm(8), nn.ReLU())
        self.middle = nn.Sequential(middle(), middle())
        self.after = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1, bias=False), norm(12), nn.ReLU())
        self.last = nn.Linear(12, 4)

    def forward(self, x):
        return self.last(self.after(self.middle(self.stem(x))).mean((2, 3)))


class Residual(nn.Module):
    def __init__(self, body, join=torch.add):
        super().__init__()
        self.body, self.join = body, join

    def forward(self, x):
        return F.relu(self.join(x, self.body(x)))


class Splits(nn.Module):
    """Res2Net's: a third of the channels passes, the others add up on their way."""

    def __init__(self):
        super().__init__()
        self.reduce, self.norm = nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12)
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, 1, 1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        self.expand = nn.Conv2d(12, 8, 1)

    def forward(self, x):
        a, b, c = F.relu(self.norm(self.reduce(x))).chunk(3, 1)
        b = F.relu(self.norms[0](self.convs[0](b)))
        c = F.relu(self.norms[1](self.convs[1](c + b)))
        return self.expand(torch.cat((a, b, c), 1))


class Neighbours(nn.Module):
    """A gate of every channel from those beside it (ECA-Net)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        self.along = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        x = self.conv(x)
        gate = self.along(x.mean((2, 3)).view(len(x), 1, -1)).sigmoid()
        return x * gate.view(len(x), -1, 1, 1).expand_as(x)


class Responses(nn.Module):
    """ConvNeXt V2's normalisation, channels first."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, 1, 1)
        self.weight, self.bias = (nn.Parameter(torch.randn(1, 8, 1, 1)) for _ in range(2))

    def forward(self, x):
        x = self.conv(x)
        length = x.norm(dim=(2, 3), keepdim=True)
        return x + self.weight * (x * (length / (length.mean(1, keepdim=True) + 1e-6))) + self.bias


class Blurred(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        row = torch.tensor((0.25, 0.5, 0.25))
        self.register_buffer("filt", (row[:, None] * row).expand(8, 1, 3, 3).clone(), persistent=False)

    def forward(self, x):
        return F.conv2d(F.pad(self.conv(x), (1, 1, 1, 1), mode="reflect"), self.filt, groups=8)


class Standardised(nn.Conv2d):
    """Weights of mean 0 and variance 1, with a gain a channel or without."""

    def __init__(self, gained):
        super().__init__(8, 8, 3, padding=1)
        self.gain = nn.Parameter(torch.rand(8) + 0.5) if gained else None

    def forward(self, x):
        gain = None if self.gain is None else self.gain * 0.1
        flat = self.weight.reshape(1, 8, -1)
        weight = F.batch_norm(flat, None, None, weight=gain, training=True, momentum=0.0, eps=1e-5)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias, 1, 1)


class Coarse(nn.Module):
    """A branch at half the resolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, 2, 1, bias=False)

    def forward(self, x):
        return F.interpolate(self.conv(x), scale_factor=2, mode="nearest")


def middle(make, join=torch.add):
    return lambda: Residual(make(), join)


def bare():
    return nn.Conv2d(8, 8, 3, 1, 1, bias=False)


MIDDLES = {
    "splits": middle(Splits),
    "neighbours": middle(Neighbours),
    "responses": middle(Responses),
    "blur": middle(Blurred),
    "gained": middle(lambda: Standardised(True)),
    "standardised": middle(lambda: Standardised(False)),
    "coarse": middle(Coarse),
    "product": middle(bare, torch.mul),
    "difference": middle(bare, torch.sub),
    "leaky": middle(lambda: nn.Sequential(bare(), nn.LeakyReLU(), bare())),
    "groups": middle(lambda: nn.Sequential(bare(), nn.GroupNorm(2, 8), nn.ReLU(), bare())),
    "other norm": middle(lambda: nn.Sequential(bare(), nn.BatchNorm2d(8, eps=0.1), nn.ReLU(), bare())),
    "dilated": middle(lambda: nn.Conv2d(8, 8, 3, 1, 2, 2, bias=False)),
}


def randomise(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return model.eval()


def equal(model, network, built, size):
    counted = cost(network.with_(resolution=size))
    assert counted.params == sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in built.parameters())
    x = torch.randn(1, 3, size, size) * 10
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        theirs = model(x)
    assert tracer.get_total_flops() == 2 * counted.macs
    with torch.inference_mode():
        ours = built(x)
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-5


@pytest.mark.parametrize("name", MIDDLES)
def test_a_piece_that_is_no_block_is_read_as_its_operators(name):
    torch.manual_seed(0)
    model = randomise(Middle(MIDDLES[name]))
    network, built = from_module(model, torch.zeros(1, 3, 32, 32))
    listed = [stage for stage in network.stages if isinstance(stage.block, Wired)]
    assert [stage.layers for stage in listed] == [2]  # the same twice is a stage of two
    assert network.unscalable == ()
    equal(model, network, built, 32)
    equal(model, network, built, 48)
    assert parse_network(dump_network(network)) == network
    larger = scale(network, Scaling(depth=2, width=2, resolution=1.5))
    assert [stage.layers for stage in larger.stages if isinstance(stage.block, Wired)] == [4]
    with torch.no_grad():
        assert build(larger)(torch.randn(2, 3, 48, 48)).shape == (2, 4)


def test_norms_over_groups_are_the_networks_where_it_has_no_others():
    torch.manual_seed(0)
    model = randomise(Middle(bare_and_norm, lambda channels: nn.GroupNorm(2, channels)))
    network, built = from_module(model, torch.zeros(1, 3, 32, 32))
    assert (network.style.norm, network.style.norm_groups) == ("group", 2)
    assert not any(isinstance(stage.block, Wired) for stage in network.stages)
    equal(model, network, built, 32)


def bare_and_norm():
    return nn.Sequential(bare(), nn.GroupNorm(2, 8), nn.ReLU())

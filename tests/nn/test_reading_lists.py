"""Pieces that are no block of the alphabet are read as lists of its operators, and scale as far as sums allow."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, Network, NetworkError, Scaling, Stage, cost, parse_network, scale
from compound.blocks import ConvBlock, Wire, Wired
from compound.nn import ReadingError, build, from_module
from compound.nn.reading import parse
from compound.notation import dump_network
from tests.nn.drawn import randomise


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


class GateFirst(nn.Module):
    """A gate that is written before what it gates."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 1)
        self.after = nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x):
        x = self.conv(x)
        return self.after(self.gate(x.mean((2, 3), keepdim=True)).tanh() * x)


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
    def __init__(self, mode):
        super().__init__()
        self.mode = mode
        self.conv = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        row = torch.tensor((0.25, 0.5, 0.25))
        self.register_buffer("filt", (row[:, None] * row).expand(8, 1, 3, 3).clone(), persistent=False)

    def forward(self, x):
        return F.conv2d(F.pad(self.conv(x), (1, 1, 1, 1), mode=self.mode), self.filt, groups=8)


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
    "blur": middle(lambda: Blurred("reflect")),
    "blur of zeros": middle(lambda: Blurred("constant")),
    "padded pool": middle(lambda: nn.Sequential(bare(), nn.ConstantPad2d(1, 0.0), nn.MaxPool2d(3, 1))),
    "uneven": middle(lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(8, 8, 2, bias=False))),
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
    model = randomise(Middle(MIDDLES[name])).eval()
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


def test_a_gate_may_be_written_before_what_it_gates():
    torch.manual_seed(0)
    model = randomise(Middle(GateFirst)).eval()
    equal(model, *from_module(model, torch.zeros(1, 3, 32, 32)), 32)


@pytest.mark.slow
def test_the_work_of_reading_grows_with_the_length_of_a_chain_and_not_with_its_cube(monkeypatch):
    def plain(count: int) -> nn.Sequential:
        pairs = ([nn.Conv2d(8 if i else 3, 8, 3, 1, 1), nn.ReLU()] for i in range(count))
        return nn.Sequential(
            *(one for pair in pairs for one in pair), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
        )

    listed, tried = parse.wired, []
    monkeypatch.setattr(parse, "wired", lambda ahead, end: tried.append(end - ahead.start) or listed(ahead, end))
    work = []
    for count in (30, 60):
        tried.clear()
        from_module(plain(count).eval(), torch.zeros(1, 3, 16, 16))
        work.append(sum(tried))
    assert 0 < work[1] < 3 * work[0]


def test_norms_over_groups_are_the_networks_where_it_has_no_others():
    torch.manual_seed(0)
    model = randomise(Middle(bare_and_norm, lambda channels: nn.GroupNorm(2, channels))).eval()
    network, built = from_module(model, torch.zeros(1, 3, 32, 32))
    assert (network.style.norm, network.style.norm_groups) == ("group", 2)
    assert not any(isinstance(stage.block, Wired) for stage in network.stages)
    equal(model, network, built, 32)


class Starred(nn.Module):
    """Convolutions that all read the same map, so that no single map parts their sums."""

    def __init__(self, count=40):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(count))

    def forward(self, x):
        return sum((conv(x) for conv in self.convs), start=x)


def test_more_operators_than_a_block_may_list_are_counted(monkeypatch):
    monkeypatch.setattr("compound.blocks.wired.MOST_WIRES", 70)
    monkeypatch.setattr(parse, "MOST_WIRES", 70)
    said = r"80 operators that no single map parts, where one block lists at most 70: sum of"
    with pytest.raises(ReadingError, match=said):
        from_module(Middle(Starred), torch.zeros(1, 3, 32, 32))


def bare_and_norm():
    return nn.Sequential(bare(), nn.GroupNorm(2, 8), nn.ReLU())


def test_hidden_layers_of_the_head_without_bias():
    torch.manual_seed(0)
    model = randomise(Middle(bare_and_norm, lambda channels: nn.GroupNorm(2, channels))).eval()
    model.last = nn.Sequential(nn.Linear(12, 20, bias=False), nn.ReLU(), nn.Linear(20, 4))
    network, built = from_module(model, torch.zeros(1, 3, 32, 32))
    assert (network.head.hidden, network.head.hidden_bias) == ((20,), False)
    equal(model, network, built, 32)


@pytest.mark.long
def test_a_built_network_says_itself_which_it_is():
    """Cells too, which read two maps; one that somebody has changed is read as it stands."""
    small = scale(ZOO["pnasnet-5-mobile"], Scaling(depth=1 / 3, width=0.3)).with_(resolution=48, classes=3)
    model = build(small, seed=0)
    network, built = from_module(model, torch.zeros(1, 3, 48, 48))
    assert network == small
    equal(model.eval(), network, built, 48)
    plain = build(scale(ZOO["resnet-18"], Scaling(depth=0.25, width=0.125)).with_(resolution=32, classes=3), seed=0)
    plain.stage1.block1.act = nn.SiLU()
    network, built = from_module(plain, torch.zeros(1, 3, 32, 32))
    assert network != plain.network
    equal(plain.eval(), network, built, 32)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "factors", "size"),
    [
        pytest.param("nasnet-a-mobile", (0.25, 0.25), 64, marks=pytest.mark.slow),
        ("AmoebaNet-A", (0.2, 0.1), 64),
        ("polynet", (0.1, 0.125), 107),
        ("nfnet-f0", (0.5, 0.125), 64),
        ("vgg-11-bn", (1, 0.125), 64),
    ],
)
def test_the_zoos_own_networks_are_read_back_from_what_was_built(name, factors, size):
    small = scale(ZOO[name], Scaling(*factors)).with_(resolution=size, classes=3)
    network, built = from_module(build(small, seed=0), torch.zeros(1, 3, size, size))
    assert network == small
    assert sum(p.numel() for p in built.parameters()) == cost(small).params


@pytest.mark.parametrize(
    ("wires", "sentence"),
    [
        ((), "wires is empty"),
        ((Wire("conv", reads=(1,)),), "wire 1 reads or is like a value that comes later; use 0 to 0"),
        ((Wire("conv"), Wire("conv", reads=(0,))), "wire 1 is read by nothing"),
        ((Wire("add"),), "wire 1: add of 1 values is not possible"),
        ((Wire("norm", reads=(0, 0)),), "wire 1: norm of 2 values is not possible"),
        ((Wire("part", part=(0, 1, 3)),), "wire 1: 8 channels do not make 3 parts"),
        ((Wire("part", part=(1, 1, 3)),), r"wire 1: part \[1, 1, 3\] is none"),
        ((Wire("conv", channels=6), Wire("add", (0, 1))), "wire 2: add of 8 and 6 channels is not possible"),
        ((Wire("conv", groups=3),), "wire 1: 8 and 8 channels do not make 3 groups"),
        ((Wire("shuffle", groups=0),), "wire 1: shuffle has at least one group"),
        ((Wire("max", kernel=(3, 1)),), r"wire 1: max over \(3, 1\) by 1 is not possible"),
        ((Wire("conv", kernel=0),), "wire 1: kernel 0 is not positive"),
        ((Wire("conv", padding="circular"),), "wire 1: padding 'circular' is unknown"),
        ((Wire("channel_conv", kernel=2),), "wire 1: kernel 2 is even"),
        ((Wire("conv", channels=-1),), "wire 1: channels and groups are at least 0"),
        ((Wire("conv"),) * 2001, "wires: 2,001 in one block are too many; use at most 2000"),
        ((Wire("conv", stride=2),), "the wires stride by 2 and the stage by 1"),
        ((Wire("batch_norm", eps=-1.0),), "wire 1: eps -1.0, decay 0.9 or start 1.0 is impossible"),
        ((Wire("scale", start=math.inf),), "wire 1: eps 1e-05, decay 0.9 or start inf is impossible"),
        ((Wire("channel_conv", kernel=3),), "along the channels reads one position, not 8×16×16; pool first"),
        ((Wire("global"), Wire("add", (0, 1))), "maps of 8×16×16 and 8×1×1 cannot be added"),
        ((Wire("global"), Wire("join", (0, 1))), "maps of 8×16×16 and 8×1×1 cannot be joined"),
        ((Wire("global"), Wire("multiply", (1, 0))), "maps of 8×1×1 and 8×16×16 cannot be multiplied"),
        ((Wire("conv"), Wire("multiply", (0, 1, 1))), "maps of 8×16×16 and 8×16×16 and 8×16×16 cannot be multiplied"),
    ],
)
def test_lists_that_are_none(wires, sentence):
    with pytest.raises(NetworkError, match=sentence):
        Network("n", Stage(ConvBlock(), 1, 8), (Stage(Wired(wires), 1, 8),), resolution=16).blocks()

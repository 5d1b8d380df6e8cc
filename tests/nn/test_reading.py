"""Modules read back as networks: a user's own, our families, and what is named because it cannot be read."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, Basic, ConvBlock, MBConv, Scaling, UsageError, cost, scale
from compound.blocks import MaxPool
from compound.nn import ReadingError, build, from_module
from compound.nn.reading.graph import Node, TraceGraph
from compound.nn.reading.said import arrangement
from tests.kinds import slow_but
from tests.nn.drawn import randomise


class Own(nn.Module):
    """A network as a user writes one: residual units, a gate, functions instead of modules, a hidden layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(8)
        self.ones = nn.ModuleList(self.convs(8, 8, 1) for _ in range(2))
        self.two = self.convs(8, 16, 2)
        self.fit = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))
        self.expand, self.depth = nn.Conv2d(16, 32, 1, bias=False), nn.Conv2d(32, 32, 5, 1, 2, groups=32, bias=False)
        self.project = nn.Conv2d(32, 16, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (32, 32, 16))
        self.squeeze, self.excite = nn.Linear(32, 4), nn.Linear(4, 32)
        self.hidden, self.last = nn.Linear(16, 20), nn.Linear(20, 7)

    def convs(self, inp, out, stride):
        return nn.ModuleList([nn.Conv2d(inp, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out),
                              nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)])  # fmt: skip

    def residual(self, parts, x, shortcut):
        a, b, c, d = parts
        return F.relu(shortcut + d(c(F.relu(b(a(x))))))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
        for parts in self.ones:
            x = self.residual(parts, x, x)
        x = self.residual(self.two, x, self.fit(x))
        y = F.relu(self.norms[1](self.depth(F.relu(self.norms[0](self.expand(x))))))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
        x = x + self.norms[2](self.project(y * gate[:, :, None, None]))
        x = x.mean(dim=(-1, -2))
        return self.last(F.dropout(F.relu(self.hidden(x)), 0.3, self.training))


def equal(model, network, built, resolution):
    """Parameters, multiply-adds by torch's tracer, and logits on other images than those of the reading."""
    classes, channels = built.classes, built.channels
    counted = cost(network.with_(resolution=resolution, classes=classes, channels=channels))
    assert counted.params == sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in built.parameters())
    x = torch.randn(1, channels, resolution, resolution)
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        theirs = model.eval()(x)
    assert tracer.get_total_flops() == 2 * counted.macs
    with torch.inference_mode():
        assert torch.allclose(built(x), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_a_users_own_module():
    torch.manual_seed(0)
    model = randomise(Own()).train()
    network, built = from_module(model, torch.zeros(1, 3, 32, 32), name="own")
    assert model.training
    assert model.norms.training
    assert [stage.block for stage in (network.stem, *network.stages)] == [
        ConvBlock(3), MaxPool(2), Basic(3), Basic(3), MBConv(5, 2, 0.25),
    ]  # fmt: skip
    assert [(s.layers, s.channels, s.stride) for s in network.stages] == [(1, 8, 2), (2, 8, 1), (1, 16, 2), (1, 16, 1)]
    assert (network.head.hidden, network.dropout, network.name, built.classes) == ((20,), 0.3, "own", 7)
    equal(model, network, built, 32)
    wider = scale(network, Scaling(width=2, depth=2))
    assert [stage.channels for stage in wider.stages] == [16, 16, 32, 32]


def small(name, resolution):
    factors = {"depth": 0.25, "width": 0.25}
    for dimension, _ in ZOO[name].unscalable:
        factors.pop(dimension, None)
    return scale(ZOO[name], Scaling(**factors)).with_(resolution=resolution)


class Wrapped(nn.Module):
    """A built network as a module that does not say which network it is."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


OF_OURS = {
    "efficientnet-b0": 48, "efficientnet-lite0": 48, "efficientnetv2-b0": 48, "mobilenet-v1": 48,
    "mobilenet-v3-large": 48, "resnet-18": 48, "resnext-50-32x4d": 48, "se-resnet-50": 48,
    "regnety-002": 48, "densenet-121": 96, "shufflenet-v1-g3": 48, "shufflenet-v2-x1.0": 48,
    "vgg-11-bn": 48, "alexnet": 96, "googlenet": 80,
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", slow_but(["efficientnet-lite0", "resnet-18", "vgg-11-bn", "alexnet"], OF_OURS))
def test_a_built_network_is_read_back(name):
    """The rows too, but for what a module does not tell."""
    network, resolution = small(name, OF_OURS[name]), OF_OURS[name]
    model = randomise(build(network.with_(classes=5), seed=0))
    again, built = from_module(Wrapped(model), torch.zeros(1, 3, resolution, resolution))
    blocks = [(s.block, s.layers, s.channels, s.stride) for s in (network.stem, *network.stages)]
    if name != "googlenet":  # one of its poolings rounds up where there is nothing to round
        assert [(s.block, s.layers, s.channels, s.stride) for s in (again.stem, *again.stages)] == blocks
        assert (again.head.channels, again.head.hidden, again.style) == (
            network.head.channels,
            network.head.hidden,
            network.style,
        )
    equal(model, again, built, resolution)


@pytest.mark.long
def test_a_block_of_ones_own_is_read_when_it_is_given():
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    try:
        import ghostnet
    finally:
        sys.path.pop(0)
    whole = ghostnet.GHOSTNET
    network = whole.with_(resolution=32, stages=whole.stages[:5])  # with and without stride, gate and shortcut
    model = randomise(build(network.with_(classes=3), seed=0))
    again, built = from_module(Wrapped(model), torch.zeros(1, 3, 32, 32), blocks={s.block for s in network.stages})
    assert {type(stage.block).__name__ for stage in again.stages} == {"Ghost"}
    equal(model, again, built, 32)


class Odd(nn.Module):
    """A network with something in its middle."""

    def __init__(self, middle, **modules):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.again, self.last = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.Linear(8, 4)
        self.middle = middle
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.last(self.middle(self, torch.relu(self.norm(self.conv(x)))).mean((2, 3)))


CASES = {
    "softmax": (lambda m, x: x.softmax(1), {}, "Odd has what is not in the alphabet: softmax in forward"),
    "module": (lambda m, x: m.odd(x), {"odd": nn.Sequential(nn.InstanceNorm2d(8))}, r"not in the alphabet: instance_norm in odd\.0"),
    "both": (lambda m, x: m.odd(x.sin()), {"odd": nn.Softplus()}, "sin in forward; softplus in odd"),
    "shared": (lambda m, x: m.again(m.again(x)), {}, r"conv2d which uses again\.weight a second time in again"),
    "clipped": (lambda m, x: x.clip(0, 3), {}, "clip in forward"),
    "plus one": (lambda m, x: x + 1, {}, "add of a number or a weight in forward"),
    "maps": (lambda m, x: m.again(x)[:, :, ::2], {}, "slice along dimension 2 in forward"),
    "wide": (lambda m, x: x * m.odd(x), {"odd": nn.Conv2d(8, 1, 1)}, "mul of two maps of other shapes in forward"),
    "hard": (lambda m, x: m.odd(x), {"odd": nn.Hardtanh(-2, 2)}, "hardtanh from -2 to 2 in odd"),
    "leaky": (lambda m, x: m.odd(x), {"odd": nn.LeakyReLU(0.2)}, "leaky_relu of slope 0.2, where 0.01 is in odd"),
    "blur": (lambda m, x: m.again(F.pad(x, (1, 1, 1, 1), mode="reflect")), {}, "conv2d behind a mirrored edge"),
    "along": (lambda m, x: m.odd(x.mean((2, 3))[:, None]).mT[..., None] * x, {"odd": nn.Conv1d(1, 1, 5, padding=4, dilation=2)}, "conv1d other than along the channels"),
    "long": (lambda m, x: x / (x.norm(dim=(2, 3), keepdim=True) + 1), {}, r"add on what is no response normalisation \(lengths\)"),
    "rectangle": (lambda m, x: m.odd(x), {"odd": nn.MaxPool2d((3, 1), 1, (1, 0))}, "no block is what stands at odd.*: max pool 3×1"),
}  # fmt: skip


def test_numbers_that_are_not_learned_are_no_weights():
    odd = Odd(lambda m, x: F.conv2d(x, m.numbers))
    odd.register_buffer("numbers", torch.ones(8, 8, 1, 1))
    with pytest.raises(ReadingError, match="conv2d with numbers that are not learned, numbers, in forward"):
        from_module(odd, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_in_the_alphabet_is_named(case):
    middle, modules, sentence = CASES[case]
    with pytest.raises(ReadingError, match=sentence):
        from_module(Odd(middle, **modules), torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("model", "example", "sentence"),
    [
        (nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), None, "pixel_unshuffle in 0"),
        (nn.Linear(3, 4), None, "Linear has no convolution, so it is not a ConvNet"),
        (Odd(lambda m, x: x), torch.zeros(1, 3, 16, 20), r"the example has shape \(1, 3, 16, 20\); give square images"),
        (Odd(lambda m, x: x if x.sum() > 0 else -x), torch.zeros(1, 3, 16, 16), r"Odd cannot be traced on images \(2, 3, 16, 16\)"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), torch.zeros(1, 1, 9, 9), r"Sequential returns a tensor of shape \(2, 4, 7, 7\); a network"),
    ],
)  # fmt: skip
def test_what_is_not_a_network(model, example, sentence):
    with pytest.raises(ReadingError, match=sentence):
        from_module(model, example)


def sequence(*layers):
    return randomise(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def conv_norm(inp, out, stride=1, act=True):
    layers = [nn.Conv2d(inp, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)]
    return [*layers, nn.ReLU()] if act else layers


def test_a_last_activation_that_does_nothing_on_the_example_is_not_dropped():
    """On numbers of order one the logits lie about 2; on a hundred times as large ones some are negative."""
    torch.manual_seed(0)
    model = sequence(*conv_norm(3, 8), *conv_norm(8, 8))
    last = nn.Linear(8, 4)
    nn.init.constant_(last.bias, 2.0)
    with pytest.raises(ReadingError, match=r"no block is what stands at 8 to 9: linear to 4, act relu$"):
        from_module(nn.Sequential(*model, last, nn.ReLU()), torch.zeros(1, 3, 16, 16))


def test_an_arrangement_of_many_forks_is_told_at_once():
    """Each value is the sum of the two before it: as words it would be as long as there are ways through."""
    graph = TraceGraph((8, 4, 4))
    for value in range(60):
        graph.add(Node("add", (), (max(value - 1, 0), value)), (8, 4, 4))
    graph.output = 60
    assert arrangement(graph, 0, 60).startswith("sum of (")
    assert len(arrangement(graph, 0, 60)) <= 402


class TensorFlowPadded(nn.Conv2d):
    """Zeros by the size of the image, the odd one behind, as timm's and TensorFlow's."""

    def forward(self, x):
        sides = []
        for size, k, s in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            sides += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, sides), self.weight, None, self.stride)


@pytest.mark.parametrize("size", [33, 32])
def test_padding_as_in_tensorflow_is_read_at_an_odd_size_too(size):
    torch.manual_seed(0)
    first, second = (TensorFlowPadded(i, o, 3, 2, bias=False) for i, o in ((3, 8), (8, 16)))
    model = sequence(first, nn.BatchNorm2d(8), nn.ReLU(), second, nn.BatchNorm2d(16), nn.ReLU())
    model.append(nn.Linear(16, 4))
    network, built = from_module(model, torch.zeros(1, 3, size, size))
    assert (network.style.padding, network.unscalable) == ("same", ())
    equal(model, network, built, 32)
    equal(model, network, built, 33)


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("ceil", [False, True])
def test_windows_that_are_filled_up_are_read_where_none_is(size, ceil):
    torch.manual_seed(0)
    model = sequence(*conv_norm(3, 8), nn.MaxPool2d(2, 2, ceil_mode=ceil), *conv_norm(8, 8)).append(nn.Linear(8, 4))
    network, built = from_module(model, torch.zeros(1, 3, size, size))
    assert network.stages[0].block == MaxPool(2, ceil)
    assert network.unscalable == ()
    equal(model, network, built, 33)


class ByTheSize(nn.Module):
    """Another padding for large images than for small ones."""

    def __init__(self, large):
        super().__init__()
        self.large = large
        self.convs = nn.Sequential(*conv_norm(3, 8), *conv_norm(8, 8))
        self.last = nn.Linear(8, 4)

    def forward(self, x):
        x = self.convs[:3](x)
        if x.shape[-1] >= self.large:
            x = F.pad(x, (2, 2, 2, 2))
        return self.last(self.convs[3:](x).mean((2, 3)))


@pytest.mark.parametrize(("large", "sizes"), [(40, "40, 48, 64 and 224"), (50, "64 and 224"), (100, "224")])
def test_a_network_says_for_which_sizes_it_is_the_module(large, sizes):
    torch.manual_seed(0)
    network, _ = from_module(randomise(ByTheSize(large)), torch.zeros(1, 3, 32, 32))
    reason = f"read at 32 px; the module computes something else at {sizes} px"
    assert network.unscalable == (("resolution", reason),)
    with pytest.raises(UsageError, match=f"bythesize cannot be scaled in resolution: {reason}"):
        scale(network, Scaling(resolution=2))


@pytest.mark.slow
def test_a_module_is_read_from_larger_images_where_its_maps_are_single_positions():
    network = small("googlenet", 32)
    model = randomise(build(network.with_(classes=5), seed=0))
    again, built = from_module(Wrapped(model), torch.zeros(1, 3, 32, 32))
    assert again.resolution == 32
    equal(model, again, built, 32)
    equal(model, again, built, 96)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (lambda x: {"logits": x, "x": x}, "Odd returns a dict of 2; a network returns its logits alone"),
        (lambda x: (x,), "Odd returns a tuple of 1; a network returns its logits alone"),
        (lambda x: None, "Odd returns None; a network returns its logits"),
        (lambda x: x.mean(), r"Odd returns a tensor of shape \(\); a network returns logits \(N, classes\)"),
        (lambda x: x[:, :, None], r"Odd returns a tensor of shape \(2, 4, 1\); a network"),
    ],
)
def test_what_is_not_logits_is_said(end, sentence):
    class Ended(Odd):
        def forward(self, x):
            return end(super().forward(x))

    Ended.__name__ = "Odd"
    with pytest.raises(ReadingError, match=sentence):
        from_module(Ended(lambda m, x: x), torch.zeros(1, 3, 16, 16))

"""Built Inception, Xception and PolyNet networks: what is counted is there, and the new operators against torch."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, ConvBlock, Network, Scaling, Stage, Style, cost, scale
from compound.blocks import Xception
from compound.nn import build, import_weights
from compound.nn.modules import Pool2d, make
from compound.ops import Activation, Chain, Conv, Norm, Poly, Pool
from tests.kinds import slow_but

NAMES = ["inception-v3", "inception-v4", "inception-resnet-v2", "xception", "polynet"]


@pytest.mark.long
@pytest.mark.parametrize("name", slow_but(["xception"], NAMES))
def test_a_scaled_network_has_what_is_counted_and_learns(name):
    narrow = scale(ZOO[name], Scaling(width=0.1)).with_(resolution=80)
    network = scale(narrow, Scaling(depth=1.5, width=1.3, resolution=1.2))
    assert network.resolution == 96
    counted, model = cost(network.with_(classes=7)), build(network.with_(classes=7), seed=0)
    assert counted.params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.randn(2, 3, 96, 96))
    assert counter.get_total_flops() == 2 * 2 * counted.macs
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_memory_kept_for_the_backward_pass(name):
    """Bytes that autograd keeps, weights left out."""
    network = scale(ZOO[name], Scaling(width=0.25)).with_(resolution=96)
    model = build(network).train()
    weights, kept = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = (tensor.untyped_storage().nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(torch.randn(2, 3, 96, 96)).sum()
    del loss
    assert 2 * 4 * cost(network).kept == pytest.approx(sum(size for size, _ in kept.values()), rel=0.005)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_padding_counts_in_a_mean_where_the_operator_says(padding):
    x = torch.rand(1, 2, 6, 6)
    mean = Pool2d(Pool("average", 3, 2, padding, count_padding=True))(x)
    sides = (1, 1, 1, 1) if padding == "symmetric" else (0, 1, 0, 1)
    kernel = torch.full((2, 1, 3, 3), 1 / 9)
    assert torch.allclose(mean, F.conv2d(F.pad(x, sides), kernel, stride=2, groups=2))


def poly():
    torch.manual_seed(0)
    paths = Chain.of(conv=Conv(4, 3), norm=Norm(), act=Activation("relu"))
    return make(Poly(paths, Conv(8), Activation("relu"), 3), (8, 5, 5))


def test_poly_is_the_sum_of_its_powers():
    model, x = poly().eval(), torch.randn(2, 8, 5, 5)
    conv, total, value = model.terms[0].paths.conv, 0, x
    for term in model.terms:
        value = term.project(F.relu(term.paths.norm(conv(value))))
        total, value = total + value, F.relu(value)
    assert torch.equal(model(x), total)
    assert [name for name, _ in model.named_parameters() if name.endswith("paths.conv.weight")] == [
        "terms.0.paths.conv.weight"
    ]


def test_a_copy_of_a_poly_borrows_from_itself():
    model, x = poly().eval(), torch.randn(2, 8, 5, 5)
    before, twin = model(x), copy.deepcopy(model)
    with torch.no_grad():
        twin.terms[0].paths.conv.weight.zero_()
    assert torch.equal(model(x), before)
    assert all(not twin.terms[i].paths.conv(x).any() for i in range(3))


def test_weights_whose_shortcuts_come_first():
    network = Network(
        name="n",
        stem=Stage(ConvBlock(3), 1, 8, 2),
        stages=(Stage(Xception(repeats=2), 1, 16, 2), Stage(Xception(repeats=2), 1, 24, 2)),
        resolution=32,
        style=Style(activation="relu"),
    )
    model, other = build(network.with_(classes=7), seed=0).eval(), build(network.with_(classes=7), seed=1).eval()
    state = model.state_dict()
    keys = sorted(state, key=lambda key: (key[:6], ".body." in key) if "stage" in key else ("stage0", False))
    head = [key for key in keys if key.startswith("classifier")]
    keys = [*(key for key in keys if key not in head), *head]
    assert keys != list(state)
    import_weights(other, {key.replace(".", "_", 1): state[key] for key in keys})
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(model(x), other(x))

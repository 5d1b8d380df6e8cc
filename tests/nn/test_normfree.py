"""NFNet: standardised weights, scaled activations, and a variance that is known at every place."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, CompoundRule, NetworkError, Scaling, Style, cost, dump_network, parse_network, scale
from compound.blocks.style import GAINS
from compound.nn import build, import_weights
from compound.nn.modules import FUNCTIONS, make
from compound.nn.weights import foreign_model
from compound.ops import Conv


def test_counts():
    # timm 1.0.31 `dm_nfnet_f0` at 256 px: parameters of the live model, multiply-adds by torch's FlopCounterMode.
    counted = cost(ZOO["dm_nfnet_f0"])
    assert (counted.params, counted.macs, counted.buffers) == (71_489_284, 12_384_198_656, 0)


@pytest.mark.parametrize(("padding", "groups"), [("same", 1), ("symmetric", 2), ("valid", 1)])
def test_standardised_convolution(padding, groups):
    """Equation 1 of Brock et al. 2021 (arXiv:2101.08692), written out."""
    torch.manual_seed(0)
    conv = make(Conv(4, 3, 2, groups, bias=True, padding=padding, standardise=1e-5), (4, 9, 9))
    torch.nn.init.uniform_(conv.gain, 0.5, 1.5)
    fan_in = 9 * 4 // groups
    rows = conv.weight.detach().reshape(4, -1)
    centred = rows - rows.mean(1, keepdim=True)
    deviation = ((centred**2).mean(1, keepdim=True) + 1e-5).sqrt()
    weight = (conv.gain.reshape(4, 1) * centred / (deviation * math.sqrt(fan_in))).reshape(conv.weight.shape)
    x = torch.randn(2, 4, 9, 9)
    edge = {"same": 1, "symmetric": 1, "valid": 0}[padding]  # at 9 positions TensorFlow's rule is even
    assert torch.allclose(conv(x), F.conv2d(x, weight, conv.bias, 2, edge, groups=groups), atol=1e-6)


@pytest.mark.parametrize("function", GAINS)
def test_gains_keep_a_variance_of_one(function):
    x = torch.randn(2_000_000, generator=torch.Generator().manual_seed(0))
    assert (FUNCTIONS[function]()(x) * GAINS[function]).var().item() == pytest.approx(1, rel=0.01)


def test_the_first_activation_knows_its_place():
    """β = 1 / √(1 + α² · blocks since the stage before began), Section 3 of arXiv:2101.08692."""
    rows = ZOO["nfnet-f0"].blocks()
    depths = [row.block.depth for row in rows if row.stage in (1, 2, 3, 4)]
    assert depths == [0, 1, 1, 2, 1, 2, 3, 4, 5, 6, 1, 2]
    scales = [step.operator.start for row in rows[1:-1] for step in row.trace.steps if step.path.endswith("act.gain")]
    firsts = [scale / GAINS["gelu"] for scale in scales if scale != GAINS["gelu"]]
    expected = [1 / math.sqrt(1 + 0.04 * depth) for depth in depths if depth]
    assert firsts == pytest.approx(expected)


def test_scaled_networks_have_what_is_counted():
    network = scale(ZOO["nfnet-f0"], CompoundRule()(1))
    assert [(stage.layers, stage.block.group_width, stage.channels) for stage in network.stages] == [
        (2, 144, 288), (3, 144, 576), (8, 144, 1728), (4, 144, 1728),
    ]  # fmt: skip
    assert parse_network(dump_network(network)) == network
    small = scale(ZOO["nfnet-f0"], Scaling(depth=0.5, width=0.125)).with_(resolution=64)
    model, counted = build(small.with_(classes=5), seed=0).eval(), cost(small.with_(classes=5))
    assert counted.params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.randn(1, 3, 64, 64))
    assert tracer.get_total_flops() == 2 * counted.macs


def test_a_learned_factor_may_stand_anywhere_in_its_block():
    """timm lists the skip gain before a block's layers, we where it acts."""
    small = scale(ZOO["nfnet-f0"], Scaling(depth=0.5, width=0.125)).with_(resolution=64)
    model, peer = build(small.with_(classes=5), seed=0).eval(), build(small.with_(classes=5), seed=1).eval()
    for name, p in peer.named_parameters():
        if name.endswith("factor"):
            torch.nn.init.normal_(p)
    state = peer.state_dict()
    names = {
        key: key.replace("skip_init.factor", "gain_of_skip") for key in sorted(state, key=lambda k: "factor" not in k)
    }
    import_weights(model, {name: state[key] for key, name in names.items()})
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(model(x), peer(x))


def test_an_activation_without_a_gain_is_refused():
    network = ZOO["nfnet-f0"].with_(style=Style("hard_swish", norm="weights"))
    with pytest.raises(
        NetworkError, match="norm weights knows no gain of hard_swish; use gelu, relu, relu6, swish, tanh"
    ):
        cost(network)
    with pytest.raises(
        NetworkError,
        match="stage 1: channels 200 do not hold whole groups of 128 after reduce 2; use a multiple of 256",
    ):
        parse_network(dump_network(ZOO["nfnet-f0"]).replace("channels: 256", "channels: 200"))


def test_image_channels_are_not_read_off_a_gain():
    """Safetensors files have the words of a layer sorted: bias, gain, weight."""
    small = scale(ZOO["nfnet-f0"], Scaling(depth=0.5, width=0.125)).with_(resolution=64, classes=3)
    model = build(small, seed=0)
    words = sorted(model.state_dict().items(), key=lambda item: item[0].rpartition(".")[2])
    layers = dict.fromkeys(key.rpartition(".")[0] for key in model.state_dict())
    state = {key: tensor for layer in layers for key, tensor in words if key.rpartition(".")[0] == layer}
    again, _ = foreign_model(small, state)
    assert (again.channels, again.classes) == (3, 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.oracle
@pytest.mark.parametrize("resolution", [256, 101])
def test_logits_of_timm(resolution):
    peer = pytest.importorskip("timm").create_model("dm_nfnet_f0").eval()
    torch.manual_seed(0)
    for name, p in peer.named_parameters():  # the skip gains start at 0, which would hide the blocks
        if "gain" in name:
            torch.nn.init.uniform_(p, 0.5, 1.5)
        elif name.endswith("bias"):
            torch.nn.init.normal_(p, std=0.1)
    model = build(ZOO["dm_nfnet_f0"]).eval()
    import_weights(model, peer.state_dict())
    x = torch.randn(2, 3, resolution, resolution)
    with torch.inference_mode():
        ours, theirs = model(x), peer(x)
    assert theirs.std() > 0.01
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-4

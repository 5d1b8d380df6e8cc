"""Random networks of all blocks, built as modules that do not say what they are, are read back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks
from test_reading import Wrapped

from compound import ConvBlock, Head, MBConv, Network, Stage, Style, cost, dump_network, parse_network
from compound.blocks import ConvNext, NormFree, TieredStem, Wire, Wired
from compound.nn import build, from_module
from tests.nn.drawn import randomise


def is_read_back(network, channels=3):
    """Counts to the integer and logits in double precision, at the network's own size."""
    network = network.with_(classes=7, channels=channels)
    model = randomise(build(network, seed=0)).eval()
    for parameter in model.parameters():  # gains and scales that begin as nothing
        if not parameter.any():
            torch.nn.init.uniform_(parameter, 0.2, 0.8)
    x = torch.randn(2, channels, network.resolution, network.resolution, dtype=torch.float64)
    read, built = from_module(Wrapped(model), x.float())
    counted, again = cost(network), cost(read)
    assert (again.training_params, again.training_macs) == (counted.training_params, counted.training_macs)
    assert again.training_params == sum(p.numel() for p in built.parameters())
    assert parse_network(dump_network(read)) == read
    with torch.inference_mode():
        theirs, ours = model.double()(x), built.double()(x)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6 * max(theirs.abs().max().item(), 1e-6))
    return read


@pytest.mark.long
@settings(max_examples=3)
@given(networks(most_stages=2), st.integers(1, 4))
def test_a_random_network_is_read_back(network, channels):
    is_read_back(network, channels)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=500, deadline=None)
@given(networks(), st.integers(1, 4))
def test_many_random_networks_are_read_back(network, channels):
    is_read_back(network, channels)


@pytest.mark.parametrize(
    ("head", "style"),
    [
        (Head(norm_pooled=True), Style("relu")),
        (Head(16, norm=True), Style("relu", norm="group", norm_groups=1)),
        (Head(hidden=(8,), norm_hidden=True), Style("relu", norm="layer")),
        (Head(classify_maps=True), Style("identity", norm="layer")),
        (Head(16, classify_maps=True), Style("gelu", norm="weights")),
    ],
)
def test_heads_with_norms_of_every_kind_are_read_back(head, style):
    is_read_back(
        Network("head", Stage(ConvBlock(3), 1, 8, 2), (Stage(MBConv(3, 2, 0.5), 1, 8),), head, 16, style=style)
    )


CHANNEL_ATTENTION = (Wire("global"), Wire("channel_conv", kernel=3), Wire("sigmoid"), Wire("multiply", (0, 3)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("stem", "stages", "style"),
    [
        (Stage(ConvBlock(3), 1, 8, 2), (Stage(ConvNext(3, 2, responses=True), 2, 8),), Style("gelu", norm="layer")),
        (Stage(ConvBlock(3), 1, 8, 2), (Stage(Wired(CHANNEL_ATTENTION), 2, 8),), Style()),
        (Stage(TieredStem(), 1, 16, 2), (Stage(NormFree(group_width=4), 2, 16),), Style("gelu", norm="weights")),
    ],
    ids=["responses", "along channels", "standardised weights"],
)
def test_operators_of_our_own_are_read_back(stem, stages, style):
    """In the form that our modules compute them in, which is not that of other libraries."""
    read = is_read_back(Network("own", stem, stages, style=style, resolution=16))
    if style.norm == "layer":
        assert read.stages == stages

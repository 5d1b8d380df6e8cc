"""Properties of `scale` and `cost` that hold for every network and every factor."""

from dataclasses import astuple
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compound import RULES, ZOO, Cost, Network, Scaling, cost, scale, stage_costs
from compound.cost import operator_costs, row_cost
from tests.strategies import networks, scalings

pytestmark = pytest.mark.long  # many random networks

GROWING = ("params", "macs", "activations", "buffers", "kept", "live")
phis = st.floats(-3, 5)  # by depth alone 32 times the layers: a network has at most 2,000 blocks


@given(networks())
def test_scale_by_ones_is_the_identity(network: Network) -> None:
    assert scale(network, Scaling()) == network


@given(networks(), scalings())
def test_operators_and_strides_never_change(network: Network, scaling: Scaling) -> None:
    scaled = scale(network, scaling)
    rows, scaled_rows = (network.stem, *network.stages), (scaled.stem, *scaled.stages)
    for old, new in zip(rows, scaled_rows, strict=True):
        wider = scaling.width != 1 and "width" not in old.fixed  # then widths that are the block's own scale as well
        block = old.block.widened(scaling.width, network.divisor) if wider else old.block
        assert (new.block, new.stride, new.fixed) == (block, old.stride, old.fixed)
        assert type(new.block) is type(old.block)
    kept = ("dropout", "survival", "style", "inputs", "divisor", "total_stride")
    assert [getattr(scaled, name) for name in kept] == [getattr(network, name) for name in kept]


@given(networks(), scalings())
def test_fixed_dimensions_and_the_stems_layers_do_not_scale(network: Network, scaling: Scaling) -> None:
    scaled = scale(network, scaling)
    assert scaled.stem.layers == network.stem.layers
    for old, new in zip((network.stem, *network.stages), (scaled.stem, *scaled.stages), strict=True):
        assert "depth" not in old.fixed or new.layers == old.layers
        assert "width" not in old.fixed or new.channels == old.channels
    assert "width" not in network.head.fixed or scaled.head.channels == network.head.channels


@given(networks(), scalings())
def test_one_factor_touches_one_dimension(network: Network, scaling: Scaling) -> None:
    def shape(net: Network) -> tuple[list[int], list[int | None], int]:
        rows = (net.stem, *net.stages)
        return [row.layers for row in rows], [*(row.channels for row in rows), net.head.channels], net.resolution

    both, before = shape(scale(network, scaling)), shape(network)
    alone = [
        shape(scale(network, one))
        for one in (Scaling(depth=scaling.depth), Scaling(1, scaling.width), Scaling(1, 1, scaling.resolution))
    ]
    for i, one in enumerate(alone):
        assert one == tuple(both[j] if i == j else before[j] for j in range(3))


@given(st.sampled_from([f"efficientnet-b{i}" for i in range(6)]), st.sampled_from(sorted(RULES)), phis, phis)
def test_cost_is_monotone_in_phi(name: str, rule: str, one: float, other: float) -> None:
    low, high = (cost(scale(ZOO[name], RULES[rule](phi))) for phi in sorted((one, other)))
    for field in GROWING:
        assert getattr(low, field) <= getattr(high, field), field


@given(networks(), scalings(1, 3))
def test_scaling_up_never_costs_less(network: Network, scaling: Scaling) -> None:
    low, high = cost(network), cost(scale(network, scaling))
    assert (low.macs, low.activations) <= (high.macs, high.activations)


@given(networks(), st.integers(1, 20), st.integers(1, 4))
def test_stages_sum_to_the_whole(network: Network, classes: int, channels: int) -> None:
    whole = cost(network.with_(classes=classes, channels=channels))
    stages = stage_costs(network.with_(classes=classes, channels=channels))
    assert list(stages) == ["stem", *(f"stage {i}" for i in range(1, len(network.stages) + 1)), "head"]
    summed = sum(stages.values(), Cost())
    for field in ("params", "macs", "activations", "buffers", "live"):
        assert getattr(summed, field) == getattr(whole, field), field


@given(networks())
def test_rows_and_operators_sum_to_the_whole(network: Network) -> None:
    whole, rows = cost(network), network.blocks()
    by_operator = [one for row in rows for *_, one in operator_costs(row)]
    for field in ("params", "macs", "activations", "buffers"):
        assert sum(getattr(row_cost(row), field) for row in rows) == getattr(whole, field)
        assert sum(getattr(one, field) for one in by_operator) == getattr(whole, field)


@given(networks())
def test_shapes_flow_from_block_to_block(network: Network) -> None:
    rows = network.with_(classes=7, channels=3).blocks()
    assert rows[0].input == (3, network.resolution, network.resolution)
    for before, after in pairwise(rows):
        assert before.output == after.input
    for row in rows[1:-1]:
        stage = network.stages[row.stage - 1]
        stride = stage.stride if row.repeat == 1 else 1
        assert row.output[0] == stage.block.out_channels(row.input[0], stage.channels, stride)
    assert rows[-1].output == (7, 1, 1)
    assert len(rows) == sum(stage.layers for stage in (network.stem, *network.stages)) + 1


@given(networks(), scalings())
def test_a_network_is_a_value(network: Network, scaling: Scaling) -> None:
    before = repr(network)
    first, second = scale(network, scaling), scale(network, scaling)
    assert first == second
    assert hash(first) == hash(second)
    assert cost(first) == cost(second)
    assert repr(network) == before
    assert all(count >= 0 for count in astuple(cost(first)))

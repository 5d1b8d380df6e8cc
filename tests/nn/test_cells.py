"""Built cell networks: training steps, counts seen in the module, what a state reads, weights in another order."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, Scaling, cost, scale
from compound.blocks import Style
from compound.blocks.cell import reduced
from compound.nn import WeightsError, build, import_weights
from compound.nn.modules import make

SMALL = {  # one of each family, narrow enough to be fast
    "nasnet-a-large": Scaling(depth=1 / 3, width=0.1),
    "pnasnet-5-mobile": Scaling(depth=1 / 3, width=0.3),
    "amoebanet-a-6-190": Scaling(depth=1 / 6, width=0.1),
    "amoebanet-b-6-512": Scaling(depth=1 / 6, width=0.05),
    "amoebanet-c-6-228": Scaling(depth=1 / 6, width=0.1),
    "amoebanet-d-6-256": Scaling(depth=1 / 6, width=0.1),
}


def small(name, resolution=48):
    return scale(ZOO[name], SMALL[name]).with_(resolution=resolution)


@pytest.mark.parametrize("name", SMALL)
def test_a_training_step_reaches_every_weight(name):
    torch.manual_seed(0)
    model = build(small(name).with_(classes=5), seed=0).train()
    model(torch.randn(4, 3, 48, 48)).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_scaled_networks_cost_what_the_module_has(name):
    network = scale(small(name), Scaling(depth=1.5, width=1.3, resolution=1.2))
    model, counted = build(network.with_(classes=5)).eval(), cost(network.with_(classes=5))
    assert counted.params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.randn(1, 3, network.resolution, network.resolution))
    assert tracer.get_total_flops() == 2 * counted.macs


@pytest.mark.parametrize("size", [6, 7])
def test_factorised_reduction_reads_every_position_of_the_diagonals(size):
    # Zoph et al. 2018, appendix A.1 as in their code: one path reads even positions, the other odd ones, zero behind.
    paths = make(reduced(2, 2, Style(norm="none")), (1, size, size)).halves
    for path in paths:
        torch.nn.init.ones_(path.weight)
        torch.nn.init.zeros_(path.bias)
    x = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
    even, odd = paths(x)[0]
    assert torch.equal(even, x[0, 0, ::2, ::2])
    assert torch.equal(odd, torch.nn.functional.pad(x[0, 0], (0, 1, 0, 1))[1::2, 1::2])


def test_a_cell_behind_a_reduction_reads_what_the_reduction_read():
    """NASNet-A large only (`skip_reduction_layer_input`): states 1 of both come from one map."""
    for name, kept in (("nasnet-a-large", True), ("nasnet-a-mobile", False)):
        rows = ZOO[name].blocks()
        (at,) = [i for i, row in enumerate(rows) if row.stage == 4]
        assert (rows[at].previous == rows[at + 1].previous) == kept
        assert rows[at].previous == at - 1


def test_the_built_network_hands_on_the_map_that_a_reduction_read():
    model, seen = build(small("nasnet-a-large"), seed=0).eval(), []
    for cell in (model.stage4.block1, model.stage5.block1, model.stage5.block2):
        cell.register_forward_pre_hook(lambda _, maps: seen.append(maps))
    model(torch.randn(1, 3, 48, 48))
    (_, before), (reduced, same), (_, after) = seen
    assert same is before
    assert after is reduced


def test_weights_whose_neighbours_are_exchanged_are_put_in_order():
    network = small("pnasnet-5-mobile")
    model, peer = build(network, seed=0).eval(), build(network, seed=1).eval()
    # The second stage's cell lists its `current` entry, then the `previous` one, which has two convolutions.
    state = peer.state_dict()
    early = [key for key in state if key.startswith("stage2.block1.current")]
    first = next(key for key in state if key.startswith("stage2.block1.previous"))
    order = [key for key in state if key not in early]
    order[order.index(first) : order.index(first)] = early
    assert order != list(state)
    import_weights(model, {f"m.{key}": state[key] for key in order})
    x = torch.randn(1, 3, 48, 48)
    assert torch.equal(model(x), peer(x))
    with pytest.raises(WeightsError, match="does not fit"):
        import_weights(model, {f"m.{key}": state[key] for key in reversed(order)})

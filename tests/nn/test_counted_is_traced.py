"""What is counted without building equals what is seen in the built model, on random networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, Basic, ConvBlock, Head, Network, Stage, cost, dump_network, parse_network
from compound.nn import build, fold


def image(network, channels=3, batch=1):
    return torch.randn(batch, channels, network.resolution, network.resolution)


def counts_are_traced(network, channels):
    network = network.with_(classes=7, channels=channels)
    assert parse_network(dump_network(network)) == network
    model, counted = build(network).eval(), cost(network)
    assert counted.training_params == sum(p.numel() for p in model.parameters())
    assert counted.buffers + counted.branch_buffers == sum(b.numel() for b in model.buffers() if b.dim())
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        logits = model(image(network, channels))
    assert tracer.get_total_flops() == 2 * counted.training_macs  # torch counts a multiply-add as two
    assert logits.shape == (1, 7)


@pytest.mark.long
@given(networks(), st.integers(1, 4))
def test_parameters_buffers_and_macs(network, channels):
    counts_are_traced(network, channels)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=500, deadline=None)
@given(networks(), st.integers(1, 4))
def test_parameters_buffers_and_macs_of_many(network, channels):
    counts_are_traced(network, channels)


# What comes before the head's convolution, and the parts of either that had one name with it.
@pytest.mark.parametrize("before", [{"norm": True}, {"act": True}, {"norm": True, "norm_pooled": True}])
@pytest.mark.parametrize("classifier", [{}, {"hidden": (12,)}, {"classify_maps": True}])
def test_parts_of_a_head_do_not_replace_each_other(before, classifier):
    if "classify_maps" in classifier:
        before = before | {"norm_pooled": False}
    stages = (Stage(Basic(3), 1, 16),)
    network = Network("head", Stage(ConvBlock(3), 1, 8), stages, Head(32, **before, **classifier), 15)
    counts_are_traced(network, channels=3)
    model = build(network.with_(classes=7))
    seen = [type(m).__name__ for m in model.features.modules() if not isinstance(m, nn.Sequential)]
    assert seen == [*(["BatchNorm2d"] if before.get("norm") else []), "SiLU", "Conv2d", "BatchNorm2d", "SiLU"]


@pytest.mark.long
@given(networks())
def test_every_row_has_the_shape_that_was_traced(network):
    values = build(network.with_(classes=7)).eval().intermediates(image(network))
    outputs = {row.label.replace(" ", ""): row.output for row in network.with_(classes=7).blocks()}
    for name, shape in outputs.items():
        if name != "head":
            assert tuple(values[name].shape[1:]) == shape
    assert tuple(values["features"].shape[1:])[1:] == network.with_(classes=7).blocks()[-1].input[1:]


@pytest.mark.long
@given(networks())
def test_activations_are_the_outputs_of_weighted_layers(network):
    counted, model, seen = cost(network.with_(classes=7)), build(network.with_(classes=7)).eval(), []
    if counted.branch_macs:  # counted as it is deployed
        model = fold(model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda _, __, output: seen.append(output.numel()))
    model(image(network))
    assert sum(seen) == counted.activations


def kept_by_autograd(model, images):
    """Bytes of the distinct tensors that autograd keeps for the backward pass, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # holding it keeps its address from being used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(images).sum()
    del loss
    return sum(size for size, _ in kept.values())


@pytest.mark.long
def test_memory_kept_for_the_backward_pass():
    for name in ("efficientnet-b0", "mobilenet-v1", "mobilenet-v2", "resnet-18", "resnet-50"):
        network = ZOO[name].with_(resolution=96)
        measured = kept_by_autograd(build(network).train(), image(network, batch=2)) / 2
        assert abs(4 * cost(network).kept / measured - 1) < 0.005, name

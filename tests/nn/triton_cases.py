"""Kernels for GPUs against float64, on small and odd shapes, and as operators of torch.

On a GPU (test_on_gpu.py), or in Triton's interpreter in a process of its own (test_triton_kernels.py): Triton is
interpreted or not from its import on.
"""

import os

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compound.kernels.gpu import depthwise, norm_act, rmsprop

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
SHAPES = [(2, 3, 5, 7), (1, 17, 1, 3), (3, 65, 9, 2), (2, 33, 24, 23)]
KINDS = [torch.float32, torch.float16]
ACTS = [None, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish]
CLOSE = {torch.float32: {"rtol": 2e-5, "atol": 2e-5}, torch.float16: {"rtol": 2e-3, "atol": 2e-3}}


def maps(shape, kind, seed=0):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 0.3
    return made.to(DEVICE, kind).contiguous(memory_format=torch.channels_last)


def drawn(count, seed, least=0.5):
    return (least + torch.rand(count, generator=torch.Generator().manual_seed(seed))).to(DEVICE)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_norm_and_activation_both_ways(shape, kind, act):
    number = ACTS.index(act)
    x, gradient = maps(shape, kind), maps(shape, kind, 1)
    weight, bias = drawn(shape[1], 2), drawn(shape[1], 3) - 1
    running = torch.zeros(shape[1], device=DEVICE), torch.ones(shape[1], device=DEVICE)
    mean, variance = norm_act.statistics(x, *running, 0.1)
    y = norm_act.apply(x, mean, variance, weight, bias, 1e-3, number)
    found = norm_act.backward(gradient, x, mean, variance, weight, bias, 1e-3, number)

    exact = [each.double().requires_grad_() for each in (x, weight, bias)]
    wanted_running = torch.zeros_like(running[0]).double(), torch.ones_like(running[0]).double()
    z = F.batch_norm(exact[0], *wanted_running, *exact[1:], training=True, momentum=0.1, eps=1e-3)
    wanted = act()(z) if act else z
    wanted.backward(gradient.double())
    for ours, theirs in zip(running, wanted_running, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-6)
    assert y.dtype == found[0].dtype == kind
    torch.testing.assert_close(y.double(), wanted.detach(), **CLOSE[kind])
    for ours, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs.grad, **CLOSE[kind])


def test_means_far_from_zero_keep_the_variance():
    x = maps((2, 5, 40, 41), torch.float32) + 1000
    _, variance = norm_act.statistics(x, torch.zeros(5, device=DEVICE), torch.ones(5, device=DEVICE), 0.1)
    torch.testing.assert_close(variance.double(), x.double().var((0, 2, 3), correction=0), rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "shape"),
    [
        (3, (1, 1), (1, 1), (2, 3, 5, 7)),
        (3, (2, 2), (0, 0), (1, 17, 8, 7)),
        (5, (2, 1), (2, 1), (2, 33, 9, 6)),
        (5, (1, 1), (2, 2), (2, 40, 3, 2)),
        (7, (2, 2), (3, 3), (1, 5, 13, 11)),
    ],
)
def test_both_gradients_of_a_depthwise_convolution(kernel, stride, padding, shape, kind):
    x = maps(shape, kind)
    weight = maps((shape[1], 1, kernel, kernel), kind, 1).contiguous()
    exact = x.double().requires_grad_(), weight.double().requires_grad_()
    y = F.conv2d(*exact, None, stride, padding, 1, shape[1])
    gradient = maps(tuple(y.shape), kind, 2)
    y.backward(gradient.double())
    to_x = depthwise.to_map(gradient, x, weight, stride, padding)
    to_weight = depthwise.to_weight(gradient, x, kernel, stride, padding)
    assert to_x.dtype == kind
    size = exact[0].grad.abs().max().item()
    torch.testing.assert_close(
        to_x.double(), exact[0].grad, rtol=CLOSE[kind]["rtol"], atol=1e-3 * size * (kind == torch.float16) + 1e-5
    )
    torch.testing.assert_close(to_weight.double(), exact[1].grad, rtol=1e-4, atol=1e-4)


def test_a_step_of_rmsprop_is_that_of_the_optimiser():
    from compound.training.optim import RMSpropTF

    shapes = [(5,), (3, 1, 3, 3), (1030,), (2, 1024)]
    weights, gradients = ([drawn(shape, seed + n) for n, shape in enumerate(shapes)] for seed in (0, 10))
    squares, momenta = ([drawn(shape, seed + n) for n, shape in enumerate(shapes)] for seed in (20, 30))
    exact = [nn.Parameter(w.double()) for w in weights]
    optimizer = RMSpropTF(exact, 0.01, momentum=0.8, weight_decay=1e-2)
    for p, g, s, m in zip(exact, gradients, squares, momenta, strict=True):
        p.grad = g.double()
        optimizer.state[p].update(square=s.double(), momentum=m.double())
    optimizer.step()
    rmsprop.step(weights, gradients, squares, momenta, 0.01, 0.9, 0.8, 1e-3, 1e-2)
    for p, *ours in zip(exact, weights, squares, momenta, strict=True):
        wanted = p.detach(), optimizer.state[p]["square"], optimizer.state[p]["momentum"]
        for one, other in zip(ours, wanted, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)


def test_they_are_operators_of_torch():
    x, few = maps((2, 3, 5, 4), torch.float32), [drawn(3, n) for n in range(4)]
    filters = drawn((3, 1, 3, 3), 5)
    lists = [[drawn((3, 2), n)] for n in range(4)]
    for operator, given in (
        (norm_act.statistics, (x, few[0], few[1], 0.1)),
        (norm_act.apply, (x, *few, 1e-3, 3)),
        (norm_act.backward, (x, x, *few, 1e-3, 3)),
        (depthwise.to_map, (x, x, filters, [1, 1], [1, 1])),
        (depthwise.to_weight, (x, x, 3, [1, 1], [1, 1])),
        (rmsprop.step, (*lists, 0.1, 0.9, 0.9, 1e-3, 0.0)),
    ):
        torch.library.opcheck(operator, given)

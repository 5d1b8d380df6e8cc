"""Kernels of our own against torch in float64: maps of every shape, several numbers of threads, NaN, one image."""

import shutil
import sysconfig

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compound.kernels import MAPS, depthwise, gate, innermost, library, norm_act, serves
from compound.nn.depthwise import Geometry, convolution_backward

ACTS = list(norm_act.ACTIVATIONS)
needs_kernels = pytest.mark.skipif(library() is None, reason="the kernels were not built")


def test_they_are_built_where_a_compiler_is():
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    assert library() is not None or not (shutil.which(compiler) or shutil.which("cc"))


def draw(*shape: int, seed: int = 0, scale: float = 1.0, offset: float = 0.0, kind=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return innermost(torch.randn(*shape, generator=generator) * scale + offset).to(kind)


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 2e-5) -> None:
    """Equal within float32's rounding of the largest number."""
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


def by_autograd(x, weight, bias, act, gradient, eps):
    leaves = [tensor.double().requires_grad_() for tensor in (x, weight, bias)]
    z = F.batch_norm(leaves[0], None, None, *leaves[1:], training=True, eps=eps)
    y = act()(z) if act else z
    return y.detach(), torch.autograd.grad(y, leaves, gradient.double())


@needs_kernels
@pytest.mark.parametrize("act", ACTS)
@settings(deadline=None, max_examples=25)
@given(
    images=st.integers(1, 5),
    channels=st.integers(1, 70),
    side=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    offset=st.sampled_from([0.0, -3.0, 100.0]),
    kind=st.sampled_from(list(MAPS)),
)
def test_a_norm_and_its_activation(act, images, channels, side, scale, offset, kind):
    shape = (images, channels, *side)
    x, gradient = draw(*shape, scale=scale, offset=offset * scale, kind=kind), draw(*shape, seed=1, kind=kind)
    if x.numel() // channels < 2:
        return
    weight, bias, eps = torch.linspace(0.5, 2, channels), torch.linspace(-1, 1, channels), 1e-3
    mean, variance = norm_act.statistics(x)
    wide = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), wide.mean(1), rtol=1e-6, atol=1e-6 * float(x.abs().max()))
    close(variance, wide.var(1, correction=0), 1e-5)
    norm = norm_act.fold(mean, variance, weight, bias, eps)
    y, to_leaves = by_autograd(x, weight, bias, act, gradient, eps)
    # Where the offset is a hundred deviations, its last digits are a thousandth of one.
    tolerance = 1e-3 if offset == 100 else 2e-5
    if kind == torch.bfloat16:
        tolerance = max(tolerance, 1 / 256)  # half a unit in the last of its eight digits, and once more
    assert norm_act.apply(x, norm, act).dtype == kind
    close(norm_act.apply(x, norm, act), y, tolerance)
    if act in (None, nn.SiLU):  # the others have kinks, which rounding may pass
        found = norm_act.backward(gradient, x, norm, act)
        for one, expected in zip(found, to_leaves, strict=True):
            torch.testing.assert_close(
                one.double(), expected, rtol=20 * tolerance, atol=20 * tolerance * x.numel() ** 0.5 / min(scale, 1)
            )


@needs_kernels
@pytest.mark.parametrize("act", ACTS)
def test_slopes_are_those_of_torch_also_at_kinks_and_far_out(act):
    z = torch.tensor([-1e30, -200.0, -90, -6, -3, -1e-3, -0.0, 0, 1e-3, 1, 2, 3, 3.5, 5.5, 6, 7, 90, 1e30])
    x = innermost(z.repeat(1, 1).reshape(1, 1, 1, -1))
    norm, count = norm_act.FoldedNorm(torch.ones(1), torch.zeros(1), torch.zeros(1), torch.ones(1)), z.numel()
    close(norm_act.apply(x, norm, act).flatten()[1:-1], (act()(z.double()) if act else z.double())[1:-1], 1e-6)
    leaf = z.double().requires_grad_()
    slope = torch.autograd.grad((act()(leaf) if act else leaf * 1).sum(), leaf)[0]
    # `to_bias` is the sum of slopes: one position at a time, the others with a gradient of zero.
    for i in range(count):
        gradient = innermost(F.one_hot(torch.tensor(i), count).float().reshape(1, 1, 1, -1))
        found = norm_act.backward(gradient, x, norm, act, wants_x=False)
        assert found[0] is None
        assert float(found[2]) == pytest.approx(float(slope[i]), abs=1e-6), float(z[i])


@needs_kernels
@settings(deadline=None, max_examples=60)
@given(
    kernel=st.sampled_from(depthwise.KERNELS),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    images=st.integers(1, 6),
    channels=st.integers(1, 40),
    side=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    kind=st.sampled_from(list(MAPS)),
)
def test_the_gradient_of_depthwise_weights(kernel, stride, padding, images, channels, side, kind):
    if any(n + 2 * zeros < kernel for n, zeros in zip(side, padding, strict=True)):
        return
    x = draw(images, channels, *side, kind=kind)
    weight = torch.zeros(channels, 1, kernel, kernel, dtype=torch.double, requires_grad=True)
    y = F.conv2d(x.double(), weight, None, stride, padding, 1, channels)
    gradient = draw(*y.shape, seed=1, kind=kind)
    expected = torch.autograd.grad(y, weight, gradient.double())[0]
    close(depthwise.weight_gradient(gradient, x, kernel, stride, padding), expected, 1e-5)


@needs_kernels
@settings(deadline=None, max_examples=40)
@given(
    images=st.integers(1, 5),
    channels=st.integers(1, 70),
    side=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    kind=st.sampled_from(list(MAPS)),
)
def test_the_gradients_of_a_gate(images, channels, side, kind):
    x, gradient = (draw(images, channels, *side, seed=i, kind=kind) for i in (0, 1))
    scale = draw(images, channels, 1, 1, seed=2, kind=kind).sigmoid()
    leaves = [x.double().requires_grad_(), scale.double().requires_grad_()]
    expected = torch.autograd.grad(leaves[0] * leaves[1], leaves, gradient.double())
    for one, other in zip(gate.backward(gradient, x, scale), expected, strict=True):
        assert one.dtype == kind
        close(one, other, 1 / 256 if kind == torch.bfloat16 else 1e-5)


@needs_kernels
def test_rows_that_are_higher_than_the_buffer_are_taken_in_bands():
    x, gradient = draw(2, 20, 150, 130), draw(2, 20, 75, 65, seed=1)
    weight = torch.zeros(20, 1, 7, 7, dtype=torch.double, requires_grad=True)
    y = F.conv2d(x.double(), weight, None, 2, 3, 1, 20)
    expected = torch.autograd.grad(y, weight, gradient.double())[0]
    close(depthwise.weight_gradient(gradient, x, 7, (2, 2), (3, 3)), expected, 1e-5)


@needs_kernels
def test_the_digits_are_the_same_with_any_number_of_threads():
    x, gradient, weight, bias = draw(9, 24, 30, 31), draw(9, 24, 30, 31, seed=1), torch.rand(24), torch.rand(24)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            mean, variance = norm_act.statistics(x)
            norm = norm_act.fold(mean, variance, weight, bias, 1e-3)
            gradients = norm_act.backward(gradient, x, norm, nn.SiLU)
            windows = depthwise.weight_gradient(gradient, x, 5, (1, 1), (2, 2))
            gates = gate.backward(gradient, x, x.mean((2, 3), keepdim=True))
            found.append([mean, variance, norm_act.apply(x, norm, nn.SiLU), *gradients, windows, *gates])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for later in found[1:] for one, other in zip(found[0], later, strict=True))


@needs_kernels
@pytest.mark.parametrize("act", ACTS)
@settings(deadline=None, max_examples=10)
@given(images=st.integers(1, 4), channels=st.integers(1, 70), side=st.integers(2, 15))
def test_gradients_of_a_norm_in_bfloat16_are_those_in_float32_but_for_rounding(act, images, channels, side):
    x, gradient = (draw(images, channels, side, side, seed=i, kind=torch.bfloat16) for i in (0, 1))
    mean, variance = norm_act.statistics(x)
    norm = norm_act.fold(mean, variance, torch.linspace(0.5, 2, channels), torch.linspace(-1, 1, channels), 1e-3)
    found, expected = (norm_act.backward(g, z, norm, act) for g, z in ((gradient, x), (gradient.float(), x.float())))
    assert found[0] is not None
    assert found[0].dtype == torch.bfloat16
    close(found[0], expected[0].double(), 1 / 100)
    assert torch.equal(found[1], expected[1])  # sums are of the same numbers in the same order
    assert torch.equal(found[2], expected[2])


@needs_kernels
def test_bfloat16_is_rounded_as_torch_does_it():
    """Through a norm that changes nothing: ties, subnormal numbers, infinities, the largest number."""
    z = torch.cat([torch.randint(-(2**31), 2**31, (4096,), dtype=torch.int32), torch.tensor([0x3F808000, 0x3F818000])])
    values = z.int().view(torch.float32)
    numbers = values[values.isfinite() & (values.abs() > 1e-30)]
    x = innermost(torch.ones(1, len(numbers), 1, 1)).bfloat16()
    norm = norm_act.FoldedNorm(numbers, torch.zeros_like(numbers), torch.zeros_like(numbers), torch.ones_like(numbers))
    assert torch.equal(norm_act.apply(x, norm, None).flatten(), numbers.bfloat16())


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_depthwise_convolutions_in_bfloat16(kernel, stride, bias):
    """With and without kernels: whoever computes them, rounding is all that parts them from float64."""
    x, weight = draw(3, 12, 9, 10, kind=torch.bfloat16), draw(12, 1, kernel, kernel, kind=torch.bfloat16)
    leaves = [x.double().requires_grad_(), weight.double().requires_grad_(), torch.zeros(12).double().requires_grad_()]
    y = F.conv2d(*leaves, stride, kernel // 2, 1, 12)
    gradient = draw(*y.shape, seed=1, kind=torch.bfloat16)
    expected = torch.autograd.grad(y, leaves, gradient.double())
    geometry = Geometry((stride, stride), (kernel // 2, kernel // 2), (1, 1), 12)
    found = convolution_backward(gradient, x, weight, geometry, (True, True, bias))
    for one, other in zip(found[: 2 + bias], expected, strict=False):
        assert one is not None
        assert one.dtype == torch.bfloat16
        close(one, other, 1 / 256)
    assert bias or found[2] is None


@needs_kernels
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", list(MAPS))
def test_nan_stays_where_it_is(act, kind):
    x, gradient = draw(3, 5, 4, 4, kind=kind), draw(3, 5, 4, 4, seed=1, kind=kind)
    x[1, 2, 0, 0] = torch.nan
    mean, variance = norm_act.statistics(x)
    assert mean.isnan().tolist() == variance.isnan().tolist() == [False, False, True, False, False]
    norm = norm_act.fold(mean, variance, torch.ones(5), torch.zeros(5), 1e-3)
    assert norm_act.apply(x, norm, act).isnan().any(dim=(0, 2, 3)).tolist() == [False, False, True, False, False]
    found = norm_act.backward(gradient, x, norm, act)
    assert found[0] is not None
    assert found[0].isnan().any(dim=(0, 2, 3)).tolist() == [False, False, True, False, False]
    x[1, 2, 0, 0] = 0
    gradient[0, 1, 0, 0] = torch.nan
    weights = depthwise.weight_gradient(gradient, x, 5, (1, 1), (2, 2))
    assert weights.isnan().any(dim=(1, 2, 3)).tolist() == [False, True, False, False, False]


def test_what_kernels_are_not_for_is_left_to_torch(monkeypatch):
    x = draw(2, 3, 4, 4)
    assert not serves(x.double())
    assert not serves(x.bfloat16(), x)
    assert serves(x.bfloat16(), kinds=tuple(MAPS)) == (library() is not None)
    assert not serves(x.to("meta"))
    assert serves(x) == (library() is not None)
    monkeypatch.setenv("COMPOUND_KERNELS", "off")
    library.cache_clear()
    try:
        assert library() is None
        assert not serves(x)
    finally:
        monkeypatch.undo()
        library.cache_clear()

"""One pass of RMSProp against torch's operators in float64: orders of memory, threads, NaN, what autograd sees."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compound.kernels import library, rmsprop
from compound.training.optim import RMSpropTF

needs_kernels = pytest.mark.skipif(library() is None, reason="the kernels were not built")


def draw(shape: tuple[int, ...], seed: int, dtype: torch.dtype, order: torch.memory_format) -> torch.Tensor:
    """The same numbers in every type and order of memory; the order is of tensors of four dimensions."""
    found = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return found.contiguous(memory_format=order) if found.dim() == 4 else found


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rmsprop_weights(shapes, dtype, order=torch.channels_last, steps=3, **settings):
    """Weights after a few steps of RMSProp; `order` is that of the weights, gradients have channels innermost."""
    weights = [nn.Parameter(draw(shape, i, dtype, order)) for i, shape in enumerate(shapes)]
    optimizer = RMSpropTF(weights, 0.05, **settings)
    for step in range(steps):
        for i, w in enumerate(weights):
            w.grad = draw(tuple(w.shape), 100 * step + i, dtype, torch.channels_last)
        optimizer.step()
    return [w.detach() for w in weights]


shapes = st.lists(st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple), min_size=1, max_size=5)


@needs_kernels
@settings(deadline=None, max_examples=30)
@given(shapes=shapes, decay=st.sampled_from([0.0, 1e-2]), momentum=st.sampled_from([0.0, 0.9]), odd=st.booleans())
def test_steps(shapes, decay, momentum, odd):
    """In float64 torch's operators take the step: they are the reference. `odd`: weights in another order."""
    found, expected = (
        rmsprop_weights(
            [*shapes, (3, 5, 2, 2), (150, 150)],
            dtype,
            torch.contiguous_format if odd else torch.channels_last,
            weight_decay=decay,
            momentum=momentum,
        )
        for dtype in (torch.float32, torch.float64)
    )
    for w, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(w.double(), reference, rtol=2e-5, atol=2e-5)


@needs_kernels
@pytest.mark.usefixtures("threads")
def test_the_digits_are_the_same_with_any_number_of_threads():
    """More than a block of weights, so that there is something to divide."""
    results = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        results.append(rmsprop_weights([(300, 300), (7, 3)], torch.float32, weight_decay=1e-5)[0])
    assert all(torch.equal(result, results[0]) for result in results)


@needs_kernels
def test_a_nan_stays_where_it_is_and_autograd_notices_the_step():
    weights = nn.Parameter(torch.ones(40))
    kept = (weights * weights).sum()
    weights.grad = torch.ones(40).index_fill(0, torch.tensor(17), float("nan"))
    RMSpropTF([weights], 0.1).step()
    assert weights.isnan().nonzero().flatten().tolist() == [17]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.backward()


@needs_kernels
def test_tensors_with_gaps_are_left_to_torch():
    whole = [torch.zeros(4, 4)] * 4
    assert rmsprop.applies(*([one] for one in whole))
    assert not rmsprop.applies(*([one[:, ::2]] for one in whole))

"""Rounding against a literal restatement of the official code (tensorflow/tpu, efficientnet_model.py)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compound import ZOO, Scaling, UsageError, scale
from compound.rounding import (
    output_size,
    padding_pair,
    round_channels,
    round_layers,
    round_resolution,
    squeeze_channels,
)


def round_filters(filters: int, multiplier: float, divisor: int = 8) -> int:
    """Official `round_filters`, word for word, with depth_divisor 8 and no min_depth."""
    filters *= multiplier  # type: ignore[assignment]
    min_depth = divisor
    new_filters = max(min_depth, int(filters + divisor / 2) // divisor * divisor)
    # Make sure that round down does not go down by more than 10%.
    if new_filters < 0.9 * filters:
        new_filters += divisor
    return int(new_filters)


def round_repeats(repeats: int, multiplier: float) -> int:
    """Official `round_repeats`, word for word."""
    return int(math.ceil(multiplier * repeats))  # noqa: RUF046


WIDTHS = (1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 4.3)
DEPTHS = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1, 3.6, 5.3)


@pytest.mark.parametrize("width", WIDTHS)
def test_channels_as_officially_on_a_grid(width: float) -> None:
    for channels in range(8, 2049, 4):
        assert round_channels(channels * width) == round_filters(channels, width), (channels, width)


@given(st.integers(1, 4096), st.floats(0.05, 8), st.sampled_from((1, 4, 8, 16)))
def test_channels_as_officially(channels: int, width: float, divisor: int) -> None:
    assert round_channels(channels * width, divisor) == round_filters(channels, width, divisor)


@pytest.mark.parametrize("depth", DEPTHS)
def test_layers_as_officially_at_published_depths(depth: float) -> None:
    for layers in range(1, 10):
        assert round_layers(layers * depth) == round_repeats(layers, depth), (layers, depth)


def test_layers_are_not_rounded_up_by_a_float_error() -> None:
    assert round_repeats(100, 1.1 * 1.1) == 122  # 121.00000000000001: the official rule alone falls for it
    assert round_layers(100 * (1.1 * 1.1)) == 121


@given(st.integers(1, 60), st.integers(1, 400))
def test_layers_as_officially_in_hundredths(layers: int, hundredths: int) -> None:
    assert round_layers(layers * hundredths / 100) == max(1, -(-layers * hundredths // 100))


@given(st.floats(0.5, 5000))
def test_channels_are_multiples_and_never_below_90_percent(channels: float) -> None:
    rounded = round_channels(channels)
    assert rounded % 8 == 0
    assert rounded >= 8
    assert rounded >= 0.9 * channels


def test_the_90_percent_guard() -> None:
    assert round_channels(11) == 16  # 8 would be 73 %
    assert round_channels(18) == 24  # 16 would be 88.9 %
    assert round_channels(17.7) == 16  # 90.4 % is kept


def test_resolution_to_the_nearest_pixel_halves_up() -> None:
    assert round_resolution(224 * 1.15) == 258
    assert [round_resolution(x) for x in (2.4, 2.5, 3.5)] == [2, 3, 4]


def test_squeeze_width_is_a_quarter_of_the_input_and_at_least_one() -> None:
    assert [squeeze_channels(c, 0.25) for c in (32, 24, 18, 3, 1)] == [8, 6, 4, 1, 1]


@given(st.integers(1, 64), st.sampled_from((1, 2, 3, 5, 7)), st.integers(1, 4))
def test_same_padding_gives_tensorflows_sizes(size: int, kernel: int, stride: int) -> None:
    """TensorFlow's definition: ceil(size / stride) positions, the odd zero behind."""
    before, after = padding_pair("same", size, kernel, stride, 0)
    assert output_size(size, kernel, stride, before, after) == math.ceil(size / stride)
    assert after - before in (0, 1)


@given(st.integers(1, 64), st.sampled_from((1, 3, 5, 7)), st.sampled_from((1, 2, 4)), st.booleans())
def test_output_size_counts_windows(size: int, kernel: int, stride: int, ceil: bool) -> None:
    """Count the windows one by one: torch admits, with `ceil`, one that overhangs but starts in the input."""
    pad = kernel // 2
    starts = range(-pad, size + pad, stride)
    if ceil:
        whole = [s for s in starts if s + kernel <= size + pad]
        overhang = [s for s in starts if s not in whole][:1]
        expected = len(whole) + sum(s < size and whole[-1] + kernel < size + pad for s in overhang)
    else:
        expected = sum(s + kernel <= size + pad for s in starts)
    assert output_size(size, kernel, stride, pad, pad, ceil) == expected


def test_explicit_paddings() -> None:
    assert padding_pair("valid", 9, 3, 1, 0) == (0, 0)
    assert padding_pair("symmetric", 9, 5, 2, 1) == (2, 2)
    assert padding_pair(3, 9, 5, 2, 1) == (3, 3)
    assert [padding_pair((1, 2), 9, 5, 2, axis) for axis in (0, 1)] == [(1, 1), (2, 2)]


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["depth", "width", "resolution"])
def test_impossible_factors_are_refused(name: str, factor: float) -> None:
    with pytest.raises(UsageError, match=f"{name} factor {factor} is not a positive number; use 1 to leave"):
        Scaling(**{name: factor})


def test_a_resolution_of_no_pixel_is_refused() -> None:
    with pytest.raises(UsageError, match=r"efficientnet-b0: resolution factor 0\.001 leaves no pixel of 224"):
        scale(ZOO["efficientnet-b0"], Scaling(resolution=0.001))

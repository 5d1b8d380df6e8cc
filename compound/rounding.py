"""The only place where numbers are rounded; each rule with its source.

"Official" is the code published with the paper (tensorflow/tpu, efficientnet_model.py:
`round_filters`, `round_repeats`).
"""

import math
from functools import lru_cache

Pair = tuple[int, int]
Padding = str | int | Pair
PADDINGS = ("symmetric", "same", "valid")  # besides the `shifted` of factorised reductions


def round_channels(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, never below 90 % of it (official `round_filters`)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def round_layers(layers: float) -> int:
    """Layers are rounded up (official `round_repeats`): a stage never disappears.

    The product is first cut to nine decimals, so that 1.1 * 1.1 * 100 is 121 layers and not 122.
    """
    return max(1, math.ceil(round(layers, 9)))


def round_resolution(resolution: float) -> int:
    """The nearest whole pixel, halves up: 224 * 1.15 = 257.6 becomes 258."""
    return math.floor(resolution + 0.5)


def squeeze_channels(channels: int, ratio: float) -> int:
    """Channels inside squeeze-and-excitation, from the block's *input* channels (official `MBConvBlock`)."""
    return max(1, int(channels * ratio))


def output_size(size: int, kernel: int, stride: int, before: int, after: int, ceil: bool = False) -> int:
    """Positions of a window over `size` padded positions (torch's rule; `ceil` as in its pooling)."""
    span = size + before + after - kernel
    steps = -(-span // stride) if ceil else span // stride
    # torch drops a last window that would start in the padding behind the input.
    if ceil and steps * stride >= size + before:
        steps -= 1
    return steps + 1


def padding_pair(padding: Padding, size: int, kernel: int, stride: int, axis: int) -> Pair:
    """Zeros before and after one axis.

    `symmetric` pads kernel // 2 on both sides (PyTorch's habit), `same` pads as TensorFlow does, so that
    the output has ceil(size / stride) positions with the odd zero behind, `valid` pads nothing. `shifted` leaves out
    the first position and adds one behind: the second path of a factorised reduction (Zoph et al. 2018).
    """
    if padding == "symmetric":
        return kernel // 2, kernel // 2
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    if padding == "valid":
        return 0, 0
    if padding == "shifted":
        return -1, 1
    if isinstance(padding, int):
        return padding, padding
    each = int(padding[axis])
    return each, each


@lru_cache(maxsize=4096)
def map_size(height: int, width: int, window: Pair, stride: int | Pair, padding: Padding, ceil: bool = False) -> Pair:
    """Rows and columns of positions of a window over a map."""
    down, right = stride if isinstance(stride, tuple) else (stride, stride)
    rows = output_size(height, window[0], down, *padding_pair(padding, height, window[0], down, 0), ceil)
    return rows, output_size(width, window[1], right, *padding_pair(padding, width, window[1], right, 1), ceil)

"""Batch norm with its activation, each way in two passes over a map.

A map is R rows (positions of all images) of C channels, channels innermost. With the mean m and variance v of each
channel, inverse r = 1/√(v + ε), x̂ = (x − m)·r and z = w·x̂ + b:

    forward    y = act(z)
    backward   h = gradient · act'(z),  to_b = Σh,  to_w = Σh·x̂,  to_x = w·r·(h − to_b/R − x̂·to_w/R)

A program takes some rows of some channels. Sums over rows are found in two steps: each of at most `PARTS` programs adds
up its own rows, and their sums are added in one order, so the digits do not depend on which program was faster. Means
and squares are joined as Chan, Golub and LeVeque (1979) do, for Σx² − (Σx)²/R would cancel. All is computed in float32.
Moved are, in numbers a number of the map: forward 2 read, 1 written; backward 4 read, 1 written.
"""

import torch
import triton.language as tl
from torch import Tensor

from compound.kernels.gpu import OPTIONS, blocks, kernel, power

PARTS = 256  # two programs a multiprocessor of the largest GPU
ROWS, CHANNELS = 32, 64  # a tile: 2,048 numbers, 16 a thread of four warps


@kernel
def _value(z: tl.tensor, ACT: tl.constexpr) -> tl.tensor:
    if ACT == 1:
        z = tl.maximum(z, 0.0)
    elif ACT == 2:
        z = tl.minimum(tl.maximum(z, 0.0), 6.0)
    elif ACT == 3:
        z = z / (1.0 + tl.exp(-z))
    elif ACT == 4:
        z = z * tl.minimum(tl.maximum(z + 3.0, 0.0), 6.0) / 6.0
    return z


@kernel
def _slope(z: tl.tensor, ACT: tl.constexpr) -> tl.tensor:
    """act'(z); at the corners as torch has it."""
    if ACT == 1:
        s = tl.where(z > 0.0, 1.0, 0.0)
    elif ACT == 2:
        s = tl.where((z > 0.0) & (z < 6.0), 1.0, 0.0)
    elif ACT == 3:
        g = 1.0 / (1.0 + tl.exp(-z))
        s = g * (1.0 + z * (1.0 - g))
    elif ACT == 4:
        s = tl.where(z <= -3.0, 0.0, tl.where(z < 3.0, z / 3.0 + 0.5, 1.0))
    else:
        s = tl.full(z.shape, 1.0, tl.float32)
    return s


@kernel
def _statistics(
    x: tl.tensor, means: tl.tensor, squares: tl.tensor, rows: tl.tensor, channels: tl.tensor, ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """Of each program's rows the mean, and the sum of squares about it: (programs, channels)."""
    part, parts = tl.program_id(0), tl.num_programs(0)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    mean = tl.zeros((CHANNELS,), tl.float32)
    square = tl.zeros((CHANNELS,), tl.float32)
    seen = 0.0
    for start in range(part * ROWS, rows, parts * ROWS):
        r = start + tl.arange(0, ROWS)
        there = (r < rows)[:, None] & (c < channels)[None, :]
        tile = tl.load(x + r.to(tl.int64)[:, None] * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
        count = tl.minimum(rows - start, ROWS) * 1.0
        own = tl.sum(tile, 0) / count
        off = tl.where(there, tile - own[None, :], 0.0)
        step = own - mean
        square += tl.sum(off * off, 0) + step * step * (seen * count / (seen + count))
        seen += count
        mean += step * (count / seen)
    tl.store(means + part * channels + c, mean, mask=c < channels)
    tl.store(squares + part * channels + c, square, mask=c < channels)


@kernel
def _join(
    means: tl.tensor, squares: tl.tensor, mean_out: tl.tensor, variance_out: tl.tensor, running_mean: tl.tensor,
    running_variance: tl.tensor, momentum: tl.tensor, rows: tl.tensor, channels: tl.tensor, parts: tl.tensor,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """Mean and variance of all rows, and the running ones moved towards them."""
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    there = c < channels
    mean = tl.zeros((CHANNELS,), tl.float32)
    square = tl.zeros((CHANNELS,), tl.float32)
    seen = 0.0
    for part in range(parts):
        whole = rows // (parts * ROWS) * ROWS  # rows of a program that come in whole rounds, and those of the last
        count = (whole + tl.minimum(tl.maximum(rows - parts * whole - part * ROWS, 0), ROWS)) * 1.0
        own = tl.load(means + part * channels + c, mask=there, other=0.0)
        step = own - mean
        square += tl.load(squares + part * channels + c, mask=there, other=0.0)
        square += step * step * (seen * count / (seen + count))
        seen += count
        mean += step * (count / seen)
    variance = square / rows
    tl.store(mean_out + c, mean, mask=there)
    tl.store(variance_out + c, variance, mask=there)
    before = tl.load(running_mean + c, mask=there, other=0.0)
    tl.store(running_mean + c, before + momentum * (mean - before), mask=there)
    before = tl.load(running_variance + c, mask=there, other=0.0)
    tl.store(running_variance + c, before + momentum * (square / (rows - 1) - before), mask=there)


@kernel
def _apply(
    x: tl.tensor, y: tl.tensor, mean: tl.tensor, variance: tl.tensor, weight: tl.tensor, bias: tl.tensor,
    eps: tl.tensor, rows: tl.tensor, channels: tl.tensor, ACT: tl.constexpr, ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = c < channels
    m = tl.load(mean + c, mask=inside, other=0.0)
    inverse = tl.rsqrt(tl.load(variance + c, mask=inside, other=1.0) + eps)
    a = tl.load(weight + c, mask=inside, other=0.0) * inverse
    b = tl.load(bias + c, mask=inside, other=0.0)
    there = (r < rows)[:, None] & inside[None, :]
    place = r.to(tl.int64)[:, None] * channels + c[None, :]
    z = (tl.load(x + place, mask=there, other=0.0).to(tl.float32) - m[None, :]) * a[None, :] + b[None, :]
    tl.store(y + place, _value(z, ACT).to(y.dtype.element_ty), mask=there)


@kernel
def _backward_sums(
    gradient: tl.tensor, x: tl.tensor, mean: tl.tensor, variance: tl.tensor, weight: tl.tensor, bias: tl.tensor,
    eps: tl.tensor, to_weight: tl.tensor, to_bias: tl.tensor, rows: tl.tensor, channels: tl.tensor,
    ACT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """Of each program's rows Σh·x̂ and Σh: (programs, channels)."""
    part, parts = tl.program_id(0), tl.num_programs(0)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = c < channels
    m = tl.load(mean + c, mask=inside, other=0.0)
    inverse = tl.rsqrt(tl.load(variance + c, mask=inside, other=1.0) + eps)
    w = tl.load(weight + c, mask=inside, other=0.0)
    b = tl.load(bias + c, mask=inside, other=0.0)
    sums = tl.zeros((CHANNELS,), tl.float32)
    products = tl.zeros((CHANNELS,), tl.float32)
    for start in range(part * ROWS, rows, parts * ROWS):
        r = start + tl.arange(0, ROWS)
        there = (r < rows)[:, None] & inside[None, :]
        place = r.to(tl.int64)[:, None] * channels + c[None, :]
        h = tl.load(gradient + place, mask=there, other=0.0).to(tl.float32)
        normal = (tl.load(x + place, mask=there, other=0.0).to(tl.float32) - m[None, :]) * inverse[None, :]
        h *= _slope(w[None, :] * normal + b[None, :], ACT)
        sums += tl.sum(h, 0)
        products += tl.sum(h * normal, 0)
    tl.store(to_weight + part * channels + c, products, mask=inside)
    tl.store(to_bias + part * channels + c, sums, mask=inside)


@kernel
def _backward_map(
    gradient: tl.tensor, x: tl.tensor, mean: tl.tensor, variance: tl.tensor, weight: tl.tensor, bias: tl.tensor,
    eps: tl.tensor, to_weight: tl.tensor, to_bias: tl.tensor, to_x: tl.tensor, rows: tl.tensor,
    channels: tl.tensor, ACT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = c < channels
    m = tl.load(mean + c, mask=inside, other=0.0)
    inverse = tl.rsqrt(tl.load(variance + c, mask=inside, other=1.0) + eps)
    w = tl.load(weight + c, mask=inside, other=0.0)
    b = tl.load(bias + c, mask=inside, other=0.0)
    products = tl.load(to_weight + c, mask=inside, other=0.0) / rows
    sums = tl.load(to_bias + c, mask=inside, other=0.0) / rows
    there = (r < rows)[:, None] & inside[None, :]
    place = r.to(tl.int64)[:, None] * channels + c[None, :]
    h = tl.load(gradient + place, mask=there, other=0.0).to(tl.float32)
    normal = (tl.load(x + place, mask=there, other=0.0).to(tl.float32) - m[None, :]) * inverse[None, :]
    h *= _slope(w[None, :] * normal + b[None, :], ACT)
    found = (w * inverse)[None, :] * (h - sums[None, :] - normal * products[None, :])
    tl.store(to_x + place, found.to(to_x.dtype.element_ty), mask=there)


@torch.library.custom_op("compound::norm_statistics", mutates_args=("running_mean", "running_variance"))
def statistics(x: Tensor, running_mean: Tensor, running_variance: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Mean and variance (of R) of each channel of x (N, C, H, W), which enter the running ones (that of R − 1)."""
    rows, channels = _extent(x)
    tile, parts = _tile(channels), min(PARTS, blocks(rows, ROWS))
    means, squares = (x.new_empty(parts, channels, dtype=torch.float32) for _ in range(2))
    mean, variance = (torch.empty_like(running_mean) for _ in range(2))
    _statistics[(parts, blocks(channels, tile["CHANNELS"]))](x, means, squares, rows, channels, **tile, **OPTIONS)
    given = means, squares, mean, variance, running_mean, running_variance, momentum, rows, channels, parts
    _join[(blocks(channels, tile["CHANNELS"]),)](*given, **tile, **OPTIONS)
    return mean, variance


@torch.library.custom_op("compound::norm_apply", mutates_args=())
def apply(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float, act: int
) -> Tensor:  # fmt: skip
    """act(norm(x)) by given statistics; `act` by its number in `compound.kernels.norm_act`."""
    rows, channels = _extent(x)
    tile, y = _tile(channels), torch.empty_like(x)
    given = x, y, mean, variance, weight, bias, eps, rows, channels
    _apply[_grid(rows, channels, tile)](*given, ACT=act, **tile, **OPTIONS)
    return y


@torch.library.custom_op("compound::norm_backward", mutates_args=())
def backward(
    gradient: Tensor, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float, act: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias from that of act(norm(x)); the statistics are the batch's own."""
    rows, channels = _extent(x)
    tile, parts = _tile(channels), min(PARTS, blocks(rows, ROWS))
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    given = gradient, x, mean, variance, weight, bias, eps
    both = x.new_empty(2, parts, channels, dtype=torch.float32)
    grid = parts, blocks(channels, tile["CHANNELS"])
    _backward_sums[grid](*given, both[0], both[1], rows, channels, ACT=act, **tile, **OPTIONS)
    to_weight, to_bias = both.sum(1).unbind()
    to_x = torch.empty_like(x)
    rest = to_weight, to_bias, to_x, rows, channels
    _backward_map[_grid(rows, channels, tile)](*given, *rest, ACT=act, **tile, **OPTIONS)
    return to_x, to_weight.clone(), to_bias.clone()  # an operator's results share no memory


@statistics.register_fake
def _(x: Tensor, running_mean: Tensor, running_variance: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(running_mean), torch.empty_like(running_mean)


@apply.register_fake
def _(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float, act: int
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)


@backward.register_fake
def _(
    gradient: Tensor, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float, act: int
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)


def _extent(x: Tensor) -> tuple[int, int]:
    return x.numel() // x.shape[1], x.shape[1]


def _tile(channels: int) -> dict[str, int]:
    return {"ROWS": ROWS, "CHANNELS": power(channels, 16, CHANNELS)}


def _grid(rows: int, channels: int, tile: dict[str, int]) -> tuple[int, int]:
    return blocks(rows, tile["ROWS"]), blocks(channels, tile["CHANNELS"])

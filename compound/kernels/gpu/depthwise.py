"""The gradients of a depthwise convolution, maps with channels innermost, dilation 1.

With stride s, padding p and a K×K filter w of each channel c, y[o] = Σ_k w[k]·x[s·o + k − p] in both directions, so

    to_x[q] = Σ_k w[k] · g[(q + p − k) / s]      where s divides q + p − k
    to_w[k] = Σ_o g[o] · x[s·o + k − p]          over all images and positions o of the output

and g and x are nothing outside of their maps. For to_x a program takes some positions q of some channels. For to_w it
takes one row of the filter, its columns beside each other, and goes through every `PARTS`-th block of positions o; what
the programs found is added up in one order, so digits do not depend on which was faster. All is computed in float32.
The K programs that read the same g and x do so at the same time, so most of it comes from the cache.
"""

import torch
import triton.language as tl
from torch import Tensor

from compound.kernels.gpu import OPTIONS, blocks, kernel, power

PARTS = 128
PLACES, CHANNELS = 16, 32


@kernel
def _to_map(
    gradient: tl.tensor, weight: tl.tensor, to_x: tl.tensor, count: tl.tensor, channels: tl.tensor,
    height: tl.tensor, width: tl.tensor, high: tl.tensor, wide: tl.tensor, down: tl.tensor, along: tl.tensor,
    above: tl.tensor, left: tl.tensor, K: tl.constexpr, PLACES: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """`count` positions of maps (height, width), from gradients (high, wide)."""
    place = tl.program_id(0) * PLACES + tl.arange(0, PLACES)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (c < channels)[None, :]
    image, row, column = place // (height * width), place // width % height, place % width
    total = tl.zeros((PLACES, CHANNELS), tl.float32)
    for i in range(K):  # unrolled, it takes more registers than leave room for other blocks
        up = row + above - i
        o = up // down
        rows_there = (place < count) & (up >= 0) & (up % down == 0) & (o < high)
        for j in tl.static_range(K):
            back = column + left - j
            q = back // along
            there = rows_there & (back >= 0) & (back % along == 0) & (q < wide)
            at = (image.to(tl.int64) * high + o) * wide + q
            mask = there[:, None] & inside
            g = tl.load(gradient + at[:, None] * channels + c[None, :], mask=mask, other=0.0).to(tl.float32)
            w = tl.load(weight + (i * K + j) * channels + c, mask=c < channels, other=0.0).to(tl.float32)
            total += g * w[None, :]
    at = place.to(tl.int64)[:, None] * channels + c[None, :]
    tl.store(to_x + at, total.to(to_x.dtype.element_ty), mask=(place < count)[:, None] & inside)


@kernel
def _to_weight(
    gradient: tl.tensor, x: tl.tensor, found: tl.tensor, count: tl.tensor, channels: tl.tensor, height: tl.tensor,
    width: tl.tensor, high: tl.tensor, wide: tl.tensor, down: tl.tensor, along: tl.tensor, above: tl.tensor,
    left: tl.tensor, K: tl.constexpr, COLUMNS: tl.constexpr, PLACES: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """Row i of the filter of each program's positions, of `count`: found is (programs, K, K, channels)."""
    part, parts = tl.program_id(0), tl.num_programs(0)
    i = tl.program_id(1)
    c = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    j = tl.arange(0, COLUMNS)
    inside = c < channels
    total = tl.zeros((COLUMNS, CHANNELS), tl.float32)
    for start in range(part * PLACES, count, parts * PLACES):
        place = start + tl.arange(0, PLACES)
        image, o, q = place // (high * wide), place // wide % high, place % wide
        row = o * down + i - above
        column = (q * along - left)[:, None] + j[None, :]
        at = place.to(tl.int64)[:, None] * channels + c[None, :]
        mask = (place < count)[:, None] & inside[None, :]
        g = tl.load(gradient + at, mask=mask, other=0.0).to(tl.float32)
        there = ((place < count) & (row >= 0) & (row < height))[:, None] & (column >= 0) & (column < width)
        there &= (j < K)[None, :]
        at = ((image.to(tl.int64) * height + row) * width)[:, None] + column
        mask = there[:, :, None] & inside[None, None, :]
        m = tl.load(x + at[:, :, None] * channels + c[None, None, :], mask=mask, other=0.0).to(tl.float32)
        total += tl.sum(g[:, None, :] * m, 0)
    at = ((part * K + i) * K + j)[:, None] * channels + c[None, :]
    tl.store(found + at, total, mask=(j < K)[:, None] & inside[None, :])


@torch.library.custom_op("compound::depthwise_to_map", mutates_args=())
def to_map(gradient: Tensor, x: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """The gradient of x (N, C, H, W), of which only the form is read; weights (C, 1, K, K)."""
    gradient, to_x = gradient.contiguous(memory_format=torch.channels_last), _like(x)
    kernel, channels = weight.shape[-1], x.shape[1]
    outwards = weight.reshape(channels, -1).t().contiguous()  # (K·K, C): channels innermost here too
    count, tile = x.numel() // channels, power(channels, 16, CHANNELS)
    extents = count, channels, *x.shape[-2:], *gradient.shape[-2:], *stride, *padding
    grid = blocks(count, PLACES), blocks(channels, tile)
    _to_map[grid](gradient, outwards, to_x, *extents, K=kernel, PLACES=PLACES, CHANNELS=tile, **OPTIONS)
    return to_x


@torch.library.custom_op("compound::depthwise_to_weight", mutates_args=())
def to_weight(gradient: Tensor, x: Tensor, kernel: int, stride: list[int], padding: list[int]) -> Tensor:
    """The gradient of the weights, (C, 1, K, K) in float32, from maps (N, C, H, W)."""
    gradient, x = (each.contiguous(memory_format=torch.channels_last) for each in (gradient, x))
    channels = x.shape[1]
    count, tile = gradient.numel() // channels, power(channels, 16, CHANNELS)
    parts = min(PARTS, blocks(count, PLACES))
    found = x.new_empty(parts, kernel, kernel, channels, dtype=torch.float32)
    extents = count, channels, *x.shape[-2:], *gradient.shape[-2:], *stride, *padding
    columns = power(kernel, 4, 8)
    grid = parts, kernel, blocks(channels, tile)
    _to_weight[grid](gradient, x, found, *extents, K=kernel, COLUMNS=columns, PLACES=PLACES, CHANNELS=tile, **OPTIONS)
    return found.sum(0).permute(2, 0, 1).unsqueeze(1).contiguous()


@to_map.register_fake
def _(gradient: Tensor, x: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    return _like(x)


@to_weight.register_fake
def _(gradient: Tensor, x: Tensor, kernel: int, stride: list[int], padding: list[int]) -> Tensor:
    return x.new_empty(x.shape[1], 1, kernel, kernel, dtype=torch.float32)


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)

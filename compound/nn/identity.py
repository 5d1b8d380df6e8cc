"""A new block in a deeper network begins as the identity, or, where it has no shortcut, as near to it as it can."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from compound.nn.carrying import is_depthwise
from compound.nn.fold import steps
from compound.nn.modules import Concat, Gate, LayerNorm2d, Poly, Residual, Sum

POSITIONS = 4096  # of the maps, from which weights are reckoned
RIDGE = 1e-4  # of the mean square of the channels; more than rounding, less than shows


def begin_as_identity(block: nn.Module) -> bool:
    """Zero what goes beside identities; false where there are none in `block`, which is then left alone.

    That is what residual bodies end with, and what is added to nothing, or to a norm alone, which is then an identity.
    """
    bodies = [module.body for module in block.modules() if isinstance(module, Residual)]
    for sum_ in (module for module in block.modules() if isinstance(module, Sum)):
        firsts = [next((part for _, part in steps(nn.Sequential(branch))), None) for branch in sum_]
        norms = [first for first in firsts if isinstance(first, nn.BatchNorm2d)]
        for norm in norms:
            neutral(norm)
        plain = norms or None in firsts
        bodies += [branch for branch, first in zip(sum_, firsts, strict=True) if plain and first not in (*norms, None)]
    parts = [part for _, part in steps(nn.Sequential(block))]
    for part, behind in pairwise(parts):
        if isinstance(part, Sum) and isinstance(behind, nn.BatchNorm2d):
            neutral(behind)
    for last in (end for body in bodies for end in ends(body)):
        assert isinstance(last.weight, Tensor)
        nn.init.zeros_(last.weight)
        if isinstance(last.bias, Tensor):
            nn.init.zeros_(last.bias)
    return bool(bodies)


def ends(body: nn.Module) -> list[nn.Module]:
    """The layers of which nothing may come where nothing is to leave `body`: of several branches those of each."""
    found: list[nn.Module] = []
    for _, part in reversed(list(steps(nn.Sequential(body)))):
        if isinstance(part, Concat | Sum | Poly):
            branches = [ends(branch) for branch in (part.terms if isinstance(part, Poly) else part)]
            found += [end for branch in branches for end in branch]
            if all(branches):
                return found
            continue  # a branch without layers passes on what comes before
        layers = [m for m in outside_gates(part) if isinstance(m, nn.BatchNorm2d | LayerNorm2d | nn.Conv2d)]
        if layers:
            return [*found, layers[-1]]
    return found


def outside_gates(module: nn.Module) -> list[nn.Module]:
    """The modules below `module` in order, without those of gates."""
    if isinstance(module, Gate):
        return []
    return [module, *(inner for child in module.children() for inner in outside_gates(child))]


@torch.no_grad()
def begin_near_identity(block: nn.Module, x: Tensor) -> None:
    """Give a block without shortcuts the weights with which it changes the maps `x` (N, C, H, W) least.

    Its first convolutions pass on as many channels as they have room for; the last ones of every branch are fitted to
    the channels that it stands for, by least squares. Exact where there is room for all.
    """
    nearest(block, x, x, torch.arange(x.shape[1]))


def nearest(module: nn.Module, x: Tensor, target: Tensor, wanted: Tensor) -> None:
    """`module` on `x` near to `target`, which are the channels `wanted` of what entered the block."""
    parts = [part for _, part in steps(nn.Sequential(module))]
    ends = [i for i, part in enumerate(parts) if isinstance(part, Concat) or is_free(part)]
    if not ends:
        return
    held: Tensor | None = torch.arange(x.shape[1])  # which channel of the block's input each of x still is
    for part in parts[: ends[-1]]:
        if isinstance(part, nn.Conv2d):
            passed = passing(part, x)
            held = None if held is None else held[passed]
        elif isinstance(part, nn.BatchNorm2d):
            neutral(part)
        before, x = x, part(x)
        if not isinstance(part, nn.Conv2d | nn.BatchNorm2d) and not torch.equal(before, x):
            held = None
    last, *behind = parts[ends[-1] :]
    if isinstance(last, Concat):
        sizes = [branch(x[:1]).shape[1] for branch in last]
        shares = zip(last, target.split(sizes, 1), wanted.split(sizes), strict=True)
        for branch, share, channels in shares:
            nearest(branch, x, share, channels)
        return
    assert isinstance(last, nn.Conv2d)
    norm = next((part for part in behind if isinstance(part, nn.BatchNorm2d)), None)
    there = held.tolist() if held is not None else []
    same = [there.index(channel) for channel in wanted.tolist()] if {*wanted.tolist()} <= {*there} else None
    fitted(last, norm, x, target, same)


def is_free(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and not is_depthwise(module)


def centre(conv: nn.Conv2d) -> tuple[int, int]:
    rows, columns = conv.kernel_size
    return rows // 2, columns // 2


def passing(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Let `conv` pass on the channels of `x` that vary most; which they are."""
    conv.weight.zero_()
    if conv.bias is not None:
        conv.bias.zero_()
    row, column = centre(conv)
    if is_depthwise(conv):
        conv.weight[:, 0, row, column] = 1
        return torch.arange(conv.out_channels)
    spread = x.transpose(0, 1).flatten(1).var(1)
    passed = torch.arange(conv.out_channels) % len(spread)
    if conv.out_channels < len(spread):
        passed = spread.topk(conv.out_channels).indices.sort().values
    conv.weight[torch.arange(conv.out_channels), passed, row, column] = 1
    return passed


def neutral(norm: nn.BatchNorm2d) -> None:
    """Let `norm` change nothing in evaluation."""
    assert norm.running_var is not None
    norm.reset_parameters()
    norm.running_var.fill_(1 - norm.eps)


def fitted(conv: nn.Conv2d, norm: nn.BatchNorm2d | None, x: Tensor, target: Tensor, same: list[int] | None) -> None:
    """Weights of the middle position, and an offset, that make of `x` what is nearest to `target`.

    `same` says which channels of `x` the target is, where it is some of them.
    """
    weights, offset = best(x, target) if same is None else (torch.eye(x.shape[1])[same], torch.zeros(len(same)))
    conv.weight.zero_()
    row, column = centre(conv)
    conv.weight[:, :, row, column] = weights.to(conv.weight)
    if norm is not None:
        neutral(norm)
        norm.bias.copy_(offset)
    if conv.bias is not None:
        conv.bias.copy_(offset if norm is None else torch.zeros_like(offset))


def best(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The weights and the offset of the linear map from `x` to `target` with the least squares."""
    given, due = (rows(maps)[:POSITIONS] for maps in (x, target))
    middle, aim = given.mean(0), due.mean(0)
    given, due = given - middle, due - aim
    square = given.T @ given
    square += torch.eye(len(square), dtype=square.dtype) * RIDGE * square.diagonal().mean().clamp(min=1e-12)
    weights = torch.linalg.solve(square, given.T @ due).T
    return weights, aim - weights @ middle


def rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) as (N · H · W, C) in double precision, in an order drawn once and for all."""
    flat = maps.permute(0, 2, 3, 1).flatten(0, 2).double()
    return flat[torch.randperm(len(flat), generator=torch.Generator().manual_seed(0))]

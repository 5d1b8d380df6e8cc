"""Torch's operators that only move numbers about: padding, regrouping, parts and joins of channels."""

from typing import Any

from compound.nn.reading.graph import NO_PADS, Node
from compound.nn.reading.values import Arguments, Capture, NotInAlphabet, Value, Weight
from compound.rounding import Pair


def permute(c: Capture, a: Arguments, output: Any) -> Value:
    x, dims = a["self"], tuple(d % 4 for d in a["dims"])
    if isinstance(x, Value) and x.last and dims == (0, 3, 1, 2):
        return x._replace(last=False)
    if len(output.shape) != 4 or dims != (0, 2, 3, 1):
        raise NotInAlphabet(f"to dimensions {list(a['dims'])}")
    return Value(c.plain(x), last=True)


def pad(c: Capture, a: Arguments, output: Any) -> Value:
    sides, x = a["pad"], a["self"]
    if a.get("mode") == "reflect" and len(sides) == 4 and len(output.shape) == 4:
        left, right, top, bottom = sides
        return Value(c.plain(x), ((top, bottom), (left, right)), mirrored=True)
    if a.get("mode", "constant") != "constant" or len(sides) > 4 or len(output.shape) != 4:
        raise NotInAlphabet("other than with a constant around a map")
    left, right, top, bottom = (*sides, 0, 0)[:4]
    return around(c, x, (top, bottom), (left, right), float(a["value"] or 0))


def around(c: Capture, x: Any, rows: Pair, columns: Pair, fill: float = 0.0) -> Value:
    """A value with more around it; negative numbers leave out positions, which may have been put there before."""
    if not (isinstance(x, Value) and x.pads != NO_PADS and x.fill == fill):
        return Value(c.plain(x), (rows, columns), fill)
    (top, bottom), (left, right) = x.pads
    return x._replace(pads=((top + rows[0], bottom + rows[1]), (left + columns[0], right + columns[1])))


def regroup(c: Capture, a: Arguments, output: Any) -> Value | Weight:
    """Flattening, the two ends of a channel shuffle, and weights written with other dimensions."""
    x, before, after = a["self"], tuple(a["self shape"]), tuple(output.shape)
    if isinstance(x, Weight):
        return x._replace(shape=after)
    if isinstance(x, Value) and x.swapped and len(after) == 4 and before[3:] == after[2:]:
        return c.put(Node("shuffle", (x.groups,), ()), [Value(x.number)], output)
    if isinstance(x, Value) and x.line and after in (before[::2], (*before[::2], 1, 1)):
        return Value(x.number)
    number = c.plain(x)
    if after == (before[0], 1, before[1]) and before[2:] in ((), (1, 1)):
        return Value(number, line=True)
    if len(before) == 4 and len(after) == 5 and before[2:] == after[3:] and before[0] == after[0]:
        return Value(number, groups=after[1])
    if before[0] != after[0] or (len(after) != 2 and after[2:] not in ((1,), (1, 1), before[2:])):
        raise NotInAlphabet(f"of shape {before} to {after}")
    return Value(number)


def transpose(c: Capture, a: Arguments, output: Any) -> Value:
    x, shape = a["self"], tuple(a["self shape"])
    if not isinstance(x, Value) or {a["dim0"] % len(shape), a["dim1"] % len(shape)} != {1, 2}:
        raise NotInAlphabet("")
    if len(shape) == 3 and 1 in shape[1:]:  # (N, C, 1) and (N, 1, C)
        return Value(x.number, line=not x.line)
    if not x.groups:
        raise NotInAlphabet("")
    return x._replace(swapped=True)


def shuffle(c: Capture, a: Arguments, output: Any) -> Value:
    return c.put(Node("shuffle", (a["groups"],), ()), [a["self"]], output)


def join(c: Capture, a: Arguments, output: Any) -> Value:
    if a["dim"] % len(output.shape) != 1:
        raise NotInAlphabet(f"along dimension {a['dim']}")
    return c.put(Node("join", (), ()), a["tensors"], output)


def split(c: Capture, a: Arguments, output: Any) -> list[Value]:
    """Channels in parts, one value each."""
    if a["dim"] % len(output[0].shape) != 1:
        raise NotInAlphabet(f"along dimension {a['dim']}")
    parts, start = [], 0
    for part in output:
        stop = start + part.shape[1]
        parts.append(c.put(Node("slice", (start, stop), ()), [a["self"]], part))
        start = stop
    return parts


def cut(c: Capture, a: Arguments, output: Any) -> Any:
    """Some of the channels, or some of the positions."""
    size, x = a["self shape"][a["dim"]], a["self"]
    start = min(max((a["start"] or 0) % size if (a["start"] or 0) < 0 else a["start"] or 0, 0), size)
    left = output.shape[a["dim"]]
    if a["step"] != 1 or (a["dim"] == 0 and left != size):
        raise NotInAlphabet(f"along dimension {a['dim']}")
    if left == size:
        return x
    if a["dim"] != 1:
        along = (-start, start + left - size)
        return around(c, x, *((along, (0, 0)) if a["dim"] == 2 else ((0, 0), along)))
    return c.put(Node("slice", (start, start + left), ()), [x], output)

"""MIL, the language of Core ML's programs, computed by PyTorch: the operators that ConvNets are converted to.

What they do is Core ML Tools' reference ("MIL Ops"), https://apple.github.io/coremltools. A program is computed to
compare it with the network that it was made from, on machines where Core ML does not run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from compound.runtimes.graphs import ExportError

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "int32": torch.int32, "bool": torch.bool}
Values = dict[str, Any]  # of one operation, by the names of its inputs


def computed(function: Any, images: Tensor) -> Tensor:
    """The output of a program's function for its one input (N, C, H, W), a call for as many images as it takes."""
    ((name, given),) = function.inputs.items()
    size = int(given.shape[0])
    with torch.inference_mode():
        parts = []
        for part in images.split(size):
            filled = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
            parts.append(_run(function, {name: filled})[: len(part)])
    return torch.cat(parts)


def _run(function: Any, known: Values) -> Tensor:
    for operation in function.operations:
        outputs = operation.outputs
        if operation.op_type == "const":
            known[outputs[0].name] = _plain(operation.val.val if hasattr(operation.val, "val") else outputs[0].val)
            continue
        if operation.op_type not in OPERATIONS:
            raise ExportError(f"Core ML's operator {operation.op_type} cannot be computed here, so nothing checks it")
        values = {key: _value(known, value) for key, value in operation.inputs.items() if value is not None}
        made = OPERATIONS[operation.op_type](values)
        for output, one in zip(outputs, made if isinstance(made, list | tuple) else (made,), strict=True):
            known[output.name] = one
    (output,) = function.outputs
    logits: Tensor = known[output.name]
    return logits


def _value(known: Values, given: Any) -> Any:
    if isinstance(given, list | tuple):
        return [_value(known, one) for one in given]
    return known[given.name] if given.name in known else _plain(given.val)


def _plain(value: Any) -> Any:
    """Arrays of numbers as tensors; single numbers, truths and words as they are in Python."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value)) if value.ndim else value.item()
    return value.item() if isinstance(value, np.generic) else value


def _padding(v: Values, x: Tensor, window: list[int], stride: list[int]) -> list[int]:
    """Positions before and behind each axis, the last axis first, as `F.pad` takes them."""
    kind = v.get("pad_type", "valid")
    if kind == "valid":
        return [0, 0, 0, 0]
    if kind == "custom":
        top, bottom, left, right = v["pad"].tolist()
        return [left, right, top, bottom]
    found = []
    for axis in (1, 0):
        size = x.shape[2 + axis]
        total = max((-(-size // stride[axis]) - 1) * stride[axis] + window[axis] - size, 0)
        less = total // 2
        found += [less, total - less] if kind == "same" else [total - less, less]
    return found


def _conv(v: Values) -> Tensor:
    x, weight = v["x"], v["weight"].float()
    stride, dilation = (v[key].tolist() if key in v else [1, 1] for key in ("strides", "dilations"))
    window = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation, strict=True)]
    bias = v["bias"].float() if "bias" in v else None
    return F.conv2d(F.pad(x, _padding(v, x, window, stride)), weight, bias, stride, 0, dilation, v.get("groups", 1))


def _pool(v: Values, average: bool) -> Tensor:
    x, window = v["x"], v["kernel_sizes"].tolist()
    stride = v["strides"].tolist() if "strides" in v else [1, 1]
    pads = _padding(v, x, window, stride)
    if v.get("ceil_mode", False):  # what the last window lacks is behind; a window of padding alone is none
        for axis, place in ((0, 2), (1, 0)):
            size = x.shape[2 + axis] + pads[place] + pads[place + 1]
            more = -(size - window[axis]) % stride[axis]
            last = -(-(size - window[axis]) // stride[axis]) * stride[axis]
            pads[place + 1] += more if last < x.shape[2 + axis] + pads[place] else 0
    if not average:
        return F.max_pool2d(F.pad(x, pads, value=float("-inf")), window, stride)
    total = F.avg_pool2d(F.pad(x, pads), window, stride)
    if not v.get("exclude_padding_from_average", False):
        return total
    return total / F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), pads), window, stride)


def _slice(v: Values) -> Tensor:
    x, axes = v["x"], v["x"].dim()
    begin, end = v["begin"].tolist(), v["end"].tolist()
    stride = v["stride"].tolist() if "stride" in v else [1] * axes
    masks = {key: v[key].tolist() if key in v else [False] * axes for key in ("begin_mask", "end_mask", "squeeze_mask")}
    index: list[Any] = []
    for axis in range(axes):
        if masks["squeeze_mask"][axis]:
            index.append(begin[axis])
        else:
            first = None if masks["begin_mask"][axis] else begin[axis]
            index.append(slice(first, None if masks["end_mask"][axis] else end[axis], stride[axis]))
    found: Tensor = x[tuple(index)]
    return found


def _split(v: Values) -> list[Tensor]:
    sizes = v["split_sizes"].tolist() if "split_sizes" in v else v["x"].shape[v["axis"]] // v["num_splits"]
    return list(v["x"].split(sizes, v["axis"]))


def _concat(v: Values) -> Tensor:
    if v.get("interleave", False):  # position 0 of each, then position 1 of each, …
        return torch.stack(v["values"], v["axis"] + 1).flatten(v["axis"], v["axis"] + 1)
    return torch.cat(v["values"], v["axis"])


def _pad(v: Values) -> Tensor:
    pairs = v["pad"].tolist()
    flat = [side for start in range(len(pairs) - 2, -1, -2) for side in pairs[start : start + 2]]
    mode = v.get("mode", "constant")
    return F.pad(v["x"], flat, mode, v.get("constant_val", 0.0) if mode == "constant" else None)


def _batch_norm(v: Values) -> Tensor:
    return F.batch_norm(v["x"], v["mean"], v["variance"], v.get("gamma"), v.get("beta"), eps=v.get("epsilon", 1e-5))


def _layer_norm(v: Values) -> Tensor:
    axes = [axis % v["x"].dim() for axis in v["axes"].tolist()]
    shape = [v["x"].shape[axis] for axis in axes]
    return F.layer_norm(v["x"], shape, v.get("gamma"), v.get("beta"), v.get("epsilon", 1e-5))


def _reduced(by: Callable[..., Tensor]) -> Callable[[Values], Tensor]:
    return lambda v: by(v["x"], dim=v["axes"].tolist(), keepdim=v.get("keep_dims", False))


OPERATIONS: dict[str, Callable[[Values], Any]] = {
    "conv": _conv,
    "linear": lambda v: F.linear(v["x"], v["weight"], v.get("bias")),
    "matmul": lambda v: v["x"].matmul(v["y"]),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "relu": lambda v: v["x"].relu(),
    "relu6": lambda v: v["x"].clamp(0, 6),
    "clip": lambda v: v["x"].clamp(v["alpha"], v["beta"]),
    "leaky_relu": lambda v: F.leaky_relu(v["x"], v["alpha"]),
    "thresholded_relu": lambda v: torch.where(v["x"] >= v["alpha"], v["x"], 0.0),
    "silu": lambda v: F.silu(v["x"]),
    "sigmoid": lambda v: v["x"].sigmoid(),
    "sigmoid_hard": lambda v: (v["x"] * v["alpha"] + v["beta"]).clamp(0, 1),
    "gelu": lambda v: F.gelu(v["x"], approximate="none" if v.get("mode", "EXACT") == "EXACT" else "tanh"),
    "tanh": lambda v: v["x"].tanh(),
    "exp": lambda v: v["x"].exp(),
    "sqrt": lambda v: v["x"].sqrt(),
    "rsqrt": lambda v: (v["x"] + v.get("epsilon", 1e-12)).rsqrt(),
    "square": lambda v: v["x"].square(),
    "pow": lambda v: v["x"] ** v["y"],
    "add": lambda v: v["x"] + v["y"],
    "sub": lambda v: v["x"] - v["y"],
    "mul": lambda v: v["x"] * v["y"],
    "real_div": lambda v: v["x"] / v["y"],
    "maximum": lambda v: torch.maximum(*torch.broadcast_tensors(v["x"], torch.as_tensor(v["y"]))),
    "minimum": lambda v: torch.minimum(*torch.broadcast_tensors(v["x"], torch.as_tensor(v["y"]))),
    "reduce_mean": _reduced(torch.mean),
    "reduce_sum": _reduced(torch.sum),
    "reduce_l2_norm": _reduced(lambda x, dim, keepdim: x.square().sum(dim, keepdim).sqrt()),
    "avg_pool": lambda v: _pool(v, average=True),
    "max_pool": lambda v: _pool(v, average=False),
    "concat": _concat,
    "split": _split,
    "pad": _pad,
    "slice_by_index": _slice,
    "reshape": lambda v: v["x"].reshape(v["shape"].tolist()),
    "transpose": lambda v: v["x"].permute(v["perm"].tolist()),
    "expand_dims": lambda v: _expanded(v["x"], v["axes"].tolist()),
    "squeeze": lambda v: v["x"].squeeze(v["axes"].tolist()) if "axes" in v else v["x"].squeeze(),
    "upsample_nearest_neighbor": lambda v: F.interpolate(
        v["x"], scale_factor=[v.get("scale_factor_height", 1), v.get("scale_factor_width", 1)]
    ),
    "identity": lambda v: v["x"],
    "cast": lambda v: v["x"].to(TYPES[v["dtype"]]),
}


def _expanded(x: Tensor, axes: list[int]) -> Tensor:
    for axis in axes:
        x = x.unsqueeze(axis)
    return x

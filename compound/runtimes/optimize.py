"""`optimize`: a trained network as fast as PyTorch runs it on this machine, ready in a moment, with no compiler."""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from compound.errors import UsageError
from compound.nn.fold import fold
from compound.nn.modules import Gate, Residual
from compound.runtimes.packed import FUSED, MatrixGate, PackedConv, PackedResidual, in_place

Shapes = dict[nn.Module, tuple[int, ...]]


class Optimized(nn.Module):
    """A network for inference only. Images (N, C, H, W) to logits; fastest at the example's shape."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = self.model(x.to(self.dtype, memory_format=torch.channels_last))
            return logits.float()


def optimize(model: nn.Module, example: Tensor, *, precision: Literal["fp32", "bf16"] = "fp32") -> Optimized:
    """`model` for inference: norms folded, channels last, and on the CPU oneDNN's packed convolutions.

    Args:
        model: a network of `compound.nn.build`; it is left as it is.
        example: images (N, C, H, W) of the shape that will come; others are right too, but not as fast.
        precision: `bf16` halves the bytes; about two decimal digits of the logits remain.

    Outputs equal the model's within rounding: about 1e-5 of the largest logit in fp32.
    """
    if precision not in ("fp32", "bf16"):
        raise UsageError(f"precision {precision!r} is unknown; use fp32 or bf16")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    fast = fold(model).to(example.device, dtype).to(memory_format=torch.channels_last)
    if example.device.type == "cpu" and torch.backends.mkldnn.is_available():
        with torch.inference_mode():
            shapes = input_shapes(fast, example.to(dtype, memory_format=torch.channels_last))
        pack(fast, shapes)
    return Optimized(fast, dtype)


def input_shapes(model: nn.Module, example: Tensor) -> Shapes:
    """The shape that every convolution receives."""
    shapes: Shapes = {}

    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[module] = tuple(inputs[0].shape)

    hooks = [m.register_forward_pre_hook(see) for m in model.modules() if isinstance(m, nn.Conv2d)]
    try:
        model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def pack(module: nn.Module, shapes: Shapes) -> None:
    """Replace, below `module`, what has a faster form: from the innermost chains outwards."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            if not isinstance(module, nn.Sequential):
                setattr(module, name, packed_conv(child, shapes, None))
        elif not isinstance(child, Gate):
            pack(child, shapes)
        if type(child) is nn.Sequential:
            setattr(module, name, packed_chain(child, shapes))


def packed_chain(chain: nn.Sequential, shapes: Shapes) -> nn.Sequential:
    """The chain with convolution + activation, residual + activation and gates in one step each."""
    waiting = list(chain.named_children())
    done: OrderedDict[str, nn.Module] = OrderedDict()
    while waiting:
        name, module = waiting.pop(0)
        follower = waiting[0][1] if waiting else None
        fusible = follower if type(follower) in FUSED else None
        if isinstance(module, nn.Conv2d):
            module = packed_conv(module, shapes, fusible)
            waiting = waiting[1:] if fusible else waiting
        elif isinstance(module, Residual) and isinstance(module.body, nn.Sequential) and sums_inside(module.body):
            function = FUSED[type(fusible)][0] if type(fusible) is nn.ReLU else None
            module = PackedResidual(module.body, module.shortcut, function)
            waiting = waiting[1:] if function else waiting
        elif isinstance(module, Gate):
            module = matrix_gate(module, shapes, owned=fresh(done))
        elif type(module) in FUSED and fresh(done):
            module = in_place(module)
        done[name] = module
    return nn.Sequential(done)


def packed_conv(conv: nn.Conv2d, shapes: Shapes, activation: nn.Module | None) -> nn.Module:
    """Packed; a convolution that the example never reached stays as it is."""
    return PackedConv(conv, shapes[conv], activation) if conv in shapes else conv


def sums_inside(body: nn.Module) -> bool:
    """Whether the body ends in a packed convolution without an activation, which can add while it computes."""
    last = body[-1] if isinstance(body, nn.Sequential) and len(body) else None
    return isinstance(last, PackedConv) and last.function == "none"


def fresh(done: OrderedDict[str, nn.Module]) -> bool:
    """Whether what the chain hands on is a map of its own, that nobody else reads."""
    return bool(done) and isinstance(next(reversed(done.values())), PackedConv | PackedResidual | nn.BatchNorm2d)


def matrix_gate(gate: Gate, shapes: Shapes, owned: bool) -> nn.Module:
    """A squeeze-and-excitation as products with matrices; any other gate with its convolutions packed."""
    parts = list(gate.gate.children()) if isinstance(gate.gate, nn.Sequential) else []
    convs = [part for part in parts if isinstance(part, nn.Conv2d)]
    functions = [part for part in parts if type(part) in FUSED]
    plain = all(conv.kernel_size == (1, 1) and conv.groups == 1 for conv in convs)
    squeeze = parts and isinstance(parts[0], nn.AdaptiveAvgPool2d) and parts[0].output_size == 1
    if not (squeeze and plain and len(convs) == len(functions) == (len(parts) - 1) / 2):
        pack(gate, shapes)
        return gate
    return MatrixGate(convs, functions, owned)

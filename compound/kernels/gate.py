"""The gradients of a map times a gate: see gate.c."""

import torch
from torch import Tensor

from compound.kernels import call, innermost, pointer, size


def backward(gradient: Tensor, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x (N, C, H, W) and gate (N, C, 1, 1), all in float32 or all in bfloat16."""
    gradient, x = innermost(gradient), innermost(x)
    to_x, to_gate = torch.empty_like(x), torch.empty_like(gate, memory_format=torch.contiguous_format)
    images, channels = gate.shape[:2]
    extent = size(images), size(x[0, 0].numel()), size(channels)
    given = pointer(gradient), pointer(x), pointer(gate.contiguous(memory_format=torch.contiguous_format))
    call("compound_gate_backward", x, *given, *extent, pointer(to_x), pointer(to_gate))
    return to_x, to_gate

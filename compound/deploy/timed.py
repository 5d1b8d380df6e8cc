"""The optimised network as a runtime that `compound measure` times, and makes tables of."""

import torch
from torch import Tensor, nn

from compound.deploy.optimize import optimize
from compound.measurement import RUNTIMES, Runner, Runtime
from compound.measurement.laps import module_laps


def optimized(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch by `optimize`, in fp32."""
    torch.set_num_threads(threads)
    fast = optimize(model, images)

    def run() -> Tensor:
        logits: Tensor = fast(images)
        return logits

    return Runner(run, lambda calls: [module_laps(fast.model, run) for _ in range(calls)])


ALL_RUNTIMES: dict[str, Runtime] = {"optimized": optimized} | RUNTIMES

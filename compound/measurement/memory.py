"""Memory as it is held while a network runs: the bytes of all live tensors at the fullest moment.

On the CPU every tensor's storage is counted from the operator that makes it to its end; what an operator needs for
itself while it runs (a convolution's columns) is not seen. On CUDA it is the allocator's own count, which sees that.
"""

import weakref
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """Bytes of live storages: those of `held` from the start, all others from the operator that makes them."""

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.known: weakref.WeakSet[Any] = weakref.WeakSet()
        self.bytes = self.peak = 0
        for tensor in held:
            self.add(tensor)

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self.known:
            self.known.add(storage)
            size = storage.nbytes()
            self.bytes += size
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self.free, size)

    def free(self, size: int) -> None:
        self.bytes -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for one in tree_leaves(output):
            if isinstance(one, Tensor):
                self.add(one)
        return output


def peak_bytes(run: Callable[[], object], held: Iterable[Tensor], device: torch.device) -> int:
    """Most bytes of live tensors while `run` runs; `held` are those there before, such as weights."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    live = Live(held)
    with live:
        run()
    return live.peak


def inference_peak(model: nn.Module, images: Tensor) -> int:
    """Bytes at the fullest moment of one inference: weights, statistics, images and maps."""

    def run() -> None:
        with torch.inference_mode():
            model(images)

    model.eval()
    return peak_bytes(run, [*model.state_dict().values(), images], images.device)


def training_peak(model: nn.Module, images: Tensor, classes: int) -> int:
    """Bytes at the fullest moment of training steps with RMSProp, momentum and an average of the weights.

    There are two steps: in the second the optimiser's numbers are there, and gradients until the backward pass begins.
    """
    model.train()
    average = deepcopy(model)
    optimiser = torch.optim.RMSprop(model.parameters(), 1e-4, momentum=0.9, foreach=False)
    labels = torch.arange(len(images), device=images.device) % classes

    def step() -> None:
        loss = cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def two() -> None:
        step()
        step()

    return peak_bytes(two, [*model.state_dict().values(), *average.state_dict().values(), images], images.device)

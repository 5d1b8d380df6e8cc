"""PyTorch on an accelerator: as it is, compiled, or replayed. Networks and images are brought there and stay."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from compound.runtimes.graphs import Unavailable
from compound.runtimes.registry import RUNTIMES, MakeRunner, Runner


def runtimes_of(device: torch.device) -> Mapping[str, MakeRunner]:
    """The runtimes of a device by name."""
    if device.type == "cpu":
        return RUNTIMES
    ways = {name: RUNTIMES[name] for name in ("eager", "channels-last", "compile")} | {"graphs": replayed}
    return {name: there(make, device) for name, make in ways.items()}


def there(make: MakeRunner, device: torch.device) -> MakeRunner:
    """A runtime of the processor on a device: a call ends when the device has ended it."""

    def made(model: nn.Module, images: Tensor, threads: int) -> Runner:
        return Runner(ended(make(model.to(device), images.to(device), threads).run, device))

    return made


def ended(call: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """The call, until the device has done all of it."""

    def run() -> Any:
        output = call()
        wait(device)
        return output

    return run


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def replayed(model: nn.Module, images: Tensor, threads: int) -> Runner:
    """PyTorch with channels innermost, recorded once as a CUDA graph: a call launches one thing."""
    if not images.is_cuda:
        raise Unavailable("runtime graphs needs CUDA, whose graphs it replays; use channels-last")
    layout: Any = torch.channels_last
    model, images = model.to(memory_format=layout), images.contiguous(memory_format=layout)
    with torch.inference_mode():
        apart = torch.cuda.Stream()
        apart.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(apart):  # what is chosen or made in first calls is no part of the graph
            for _ in range(3):
                model(images)
        torch.cuda.current_stream().wait_stream(apart)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output: Tensor = model(images)

    def run() -> Tensor:
        graph.replay()
        return output

    return Runner(run)

"""Pipeline parallelism (GPipe, Huang et al. 2019): consecutive blocks of one network in several processes.

A batch runs through in micro-batches. Batch norm sees one at a time, and gradients add up: the numbers are those of one
process that accumulates gradients over as many parts.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from compound.nn import ConvNet
from compound.nn.build import carry, carry_again
from compound.nn.modules import Carrying
from compound.parallel import rank, size
from compound.training.balance import split
from compound.training.elsewhere import put_together

Schedule = Literal["gpipe", "1f1b"]
KINDS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)  # of maps, by their number in a header
HEADER = 6  # numbers that a map is announced by: kind, whether it wants a gradient, and its extents


class ConsecutiveBlocks(nn.Module):
    """Some consecutive blocks of a model: (x) or (x, previous) in, the same out, (logits) from the last part.

    The map before x travels along where the network's cells read it.
    """

    def __init__(self, model: ConvNet, names: Sequence[str]) -> None:
        super().__init__()
        self.is_last = names[-1] == "head"
        self.recomputed = model.recomputed
        self.stages = nn.ModuleDict()
        for stage, group in groupby(names, key=lambda name: name.partition(".")[0]):
            if stage in ("stem", "head"):
                children = ("features", "classifier") if stage == "head" else ("stem",)
                self.stages.update({child: model.get_submodule(child) for child in children})
                continue
            whole, blocks = model.get_submodule(stage), OrderedDict[str, nn.Module]()
            for name in group:
                blocks[name.partition(".")[2]] = model.get_submodule(name)
            if isinstance(whole, Carrying):
                self.stages[stage] = Carrying(blocks, whole.keeping[: len(blocks)])  # it is the same for all
            else:
                self.stages[stage] = nn.Sequential(blocks)

    def forward(self, x: Tensor, previous: Tensor | None = None) -> tuple[Tensor, ...]:
        for name, stage in self.stages.items():
            run = carry_again if name in self.recomputed and torch.is_grad_enabled() else carry
            x, previous = run(stage, x, previous)
        return (x,) if previous is None or self.is_last else (x, previous)


def order(schedule: Schedule, rank: int, size: int, microbatches: int) -> Iterator[tuple[bool, int]]:
    """What process `rank` of `size` does: (whether forward, number of the micro-batch) one after the other.

    "gpipe": all forward, then all backward. "1f1b" (Narayanan et al. 2019): backward as soon as can be, so that at
    most `size` micro-batches are kept.
    """
    ahead = microbatches if schedule == "gpipe" else min(size - rank - 1, microbatches)
    for number in range(microbatches + ahead):
        if number < microbatches:
            yield True, number
        if number >= ahead:
            yield False, number - ahead


class Pipeline:
    """The part of `model` that this process trains, of as many as there are processes.

    `model` is built alike in all processes; its other parts give their memory back. `prepare` makes of what images are
    given what the network reads; only the first part calls it.
    """

    def __init__(
        self,
        model: ConvNet,
        device: torch.device,
        schedule: Schedule = "gpipe",
        prepare: Callable[[Tensor], Tensor] = lambda images: images,
    ) -> None:
        self.model, self.device, self.schedule, self.prepare = model, device, schedule, prepare
        self.split = split(model.network, size())
        self.is_first, self.is_last = rank() == 0, rank() == size() - 1
        self.leave_others(model)
        self.part = ConsecutiveBlocks(model, self.split.parts[rank()]).to(device)
        # One direction must never wait for the other, whichever comes first: so each has a group of its own.
        self.down, self.up = (cast(dist.ProcessGroup, dist.new_group()) for _ in range(2))
        self.sending: list[tuple[Any, Tensor]] = []

    def leave_others(self, model: ConvNet) -> None:
        """Keep of a network like this one only the part of this process."""
        for number, names in enumerate(self.split.parts):
            if number != rank():
                for name in names:
                    for each in ("features", "classifier") if name == "head" else (name,):
                        model.get_submodule(each).to("meta")

    def step(self, images: Sequence[Tensor], loss: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Forward and backward over micro-batches; the sum of their losses, in all processes.

        The first process reads `images`, of the others only their number counts; the last one calls
        `loss(number, logits)`. Gradients are added to those that parameters of this part have.
        """
        kept: dict[int, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]] = {}
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for forward, number in order(self.schedule, rank(), size(), len(images)):
            if not forward:
                self._backward(*kept.pop(number))
                continue
            given = self._input(images[number])
            made = self.part(*given)
            if self.is_last:
                made = (loss(number, made[0]),)
                total += made[0].detach()
            else:
                self._announce(made)
            kept[number] = given, made
        self._sent()
        dist.broadcast(total, src=size() - 1)
        return total

    @torch.no_grad()
    def logits(self, images: Sequence[Tensor]) -> Tensor:
        """Logits (N, K) in float32 of all micro-batches in their order, in all processes."""
        found = []
        for each in images:
            made = self.part(*self._input(each))
            if self.is_last:
                found.append(made[0].float())
            else:
                self._announce(made)
        self._sent()
        count = sum(map(len, images))
        logits = torch.cat(found) if found else torch.empty(count, self.model.classes, device=self.device)
        dist.broadcast(logits, src=size() - 1)
        return logits

    def state_dict(self) -> dict[str, Tensor]:
        """The whole model's state, from all processes, in all processes."""
        state: dict[str, Tensor] = put_together(dict(self.model.state_dict()), everywhere=True)
        return state

    def _input(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.is_first:
            return (self.prepare(images.to(self.device)),)
        header = torch.empty(2 * HEADER, dtype=torch.long, device=self.device)
        dist.recv(header, rank() - 1, group=self.down)
        found = []
        for kind, wanting, *extents in header.view(2, HEADER).tolist():
            if extents[0]:
                found.append(self._receive(extents, KINDS[kind], rank() - 1, self.down).requires_grad_(bool(wanting)))
        return tuple(found)

    def _announce(self, made: tuple[Tensor, ...]) -> None:
        """Send maps on, and before them what they are."""
        header = torch.zeros(2, HEADER, dtype=torch.long)
        for row, x in zip(header, made, strict=False):
            row[:] = torch.tensor([KINDS.index(x.dtype), x.requires_grad, *x.shape])
        self._send(header.flatten().to(self.device), rank() + 1, self.down)
        for x in made:
            self._send(inside_out(x.detach()), rank() + 1, self.down)

    def _backward(self, given: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> None:
        wanting = [x for x in made if x.requires_grad]
        gradients = None
        if not self.is_last:
            gradients = [self._receive(x.shape, x.dtype, rank() + 1, self.up) for x in wanting]
        if wanting:
            with torch.autocast(self.device.type, enabled=False):
                torch.autograd.backward(wanting, gradients)
        for x in given:
            if x.requires_grad and not self.is_first:
                self._send(inside_out(torch.zeros_like(x) if x.grad is None else x.grad), rank() - 1, self.up)

    def _send(self, tensor: Tensor, to: int, group: Any) -> None:
        self.sending.append((dist.isend(tensor, to, group=group), tensor))

    def _receive(self, extents: Sequence[int], kind: torch.dtype, source: int, group: Any) -> Tensor:
        images, channels, height, width = extents
        found = torch.empty(images, height, width, channels, dtype=kind, device=self.device)
        dist.recv(found, source, group=group)
        return found.permute(0, 3, 1, 2)

    def _sent(self) -> None:
        """Wait for what is on its way; until then its memory is not given back."""
        for work, _ in self.sending:
            work.wait()
        self.sending = []


def inside_out(x: Tensor) -> Tensor:
    """A map with its channels innermost, as they lie in memory: what can be sent as it is."""
    return x.permute(0, 2, 3, 1).contiguous()

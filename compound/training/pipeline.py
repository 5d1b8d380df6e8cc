"""Pipeline parallelism (GPipe, Huang et al. 2019): consecutive blocks of one network in several processes.

Blocks are divided so that the largest part costs as little as possible, by counted multiply-adds (a backward pass costs
about twice the forward one in every block). A batch runs through in micro-batches; batch norm sees one at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from compound.cost import row_cost
from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet
from compound.nn.modules import Graph
from compound.parallel import rank, size

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Split:
    """Rows of a network's table in consecutive parts, by name, and what each part costs."""

    parts: tuple[tuple[str, ...], ...]
    macs: tuple[int, ...]

    @property
    def imbalance(self) -> float:
        """How much more than its share the costliest part has: 0.1 lets the others wait a tenth of the time."""
        return max(self.macs) * len(self.macs) / sum(self.macs) - 1

    def __str__(self) -> str:
        lines = [
            f"part {number}: {names[0]} to {names[-1]}, {macs:,} MACs ({macs / sum(self.macs):.1%})"
            for number, (names, macs) in enumerate(zip(self.parts, self.macs, strict=True))
        ]
        return "\n".join([*lines, f"the costliest part has {self.imbalance:.1%} more than its share"])


def split(network: Network, parts: int) -> Split:
    """The division of `network` into `parts` whose costliest part is cheapest."""
    rows = network.blocks()
    if not 1 <= parts <= len(rows):
        raise UsageError(f"{network.name} has {len(rows)} blocks and cannot be split into {parts} parts; use fewer")
    names = ["stem", *(f"stage{row.stage}.block{row.repeat}" for row in rows[1:-1]), "head"]
    macs = [row_cost(row).training_macs for row in rows]
    ends = balanced(macs, parts)
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    return Split(tuple(tuple(names[a:b]) for a, b in spans), tuple(sum(macs[a:b]) for a, b in spans))


def balanced(costs: list[int], parts: int) -> list[int]:
    """Where each of `parts` consecutive, non-empty spans of `costs` ends, the costliest span as cheap as can be."""
    sums = [0]
    for cost in costs:
        sums.append(sums[-1] + cost)
    # best[k][end]: the costliest of k spans that cover costs[:end], and where the last of them begins.
    best: list[dict[int, tuple[int, int]]] = [{0: (0, 0)}]
    for k in range(1, parts + 1):
        fewer = [(start, costliest) for start, (costliest, _) in best[-1].items()]
        ends = range(k, len(costs) - (parts - k) + 1)
        best.append({e: min((max(most, sums[e] - sums[s]), s) for s, most in fewer if s < e) for e in ends})
    cuts = [len(costs)]
    for k in range(parts, 1, -1):
        cuts.append(best[k][cuts[-1]][1])
    return cuts[::-1]


class ConsecutiveBlocks(nn.Module):
    """Some consecutive blocks of a model: (x) or (x, previous) in, the same out, logits from the last part.

    The map before x travels along where the network's cells read it.
    """

    def __init__(self, model: ConvNet, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.blocks = nn.ModuleList()
        self.keeps: list[bool | None] = []  # None: outside the cells, which neither read nor change the map before
        for name in names:
            if name == "head":
                self.blocks.append(nn.Sequential(model.features, model.classifier))
                self.keeps.append(None)
                continue
            self.blocks.append(model.get_submodule(name))
            stage = name.partition(".")[0]
            carrying = getattr(model.get_submodule(stage), "keeping", None)
            self.keeps.append(carrying[0] if carrying else None)

    def prefixes(self) -> tuple[str, ...]:
        """How the names of this part's tensors begin in the whole model."""
        own = [("features.", "classifier.") if name == "head" else (f"{name}.",) for name in self.names]
        return tuple(prefix for each in own for prefix in each)

    def forward(self, x: Tensor, previous: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        for block, keep in zip(self.blocks, self.keeps, strict=True):
            output = block(x, previous) if isinstance(block, Graph) else block(x)
            if keep is not None:
                previous = previous if keep and previous is not None else x
            x = output
        return x if previous is None or self.names[-1] == "head" else (x, previous)


class Pipeline:
    """The part of `model` that this process trains, of as many as there are processes.

    `model` is built alike in all processes; only the own part goes to `device`. `loss` maps logits and targets of a
    micro-batch to their mean loss.
    """

    def __init__(
        self,
        model: ConvNet,
        loss: Loss,
        microbatches: int,
        device: torch.device,
        schedule: Literal["gpipe", "1f1b"] = "gpipe",
    ) -> None:
        # It brings torch's compiler, and takes longer to import than torch itself; to split a network needs none of it.
        from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

        self.model, self.device, self.microbatches = model, device, microbatches
        self.split = split(model.network, size())
        self.part = ConsecutiveBlocks(model, self.split.parts[rank()]).to(device)
        stage = PipelineStage(self.part, rank(), size(), device)
        schedules = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}
        self.schedule = schedules[schedule](stage, microbatches, loss_fn=loss)

    @property
    def is_last(self) -> bool:
        return rank() == size() - 1

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser of this process updates."""
        return list(self.part.parameters())

    def step(self, images: Tensor, targets: Tensor) -> float:
        """Forward and backward over one batch (N, …), the same in all processes; its mean loss, in all processes.

        Gradients are those of the mean over the batch. N must be a multiple of the number of micro-batches.
        """
        if len(images) % self.microbatches:
            raise UsageError(f"{len(images)} images do not divide into {self.microbatches} micro-batches")
        losses: list[Tensor] = []
        inputs = (images.to(self.device),) if rank() == 0 else ()
        if self.is_last:
            self.schedule.step(*inputs, target=targets.to(self.device), losses=losses)
        else:
            self.schedule.step(*inputs)
        # float64, so that all processes receive what the last one sends, whatever the model computes in
        mean = torch.stack(losses).detach().double().mean() if losses else torch.zeros((), dtype=torch.float64)
        mean = mean.to(self.device)
        dist.broadcast(mean, src=size() - 1)
        return mean.item()

    def state_dict(self) -> dict[str, Tensor]:
        """The whole model's state, from all processes, in all processes."""
        own = {n: t.cpu() for n, t in self.model.state_dict().items() if n.startswith(self.part.prefixes())}
        everyone: list[dict[str, Tensor]] = [{}] * size()
        dist.all_gather_object(everyone, own)
        found = {name: tensor for each in everyone for name, tensor in each.items()}
        return {name: found[name] for name in self.model.state_dict()}

"""Blocks of a trained network made narrower inside or left out, where that moves its answers least for what it spares.

The result is an ordinary network, in which every block is a stage of its own. Which of its blocks give way follows from
dynamic programming over what each way was measured to cost in answers and to spare of a budget.

N images, K classes, C channels
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from compound.budget import Budget
from compound.errors import BudgetError
from compound.head import Head
from compound.network import Network, Row, Stage
from compound.nn.build import ConvNet, build
from compound.nn.carrying import Channels, InheritError, Scores, Walk
from compound.nn.inherit import check_operators
from compound.nn.modules import make
from compound.nn.moments import NormPair, keep_moments

SHARES = (0.75, 0.5, 0.375, 0.25, 0.125)  # of the channels inside a block
BINS = 1000  # into which what must be spared is divided
FURTHER = 1.03  # what must be spared grows by this factor where costs did not add up as each by itself said
TRIES = 40
PART = 32  # images at once


@dataclass(frozen=True)
class Option:
    """What may become of a block: `stage` in its place (None: nothing), computed by `module`.

    `norms` are its norms beside the block's. `moved` is by how much the answers move, the mean Kullback-Leibler
    divergence from those of the whole network; `spared` is of the budget's limit.
    """

    stage: Stage | None
    module: nn.Module
    norms: Sequence[NormPair] = ()
    moved: float = 0.0
    spared: float = 0.0


@dataclass(frozen=True)
class Cut:
    """The smaller network with its weights, and which option each block of the larger one got."""

    model: ConvNet
    options: tuple[Option, ...]
    moved: float  # by how much the answers of all together move


def apart(network: Network) -> Network:
    """The same function with every block in a stage of its own. Raises `InheritError` where blocks know their place."""
    rows = [row for row in network.blocks() if 0 < row.stage <= len(network.stages)]
    stages = []
    for row in rows:
        stage = network.stages[row.stage - 1]
        if stage.block.reads_previous:
            raise InheritError(f"stage {row.stage}: cells read two maps, so that none can be left out by itself")
        assert not isinstance(row.block, Head)
        stride = stage.stride if row.repeat == 1 else 1
        stages.append(replace(stage, block=row.block, layers=1, stride=stride))
    found = network.with_(stages=tuple(stages))
    for before, after in zip(rows, found.blocks()[1:-1], strict=True):
        if before.operator != after.operator:
            raise InheritError(f"{before.label} block {before.repeat} is another one in another place of its stage")
    return found


def narrower(stage: Stage, row: Row, divisor: int) -> Iterator[Stage]:
    """The stage of one block with fewer channels inside, where its block says how many there are (`expand`)."""
    expand = getattr(stage.block, "expand", None)
    if expand is None:
        return
    inp = stage.channels if getattr(stage.block, "of", "input") == "output" else row.input[0]
    inside = round(inp * expand)
    for count in dict.fromkeys(max(divisor, int(inside * share) // divisor * divisor) for share in SHARES):
        if inside != row.input[0] != count < inside:  # as many as enter is a block of another kind
            yield replace(stage, block=replace(stage.block, expand=count / inp))  # type: ignore[call-arg]  # a block that has `expand`


class Cutter:
    """Measures on `images` (N, C, H, W), preprocessed, what each option moves, and chooses among them.

    `scores`: which channels inside a block matter, see `importance`. With `narrow` blocks may become narrower, else
    they stay or go.
    """

    def __init__(self, model: ConvNet, images: Tensor, budget: Budget, scores: Scores, *, narrow: bool = True) -> None:
        self.model, self.budget, self.scores, self.narrow = model, budget, scores, narrow
        self.network = apart(model.network)
        self.blocks = [block for name, part in model.stages() if name.startswith("stage") for block in part.children()]
        shares = budget.shares(budget.cost(self.network))
        self.limit = max(shares, key=lambda name: shares[name])
        self.needed = self.used(self.network) - budget.limits()[self.limit]
        self.images = images
        with torch.inference_mode():
            self.answers = through(model, images)
            self.found = list(self._measured(images))

    def used(self, network: Network) -> float:
        return self.budget.use(self.budget.cost(network))[self.limit]

    def cut(self) -> Cut:
        """The network within the budget whose blocks' options move the answers least, by their sum.

        Raises `BudgetError` where the blocks spare too little together.
        """
        needed = self.needed
        for _ in range(TRIES):
            chosen = cheapest(self.found, needed)
            if chosen is None:
                break
            network = self._with(chosen)
            if self.budget.admits(self.budget.cost(network)):
                model = self._built(network, chosen)
                return Cut(model, chosen, divergence(self.answers, through(model, self.images)))
            needed *= FURTHER
        raise BudgetError(f"the blocks of {self.network.name} spare too little to bring it within the budget")

    def _with(self, options: Sequence[Option]) -> Network:
        stages = tuple(option.stage for option in options if option.stage is not None)
        return self.network.with_(stages=stages, name=f"{self.network.name} cut")

    def _built(self, network: Network, options: Sequence[Option]) -> ConvNet:
        model = build(network, seed=0)
        for name in ("stem", "features", "classifier"):
            getattr(model, name).load_state_dict(getattr(self.model, name).state_dict())
        pairs: list[NormPair] = []
        left = [option for option in options if option.stage is not None]
        for number, option in enumerate(left, 1):
            block = getattr(model, f"stage{number}").block1
            block.load_state_dict(option.module.state_dict())
            mine = dict(zip(option.module.modules(), block.modules(), strict=True))
            pairs += [NormPair(old, cast(nn.BatchNorm2d, mine[new]), channels) for old, new, channels in option.norms]
        walk = Walk(torch.Generator())
        walk.as_they_are(self.model.features, model.features)
        keep_moments(partial(self.model, self.images), partial(model.eval(), self.images), [*pairs, *walk.norms])
        return model

    def _measured(self, images: Tensor) -> Iterator[tuple[Option, ...]]:
        """The options of each block, the block as it is first."""
        x = through(self.model.stem, images)
        used = self.used(self.network)
        for number, (block, row) in enumerate(zip(self.blocks, self.network.blocks()[1:-1], strict=True)):
            stage = self.network.stages[number]
            walk = Walk(torch.Generator())
            walk.as_they_are(block, block)
            found = [Option(stage, block, walk.norms)]
            if row.input == row.output and len(self.blocks) > 1:
                found.append(Option(None, nn.Identity()))
            if self.narrow:
                found += self._all_narrowed(block, number, x)
            for place, option in enumerate(found[1:], 1):
                moved = divergence(self.answers, self._answers(through(option.module, x), number + 1))
                spared = used - self.used(self._with_one(number, option.stage))
                found[place] = replace(option, moved=moved, spared=spared)
            yield tuple(found)
            x = through(block, x)

    def _with_one(self, number: int, stage: Stage | None) -> Network:
        stages = self.network.stages
        changed = () if stage is None else (stage,)
        return self.network.with_(stages=(*stages[:number], *changed, *stages[number + 1 :]))

    def _all_narrowed(self, block: nn.Module, number: int, x: Tensor) -> list[Option]:
        """The block with fewer channels inside, none where its weights cannot pass."""
        stage, row = self.network.stages[number], self.network.blocks()[number + 1]
        found = []
        for smaller in narrower(stage, row, self.network.divisor):
            try:
                check_operators(self.network, self._with_one(number, smaller))
                found.append(self._narrowed(block, number, smaller, x))
            except InheritError:
                break
        return found

    def _narrowed(self, block: nn.Module, number: int, stage: Stage, x: Tensor) -> Option:
        """The block with the channels that matter most, each as it left its norms before."""
        row = self._with_one(number, stage).blocks()[number + 1]
        made = make(row.operator, row.input, 1 - row.survival).eval()
        walk = Walk(torch.Generator().manual_seed(0), self.scores)
        walk.through(block, made, Channels(torch.arange(x.shape[1]), x.shape[1]), f"block {number + 1}")
        keep_moments(partial(block, x), partial(made, x), walk.norms)
        return Option(stage, made, walk.norms)

    def _answers(self, x: Tensor, since: int) -> Tensor:
        """Logits (N, K) of maps that have passed the first `since` blocks."""
        rest = nn.Sequential(*self.blocks[since:], self.model.features, self.model.classifier)
        return through(rest, x)


@torch.no_grad()
def through(module: nn.Module, x: Tensor) -> Tensor:
    """What a module makes of maps, some images at a time."""
    return torch.cat([module(part) for part in x.split(PART)])


@torch.no_grad()
def divergence(wanted: Tensor, found: Tensor) -> float:
    """The mean Kullback-Leibler divergence of the answers to logits `found` from those to `wanted`, both (N, K)."""
    wanted, found = (logits.double().log_softmax(1) for logits in (wanted, found))
    return float((wanted.exp() * (wanted - found)).sum(1).mean().clamp_min(0))


def cheapest(options: Sequence[Sequence[Option]], needed: float) -> tuple[Option, ...] | None:
    """One option of each block, so that together they spare `needed` and move least; None where none does.

    Dynamic programming over what is spared (the multiple-choice knapsack), in BINS parts that are rounded down, so that
    what is found spares as much as it says.
    """
    unit = needed / BINS
    best: list[tuple[float, tuple[int, ...]] | None] = [(0.0, ()), *[None] * BINS]
    for block in options:
        after: list[tuple[float, tuple[int, ...]] | None] = [None] * (BINS + 1)
        steps = [max(math.floor(option.spared / unit), 0) for option in block]
        for spared, state in enumerate(best):
            if state is None:
                continue
            for place, (option, step) in enumerate(zip(block, steps, strict=True)):
                to, moved = min(spared + step, BINS), state[0] + option.moved
                known = after[to]
                if known is None or moved < known[0]:
                    after[to] = moved, (*state[1], place)
        best = after
    end = best[BINS]
    return None if end is None else tuple(block[place] for block, place in zip(options, end[1], strict=True))

"""Reinforcement learning: an RNN controller that writes configurations, trained by PPO.

The controller is NASNet's (Zoph et al. 2018), a one-layer LSTM that reads its last choice and makes the next; PPO
(Schulman et al. 2017) as in MnasNet. Rate and batch are for some hundred trials instead of 8,000.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from optuna.distributions import BaseDistribution
from torch import Tensor, nn

from compound.trials import HistorySampler, Parameters, Past, Screen

CLIP = 0.2
ENTROPY = 1e-3
HIDDEN = 64
BASELINE_DECAY = 0.9


class Controller(nn.Module):
    """A distribution over configurations; `sizes` are the numbers of options, in the order of the choices."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.begin = nn.Parameter(torch.zeros(1, HIDDEN))
        self.embed = nn.ModuleList(nn.Embedding(size, HIDDEN) for size in sizes[:-1])
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, size) for size in sizes)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and mean entropy of configurations (N, choices) of option numbers, each (N,)."""
        state, read = None, self.begin.expand(len(chosen), -1)
        total, entropy = torch.zeros(len(chosen)), torch.zeros(len(chosen))
        for position, head in enumerate(self.heads):
            state = self.cell(read, state)
            logs = head(state[0]).log_softmax(1)
            total = total + logs.gather(1, chosen[:, position, None])[:, 0]
            entropy = entropy - (logs.exp() * logs).sum(1) / len(self.sizes)
            if position < len(self.embed):
                read = self.embed[position](chosen[:, position])
        return total, entropy

    @torch.no_grad()
    def write(self, generator: torch.Generator) -> list[int]:
        """One configuration, drawn option by option."""
        state, read, options = None, self.begin, []
        for position, head in enumerate(self.heads):
            state = self.cell(read, state)
            options.append(int(torch.multinomial(head(state[0]).softmax(1)[0], 1, generator=generator)))
            if position < len(self.embed):
                read = self.embed[position](torch.tensor([options[-1]]))
        return options


@dataclass
class TrainedController:
    """A controller and the trials that it has learnt from; it follows from those and the seed."""

    controller: Controller
    optimizer: torch.optim.Optimizer
    learnt: list[Past] = field(default_factory=list)
    baseline: float | None = None
    spread: float = 1.0


class PPO(HistorySampler):
    """The controller learns after every `batch` finished trials, for `epochs` steps of Adam at `rate`.

    Its beginning is drawn by `controller_seed`, its choices by `seed` and the trial's place. `trained` may be handed
    from one sampler to the next, so that a controller need not learn the same history twice.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        seed: int = 0,
        batch: int = 16,
        epochs: int = 4,
        rate: float = 0.02,
        controller_seed: int = 0,
        trained: list[TrainedController] | None = None,
        screen: Screen | None = None,
        draws: int = 8,
    ) -> None:
        super().__init__(distributions, seed, screen, draws)
        self.batch, self.epochs, self.rate, self.controller_seed = batch, epochs, rate, controller_seed
        self.trained = [] if trained is None else trained

    def propose(self, history: Sequence[Past], rng: random.Random) -> Parameters:
        training = self.after(history)
        numbers = training.controller.write(torch.Generator().manual_seed(rng.getrandbits(63)))
        return {name: options[number] for (name, options), number in zip(self.options.items(), numbers, strict=True)}

    def after(self, history: Sequence[Past]) -> TrainedController:
        """The controller that has learnt from all whole batches of `history`."""
        whole = list(history[: len(history) // self.batch * self.batch])
        if not self.trained or self.trained[0].learnt != whole[: len(self.trained[0].learnt)]:
            self.trained[:] = [self._begin()]
        training = self.trained[0]
        for start in range(len(training.learnt), len(whole), self.batch):
            self._learn(training, whole[start : start + self.batch])
        return training

    def _begin(self) -> TrainedController:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.controller_seed)
            controller = Controller([len(options) for options in self.options.values()])
        return TrainedController(controller, torch.optim.Adam(controller.parameters(), self.rate))

    def _learn(self, training: TrainedController, batch: list[Past]) -> None:
        values = torch.tensor([past.value for past in batch])
        chosen = torch.tensor([[o.index(past.parameters[n]) for n, o in self.options.items()] for past in batch])
        mean, deviation = values.mean().item(), max(values.std().item(), 1e-8)
        if training.baseline is None:
            training.baseline, training.spread = mean, deviation
        advantage = (values - training.baseline) / training.spread
        training.baseline = BASELINE_DECAY * training.baseline + (1 - BASELINE_DECAY) * mean
        training.spread = BASELINE_DECAY * training.spread + (1 - BASELINE_DECAY) * deviation
        with torch.no_grad():
            before, _ = training.controller(chosen)
        for _ in range(self.epochs):
            logs, entropy = training.controller(chosen)
            ratio = (logs - before).exp()
            gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
            training.optimizer.zero_grad()
            (-(gain + ENTROPY * entropy).mean()).backward()
            training.optimizer.step()
        training.learnt.extend(batch)

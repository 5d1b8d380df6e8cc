"""A loss or gradient that is not finite, or a loss that explodes, stops the training before it reaches the weights."""

import math
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from compound.data import Batch, Source
from compound.errors import CompoundError
from compound.files import write_json
from compound.notes import note
from compound.parallel import gathered, highest, is_first
from compound.training.sharding import share

EXPLODED = 1000  # times the loss of guessing; the worst of a training that recovers is some ten times
NAMED = 5  # images the message names; diverged.json has all


class Diverged(CompoundError):
    """The loss, a gradient or a weight is no longer a number, or the loss has exploded."""


def loss_of_guessing(classes: int, loss: str) -> float:
    """ln K for K classes, and ln 2 where each is asked for by itself."""
    return math.log(2 if loss == "bce" else max(classes, 2))


def highest_loss(classes: int, loss: str) -> float:
    """Beyond it a loss has exploded."""
    return EXPLODED * loss_of_guessing(classes, loss)


class Watch(Callback):
    """Raises `Diverged` before the update; `record` gets step, rate and the images of the batch.

    A loss beyond `most` is said once and nothing more where the training shall `go_on`.
    """

    def __init__(self, source: Source, record: Path, most: float = math.inf, go_on: bool = False) -> None:
        self.source = source
        self.record = record
        self.most = most
        self.go_on = go_on
        self.loss = torch.tensor(0.0)
        self.indices: list[Tensor] = []  # of the batches since the last update

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self.indices.append(batch.indices)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self.loss = loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        gradients = [share(p.grad) for p in pl_module.parameters() if p.grad is not None]
        gradients = [gradient for gradient in gradients if gradient.numel()]
        # The largest of each: unlike a sum of squares it cannot overflow by itself.
        largest = torch._foreach_norm(gradients, float("inf")) if gradients else []
        values = torch.stack([self.loss.float(), *(value.float() for value in largest)])
        wrong = torch.stack([~torch.isfinite(values).all(), values[0] > self.most])
        lost, exploded = wrong.tolist()  # the one wait for the device
        kind = highest(2 * lost or int(exploded))
        if kind == 1 and self.go_on:
            if is_first():
                note(f"warning: {self._exploded()} at step {trainer.global_step}")
            self.most, kind = math.inf, 0
        if not kind:
            self.indices = []
            return
        loss, step, rate = self.loss.item(), trainer.global_step, optimizer.param_groups[0]["lr"]
        indices = [i for process in gathered(torch.cat(self.indices).tolist()) for i in process]
        images = [self.source.path(i) for i in indices]
        finite = "the gradients are no longer numbers" if kind == 2 else self._exploded()
        said = finite if torch.isfinite(self.loss) else f"the loss became {loss}"
        value: dict[str, Any] = {"reason": said, "step": step, "rate": rate, "images": images}
        if is_first():
            write_json(self.record, value)
        more = f" and {len(images) - NAMED} more in {self.record}" if len(images) > NAMED else ""
        raise Diverged(
            f"{said} at step {step} with rate {rate:.4g} on {', '.join(images[:NAMED])}{more}; nothing of this step "
            "was kept; lower --rate, look at the images, or let --on-nan retry halve the rate"
        )

    def _exploded(self) -> str:
        return f"the loss became {self.loss.item():.3g}, more than {EXPLODED:,} times that of guessing"

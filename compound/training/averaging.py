"""Exponential moving average of weights and batch-norm statistics, with the official warm-up."""

from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, nn

from compound.nn import ConvNet
from compound.training.elsewhere import is_elsewhere, move
from compound.training.pipeline import Pipeline
from compound.training.sharding import divided, is_sharded, shard, share, whole


class Averaging(WeightAveraging):
    """average ← d · average + (1 − d) · weights after every step, with d = min(decay, (1 + t) / (10 + t)).

    Validation and the final weights use the average (TensorFlow's ExponentialMovingAverage with `num_updates`).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        super().__init__(use_buffers=True, multi_avg_fn=self._average)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._average_model is None:
            return
        average = cast(ConvNet, self._average_model.module.model)
        pipeline = cast(Pipeline | None, getattr(pl_module, "pipeline", None))
        if pipeline:
            pipeline.leave_others(average)
        move(self._average_model, pl_module.device)  # Lightning made it where the network was before
        if is_sharded(cast(nn.Module, pl_module.model)):
            shard(average)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        checkpoint["state_dict"] = whole(checkpoint["state_dict"])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        own = pl_module.state_dict()
        for name in ("state_dict", "current_model_state"):
            checkpoint[name] = divided(checkpoint[name], own)
        super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def apply(self, module: LightningModule) -> None:
        """Put the average into `module`; also where a resumed run had no step left and Lightning ends no training."""
        self._copy_average_to_current(module)

    def _average(self, averages: Any, current: Any, updates: Tensor | int) -> None:
        if is_elsewhere(averages[0]):
            return
        if not averages[0].is_floating_point():  # the count of batches a norm has seen
            torch._foreach_copy_(averages, current)
            return
        t = int(updates)
        averages, current = ([share(tensor) for tensor in each] for each in (averages, current))
        torch._foreach_lerp_(averages, current, 1 - min(self.decay, (1 + t) / (10 + t)))

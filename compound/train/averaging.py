"""Exponential moving average of weights and batch-norm statistics, with the official warm-up."""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class Averaging(WeightAveraging):
    """average ← d · average + (1 − d) · weights after every step, with d = min(decay, (1 + t) / (10 + t)).

    Validation and the final weights use the average (TensorFlow's ExponentialMovingAverage with `num_updates`).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        super().__init__(use_buffers=True, multi_avg_fn=self._average)

    def apply(self, module: LightningModule) -> None:
        """Put the average into `module`; also where a resumed run had no step left and Lightning ends no training."""
        self._copy_average_to_current(module)

    def _average(self, averages: Any, current: Any, updates: Tensor | int) -> None:
        if not averages[0].is_floating_point():  # the count of batches a norm has seen
            torch._foreach_copy_(averages, current)
            return
        t = int(updates)
        torch._foreach_lerp_(averages, current, 1 - min(self.decay, (1 + t) / (10 + t)))

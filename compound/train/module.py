"""The training step as a Lightning module."""

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.classification import MulticlassAccuracy

from compound.data import Batch, Preprocessing
from compound.nn import ConvNet
from compound.train.optim import make_optimizer
from compound.train.parallel import rank
from compound.train.recipe import Recipe, rate_at


class Training(LightningModule):
    """Classification with label smoothing; images arrive as uint8 and are normalised on the device."""

    def __init__(self, model: ConvNet, recipe: Recipe, steps_per_epoch: int, seed: int) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        self.timeline = recipe.timeline
        self.seed = seed
        self.preprocessing = Preprocessing.of(model.network, model.channels)
        if recipe.adapt_norm:
            for norm in model.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.momentum = 1 - max(1 - 10 / steps_per_epoch, 0.9)
        self.accuracy = MulticlassAccuracy(model.classes, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(self.preprocessing.normalise(images).contiguous(memory_format=torch.channels_last))
        return logits

    def configure_optimizers(self) -> Optimizer:
        return make_optimizer(self.model, self.recipe)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Rate and randomness of a step follow from its number alone, so that a resumed run repeats them."""
        step = self.trainer.global_step
        torch.manual_seed(self.seed * 1_000_003 + step + (rank() << 40))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate_at(self.recipe, step, self.steps_per_epoch, self.timeline)
        return None

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor] | None:
        images, labels = batch.images, batch.labels
        if len(labels) < 2:  # the rest of the batch was damaged; batch norm needs two
            return None
        if self.recipe.mixup:
            loss, logits = self._mixed(images, labels)
        else:
            logits = self(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        return {"loss": loss, "right": (logits.detach().argmax(1) == labels).sum()}

    def _mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mixup (Zhang et al. 2018): pairs of images blended, the loss blended alike."""
        share = torch.distributions.Beta(self.recipe.mixup, self.recipe.mixup).sample().item()
        order = torch.randperm(len(labels), device=labels.device)
        pixels = self.preprocessing.normalise(images)
        logits = self.model(pixels.lerp(pixels[order], 1 - share).contiguous(memory_format=torch.channels_last))
        smoothing = self.recipe.label_smoothing
        first = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        second = F.cross_entropy(logits, labels[order], label_smoothing=smoothing)
        return share * first + (1 - share) * second, logits

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if not len(batch.labels):
            return
        logits = self(batch.images)
        loss = F.cross_entropy(logits, batch.labels)
        self.accuracy(logits, batch.labels)
        size = len(batch.labels)
        self.log("val_loss", loss, on_epoch=True, batch_size=size, sync_dist=True)
        self.log("val_top1", self.accuracy, on_epoch=True, batch_size=size, sync_dist=True)

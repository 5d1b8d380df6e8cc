"""The training step as a Lightning module."""

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric
from torchvision.transforms.v2 import functional as V

from compound.data import Batch, Preprocessing
from compound.nn import ConvNet, lean
from compound.parallel import joined, rank, share_statistics
from compound.training.compiled import Compiled
from compound.training.elastic import find_elastic
from compound.training.growing import between, grown_at
from compound.training.integers import Rounded
from compound.training.losses import classification_loss, distillation_loss, hits, mixed
from compound.training.optim import make_optimizer, set_rate
from compound.training.pipeline import Pipeline
from compound.training.recipe import Compile, Recipe, rate_at
from compound.training.sharding import is_sharded
from compound.training.teacher import Teacher


class Training(LightningModule):
    """Classification by a recipe; images arrive as uint8 and are mixed, resized and normalised on the device."""

    def __init__(
        self, model: ConvNet, recipe: Recipe, steps_per_epoch: int, seed: int, teacher: Teacher | None = None
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.model.recompute(recipe.recompute)
        self.rounded = Rounded(self.model) if recipe.integers else None
        if self.rounded is None:  # lean chains do not let the maps that a layer reads be seen
            lean(self.model)
        recipe.transfer.apply(self.model)
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        self.timeline = recipe.timeline
        self.grown = 1.0  # how far progressive training has come, 0 to 1
        grows = recipe.grow_dropout < 1
        self.dropouts = [(each, each.p) for each in model.modules() if grows and isinstance(each, nn.Dropout)]
        self.seed = seed
        self.teacher = teacher
        self.elastic = find_elastic(self.model, recipe)
        self.compiled: Compiled | None = None
        self.pipeline: Pipeline | None = None  # where other processes have parts of the model
        self.preprocessing = Preprocessing.of(model.network)
        self.fresh_norms = False  # whether norms begin with the statistics of no image
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            if recipe.adapt_norm:
                norm.momentum = 1 - max(1 - 10 / steps_per_epoch, 0.9)
            if recipe.accumulate > 1 and norm.momentum is not None:
                # A norm sees the parts of a step one after the other; together they shall weigh what the batch would.
                norm.momentum = 1 - (1 - norm.momentum) ** (1 / recipe.accumulate)
        self.momenta = [(norm, norm.momentum) for norm in norms if norm.momentum is not None]
        if recipe.grow_from < 1:
            model.network.with_(resolution=self._side(0)).blocks()  # an error names the stage that is too small
        # Sums over images, of all processes: a mean of their means would weigh images by the process that had them.
        # What is no number ends the training elsewhere, with a sentence.
        self.accuracy, self.held_loss = MeanMetric(nan_strategy="ignore"), MeanMetric(nan_strategy="ignore")

    def take_steps(self, how: Compile, batch: int) -> None:
        """From now on, take steps of `batch` images by compiled code or not; validation is never compiled."""
        if how in ("always", "graphs"):
            parts = self.recipe.accumulate
            self.compiled = Compiled(self.model, {batch // parts, -(-batch // parts)}, graphs=how == "graphs")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of uint8 or float 0–1 images (N, C, R, R); of a pipeline's, every process has its own."""
        if self.pipeline:
            every, own = joined(images)
            return self.pipeline.logits(every.tensor_split(min(self.recipe.accumulate, len(every))))[own]
        x = self.maps(images)
        if self.compiled and self.training:
            return self.compiled(self.model, x)
        logits: Tensor = self.rounded(x) if self.rounded and self.training else self.model(x)
        return logits

    def maps(self, images: Tensor) -> Tensor:
        """What the network reads of images."""
        return self.preprocessing.normalise(images).contiguous(memory_format=torch.channels_last)

    def configure_optimizers(self) -> Optimizer:
        return make_optimizer(self.model, self.recipe)

    def on_train_epoch_start(self) -> None:
        self.recipe.transfer.apply(self.model, self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Rate, size and randomness of a step follow from its number alone, so that a resumed run repeats them."""
        step = self.trainer.global_step
        self.draw_anew(step, rank())
        set_rate(self.trainer.optimizers[0], rate_at(self.recipe, step, self.steps_per_epoch, self.timeline))
        if self.recipe.settle and self.fresh_norms and not self.compiled:  # whose code would be made anew each time
            # The first steps count alike, so that nothing is left of what the norm began with.
            for norm, momentum in self.momenta:
                norm.momentum = max(momentum, 1 / (step + 1))
        self.grown = grown_at(self.recipe, step, self.steps_per_epoch, self.timeline, self.seed)
        for dropout, rate in self.dropouts:
            dropout.p = rate * between(self.recipe.grow_dropout, self.grown)
        return None

    def draw_anew(self, step: int, process: int) -> None:
        """Random numbers that follow from the run's seed, the step and the process alone."""
        torch.manual_seed(self.seed * 1_000_003 + step + (process << 40))

    def magnitude_at(self, epoch: int, batch: int) -> int:
        """RandAugment's magnitude in a step of an epoch, as the images of that step are large."""
        step = epoch * self.steps_per_epoch + batch
        grown = grown_at(self.recipe, step, self.steps_per_epoch, self.timeline, self.seed)
        return round(self.recipe.augment.magnitude * between(self.recipe.grow_magnitude, grown))

    def _side(self, grown: float) -> int:
        """Pixels of the images when progressive training has come to `grown`, 0 to 1."""
        return max(round(self.preprocessing.resolution * between(self.recipe.grow_from, grown)), 1)

    def on_train_end(self) -> None:
        for norm, momentum in self.momenta:
            norm.momentum = momentum

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Lightning asks between a step and its backward pass; `training_step` has done it, and has gradients since."""

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor] | None:
        self.zero_grad()
        if self.pipeline:
            return self._pipelined_step(self.pipeline, joined(batch.images)[0], joined(batch.labels)[0])
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()  # the gradients of the step before may be written over
        if len(batch.labels) < 2:  # the rest of the batch was damaged; batch norm needs two
            return None
        images, targets = self.prepared(batch.images, batch.labels)
        count = len(images)
        parts = min(self.recipe.accumulate, count // 2)
        total, right = torch.zeros((), device=images.device), torch.zeros((), device=images.device, dtype=torch.long)
        for number, (x, y, labels) in enumerate(
            zip(*(each.tensor_split(parts) for each in (images, targets, batch.labels)), strict=True), 1
        ):
            logits = self(x)
            loss = self.loss(logits, y, x) * (len(x) / count)
            right += hits(logits.detach(), labels).sum()
            if number < parts:
                with torch.autocast(loss.device.type, enabled=False):
                    loss.backward()
            total += loss.detach()
        # Lightning takes the gradient of the last part; the value is that of all.
        return {"loss": loss + (total - loss.detach()), "right": right}

    def _pipelined_step(self, pipeline: Pipeline, images: Tensor, labels: Tensor) -> dict[str, Tensor] | None:
        """The step of all processes together, on the images of all, forward and backward."""
        count = len(labels)
        if count < 2:
            return None
        self.draw_anew(self.trainer.global_step, 0)  # all mix the same images
        mixed_images, targets = self.prepared(images, labels)
        if not pipeline.is_first:
            self.draw_anew(self.trainer.global_step, rank())
        parts = min(self.recipe.accumulate, count // 2)
        given, wanted, known = (each.tensor_split(parts) for each in (mixed_images, targets, labels))
        right = torch.zeros((), device=images.device, dtype=torch.long)

        def loss(number: int, logits: Tensor) -> Tensor:
            nonlocal right
            right += hits(logits.detach(), known[number]).sum()
            return self.loss(logits, wanted[number], given[number]) * (len(logits) / count)

        total = pipeline.step(given, loss)
        # The gradients are there; what Lightning takes the gradient of is a number by itself.
        return {"loss": total.float().requires_grad_(), "right": right}

    def prepared(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch at the step's resolution, and mixed: images uint8 or float 0–1, class numbers or probabilities."""
        side, strength = self._side(self.grown), self.grown
        if side != images.shape[-1]:
            images = V.resize(images, [side, side], antialias=True)
        mixup, cutmix = strength * self.recipe.mixup, strength * self.recipe.cutmix
        if not (mixup or cutmix):
            return images, labels
        return mixed(images.float() / 255, labels, self.model.classes, mixup, cutmix)

    def loss(self, logits: Tensor, targets: Tensor, images: Tensor) -> Tensor:
        """The recipe's mean loss over a part of the batch, the teacher's share and smaller sizes included."""
        loss = classification_loss(logits, targets, self.recipe)
        if self.teacher is not None:
            taught = distillation_loss(logits, self.teacher(images), self.recipe.teacher_temperature)
            loss = loss.lerp(taught, self.recipe.teacher_weight)
        return loss if self.elastic is None else loss + self.elastic.loss(logits, images)

    def on_validation_epoch_start(self) -> None:
        if not self.pipeline:
            share_statistics(self.model)  # the average's, where there is one

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if not len(batch.labels):
            if self.pipeline or is_sharded(self.model):  # the other processes need what this one has of the weights
                self(batch.images if self.pipeline else batch.images.new_zeros(1, *batch.images.shape[1:]))
            return
        logits = self(batch.images)
        if self.model.several:
            loss = F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype))
        else:
            loss = F.cross_entropy(logits, batch.labels)
        self.accuracy(hits(logits, batch.labels).float())
        self.held_loss(loss, weight=len(batch.labels))
        for name, metric in (("val_loss", self.held_loss), ("val_top1", self.accuracy)):
            self.log(name, metric, on_epoch=True, logger=False)  # `Metrics` tells the logger, once an epoch

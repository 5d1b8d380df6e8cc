"""A recipe is data: how a network is trained, with its source. The presets are in `RECIPES`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from compound.data.augment import Augment
from compound.errors import UsageError
from compound.mapping import from_mapping, refuse_absurd
from compound.training.transfer import Transfer

Compile = Literal["auto", "never", "always", "graphs"]
Precision = Literal["auto", "fp32", "bf16"]

# A rate may be absurd, and then the loss says so; decay that turns all weights around at every step says nothing.
SMALLEST = -10.0  # φ of an elastic network, a thousandth of its cost
MOST = {"rate": 1e12, "weight_decay": 1e4, "training_memory": math.inf}


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the network, the data and the seed.

    `rate` is the peak learning rate for `rate_batch` images a step and scales with the batch. The schedule is a pure
    function of the step (see `rate_at`). What is left to the machine (`settled`) is measured before the first step and
    written over the fields.
    """

    name: str
    source: str
    epochs: int
    minutes: float | None = None  # of training; then as many epochs are trained as they hold
    batch: int = 128
    # Times that an image stands in a step, each time augmented anew; an epoch has as many steps as ever.
    repeats: int = 1
    # Parts in which a step's images go through; the rate is still that of the whole batch, but norms see a part only.
    accumulate: int = 1
    # Children of the built network (stem, stage1, …) whose activations are computed again in the backward pass.
    recompute: tuple[str, ...] = ()
    training_memory: float | None = None  # bytes a training may take; then `recompute` and `accumulate` follow
    find: tuple[Literal["rate", "batch"], ...] = ()  # fields that a short sweep decides
    optimizer: Literal["rmsprop", "sgd", "adamw", "lamb"] = "sgd"
    rate: float = 0.1
    rate_batch: int = 256
    # Inputs up to which a linear layer learns at the whole rate. That of a wider one falls as 1 / inputs: so a step of
    # Adam moves all outputs alike (Yang et al. 2022, Tensor Programs V, Table 3). None: all at the same.
    rate_inputs: int | None = None
    momentum: float = 0.9
    weight_decay: float = 1e-5
    decay_biases: bool = False
    schedule: Literal["staircase", "cosine", "linear"] = "cosine"
    warmup_epochs: float = 0.0
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    label_smoothing: float = 0.0
    mixup: float = 0.0  # the Beta distribution's parameter; 0 for none
    cutmix: float = 0.0  # alike; with both, each batch gets one of the two
    teacher: str | None = None  # a run or weights file to distil (Hinton et al. 2015)
    teacher_weight: float = 0.5  # of the teacher's loss; the labels' has the rest
    teacher_temperature: float = 4.0
    # Progressive training (EfficientNetV2, Section 4.2): from this share of the resolution to all of it in equal stages
    # of the training; mixup and cutmix grow from nothing alike. RandAugment's magnitude and the network's dropout grow
    # from these shares of theirs. `random` draws the stage of every step, instead of one after the other.
    grow_from: float = 1.0
    grow_stages: int = 4
    grow_magnitude: float = 1.0
    grow_dropout: float = 1.0
    grow_order: Literal["rising", "random"] = "rising"
    # φ of the smallest of the networks that the compound rule makes of this one and that share its weights, each step
    # training some of them (see `elastic`); 0 trains this one alone.
    elastic: float = 0.0
    integers: bool = False  # steps compute as a file of 8-bit integers will (quantisation-aware training)
    ema: float = 0.0  # decay of the weights' moving average; 0 for none
    select: Literal["last", "best"] = "last"  # best: the epoch with the highest accuracy on the holdout
    patience: int | None = None  # epochs without a better one after which training stops, and the best is kept
    # Batch norm's decay by the length of an epoch, max(1 − 10 / steps, 0.9) (Kornblith et al. 2019): the paper's 0.99
    # would not have forgotten its start after a few hundred steps.
    adapt_norm: bool = False
    # For few steps from nothing: logits begin small (see `calm`), batch norms begin with the first batch and not with 0
    # and 1, and at the end their statistics are taken anew where the moving ones lag behind (see `saw_little`).
    settle: bool = False
    augment: Augment = field(default_factory=Augment)
    transfer: Transfer = field(default_factory=Transfer)
    # A weight a class in the loss, mean 1 over the training images: balanced classes, or a target's (see `weighting`).
    class_weights: tuple[float, ...] = ()
    precision: Precision = "auto"  # auto: bf16 where it is clearly faster, see `find_precision`
    # A run's steps, by torch.compile; `graphs` as CUDA graphs. auto: tried and measured where a training is so long
    # that this costs it next to nothing (see `find_compile`).
    compile: Compile = "never"

    def __post_init__(self) -> None:
        refuse_absurd(self, most=MOST)
        if self.epochs < 1:
            raise UsageError(f"epochs {self.epochs} trains nothing; use 1 or more")
        if self.batch < 2:
            raise UsageError(f"batch {self.batch} is too small for batch norm; use 2 or more, usually 64 or 128")
        if not 1 <= self.repeats < self.batch:
            raise UsageError(f"repeats {self.repeats} is not below the batch of {self.batch}; use 1, or e.g. 3")
        if not 1 <= self.accumulate <= self.batch // 2:
            raise UsageError(
                f"accumulate {self.accumulate} does not leave two images a part of a batch of {self.batch}; "
                f"use 1 to {self.batch // 2}"
            )
        for name, example in (
            ("minutes", "3"),
            ("rate", "0.1"),
            ("training_memory", "8e9"),
            ("teacher_temperature", "4"),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} {value} is not a positive number; use e.g. {example}")
        if not 0 <= self.teacher_weight <= 1:
            raise UsageError(f"teacher_weight {self.teacher_weight} is not between 0 and 1; use 0 for none")
        for name, usual in (("momentum", 0.9), ("label_smoothing", 0.1), ("ema", 0.9999)):  # with 1 nothing is learned
            if not 0 <= (value := getattr(self, name)) < 1:
                raise UsageError(f"{name} {value} is not from 0 to below 1; use e.g. {usual}, or 0 for none")
        if self.rate_batch < 1:
            raise UsageError(f"rate_batch {self.rate_batch} is not a number of images; use 1 or more, usually 256")
        if self.rate_inputs is not None and self.rate_inputs < 1:
            raise UsageError(f"rate_inputs {self.rate_inputs} is no number of inputs; use e.g. 1280, or leave it out")
        if min(self.class_weights, default=0) < 0:
            raise UsageError(f"class_weights has {min(self.class_weights)}; use numbers from 0, or leave it out")
        for name in ("mixup", "cutmix", "weight_decay", "warmup_epochs"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"{name} {getattr(self, name)} is not a number from 0; use 0 for none")
        if not 0 < self.grow_from <= 1:
            raise UsageError(f"grow_from {self.grow_from} is no share of the resolution; use e.g. 0.5, or 1 for all")
        if self.grow_stages < 2:
            raise UsageError(f"grow_stages {self.grow_stages} leaves nothing to grow; use 2 or more")
        for name in ("grow_magnitude", "grow_dropout"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"{name} {value} is no share; use 0 to below 1, or 1 to keep it as it is")
            if value < 1 and self.grow_from == 1:
                raise UsageError(f"{name} {value} grows with the images, and these do not; set grow_from, e.g. 0.5")
        if self.grow_magnitude < 1 and self.augment.policy != "randaugment":
            raise UsageError(
                f"grow_magnitude {self.grow_magnitude} is of RandAugment, and the policy is {self.augment.policy}; "
                "use policy: randaugment"
            )
        if not SMALLEST <= self.elastic <= 0:
            raise UsageError(f"elastic {self.elastic:g} is no φ below 0; use e.g. -2, or 0 for one size")
        if self.integers and self.compile in ("always", "graphs"):
            raise UsageError("integers train by steps that are not compiled; leave compile out")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"patience {self.patience} stops before the first epoch; use 1 or more, or leave it out")

    def comparable(self) -> "Recipe":
        """The recipe without a precision that is measured: it must not decide between candidates of a search."""
        return replace(self, precision="fp32") if self.precision == "auto" else self

    @property
    def keeps_best(self) -> bool:
        """Whether the weights kept are the best epoch's by the holdout: asked for, or training stops early by it."""
        return self.select == "best" or self.patience is not None

    @property
    def settled(self) -> tuple[str, ...]:
        """The fields that are measured or follow from the memory given, instead of being taken as they stand."""
        return (
            *self.find,
            *(("epochs",) if self.minutes is not None else ()),
            *(("precision",) if self.precision == "auto" else ()),
            *(("compile",) if self.compile == "auto" else ()),
            *(("accumulate", "recompute") if self.training_memory is not None else ()),
        )

    @property
    def warmup(self) -> float:
        """Epochs of warm-up; never more than a fifth of a shortened training."""
        return min(self.warmup_epochs, self.epochs / 5)

    @property
    def timeline(self) -> "Timeline":
        return Timeline(self.epochs, self.warmup)

    @property
    def peak_rate(self) -> float:
        """The learning rate at this batch size (linear scaling)."""
        return self.rate * self.batch / self.rate_batch


@dataclass(frozen=True)
class Timeline:
    """How much of a training is left, falling from 1 after the warm-up to 0 at the end, in epochs.

    A training whose end is moved on its way, because the machine is not as fast as it was, spreads what is left over
    the epochs that remain, so that its schedule still ends where it should.
    """

    epochs: float
    since: float = 0.0
    left_then: float = 1.0

    def left(self, epoch: float) -> float:
        """How much is left at `epoch`, 1 to 0."""
        return min(1.0, self.left_then * (self.epochs - epoch) / (self.epochs - self.since))

    def ending(self, epoch: float, epochs: float) -> "Timeline":
        return Timeline(epochs, max(epoch, self.since), self.left(epoch))


def rate_at(recipe: Recipe, step: int, steps_per_epoch: int, timeline: Timeline | None = None) -> float:
    """The learning rate of step `step`, counted from 0.

    All schedules rise linearly over the warm-up. `staircase` is the paper's: × 0.97 every 2.4 epochs, counted from the
    start of training (Section 5.2; the official code keeps decaying through the warm-up). `cosine` and `linear` fall
    to zero at the end.
    """
    epoch = step / steps_per_epoch
    if epoch < recipe.warmup:
        return recipe.peak_rate * (step + (recipe.schedule != "staircase")) / (recipe.warmup * steps_per_epoch)
    if recipe.schedule == "staircase":
        return recipe.peak_rate * 0.97 ** math.floor(epoch / 2.4)
    left = (timeline or recipe.timeline).left(epoch)
    return recipe.peak_rate * (left if recipe.schedule == "linear" else (1 - math.cos(math.pi * left)) / 2)


RENAMED = {"memory": "training_memory"}  # fields by the names that older recipes and runs have for them


def read_recipe(given: Any, where: str) -> Recipe:
    """A recipe from its fields as a file has them; `where` begins every message."""
    if isinstance(given, Mapping):
        given = {RENAMED.get(name, name): value for name, value in given.items()}
    return from_mapping(Recipe, given, where)

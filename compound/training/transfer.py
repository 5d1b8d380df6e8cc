"""Which part of a pretrained network is trained, how batch norm behaves meanwhile, and how fast each depth learns.

The parts of a network, from the head down: `classifier`, `features`, the last stage, …, the first, `stem`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from compound.errors import UsageError
from compound.mapping import refuse_absurd
from compound.nn import ConvNet

Norm = Literal["frozen", "eval", "train"]


@dataclass(frozen=True)
class Transfer:
    """`train`: `all`, `head` (the classifier), or `last:K` (the classifier, the maps' last layers and K stages).

    `norm` is batch norm in what is trained: `train` uses and keeps the statistics of the batches, `eval` those of the
    weights it started from, `frozen` leaves scale and shift as they were too. By default `train` for `all`, `frozen`
    for `head`, and `eval` for `last:K`, whose few images say less than the source's many. What is not trained never
    changes.

    `depth_decay`: the rate of each part is this factor of the part's above it (Howard & Ruder 2018 use 1 / 2.6).
    `unfreeze`: epochs after which each next part joins in, from the head down (gradual unfreezing, there too); 0 trains
    all parts from the start. `probe_first` starts from the best linear classifier on the frozen features (Kumar et al.
    2022), so that the first steps do not spoil them, and a run keeps the better of it and of what training made of it
    (see `compound.training.better`); a network that classifies maps has no such classifier and starts as it is.
    """

    train: str = "all"
    norm: Norm | None = None
    depth_decay: float = 1.0
    unfreeze: float = 0.0
    probe_first: bool = False

    def __post_init__(self) -> None:
        refuse_absurd(self)
        kind, _, count = self.train.partition(":")
        if not (self.train in ("all", "head") or (kind == "last" and count.isdecimal() and int(count) > 0)):
            raise UsageError(f"train {self.train!r} is unknown; use head, all, or last:K such as last:2")
        if not 0 < self.depth_decay <= 1:
            raise UsageError(f"depth_decay {self.depth_decay} is not in (0, 1]; use 1 for none, or e.g. 0.8")
        if self.unfreeze < 0:
            raise UsageError(f"unfreeze {self.unfreeze} is negative; use 0, or epochs between parts such as 1")

    @property
    def norm_mode(self) -> Norm:
        usual: dict[str, Norm] = {"all": "train", "head": "frozen"}
        return self.norm or usual.get(self.train, "eval")

    def parts(self, model: ConvNet) -> list[str]:
        """The names of the children that are trained, from the head down."""
        names = [name for name, _ in reversed(list(model.named_children()))]
        if self.train == "all":
            return names
        if self.train == "head":
            return names[:1]
        stages = int(self.train.partition(":")[2])
        if stages > len(names) - 3:
            raise UsageError(
                f"train {self.train!r}: {model.network.name} has {len(names) - 3} stages; use all, or fewer stages"
            )
        return names[: 2 + stages]

    def apply(self, model: ConvNet, epoch: int | None = None) -> None:
        """Set what learns in `epoch` (None: at any time) and how norms and dropout behave, before its first step."""
        trained = self.parts(model)
        joined = trained if epoch is None or not self.unfreeze else trained[: 1 + int(epoch / self.unfreeze)]
        for name, part in model.named_children():
            part.train(name in joined)
            for parameter in part.parameters():
                parameter.requires_grad = name in joined
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d) and self.norm_mode != "train":
                    module.eval()
                    for parameter in module.parameters():
                        parameter.requires_grad = name in joined and self.norm_mode == "eval"

    def by_depth(self, model: ConvNet, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The optimiser's groups, divided by part; `factor` multiplies the schedule's rate."""
        if self.depth_decay == 1 and not self.unfreeze:  # what joins in later needs a group of its own in fused SGD
            return groups
        depths = {
            id(parameter): depth
            for depth, name in enumerate(self.parts(model))
            for parameter in model.get_submodule(name).parameters()
        }
        divided = []
        for group in groups:
            for depth in sorted({depths[id(parameter)] for parameter in group["params"]}):
                params = [p for p in group["params"] if depths[id(p)] == depth]
                factor = group.get("factor", 1.0) * self.depth_decay**depth
                divided.append(group | {"params": params, "factor": factor})
        return divided

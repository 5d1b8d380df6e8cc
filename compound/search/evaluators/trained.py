"""Candidates trained: in full, for few epochs, or shrunken; every epoch is reported, so that a pruner can end it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from compound.data import Preprocessing, make_loader
from compound.inference import pick_device
from compound.network import Network
from compound.nn import build
from compound.scaling import CompoundRule, Rule, scale
from compound.search.evaluators.images import SearchData
from compound.search.problem import Evaluator, Report
from compound.train import Recipe
from compound.train.fit import default_workers, quieten
from compound.train.module import Training


class Reporting(Callback):
    """Hands the held-out accuracy of each epoch on."""

    def __init__(self, report: Report) -> None:
        self.report, self.accuracy = report, 0.0

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.accuracy = float(trainer.callback_metrics["val_top1"])
        self.report(trainer.current_epoch + 1, self.accuracy)


@dataclass(frozen=True)
class Trained:
    """Top-1 on the held-out images after the epochs of `recipe`, from fresh weights of the search's seed."""

    data: SearchData
    recipe: Recipe
    device: str = "auto"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"evaluation": "trained", "recipe": asdict(self.recipe), **self.data.settings}

    def __call__(self, network: Network, seed: int, report: Report) -> float:
        data, recipe, where = self.data.open(), self.recipe, pick_device(self.device)
        batch = min(recipe.batch, len(data.train))
        preprocessing, workers = Preprocessing.of(network, data.channels), default_workers(data)
        loader = make_loader(
            data.train, preprocessing, batch, augment=recipe.augment, shuffle=True, drop_last=True,
            seed=seed, workers=workers,
        )  # fmt: skip
        model = build(network, len(data.classes), data.channels, seed=seed)
        reporting = Reporting(report)
        quieten()
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(where.type, where.type),
            devices=1,
            precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
            max_epochs=recipe.epochs,
            callbacks=[reporting],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        torch.manual_seed(seed)
        module = Training(model, recipe, max(len(data.train) // batch, 1), seed)
        trainer.fit(module, loader, make_loader(data.holdout, preprocessing, batch, workers=workers))
        return reporting.accuracy


@dataclass(frozen=True)
class Shrunken:
    """`evaluator` on the network scaled by `rule` to a negative φ: the ranking of small relatives."""

    evaluator: Evaluator
    phi: float = -1.0
    rule: Rule = CompoundRule()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"shrunken": self.phi, "rule": repr(self.rule), **self.evaluator.settings}

    def __call__(self, network: Network, seed: int, report: Report) -> float:
        return self.evaluator(scale(network, self.rule(self.phi)), seed, report)

"""The presets, each with its lab note: source, what to expect, what it costs."""

from pathlib import Path

import yaml

from compound.data.augment import Augment
from compound.errors import UsageError
from compound.mapping import from_mapping, to_mapping
from compound.train.recipe import Recipe

PAPER = Recipe(
    name="paper",
    source="Tan & Le 2019, Section 5.2, and the official code; ImageNet, hundreds of accelerator hours",
    epochs=350,
    batch=4096,
    optimizer="rmsprop",
    rate=0.016,
    rate_batch=256,
    momentum=0.9,
    weight_decay=1e-5,
    decay_biases=True,
    schedule="staircase",
    warmup_epochs=5,
    label_smoothing=0.1,
    ema=0.9999,
    # Differs from the paper: torchvision's AutoAugment is the published ImageNet policy, the official code has "v0".
    augment=Augment(crop="inception", policy="autoaugment"),
)

TRANSFER = Recipe(
    name="transfer",
    source="fine-tuning as Kornblith et al. 2019 (Section 5.3): SGD with Nesterov momentum, cosine to zero",
    epochs=20,
    batch=64,
    optimizer="sgd",
    rate=0.01,
    rate_batch=256,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_epochs=1,
    adapt_norm=True,
    augment=Augment(crop="inception", scale=(0.2, 1.0)),
)

SMALL = Recipe(
    name="small",
    source="own measurements on Fashion-MNIST, chosen by accuracy at equal minutes on two CPU cores",
    epochs=25,
    batch=64,
    optimizer="sgd",
    rate=0.8,  # 0.2 at this batch
    rate_batch=256,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="cosine",
    warmup_epochs=5,
    label_smoothing=0.1,
    adapt_norm=True,
    augment=Augment(crop="shift", shift=2, pad="zero"),
)

RECIPES = {recipe.name: recipe for recipe in (PAPER, TRANSFER, SMALL)}


def load_recipe(path: str | Path) -> Recipe:
    """A recipe file: the fields of `Recipe` as YAML; `base` names the preset whose fields it changes."""
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read recipe {path}: {error}") from None
    if not isinstance(given, dict):
        raise UsageError(f"{path}: not a recipe; write fields such as base, epochs, rate")
    base = given.pop("base", None)
    if base is not None and base not in RECIPES:
        raise UsageError(f"{path}: there is no preset {base!r}; use {', '.join(RECIPES)}")
    start = to_mapping(RECIPES[base]) if base else {}
    return from_mapping(Recipe, start | {"name": Path(path).stem} | given, str(path))

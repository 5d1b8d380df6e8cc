"""Floor 6: recipe, optimiser, engine, run directory."""

from compound.train.fit import Interrupted, default_workers, start_run, train
from compound.train.recipe import Recipe, rate_at
from compound.train.recipes import RECIPES, find_recipe, load_recipe
from compound.train.run import Run, open_run
from compound.train.start import adopted
from compound.train.transfer import Transfer

__all__ = [
    "RECIPES",
    "Interrupted",
    "Recipe",
    "Run",
    "Transfer",
    "adopted",
    "default_workers",
    "find_recipe",
    "load_recipe",
    "open_run",
    "rate_at",
    "start_run",
    "train",
]

"""Recipe, optimiser, engine, run directory."""

from compound.training.fit import train
from compound.training.open import start_run
from compound.training.recipe import Recipe, rate_at
from compound.training.recipes import RECIPES, find_recipe, load_recipe
from compound.training.run import Run, open_run
from compound.training.session import Interrupted, Safeguards
from compound.training.setup import Setup
from compound.training.start import FRESH, Start, adopted
from compound.training.transfer import Transfer

__all__ = [
    "FRESH",
    "RECIPES",
    "Interrupted",
    "Recipe",
    "Run",
    "Safeguards",
    "Setup",
    "Start",
    "Transfer",
    "adopted",
    "find_recipe",
    "load_recipe",
    "open_run",
    "rate_at",
    "start_run",
    "train",
]

"""The presets, a file each: fields, and a lab note with source, what to expect, what it costs and what to type."""

from pathlib import Path
from typing import Any

from compound.data import DataSet
from compound.documents import read_yaml
from compound.errors import UsageError
from compound.mapping import to_mapping
from compound.training.recipe import Recipe, read_recipe

NAMES = ("paper", "modern", "transfer", "kornblith", "small", "fast", "progressive", "few")
# Images of ImageNet that the papers hold out to choose by; of less data it is the usual share.
MINIVAL = {"paper": 25_022, "progressive": 25_022}
FEW_STEPS = 16  # an epoch; with fewer by `small`, `few` is the usual recipe


def _fields(path: Path) -> dict[str, Any]:
    given = read_yaml(path, "check the path", "recipe")
    if not isinstance(given, dict):
        raise UsageError(f"{path}: not a recipe; write fields such as base, epochs, rate")
    return given


def _preset(name: str) -> Recipe:
    path = Path(__file__).parent / f"{name}.yaml"
    return read_recipe({"name": name} | _fields(path), str(path))


RECIPES = {name: _preset(name) for name in NAMES}


def find_recipe(name: str) -> Recipe:
    """A preset by name, or one of the user's own from a YAML file."""
    if name.endswith((".yaml", ".yml")):
        return load_recipe(name)
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}; use {', '.join(RECIPES)} or a YAML file")
    return RECIPES[name]


def usual_recipe(weights: bool, images: DataSet | None = None, rated: bool = False) -> str:
    """The name of the recipe where none is given: of a training from `weights` `transfer`, of few `images` `few`.

    A rate that is given (`rated`) is meant for SGD, so there `few` is not taken.
    """
    if weights:
        return "transfer"
    few = images is not None and len(images.train) < FEW_STEPS * RECIPES["small"].batch
    return "few" if few and not rated else "small"


def load_recipe(path: str | Path) -> Recipe:
    """A recipe file: the fields of `Recipe` as YAML; `base` names the preset whose fields it changes."""
    given = _fields(Path(path))
    base = given.pop("base", None)
    if base is not None and base not in RECIPES:
        raise UsageError(f"{path}: there is no preset {base!r}; use {', '.join(RECIPES)}")
    start = to_mapping(RECIPES[base]) if base else {}
    return read_recipe(start | {"name": Path(path).stem} | given, str(path))

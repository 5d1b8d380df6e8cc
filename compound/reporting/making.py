"""How a run was made and what to type to make it again."""

import shlex
from dataclasses import asdict, replace
from pathlib import PurePath
from typing import Any, NamedTuple

import yaml

from compound.mapping import to_mapping
from compound.reporting.names import plain
from compound.training.run import Run, resume_command


class Command(NamedTuple):
    what: str
    line: str


def recipe_fields(run: Run) -> list[tuple[str, str]]:
    """Every field of the recipe, those at their defaults too: defaults change between versions."""
    fields: dict[str, Any] = {}
    for name, value in asdict(run.recipe).items():
        parts = {f"{name}.{part}": one for part, one in value.items()} if isinstance(value, dict) else {name: value}
        fields |= parts
    return [(name, plain(value)) for name, value in fields.items()]


def origin_fields(run: Run) -> list[tuple[str, str]]:
    """The weights that the run started from."""
    names = {"weights": "started from", "inherit": "inherited from", "file": "their file", "sha256": "their SHA-256"}
    told = dict(run.start or {})
    if "file" in told:  # where it lay is nobody else's business, and its digest says which it was
        told["file"] = PurePath(told["file"]).name
    return [(names[name], value) for name, value in told.items() if name in names]


def commands(run: Run) -> list[Command]:
    """What to type: the recipe as a file first, for other data and networks; a preset may change."""
    out = shlex.quote(str(run.path))
    settled = replace(run.recipe, find=(), minutes=None)  # what was measured stands in it, and is not measured again
    recipe = yaml.safe_dump(to_mapping(settled), sort_keys=False, allow_unicode=True, width=100)
    return [
        Command("The recipe as a file, for --recipe recipe.yaml", f"cat > recipe.yaml <<'EOF'\n{recipe}EOF"),
        Command("Repeat", f"compound repeat {out}"),
        *([] if run.state == "done" else [Command("Resume", resume_command(run.path))]),
        Command("Evaluate", f"compound evaluate {out}"),
        Command("Predict", f"compound predict {out} photo.jpg"),
    ]

"""`compound explain`: where networks look on photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.common import Json, answer, find_network
from compound.cli.evaluate import ForeignWeights
from compound.cli.execution import Device
from compound.cli.maps import Loaded, choose, compared, explained, fixed
from compound.errors import CompoundError, UsageError
from compound.mapping import nearest


def explain(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL… IMAGE…", help="A run, a .safetensors file or a network's name with --weights, then images."
        ),
    ],
    weights: ForeignWeights = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="A class, repeatable, or top:K; default top:3.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="cam or grad-cam; default cam where the network has it.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Several models: the same class under each, with scores (Figure 7).")
    ] = False,
    boxes: Annotated[
        Path | None, typer.Option(help="CSV of path,left,top,right,bottom or path,mask: score the heat inside.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the pictures.")] = Path("explanations"),
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Show where a network sees a class: maps over photos; with --compare, several networks and their scores."""
    from compound.data import DamageLog, FileSource
    from compound.deploy import find_images
    from compound.explanation import METHODS, read_regions
    from compound.files import make_folder

    if method not in (None, *METHODS):
        raise UsageError(f"--method {method!r} is unknown; use {' or '.join(METHODS)}")
    models, rest = split_places(places, weights, compare)
    if not rest:
        raise UsageError("no image is given; name image files or folders of them after the model")
    found = find_images([Path(place) for place in rest])
    loaded = load_models(models, weights)
    indices, top = find_classes(classes or ["top:1" if compare else "top:3"], loaded[0].described.classes)
    regions = read_regions(boxes) if boxes else None
    if regions is not None and not regions.keys() & {path.name for path in found}:
        raise UsageError(f"{boxes} names none of the images; its column path holds their file names")
    damage = DamageLog(limit=1.0)
    sources = [FileSource(found, [0] * len(found), one.described.channels) for one in loaded]
    chosen = choose(loaded, sources, damage, indices, top, device) if compare else fixed(indices, len(found))
    looking = {"classes": chosen, "top": top, "method": method, "regions": regions, "device": device}
    make_folder(out)
    if compare:
        value, lines = compared(loaded, sources, damage, out, looking)
    else:
        value, lines = explained(loaded[0], sources[0], damage, out, looking)
    value["damaged"] = [{"path": path, "reason": reason} for path, reason in damage.damaged.items()]
    answer(json, value, "\n".join(lines))
    if damage.damaged:
        named = "; ".join(f"{path}: {reason}" for path, reason in damage.damaged.items())
        raise CompoundError(f"{len(damage.damaged)} of {len(found)} images could not be read: {named}")


def split_places(places: list[str], weights: str | None, compare: bool) -> tuple[list[str], list[str]]:
    """Models come first: the first place, and after it runs and weights files."""
    count = 1
    while count < len(places) and not weights and is_model(Path(places[count])):
        count += 1
    if count > 1 and not compare:
        raise UsageError(f"{places[0]} and {places[1]} are both models; add --compare to see them side by side")
    if compare and count < 2:
        raise UsageError("--compare needs two or more runs or .safetensors files before the images")
    return places[:count], places[count:]


def is_model(path: Path) -> bool:
    return path.suffix == ".safetensors" or (path / "run.yaml").is_file() or (path / "model.safetensors").is_file()


def load_models(models: list[str], weights: str | None) -> list[Loaded]:
    """All models, which must know the same classes."""
    from compound.nn import load_weights

    loaded = []
    for place in models:
        net, described = load_weights(weights or place, find_network(place) if weights else None)
        loaded.append(Loaded(Path(place).stem if Path(place).exists() else place, net, described))
        if described.classes != loaded[0].described.classes:
            raise UsageError(f"{models[0]} and {place} know different classes, so no map of one is a map of the other")
    return loaded


def find_classes(words: list[str], names: Sequence[str]) -> tuple[list[int], int]:
    """Class numbers and 0, or none and the K of `top:K`."""
    if len(words) == 1 and words[0].startswith("top:"):
        count = words[0].removeprefix("top:")
        if not count.isdecimal() or int(count) < 1:
            raise UsageError(f"--class {words[0]!r} is not top:K; use e.g. top:3, or a class's name")
        return [], int(count)
    numbers = {name.lower(): number for number, name in reversed(list(enumerate(names)))}
    found = []
    for word in words:
        if word.lower() not in numbers:
            hint = nearest(word, names, "classes", f"it knows {', '.join(names[:5])}, …", str.lower)
            raise UsageError(f"the network has no class {word!r}; {hint}")
        found.append(numbers[word.lower()])
    return found, 0

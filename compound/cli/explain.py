"""`compound explain`: where networks look on photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.evaluate import ForeignWeights
from compound.cli.options.execution import Device
from compound.cli.options.networks import in_order
from compound.errors import CompoundError, UsageError
from compound.verbs import explain as verb

if TYPE_CHECKING:
    from compound.verbs.explain import Explained


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
    method: Annotated[
        str | None,
        typer.Option(help="cam, grad-cam, grad-cam++, layer-cam or score-cam; default cam where the network has it."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Whose maps, such as stage3; default the last ones. cam has no other.")
    ] = None,
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
    models, images = split_places(places, weights, compare)
    found = verb.explain(
        models, images, weights=weights, classes=classes, method=method, layer=layer, boxes=boxes, out=out,
        device=device, say=note,
    )  # fmt: skip
    lines = compared_text(found) if compare else explained_text(found, asked=method or layer)
    if lines or json:
        answer(json, found.to_json(), "\n".join(lines))
    if found.damaged:
        named = "; ".join(f"{path}: {reason}" for path, reason in found.damaged.items())
        seen = len(found.looks[0]) + len(found.damaged)
        raise CompoundError(f"{len(found.damaged)} of {seen} images could not be read: {named}")


def split_places(places: list[str], weights: str | None, compare: bool) -> tuple[list[str], list[str]]:
    """Models come first: the first place, and after it runs and weights files."""
    count = 1
    while count < len(places) and not weights and is_model(Path(places[count])):
        count += 1
    if count > 1 and not compare:
        in_order("explain", places[0], places[1])
        raise UsageError(f"{places[0]} and {places[1]} are both models; add --compare to see them side by side")
    if compare and count < 2:
        raise UsageError("--compare needs two or more runs or .safetensors files before the images")
    if count == len(places):
        raise UsageError("no image is given; name image files or folders of them after the model")
    return places[:count], places[count:]


def is_model(path: Path) -> bool:
    return path.suffix == ".safetensors" or (path / "run.yaml").is_file() or (path / "model.safetensors").is_file()


def explained_text(found: "Explained", asked: str | None) -> list[str]:
    """A line a picture, and one for each class in it."""
    from compound.explanation import inside

    (network,), (looks,), lines = found.networks, found.looks, []
    for seen, picture in zip(looks, found.pictures, strict=True):
        lines.append(f"{seen.path} -> {picture}")
        told = seen.to_json(network.classes)
        lines += [f"{each['probability']:>8.1%}  {each['name']}{inside(each)}" for each in told]
    if asked is None and looks and looks[0].method == "grad-cam":
        name = network.model.network.name
        lines.append(f"{name} has layers between pooling and classifier, so these are Grad-CAMs")
    return lines


def compared_text(found: "Explained") -> list[str]:
    """The mean scores of each network."""
    from compound.explanation import SCORES

    means = found.scores()
    columns = [name for name in ("probability", *SCORES) if name in means[0]]
    lines = ["".join(f"{name:>12}" for name in columns) + "  model"]
    for one, mean in zip(found.networks, means, strict=True):
        lines.append("".join(f"{mean[name]:>12.3f}" for name in columns) + f"  {one.name}")
    said = "deletion: small is good, insertion and energy: large is good"
    return [*lines, f"mean of {len(found.looks[0])} images; {said} -> {found.pictures[0]}"]

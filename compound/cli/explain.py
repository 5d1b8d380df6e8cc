"""`compound explain`: where networks look on photos."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from compound.cli.common import Json, answer, find_network
from compound.cli.evaluate import ForeignWeights
from compound.cli.train import Device
from compound.errors import CompoundError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from compound.data import DamageLog, FileSource
    from compound.explain import Look
    from compound.nn import ConvNet, Weights


class Loaded(NamedTuple):
    """A model with the name that pictures call it."""

    name: str
    net: "ConvNet"
    described: "Weights"


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
    from compound.explain import METHODS, read_regions
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


def split_places(places: list[str], weights: Path | None, compare: bool) -> tuple[list[str], list[str]]:
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


def load_models(models: list[str], weights: Path | None) -> list[Loaded]:
    """All models, which must know the same classes."""
    from compound.deploy import load_predictor

    loaded = []
    for place in models:
        net, described = load_predictor(weights or place, find_network(place) if weights else None)
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
            near = difflib.get_close_matches(word.lower(), numbers, n=3, cutoff=0.5)
            known = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(names[:5])}, …"
            raise UsageError(f"the network has no class {word!r}; {known}")
        found.append(numbers[word.lower()])
    return found, 0


def fixed(indices: list[int], images: int) -> "Tensor | None":
    """The same classes for every image, (images, K)."""
    import torch

    return torch.tensor([indices]).expand(images, -1) if indices else None


def choose(
    loaded: list[Loaded], sources: list["FileSource"], damage: "DamageLog", indices: list[int], top: int, device: str
) -> "Tensor":
    """The classes that all models are asked about: those given, or each image's most probable ones on the whole."""
    import torch

    from compound.inference import classify

    images, classes = len(sources[0]), len(loaded[0].described.classes)
    given = fixed(indices, images)
    if given is not None:
        return given
    total = torch.zeros(images, classes)
    for one, source in zip(loaded, sources, strict=True):
        for probabilities, _, places in classify(one.net, source, damage, device=device):
            total[places] += probabilities
    return total.topk(min(top, classes)).indices


def explained(
    one: Loaded, source: "FileSource", damage: "DamageLog", out: Path, looking: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """A picture an image: the photo, and the map of each class over it."""
    from compound.explain import Panel, look, overlay, plain, save_sheet, sheet

    names, pictures, lines, method = one.described.classes, [], [], None
    for seen in look(one.net, source, damage, **looking):
        panels = [Panel(plain(seen.image), Path(seen.path).name)]
        for number, probability, heat in zip(seen.classes, seen.probabilities, seen.heat, strict=True):
            panels.append(Panel(overlay(seen.image, heat), f"{names[number]}  {probability:.1%}"))
        method = seen.method
        path = save_sheet(sheet([panels]), free_name(out, Path(seen.path).stem, pictures))
        pictures.append({"path": seen.path, "picture": str(path), "classes": seen.to_json(names)})
        lines += [f"{seen.path} -> {path}"]
        lines += [f"{each['probability']:>8.1%}  {each['name']}{score_text(each)}" for each in pictures[-1]["classes"]]
    if method == "grad-cam" and looking["method"] is None:
        lines.append(f"{one.net.network.name} has layers between pooling and classifier, so these are Grad-CAMs")
    return {"model": one.name, "method": method, "pictures": pictures}, lines


def free_name(out: Path, stem: str, pictures: list[dict[str, Any]]) -> Path:
    """`stem`.png, numbered where an earlier image was called so too."""
    taken = {one["picture"] for one in pictures}
    path, number = out / f"{stem}.png", 2
    while str(path) in taken:
        path, number = out / f"{stem}-{number}.png", number + 1
    return path


def compared(
    loaded: list[Loaded], sources: list["FileSource"], damage: "DamageLog", out: Path, looking: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """One picture: a row an image and class, a column a model; and the mean scores of each model."""
    from compound.explain import SCORES, look, mean_scores, save_sheet

    looks = [
        list(look(one.net, source, damage, areas=True, **looking)) for one, source in zip(loaded, sources, strict=True)
    ]
    if not looks[0]:
        raise CompoundError("not one image could be read; check the paths and the files")
    means = [mean_scores(each) for each in looks]
    path = save_sheet(comparison_sheet(loaded, looks), out / "comparison.png")
    columns = [name for name in ("probability", *SCORES) if name in means[0]]
    lines = ["".join(f"{name:>12}" for name in columns) + "  model"]
    for one, mean in zip(loaded, means, strict=True):
        lines.append("".join(f"{mean[name]:>12.3f}" for name in columns) + f"  {one.name}")
    lines.append(
        f"mean of {len(looks[0])} images; deletion: small is good, insertion and energy: large is good -> {path}"
    )
    models = [
        {"model": one.name, "method": each[0].method, "scores": mean,
         "images": [{"path": seen.path, "classes": seen.to_json(one.described.classes)} for seen in each]}
        for one, each, mean in zip(loaded, looks, means, strict=True)
    ]  # fmt: skip
    return {"picture": str(path), "models": models}, lines


def comparison_sheet(loaded: list[Loaded], looks: list[list["Look"]]) -> "Figure":
    from compound.explain import Panel, overlay, plain, sheet

    names, rows = loaded[0].described.classes, []
    for under in zip(*looks, strict=True):
        for place, number in enumerate(under[0].classes):
            row = [Panel(plain(max(under, key=lambda seen: seen.image.shape[-1]).image), names[number])]
            for one, seen in zip(loaded, under, strict=True):
                title = f"{one.name}\n{seen.probabilities[place]:.1%}{score_text(seen.scores[place])}"
                row.append(Panel(overlay(seen.image, seen.heat[place]), title))
            rows.append(row)
    return sheet(rows)


def score_text(scores: dict[str, Any]) -> str:
    return f", {scores['energy']:.0%} inside" if "energy" in scores else ""

"""What `compound explain` draws and tells: a picture an image, or several networks side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from compound.errors import CompoundError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from compound.data import DamageLog, FileSource
    from compound.explanation import Look
    from compound.nn import ConvNet, Weights


class Loaded(NamedTuple):
    """A model with the name that pictures call it."""

    name: str
    net: "ConvNet"
    described: "Weights"


def fixed(indices: list[int], images: int) -> "Tensor | None":
    """The same classes for every image, (images, K)."""
    import torch

    return torch.tensor([indices]).expand(images, -1) if indices else None


def choose(
    loaded: list[Loaded], sources: list["FileSource"], damage: "DamageLog", indices: list[int], top: int, device: str
) -> "Tensor":
    """The classes that all models are asked about: those given, or each image's most probable ones on the whole."""
    import torch

    from compound.execution import Execution
    from compound.inference import classify

    images, classes = len(sources[0]), len(loaded[0].described.classes)
    given = fixed(indices, images)
    if given is not None:
        return given
    total = torch.zeros(images, classes)
    for one, source in zip(loaded, sources, strict=True):
        for probabilities, _, places in classify(one.net, source, damage, Execution(device, workers=0)):
            total[places] += probabilities
    return total.topk(min(top, classes)).indices


def explained(
    one: Loaded, source: "FileSource", damage: "DamageLog", out: Path, looking: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """A picture an image: the photo, and the map of each class over it."""
    from compound.explanation import Panel, look, overlay, plain, save_sheet, sheet

    names, method = one.described.classes, None
    pictures: list[dict[str, Any]] = []
    lines: list[str] = []
    for seen in look(one.net, source, damage, **looking):
        panels = [Panel(plain(seen.image), Path(seen.path).name)]
        for number, probability, heat in zip(seen.classes, seen.probabilities, seen.heat, strict=True):
            panels.append(Panel(overlay(seen.image, heat), f"{names[number]}  {probability:.1%}"))
        method = seen.method
        path = save_sheet(sheet([panels]), free_name(out, Path(seen.path).stem, pictures))
        told = seen.to_json(names)
        pictures.append({"path": seen.path, "picture": str(path), "classes": told})
        lines += [f"{seen.path} -> {path}"]
        lines += [f"{each['probability']:>8.1%}  {each['name']}{score_text(each)}" for each in told]
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
    from compound.explanation import SCORES, look, mean_scores, save_sheet

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
    from compound.explanation import Panel, overlay, plain, sheet

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

"""`compound.explain`: where networks look on photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import UsageError
from compound.files import name_of
from compound.mapping import nearest
from compound.verbs.given import Place, Say, heard, paths, silent
from compound.verbs.models import find_model

if TYPE_CHECKING:
    from torch import Tensor

    from compound.explanation import Look, NamedNetwork


@dataclass(frozen=True)
class Explained:
    """What networks see on photos. `looks` has for each network its images, `pictures` are the files.

    One network has a picture an image; several have one together, and the mean of each one's scores.
    """

    networks: "tuple[NamedNetwork, ...]"
    looks: "tuple[tuple[Look, ...], ...]"
    pictures: tuple[Path, ...]
    damaged: dict[str, str]
    layer: str | None = None

    def scores(self) -> list[dict[str, float]]:
        """The mean probability and scores of each network."""
        from compound.explanation import mean_scores

        return [mean_scores(each) for each in self.looks]

    def to_json(self) -> dict[str, Any]:
        told = [
            [{"path": seen.path, "classes": seen.to_json(network.classes)} for seen in each]
            for network, each in zip(self.networks, self.looks, strict=True)
        ]
        damaged = [{"path": path, "reason": reason} for path, reason in self.damaged.items()]
        methods = [each[0].method if each else None for each in self.looks]
        named = {"layer": self.layer} if self.layer is not None else {}
        if len(self.networks) == 1:
            pictures = [one | {"picture": str(path)} for one, path in zip(told[0], self.pictures, strict=True)]
            head = {"model": self.networks[0].name, "method": methods[0]}
            return head | named | {"pictures": pictures, "damaged": damaged}
        rows = zip(self.networks, methods, self.scores(), told, strict=True)
        models = [
            {"model": network.name, "method": method, "scores": scores, "images": images}
            for network, method, scores, images in rows
        ]
        return named | {"picture": str(self.pictures[0]), "models": models, "damaged": damaged}


@heard
def explain(
    models: Place | Sequence[Place],
    images: Place | Sequence[Place],
    *,
    weights: Place | None = None,
    classes: Sequence[str] | None = None,
    method: str | None = None,
    layer: str | None = None,
    boxes: Place | None = None,
    out: Place = "explanations",
    device: str = "auto",
    say: Say = silent,
) -> Explained:
    """Draw where a network sees classes on photos, or several networks side by side with their scores (Figure 7).

    Args:
        models: runs, weights files or published names; with `weights`, the name of a network.
        images: files, folders or patterns.
        weights: another library's weights, or a published name, for the network `models`.
        classes: names, or one `top:K`; by default the three most probable, and side by side the most probable one.
        method: one of `compound.explanation.METHODS`; by default `cam` where the network has it, else `grad-cam`.
        layer: whose maps, a name of `named_modules()`; by default the last maps. `cam` has no other.
        boxes: a CSV of path,left,top,right,bottom or path,mask: the heat inside is scored.
        out: the folder of the pictures. device: where they are computed.
        say: told what is left out of folders.
    """
    from compound.data import DamageLog
    from compound.deploy import find_images
    from compound.explanation import METHODS, MapRequest, read_regions, side_by_side, write_comparison, write_pictures
    from compound.explanation.layers import find_layer

    chosen_method = next((one for one in METHODS if one == method), None)
    if method is not None and chosen_method is None:
        raise UsageError(f"--method {method!r} is unknown; use {', '.join(METHODS)}")
    found = find_images(paths(images))
    networks = _networks(models, weights)
    for network in networks if layer is not None else ():
        find_layer(network.model, str(layer))
    several = len(networks) > 1
    chosen, top = find_classes(classes or ["top:1" if several else "top:3"], networks[0].classes)
    regions = read_regions(Path(boxes)) if boxes else None
    if regions is not None and not regions.keys() & {path.name for path in found}:
        raise UsageError(f"{boxes} names none of the images; its column path holds their file names")
    asked = MapRequest(_for_all(chosen, len(networks[0].source(found))), top, chosen_method, layer, regions, several)
    damage = DamageLog(limit=1.0)
    if several:
        seen = side_by_side(networks, found, damage, asked, device)
        return Explained(seen.networks, seen.looks, (write_comparison(seen, Path(out)),), damage.damaged, layer)
    drawn = write_pictures(networks[0], found, damage, asked, Path(out), device)
    looks = (tuple(one.look for one in drawn),)
    return Explained(tuple(networks), looks, tuple(one.picture for one in drawn), damage.damaged, layer)


def _networks(models: Place | Sequence[Place], weights: Place | None) -> "list[NamedNetwork]":
    from compound.explanation import NamedNetwork

    places = [fspath(place) for place in ([models] if isinstance(models, str | PathLike) else models)]
    names = [name_of(Path(place)) if Path(place).exists() else place for place in places]
    found = []
    for place, name in zip(places, names, strict=True):
        model, described = find_model(place, weights)
        # Runs of one name in several folders, as a study of several seeds has them, go by their paths.
        found.append(NamedNetwork(name if names.count(name) == 1 else place, model, described.classes))
    return found


def _for_all(indices: list[int], images: int) -> "Tensor | None":
    """The same classes for every image, (images, K); None where none are given."""
    import torch

    return torch.tensor([indices]).expand(images, -1) if indices else None


def find_classes(words: Sequence[str], names: Sequence[str]) -> tuple[list[int], int]:
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

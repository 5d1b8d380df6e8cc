"""Figure 7 of own runs: the same photos and classes under every network."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from compound.data import DamageLog, FileSource
from compound.deploy import find_images
from compound.errors import CompoundError, UsageError
from compound.execution import Execution
from compound.explanation import Panel, in_bytes, look, mean_scores, overlay, plain, sheet
from compound.inference import classify
from compound.nn import load_weights
from compound.report.page import Part, Section, section
from compound.report.picture import DPI
from compound.report.results import jpeg_uri
from compound.report.table import of_records

MOST = 12  # photos


@dataclass(frozen=True)
class Maps:
    """A row a photo: it, then each network's map over it."""

    rows: tuple[tuple[Panel, ...], ...]
    name: str = "maps"
    title: str = ""
    caption: str = (
        "The photo as the network of largest resolution receives it, and where each network sees the class named above "
        "it: nothing where it stays clear, most where it is yellow. Percentages are the networks' probabilities."
    )
    wide: bool = True

    def inline(self) -> str:
        columns = max(map(len, self.rows))
        cells = [cell for row in self.rows for cell in map(_cell, row)]
        return f'<div class="wide"><div class="maps" style="--columns:{columns}">{"".join(cells)}</div></div>'

    def files(self) -> dict[str, bytes]:
        file = io.BytesIO()
        sheet(self.rows).savefig(file, format="png", dpi=DPI, metadata={"Software": None})
        return {"png": file.getvalue()}


def map_section(runs: Sequence[tuple[str, Path]], images: Sequence[Path], device: str) -> Section:
    """`runs` by the names to call them; a photo's class is the most probable one by the sum of their probabilities."""
    found = find_images([Path(image) for image in images])
    shown = found[:MOST]
    models = [(name, *load_weights(path)) for name, path in runs]
    classes = models[0][2].classes
    for name, _, described in models:
        if described.classes != classes:
            raise UsageError(f"{models[0][0]} and {name} know different classes, so their maps cannot be compared")
    damage = DamageLog(limit=1.0)
    sources = [FileSource(shown, [0] * len(shown), described.channels) for _, _, described in models]
    total = torch.zeros(len(shown), len(classes))
    for (_, net, _), source in zip(models, sources, strict=True):
        for probabilities, _, places in classify(net, source, damage, Execution(device, workers=0)):
            total[places] += probabilities
    chosen = total.topk(1).indices
    several = len(models) > 1  # scores are for comparing
    looks = [
        list(look(net, source, damage, classes=chosen, areas=several, device=device))
        for (_, net, _), source in zip(models, sources, strict=True)
    ]
    if not looks[0]:
        raise CompoundError("not one of the --images could be read; check the paths and the files")
    rows = []
    for under in zip(*looks, strict=True):
        widest = max(under, key=lambda seen: seen.image.shape[-1])
        row = [Panel(plain(widest.image), classes[under[0].classes[0]])]
        for (name, _, _), seen in zip(models, under, strict=True):
            row.append(Panel(overlay(seen.image, seen.heat[0]), f"{name}  {seen.probabilities[0]:.1%}"))
        rows.append(tuple(row))
    parts: list[Part] = [Maps(tuple(rows))]
    if several:
        scores: list[dict[str, Any]] = [
            {"network": name, **mean_scores(each)} for (name, _, _), each in zip(models, looks, strict=True)
        ]
        caption = "Deletion: small is good, the map found what the class hangs on. Insertion: large is good."
        parts.append(of_records("map-scores", f"Mean scores of {len(looks[0])} images", scores, caption))
    if len(found) > MOST:
        parts.append(f"{len(found) - MOST} more images were named; `compound explain --compare` shows all.")
    if damage.damaged:
        parts.append("Not readable: " + ", ".join(str(path) for path in damage.damaged) + ".")
    return section("maps", "Where they look", parts)


def _cell(panel: Panel) -> str:
    uri = jpeg_uri(Image.fromarray(in_bytes(panel.pixels)))
    words = escape(panel.title)
    return f'<div><small>{words}</small><img src="{uri}" alt="{words}"></div>'

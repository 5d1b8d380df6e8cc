"""Figure 7 of own runs: the same photos and classes under every network."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from compound.data import DamageLog
from compound.deploy import find_images
from compound.explanation import MapRequest, NamedNetwork, Panel, in_bytes, sheet, side_by_side
from compound.nn import load_weights
from compound.reporting.page import Part, Section, section
from compound.reporting.picture import DPI
from compound.reporting.results import jpeg_uri
from compound.reporting.table import of_records

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
    networks = []
    for name, path in runs:
        model, described = load_weights(path)
        networks.append(NamedNetwork(name, model, described.classes))
    damage = DamageLog(limit=1.0)
    several = len(networks) > 1  # scores are for comparing
    seen = side_by_side(networks, found[:MOST], damage, MapRequest(areas=several), device)
    parts: list[Part] = [Maps(tuple(map(tuple, seen.rows())))]
    if several:
        scores: list[dict[str, Any]] = [
            {"network": one.name, **mean} for one, mean in zip(networks, seen.scores(), strict=True)
        ]
        caption = "Deletion: small is good, the map found what the class hangs on. Insertion: large is good."
        parts.append(of_records("map-scores", f"Mean scores of {seen.images} images", scores, caption))
    if len(found) > MOST:
        parts.append(f"{len(found) - MOST} more images were named; `compound explain --compare` shows all.")
    if damage.damaged:
        parts.append("Not readable: " + ", ".join(str(path) for path in damage.damaged) + ".")
    return section("maps", "Where they look", parts)


def _cell(panel: Panel) -> str:
    uri = jpeg_uri(Image.fromarray(in_bytes(panel.pixels)))
    words = escape(panel.title)
    return f'<div><small>{words}</small><img src="{uri}" alt="{words}"></div>'

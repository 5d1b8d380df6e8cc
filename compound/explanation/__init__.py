"""Where a network looks: class activation maps, how they are drawn, and how good they are."""

from compound.explanation.boxes import read_regions
from compound.explanation.draw import Panel, in_bytes, overlay, plain, save_sheet, sheet
from compound.explanation.look import SCORES, Look, look, mean_scores
from compound.explanation.maps import METHODS, Explanation, explain, has_class_maps
from compound.explanation.score import Areas, deletion_insertion, energy_inside

__all__ = [
    "METHODS",
    "SCORES",
    "Areas",
    "Explanation",
    "Look",
    "Panel",
    "deletion_insertion",
    "energy_inside",
    "explain",
    "has_class_maps",
    "in_bytes",
    "look",
    "mean_scores",
    "overlay",
    "plain",
    "read_regions",
    "save_sheet",
    "sheet",
]

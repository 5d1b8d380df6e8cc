"""Where a network looks: class activation maps, how they are drawn, and how good they are."""

from compound.explanation.boxes import read_regions
from compound.explanation.draw import Panel, in_bytes, overlay, plain, save_sheet, sheet
from compound.explanation.look import SCORES, Look, MapRequest, explain_prepared, look, mean_scores
from compound.explanation.maps import METHODS, Explanation, explain, has_class_maps
from compound.explanation.pictures import write_comparison, write_pictures
from compound.explanation.score import Areas, deletion_insertion, energy_inside
from compound.explanation.side_by_side import NamedNetwork, SideBySide, inside, side_by_side

__all__ = [
    "METHODS",
    "SCORES",
    "Areas",
    "Explanation",
    "Look",
    "MapRequest",
    "NamedNetwork",
    "Panel",
    "SideBySide",
    "deletion_insertion",
    "energy_inside",
    "explain",
    "explain_prepared",
    "has_class_maps",
    "in_bytes",
    "inside",
    "look",
    "mean_scores",
    "overlay",
    "plain",
    "read_regions",
    "save_sheet",
    "sheet",
    "side_by_side",
    "write_comparison",
    "write_pictures",
]

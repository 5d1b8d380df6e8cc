"""Data sets drawn from what is installed: pictures with detail at any resolution, whose licences are written beside."""

from compound.data.drawn.emoji import draw_emoji
from compound.data.drawn.folder import DrawnFolder
from compound.data.drawn.letters import draw_letters

__all__ = ["DrawnFolder", "draw_emoji", "draw_letters"]

"""An existing PyTorch model as a network, weights included.

The model is traced, its operators are said in our alphabet, blocks are proposed for every place and written out, and
only what is equal operator by operator counts. What has no place in the alphabet is named, never guessed.
"""

from compound.nn.reading.graph import ReadingError
from compound.nn.reading.read import from_module

__all__ = ["ReadingError", "from_module"]

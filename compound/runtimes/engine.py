"""OpenVINO's engine, one of a process."""

from functools import cache
from typing import Any


@cache
def openvino_core() -> Any:
    """The `openvino.Core` of this process, which lives as long as it does.

    Each core's plugin for processors gives the process a stack for handlers of signals, and on its end gives back the
    one it found. Of two that end in the order in which they began the second gives back that of the first, which is no
    more: the next signal, Ctrl-C or the end of a process that loads images, would be a segmentation fault.
    """
    import openvino

    return openvino.Core()

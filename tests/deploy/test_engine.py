"""OpenVINO's engine takes nothing from the process that holds it."""

import ctypes
import gc
import sys
from pathlib import Path

import pytest

from compound.runtimes.files import open_openvino


class Stack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_files_that_are_closed_leave_signals_a_stack_that_is_there(tmp_path) -> None:
    """Else Ctrl-C, or the end of a process that loads images, ends everything with a segmentation fault."""
    ov = pytest.importorskip("openvino")
    images = ov.opset13.parameter([1, 3, 8, 8], ov.Type.f32)
    ov.save_model(ov.Model([ov.opset13.relu(images)], [images]), tmp_path / "net.xml")
    opened = [open_openvino(tmp_path / "net.xml", "fp32", 1) for _ in range(2)]
    while opened:  # the first that was opened ends first
        del opened[0]
        gc.collect()
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    ranges = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines()]
    disabled = 2
    assert stack.flags & disabled or any(int(a, 16) <= stack.place < int(b, 16) for a, b in ranges)

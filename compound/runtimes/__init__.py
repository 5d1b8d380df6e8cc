"""What computes a network: PyTorch, and files for ONNX Runtime, OpenVINO and ExecuTorch; where its time goes."""

from compound.runtimes.accelerated import runtimes_of
from compound.runtimes.call import Call
from compound.runtimes.graphs import Deployable, Exportable, ExportError, Input, Unavailable, graph_of
from compound.runtimes.measure_here import Laps
from compound.runtimes.optimize import Optimized, optimize
from compound.runtimes.registry import FORMATS, RUNTIMES, Format, MakeRunner, Runner, find_runtime
from compound.runtimes.trained import Runtime, in_torch, is_exported, open_runtime

__all__ = [
    "FORMATS",
    "RUNTIMES",
    "Call",
    "Deployable",
    "ExportError",
    "Exportable",
    "Format",
    "Input",
    "Laps",
    "MakeRunner",
    "Optimized",
    "Runner",
    "Runtime",
    "Unavailable",
    "find_runtime",
    "graph_of",
    "in_torch",
    "is_exported",
    "open_runtime",
    "optimize",
    "runtimes_of",
]

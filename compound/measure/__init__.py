"""Floor 5: latency on every runtime, memory, and the tables of a device that budgets in milliseconds rest on."""

from compound.measure.device import measure_device
from compound.measure.memory import inference_peak, training_peak
from compound.measure.runtimes import RUNTIMES, Runner, Runtime, Unavailable
from compound.measure.session import Measured, Session, memory_fields, run_session
from compound.measure.subjects import LIBRARIES, Subject, of_library, of_network, of_run
from compound.measure.timing import Timing, interleaved

__all__ = [
    "LIBRARIES",
    "RUNTIMES",
    "Measured",
    "Runner",
    "Runtime",
    "Session",
    "Subject",
    "Timing",
    "Unavailable",
    "inference_peak",
    "interleaved",
    "measure_device",
    "memory_fields",
    "of_library",
    "of_network",
    "of_run",
    "run_session",
    "training_peak",
]

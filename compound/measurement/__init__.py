"""Latency on every runtime, memory, and the tables of a device that budgets in milliseconds rest on."""

from compound.measurement.device import measure_device
from compound.measurement.memory import inference_peak, training_peak
from compound.measurement.session import Measured, Session, memory_fields, run_session
from compound.measurement.subjects import LIBRARIES, Subject, of_library, of_network, of_run
from compound.measurement.timing import Timing, interleaved

__all__ = [
    "LIBRARIES",
    "Measured",
    "Session",
    "Subject",
    "Timing",
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

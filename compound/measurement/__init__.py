"""Latency on every runtime, memory, and the tables of a device that budgets in milliseconds rest on."""

from compound.measurement.device import measure_device
from compound.measurement.memory import inference_peak, training_peak
from compound.measurement.sampling import USUAL, Sampling
from compound.measurement.session import Measured, Measurement, memory_fields, run_session
from compound.measurement.subjects import LIBRARIES, Subject, of_library, of_network, of_run
from compound.measurement.timing import TABLE_4, Timing, Turns, interleaved

__all__ = [
    "LIBRARIES",
    "TABLE_4",
    "USUAL",
    "Measured",
    "Measurement",
    "Sampling",
    "Subject",
    "Timing",
    "Turns",
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

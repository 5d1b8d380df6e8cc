"""A session: every subject on every runtime at every batch size, taking turns, and what is said about each."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compound.cost import cost
from compound.documents import write_records
from compound.measurement.machine import environment, peak_gflops
from compound.measurement.memory import inference_peak, training_peak
from compound.measurement.printed import table4
from compound.measurement.subjects import Subject
from compound.measurement.timing import TABLE_4, Timing, Turns, interleaved
from compound.nn import lean
from compound.runtimes import Call, Unavailable, find_runtime, runtimes_of

MEMORY = ("inference", "training", "autograd")  # whose memory is measured


@dataclass(frozen=True)
class Measured:
    """One subject on one runtime at one batch size. `ready` is the seconds until its first answer."""

    subject: Subject
    runtime: str
    batch: int
    timing: Timing
    ready: float
    peak: float  # GFLOP/s of the machine

    @property
    def gflops(self) -> float:
        """Billions of operations a second; a multiply-add is two."""
        return 2 * self.subject.macs * self.batch / self.timing.median / 1e9

    def fields(self) -> dict[str, Any]:
        timing, (low, high) = self.timing, self.timing.interval()
        return {
            "name": self.subject.name,
            "runtime": self.runtime,
            "batch": self.batch,
            "resolution": self.subject.resolution,
            "macs": self.subject.macs,
            "median_ms": timing.median * 1e3,
            "median_interval_ms": [low * 1e3, high * 1e3],
            "mean_ms": timing.mean * 1e3,
            "p95_ms": timing.percentile(95) * 1e3,
            "p99_ms": timing.percentile(99) * 1e3,
            "fastest_ms": min(timing.calls) * 1e3,
            "spread": timing.spread,
            "calls": len(timing.calls),
            "rounds": len(timing.rounds),
            "images_per_second": self.batch / timing.median,
            "gflops": self.gflops,
            "share_of_peak": self.gflops / self.peak,
            "ready_s": self.ready,
            "top1": self.subject.top1,
            "top1_from": self.subject.top1_from,
        }


@dataclass(frozen=True)
class Measurement:
    """What was measured, the runtimes that were not there with the reason, and where it was."""

    measured: tuple[Measured, ...]
    unavailable: dict[str, str]
    environment: dict[str, Any]
    memory: tuple[dict[str, Any], ...] = ()  # of `memory_fields`, where it was asked for

    def to_json(self) -> dict[str, Any]:
        """All figures as plain values; `table4` has what the paper prints beside them."""
        value: dict[str, Any] = {
            "measured": [one.fields() for one in self.measured],
            "table4": self.ratios(),
            "unavailable": self.unavailable,
            "environment": self.environment,
        }
        return value | {"memory": list(self.memory)} if self.memory else value

    def write_table(self, path: Path) -> Path:
        """A CSV file with a line for each measurement, under the names of `fields`; the interval as two columns."""
        rows = []
        for one in self.measured:
            row = one.fields()
            row["median_low_ms"], row["median_high_ms"] = row.pop("median_interval_ms")
            rows.append(row)
        return write_records(path, rows)

    def ratios(self) -> list[dict[str, Any]]:
        """How many times faster the second network of each row of Table 4 is, beside what the paper prints."""
        mean = {(one.subject.name, one.runtime): one.timing.mean for one in self.measured if one.batch == 1}
        return [
            {
                "slow": pair.slow,
                "fast": pair.fast,
                "runtime": runtime,
                "ratio": mean[pair.slow, runtime] / seconds,
                "paper": pair.ratio,
            }
            for pair in table4()
            for (name, runtime), seconds in mean.items()
            if name == pair.fast and (pair.slow, runtime) in mean
        ]


def run_session(
    subjects: Sequence[Subject],
    runtimes: Sequence[str],
    batches: Sequence[int] = (1,),
    *,
    call: Call = Call(),
    turns: Turns = TABLE_4,
    say: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """Time every subject on every runtime at every batch size, all taking turns; `call` has the rest of each call."""
    device = call.device
    about, known = environment(call.threads), runtimes_of(device)
    if device.type != "cpu":
        about["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    peak = peak_gflops(call)
    calls: dict[str, Callable[[], object]] = {}
    described: dict[str, tuple[Subject, str, int, float]] = {}
    unavailable: dict[str, str] = {}
    for runtime in runtimes:
        make = find_runtime(runtime, known)
        for subject in subjects:
            for batch in batches:
                if runtime in unavailable:
                    continue
                say(f"preparing {subject.name}, {runtime}, batch {batch}")
                start = time.perf_counter()
                try:
                    runner = make(copy.deepcopy(subject.model), images_of(subject, batch, turns.seed), call.threads)
                    runner.run()
                except Unavailable as reason:
                    unavailable[runtime] = str(reason)
                    continue
                key = f"{subject.name} {runtime} {batch}"
                described[key] = subject, runtime, batch, time.perf_counter() - start
                calls[key] = runner.run
    timings = interleaved(calls, turns.runs, turns.rounds, turns.seed)
    peak = max(peak, peak_gflops(call))
    measured = tuple(
        Measured(subject, runtime, batch, timings[key], ready, peak)
        for key, (subject, runtime, batch, ready) in described.items()
    )
    return Measurement(measured, unavailable, about | {"peak_gflops": peak})


def images_of(subject: Subject, batch: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, subject.channels, subject.resolution, subject.resolution, generator=generator)


def memory_fields(subject: Subject, call: Call) -> dict[str, Any]:
    """Bytes of inference and of training, predicted and measured, in fp32.

    Training is a step as `compound train` takes it, and `autograd` the same of the plain model, in a loop of one's own.
    Another library's model is only measured, and has no other training than that.
    """
    batch, device = call.batch, call.device
    images, model = images_of(subject, batch, 0).to(device), copy.deepcopy(subject.model).to(device)
    measured = {"inference": inference_peak(model, images), "autograd": training_peak(model, images, subject.classes)}
    predicted: dict[str, int] = {}
    if subject.network is not None:
        counted = cost(subject.network)
        lean(model)
        measured["training"] = training_peak(model, images, subject.classes)
        predicted = {
            "inference": counted.memory(batch),
            "training": counted.training_memory(batch),
            "autograd": counted.autograd_memory(batch),
        }
    value: dict[str, Any] = {"name": subject.name, "batch": batch}
    for kind in MEMORY:
        if kind in measured:
            value[kind] = {"measured": measured[kind]}
            value[kind] |= {"predicted": predicted[kind]} if kind in predicted else {}
    return value

"""`compound.measure`: latency and memory of networks; `compound.measure_device`: tables for budgets in milliseconds."""

import random
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from compound.bounds import check_call
from compound.errors import UsageError
from compound.files import ending
from compound.latency import DeviceTable
from compound.network import Network
from compound.verbs.given import Place, Say, find_network, heard, silent

if TYPE_CHECKING:
    from compound.measurement import Measurement, Sampling, Subject, Turns
    from compound.search.space import Space

NetworkOrPlace = Network | Place


@heard
def measure(
    networks: NetworkOrPlace | Sequence[NetworkOrPlace],
    runtimes: Sequence[str] = ("channels-last",),
    batches: Sequence[int] = (1,),
    *,
    threads: int = 1,
    turns: "Turns | None" = None,
    memory: bool = False,
    picture: Place | None = None,
    device: str = "cpu",
    say: Say = silent,
) -> "Measurement":
    """Time networks on runtimes, all taking turns (Table 4 of the paper: batch 1, one core, mean of 20).

    Args:
        networks: networks, their names, run directories, `timm:NAME` or `torchvision:NAME`.
        runtimes: any of `compound.runtimes.RUNTIMES`; on another device than the processor, of `runtimes_of` it.
        batches: images a call.
        threads: of each call.
        turns: timed calls of each, the turns they are spread over, and the seed of images and order.
        memory: whether memory of inference and training is measured, too, in bytes.
        picture: accuracy over latency, drawn into this .svg or .png.
        device: where the networks run: cpu, cuda, …
        say: told what is being prepared.

    Times are seconds. What is not there on this machine is left out, and `Measurement.unavailable` says why. Raises
    `UsageError` for unknown names.
    """
    from compound.execution import pick_device
    from compound.measurement import TABLE_4, memory_fields, run_session
    from compound.reporting.latency_figure import latency_plot
    from compound.reporting.picture import FILES, write_picture
    from compound.runtimes import Call, find_runtime, runtimes_of

    where = pick_device(device)
    call = Call(threads=threads, device=where)
    calls = [replace(call, batch=batch) for batch in batches]
    for runtime in runtimes:
        find_runtime(runtime, runtimes_of(where))
    if picture is not None:
        ending(Path(picture), FILES, "picture")
    given = [networks] if isinstance(networks, Network | str | PathLike) else list(networks)
    subjects = [find_subject(one) for one in dict.fromkeys(given)]
    if picture is not None and all(subject.top1 is None for subject in subjects):
        names = ", ".join(subject.name for subject in subjects)
        raise UsageError(f"no accuracy is known of {names}; for -o give runs or networks of Table 2")
    session = run_session(subjects, runtimes, batches, call=call, turns=turns or TABLE_4, say=say)
    if memory:
        found = tuple(memory_fields(subject, each) for subject in subjects for each in calls)
        session = replace(session, memory=found)
    if picture is not None and session.measured:
        write_picture(latency_plot(session.measured), Path(picture))
    return session


@heard
def measure_device(
    families: NetworkOrPlace | Sequence[NetworkOrPlace] = "efficientnet-b0",
    runtime: str = "channels-last",
    *,
    threads: int = 1,
    batch: int = 1,
    sampling: "Sampling | None" = None,
    space: "Space | Place | None" = None,
    say: Say = silent,
) -> DeviceTable:
    """Time the parts of scaled networks on this device, for `Budget(latency=…, device=…)`.

    Args:
        families: the networks whose units are timed, by value or name.
        runtime: what will run the plan: `optimized`, `eager`, `channels-last`, `onnxruntime` or `openvino`.
        threads: of a call.
        batch: images of a call.
        sampling: how many networks are run, of which sizes, and for how many seconds.
        space: a space of architectures whose networks are timed instead of families, so that the table has every unit
            that a search there can ask for.
        say: told how it goes.

    `compound.latency.save_table` writes the table. Raises `UsageError` for a runtime that does not tell where its time
    goes, and where the networks need more memory than there is.
    """
    from compound.measurement import USUAL
    from compound.measurement import measure_device as run_session

    check_call(batch, threads)
    sampling = sampling or USUAL
    found = _to_time(families, space, sampling)
    return run_session(found, runtime, threads=threads, batch=batch, sampling=sampling, say=say)


@heard
def write_kit(
    out: Place,
    families: NetworkOrPlace | Sequence[NetworkOrPlace] = "efficientnet-b0",
    *,
    batch: int = 1,
    sampling: "Sampling | None" = None,
    space: "Space | Place | None" = None,
    say: Say = silent,
) -> Path:
    """Write what makes a device table of a machine without PyTorch: a phone, a board.

    Args:
        out: a new folder: networks as ONNX files, and `measure_here.py`, which needs NumPy and ONNX Runtime alone.
            There it writes `measured.json`, for `read_kit`.
        families, batch, sampling, space: as for `measure_device`; its seconds are an option of the script.
        say: told how it goes.

    Raises `UsageError` for a folder that is not empty.
    """
    from compound.measurement import USUAL
    from compound.measurement.kit import write_kit as write

    check_call(batch, 1)
    sampling = sampling or USUAL
    return write(_to_time(families, space, sampling), Path(out), batch=batch, sampling=sampling, say=say)


def read_kit(measured: Place) -> DeviceTable:
    """The device table of the machine where a kit was timed, of the `measured.json` that its script wrote.

    Raises `UsageError` for another file, and for times that are none.
    """
    from compound.measurement.kit import read_measured

    return read_measured(Path(measured))


def _to_time(
    families: NetworkOrPlace | Sequence[NetworkOrPlace], space: "Space | Place | None", sampling: "Sampling"
) -> list[Network]:
    if space is not None:
        return drawn_from(space, sampling)
    given = [families] if isinstance(families, Network | str | PathLike) else list(families)
    return [find_network(one) for one in dict.fromkeys(given)]


def drawn_from(space: "Space | Place", sampling: "Sampling") -> list[Network]:
    """As many networks of the space as are timed."""
    from compound.search.covering import spread
    from compound.search.space import Space
    from compound.search.space_file import find_space

    found = space if isinstance(space, Space) else find_space(fspath(space))
    return spread(found, sampling.networks, random.Random(sampling.seed))


def find_subject(given: NetworkOrPlace) -> "Subject":
    """A network, a run with its accuracy, or a model of timm or torchvision."""
    from compound.measurement import LIBRARIES, of_library, of_network, of_run

    if isinstance(given, Network):
        return of_network(given)
    name = fspath(given)
    if name.partition(":")[0] in LIBRARIES and ":" in name:
        return of_library(name)
    if (Path(name) / "model.safetensors").is_file():
        return of_run(name)
    return of_network(find_network(name))

"""Exported files ready to run, in ONNX Runtime, OpenVINO or ExecuTorch."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compound.bounds import bound
from compound.files import open_regular, read_regular
from compound.runtimes.engine import openvino_core
from compound.runtimes.graphs import TELLS, ExportError, need
from compound.runtimes.laps import onnxruntime_laps, openvino_laps
from compound.runtimes.measure_here import Laps

EDGE = 1024  # bytes that are looked at of a file's beginning and end


@dataclass(frozen=True)
class Opened:
    """A file that is ready: `compute` takes images (N, C, R, R) as the file wants them and gives an array of logits.

    `metadata` is what the file says of itself; `laps`, where the runtime can tell, is where the time of so many calls
    went.
    """

    compute: Callable[[Tensor], Any]
    metadata: Mapping[str, str]
    laps: Callable[[Tensor, int], list[Laps]] | None = None

    def logits(self, images: Tensor) -> Tensor:
        """Of any number of images, though the file may take only some at once; the last part is filled up."""
        fixed = self.metadata.get("batch", "dynamic")
        if not fixed.isdigit():
            return torch.from_numpy(self.compute(images.contiguous()).copy())
        size, parts = int(fixed), []
        for part in images.split(size):
            filled = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
            parts.append(torch.from_numpy(self.compute(filled).copy())[: len(part)])
        return torch.cat(parts)


def open_onnx(path: Path, precision: str, threads: int) -> Opened:
    """An exported .onnx file. Files that point to data elsewhere are refused."""
    need("onnx", "onnxruntime")
    import onnxruntime

    def start(data: bytes, profile: str = "") -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, profile
        try:
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no class
            raise refused(path, "a model that ONNX Runtime takes") from error

    session = start(checked_onnx(path))
    (given,) = session.get_inputs()
    return Opened(
        lambda images: session.run(None, {given.name: images.numpy()})[0],
        session.get_modelmeta().custom_metadata_map,
        lambda images, calls: onnxruntime_laps(checked_onnx(path), start, {given.name: images.numpy()}, calls),
    )


def is_whole(path: Path) -> bool:
    """Whether an .xml file begins and ends as OpenVINO's do."""
    with path.open("rb") as file:
        begins = file.read(EDGE)
        file.seek(max(path.stat().st_size - EDGE, 0))
        return re.match(rb"\s*(<\?xml[^>]*>\s*)?<net\b", begins) is not None and file.read().rstrip().endswith(
            b"</net>"
        )


def open_openvino(path: Path, precision: str, threads: int) -> Opened:
    """An exported .xml file; `bf16` is a hint to the processor, `fp32` and `int8` leave the rest in fp32."""
    need("openvino")
    check_file(path)
    if not is_whole(path):  # OpenVINO would try other formats, and print what their readers say
        raise refused(path, "a model that OpenVINO takes")
    core = openvino_core()
    try:
        model = core.read_model(path)
    except Exception as error:
        raise refused(path, "a model that OpenVINO takes") from error
    keys = ("format", "network", "classes", "preprocessing", "labels", "unknown", "sets", "input", "batch")
    known = {key: ["compound", key] for key in keys if model.has_rt_info(["compound", key])}
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def laps(images: Tensor, calls: int) -> list[Laps]:
        watched = core.compile_model(path, "CPU", settings | {"PERF_COUNT": True})
        return openvino_laps(watched, [images.numpy()], calls)

    return Opened(
        lambda images: request.infer([images.numpy()], share_inputs=True)[0],
        {key: str(model.get_rt_info(place).astype(str)) for key, place in known.items()},
        laps,
    )


def open_executorch(path: Path, precision: str, threads: int) -> Opened:
    """An exported .pte file. The threads are those of all such files of this process."""
    need("executorch", extra="executorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package, about what it imports
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime as ExecuTorch

    data = read_file(path)
    if data[4:6] != b"ET":  # the runtime ends the process over a file that is not its own
        raise ExportError(f"{path} is no program of ExecuTorch")
    if portable_lib._threadpool_get_thread_count() != threads:
        portable_lib._unsafe_reset_threadpool(threads)
    try:
        program = ExecuTorch.get().load_program(data)
        program.load_method("forward")
    except (RuntimeError, KeyError) as error:
        raise refused(path, "a program that ExecuTorch takes") from error
    told = sorted(name for name in program.method_names if name.startswith(TELLS))
    # By way of the program, which must live as long as its method; methods are loaded once.
    return Opened(
        lambda images: program.load_method("forward").execute([images])[0].numpy(),
        {name.removeprefix(TELLS): str(program.load_method(name).execute([])[0]) for name in told},
    )


def checked_onnx(path: Path) -> bytes:
    """The file's bytes, if it is whole by itself: data in other files could be any file of this machine."""
    import onnx

    data = read_file(path)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise refused(path, "an ONNX file") from error
    for tensor in messages_in(model, onnx.TensorProto):
        if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.external_data:
            raise ExportError(
                f"{path}: tensor {tensor.name[:100]} lies in another file, which is never read; export it whole"
            )
    return data


def messages_in(message: Any, kind: type) -> Iterator[Any]:
    """Every message of a kind within another of protobuf, wherever the format lets one stand: graphs within nodes,
    functions, sparse tensors, and what a later version of it adds."""
    if isinstance(message, kind):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in (value,) if hasattr(value, "ListFields") else value:
                yield from messages_in(inner, kind)


def refused(path: Path, what: str) -> ExportError:
    """What the library said is kept as the cause, which --debug shows."""
    return ExportError(f"{path} is damaged or not {what}; export it again")


def read_file(path: Path) -> bytes:
    with readable(path):
        return read_regular(path, bound("COMPOUND_MAX_MODEL"))


def check_file(path: Path) -> None:
    """For a library that opens the file itself: a pipe would let it wait, a device would have no end."""
    with readable(path):
        open_regular(path, bound("COMPOUND_MAX_MODEL")).close()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        raise ExportError(f"cannot read {path}: {wrong.strerror or wrong}; give an exported file") from None

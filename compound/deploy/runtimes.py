"""Trained networks ready to run, whatever computes them: PyTorch, ONNX Runtime, OpenVINO or ExecuTorch.

A runtime takes pixels and gives logits (see `inference.Classifier`), so that prediction, evaluation and serving need
not know which one it is.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compound.data import Preprocessing
from compound.deploy.graphs import TELLS, ExportError, need
from compound.deploy.optimize import optimize
from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet, Weights, described_by


class Runtime:
    """A network with something that computes it. `name` and `precision` say what."""

    def __init__(self, name: str, precision: str, described: Weights, compute: Callable[[Tensor], Tensor]) -> None:
        self.name = name
        self.precision = precision
        self.described = described
        self._compute = compute

    @property
    def network(self) -> Network:
        return self.described.network

    @property
    def classes(self) -> tuple[str, ...]:
        return self.described.classes

    @property
    def channels(self) -> int:
        return self.described.channels

    def logits(self, pixels: Tensor) -> Tensor:
        """uint8 (N, channels, R, R) to (N, classes)."""
        return self._compute(pixels)


def in_torch(model: ConvNet, described: Weights, precision: str = "fp32") -> Runtime:
    """The network by `optimize`."""
    preprocessing = Preprocessing.of(described.network)
    side = described.network.resolution
    example = torch.zeros(1, described.channels, side, side)
    fast = optimize(model, example, precision="bf16" if precision == "bf16" else "fp32")
    return Runtime("torch", precision, described, lambda pixels: fast(preprocessing.normalise(pixels)))


def in_onnxruntime(path: Path, precision: str = "fp32", threads: int | None = None) -> Runtime:
    """An exported .onnx file. Files that point to data elsewhere are refused."""
    need("onnx", "onnxruntime")
    import onnxruntime

    data = checked_onnx(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no class
        raise ExportError(f"{path} is not a model that ONNX Runtime takes: {first_line(error)}") from None
    metadata = session.get_modelmeta().custom_metadata_map
    described, prepare = reader(metadata, path)
    (given,) = session.get_inputs()
    compute = one_by_one(metadata, lambda x: session.run(None, {given.name: x.numpy()})[0], prepare)
    return Runtime("onnxruntime", precision, described, compute)


def in_openvino(path: Path, precision: str = "fp32", threads: int | None = None) -> Runtime:
    """An exported .xml file; `bf16` is a hint to the processor, `fp32` and `int8` leave the rest in fp32."""
    need("openvino")
    import openvino as ov

    core = ov.Core()
    try:
        model = core.read_model(path)
    except Exception as error:
        raise ExportError(f"{path} is not a model that OpenVINO takes: {first_line(error)}") from None
    keys = ("format", "network", "classes", "preprocessing", "input", "batch")
    known = {key: ["compound", key] for key in keys if model.has_rt_info(["compound", key])}
    metadata = {key: str(model.get_rt_info(place).astype(str)) for key, place in known.items()}
    described, prepare = reader(metadata, path)
    settings = {
        "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    compute = one_by_one(metadata, lambda x: request.infer([x.numpy()])[0], prepare)
    return Runtime("openvino", precision, described, compute)


def in_executorch(path: Path, precision: str = "fp32", threads: int | None = None) -> Runtime:
    """An exported .pte file. The threads are those of all such files of this process."""
    need("executorch", extra="executorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package, about what it imports
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime as ExecuTorch

    data, wanted = path.read_bytes(), threads or torch.get_num_threads()
    if data[4:6] != b"ET":  # the runtime ends the process over a file that is not its own
        raise ExportError(f"{path} is no program of ExecuTorch")
    if portable_lib._threadpool_get_thread_count() != wanted:
        portable_lib._unsafe_reset_threadpool(wanted)
    try:
        program = ExecuTorch.get().load_program(data)
        program.load_method("forward")
    except (RuntimeError, KeyError) as error:
        raise ExportError(f"{path} is damaged: {first_line(error)}; export it again") from None
    told = sorted(name for name in program.method_names if name.startswith(TELLS))
    metadata = {name.removeprefix(TELLS): str(program.load_method(name).execute([])[0]) for name in told}
    described, prepare = reader(metadata, path)
    # By way of the program, which must live as long as its method; methods are loaded once.
    compute = one_by_one(metadata, lambda x: program.load_method("forward").execute([x])[0].numpy(), prepare)
    return Runtime("executorch", precision, described, compute)


FILES: dict[str, Callable[..., Runtime]] = {".onnx": in_onnxruntime, ".xml": in_openvino, ".pte": in_executorch}


def open_runtime(path: Path, precision: str = "fp32", threads: int | None = None) -> Runtime:
    """The runtime of an exported file, by its suffix."""
    if path.suffix not in FILES:
        raise UsageError(f"{path} is no exported network; give an .onnx, .xml or .pte file")
    if not path.is_file():
        raise UsageError(f"there is no file {path}; write one with: compound export RUN")
    return FILES[path.suffix](path, precision, threads)


def reader(metadata: Mapping[str, str], path: Path) -> tuple[Weights, Callable[[Tensor], Tensor]]:
    """What the file holds, and what is done to pixels before it."""
    described = described_by(metadata, path)
    if described is None:
        raise ExportError(f"{path} does not say its network, classes and preprocessing; export it with compound")
    preprocessing = Preprocessing.of(described.network)
    if metadata.get("input") == "uint8":
        return described, lambda pixels: pixels
    return described, preprocessing.normalise


def one_by_one(
    metadata: Mapping[str, str], compute: Callable[[Tensor], Any], prepare: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Any number of images through a file that may take only some at once; the last part is filled up."""
    fixed = metadata.get("batch", "dynamic")
    size = int(fixed) if fixed.isdigit() else None

    def logits(pixels: Tensor) -> Tensor:
        images = prepare(pixels).contiguous()
        if size is None:
            return torch.from_numpy(compute(images).copy())
        parts = []
        for part in images.split(size):
            filled = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
            parts.append(torch.from_numpy(compute(filled).copy())[: len(part)])
        return torch.cat(parts)

    return logits


def checked_onnx(path: Path) -> bytes:
    """The file's bytes, if it is whole by itself: data in other files could be any file of this machine."""
    import onnx

    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise ExportError(f"{path} is damaged or not an ONNX file: {first_line(error)}") from None
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    outside = [tensor.name for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise ExportError(f"{path}: tensor {outside[0]} lies in another file, which is never read; export it whole")
    return data


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

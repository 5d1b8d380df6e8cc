"""A network as a file of another runtime: ONNX, OpenVINO, ExecuTorch, or an exported PyTorch program.

Every file holds the same function, pixels or normalised floats to logits, from the network with its norms folded, and
the same description of network, classes and preprocessing as the weights.
"""

import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from compound.data import Preprocessing
from compound.errors import CompoundError, UsageError
from compound.files import write_with
from compound.nn import ConvNet, describe_model, fold

Input = Literal["uint8", "float"]
OPSET = 18
TELLS = "compound_"  # methods of an ExecuTorch program that answer with what other files have as metadata


class ExportError(CompoundError):
    """A network that a runtime does not take, or computes differently."""


class Unavailable(ExportError, UsageError):
    """A runtime that this machine does not have, with what is missing."""


class Function(nn.Module, ABC):
    """What a file holds: images (N, C, R, R) to logits (N, classes)."""

    @abstractmethod
    def example(self, images: int) -> Tensor:
        """Images of the right shape and type."""


F = TypeVar("F", bound=Function)


class BareModel(Function):
    """Another library's model, of normalised floats."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()
        self.model, self.image = model, image

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits

    def example(self, images: int) -> Tensor:
        return self.image.expand(images, -1, -1, -1).contiguous()


class Deployable(Function):
    """One of our networks with its norms folded, of `uint8` pixels 0–255 or of normalised floats."""

    factor: Tensor
    offset: Tensor

    def __init__(self, model: ConvNet, takes: Input) -> None:
        super().__init__()
        self.network, self.channels = model.network, model.channels
        self.takes = takes
        preprocessing = Preprocessing.of(model.network)
        mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
        self.register_buffer("factor", 1 / (255 * std))
        self.register_buffer("offset", -mean / std)
        self.model = fold(model).cpu()

    def forward(self, images: Tensor) -> Tensor:
        if self.takes == "uint8":
            images = images.float() * self.factor + self.offset
        logits: Tensor = self.model(images)
        return logits

    def prepare(self, pixels: Tensor) -> Tensor:
        """uint8 pixels as this module takes them."""
        return pixels if self.takes == "uint8" else Preprocessing.of(self.network).normalise(pixels)

    def pixels(self, images: Tensor) -> Tensor:
        """The uint8 pixels whose normalised values are nearest to `images`."""
        pixels: Tensor = (images - self.offset) / self.factor
        return pixels.round().clamp(0, 255).to(torch.uint8)

    def example(self, images: int) -> Tensor:
        side = self.network.resolution
        return self.prepare(torch.zeros(images, self.channels, side, side, dtype=torch.uint8))


@dataclass(frozen=True)
class Exportable(Generic[F]):
    """What to write: the function, how many images it takes (None: any number), and what the file says of itself."""

    module: F
    batch: int | None
    metadata: Mapping[str, str]


def graph_of(model: ConvNet, classes: tuple[str, ...], batch: int | None, takes: Input) -> Exportable[Deployable]:
    described = describe_model(model, classes) | {"input": takes, "batch": str(batch or "dynamic")}
    return Exportable(Deployable(model, takes).eval(), batch, described)


def write_onnx(graph: Exportable[Any], path: Path) -> Path:
    need("onnx", "onnxscript")
    import onnx

    # Two images where any number may come: the exporter takes a 1 for a constant.
    example = graph.module.example(graph.batch or 2)
    shapes = None if graph.batch else ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        program = torch.onnx.export(
            graph.module, (example,), dynamo=True, verbose=False, opset_version=OPSET,
            input_names=["images"], output_names=["logits"], dynamic_shapes=shapes,
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, dict(graph.metadata))
    onnx.checker.check_model(proto)
    return write_with(path, lambda temporary: onnx.save(proto, temporary))


def write_openvino(graph: Exportable[Any], path: Path) -> Path:
    """`path` and, beside it, the weights in a .bin of the same stem."""
    need("openvino")
    import openvino as ov

    example = graph.module.example(graph.batch or 2)
    shape = [graph.batch or -1, *example.shape[1:]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = ov.convert_model(graph.module, example_input=example, input=[ov.PartialShape(shape)])
    for key, value in graph.metadata.items():
        converted.set_rt_info(value, ["compound", key])
    return save_openvino(converted, path)


def save_openvino(converted: Any, path: Path) -> Path:
    """Structure and weights; the weights first, so that no structure stands without them."""
    import tempfile

    import openvino as ov

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        ov.save_model(converted, Path(folder) / "model.xml", compress_to_fp16=False)
        for suffix in (".bin", path.suffix):
            written = (Path(folder) / "model").with_suffix(".xml" if suffix == path.suffix else suffix)
            write_with(path.with_suffix(suffix), partial(shutil.copyfile, written))
    return path


def write_torch(graph: Exportable[Any], path: Path) -> Path:
    """A `torch.export` archive for C++ or ahead-of-time compilation. Loading one can run code: load only your own."""
    example = graph.module.example(graph.batch or 2)
    shapes = None if graph.batch else ({0: torch.export.Dim("batch")},)
    program = torch.export.export(graph.module, (example,), dynamic_shapes=shapes)
    extra = {f"compound/{key}": value for key, value in graph.metadata.items()}

    def save(temporary: str) -> None:
        with open(temporary, "wb") as file:
            torch.export.save(program, file, extra_files=extra)

    return write_with(path, save)


def write_executorch(graph: Exportable[Any], path: Path) -> Path:
    """A program for ExecuTorch with the operators of XNNPACK: phones and small devices. It takes one image a call,
    where `graph` does not say how many: its memory is planned beforehand."""
    need("executorch", extra="executorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        images = graph.batch or 1
        told = dict(graph.metadata) | {"batch": str(images)}
        program = to_edge_transform_and_lower(
            torch.export.export(graph.module, (graph.module.example(images),)),
            partitioner=[XnnpackPartitioner()],
            constant_methods={f"{TELLS}{key}": value for key, value in told.items()},
        ).to_executorch()
    return write_with(path, lambda temporary: Path(temporary).write_bytes(program.buffer))


def need(*packages: str, extra: str = "deploy") -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} is not installed; run: pip install 'compound[{extra}]'")

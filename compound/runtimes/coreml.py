"""Core ML: a package for Xcode. It runs on Apple's devices alone, so what was written is computed here by PyTorch."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compound.runtimes.graphs import Exportable, ExportError, need
from compound.runtimes.mil import computed

SHOWN = (1, 3)  # channels that an image of Core ML has
COLOURS = {1: "GRAYSCALE", 3: "RGB"}


class FloatPixels(torch.nn.Module):
    """A module of uint8 pixels, of the same values as floats: what Core ML makes of an image."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images)
        return logits


def write_coreml(graph: Exportable[Any], path: Path) -> Path:
    """A folder `path` (.mlpackage) for iOS 16, macOS 13 and later, in fp32.

    It takes one image a call, where `graph` does not say how many.
    Pixels of one or three channels come in as an image (CVPixelBuffer or CGImage), all else as floats.
    """
    need("coremltools", extra="coreml")
    images = graph.batch or 1
    example = graph.module.example(images)
    pixels = example.dtype == torch.uint8
    program = torch.export.export(FloatPixels(graph.module).eval(), (example.float(),))
    program = program.run_decompositions({torch.ops.aten.channel_shuffle.default: shuffled})
    with quietly():
        import coremltools as ct

        shape = tuple(example.shape)
        if pixels and images == 1 and shape[1] in SHOWN:
            given = ct.ImageType(name="image", shape=shape, color_layout=getattr(ct.colorlayout, COLOURS[shape[1]]))
        else:
            given = ct.TensorType(name="images", shape=shape)
        try:
            model = ct.convert(
                program, inputs=[given], outputs=[ct.TensorType(name="logits")], convert_to="mlprogram",
                compute_precision=ct.precision.FLOAT32, minimum_deployment_target=ct.target.iOS16, skip_model_load=True,
            )  # fmt: skip
        except (ValueError, NotImplementedError, RuntimeError, TypeError, KeyError) as error:
            raise ExportError(f"Core ML's converter does not take {path.name}: {first_line(error)}") from error
        model.user_defined_metadata.update({**graph.metadata, "batch": str(images)})
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            made = Path(folder) / path.name
            model.save(str(made))
            replace_folder(made, path)
    return path


def shuffled(x: Tensor, groups: int) -> Tensor:
    """`torch.channel_shuffle` by operators that the converter knows."""
    n, channels, rows, columns = x.shape
    return x.reshape(n, groups, channels // groups, rows, columns).transpose(1, 2).reshape(x.shape)


def compute_coreml(path: Path, images: Tensor) -> Tensor:
    """Logits of the package's program for images as it takes them, operator by operator in PyTorch."""
    with quietly():
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto.load import load

        spec = ct.models.utils.load_spec(str(path))
        weights = path / "Data" / "com.apple.CoreML" / "weights"
        program = load(spec, specification_version=spec.specificationVersion, file_weights_dir=str(weights))
    return computed(program.functions["main"], images.float())


def replace_folder(made: Path, path: Path) -> None:
    """`made` in the place of `path`, which may be an older folder."""
    if path.exists():
        old = made.with_name(f"{made.name}.old")
        path.rename(old)
    made.rename(path)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without what coremltools tells of versions, of parts that only a Mac has, and of its passes."""
    log = logging.getLogger("coremltools")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

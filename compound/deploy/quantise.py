"""Post-training quantisation to 8-bit integers, calibrated on real images.

Nothing is promised: swish and squeeze-and-excitation force values back to floats, so int8 often loses to bf16 on
EfficientNets, and wins on ResNets and the Lite variants (ReLU6, no squeeze-and-excitation). Measure it.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compound.files import write_with
from compound.runtimes.engine import openvino_core
from compound.runtimes.graphs import need, save_openvino

CALIBRATION = 128  # images that the ranges of activations are read from
MOVED = 0.005  # of the probability, which may lie elsewhere where precisions are mixed


def quantise_onnx(source: Path, target: Path, images: Tensor) -> Path:
    """`source` with 8-bit convolutions and linear layers (QDQ form): weights by channel, activations by range."""
    need("onnx", "onnxruntime")
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class CalibrationImages(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.left = iter(images.split(1))

        def get_next(self) -> dict[str, object] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image.numpy()}

    with quiet(), tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        written = Path(folder) / "int8.onnx"
        quantize_static(
            str(source), str(written), CalibrationImages(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip
        return write_with(target, lambda temporary: Path(temporary).write_bytes(written.read_bytes()))


def quantise_openvino(source: Path, target: Path, images: Tensor) -> Path:
    """`source` with 8-bit operators, by NNCF."""
    need("openvino", "nncf")
    with quiet():
        import nncf

        model = openvino_core().read_model(source)
        data = nncf.Dataset([image.numpy() for image in images.split(1)])
        quantised = nncf.quantize(model, data, subset_size=len(images))
    return save_openvino(quantised, target)


def mix_openvino(source: Path, target: Path, images: Tensor, chosen_on: Tensor) -> Path:
    """`source` with 8-bit operators but for those by which answers suffer most, by NNCF's accuracy control.

    It quantises all, ranks the operators by how much of the probability on the images `chosen_on` comes back to where
    it is in fp32 when one of them is left in fp32, and gives them back in that order until at most MOVED lies elsewhere
    (the mean total variation distance of the answers).
    """
    need("openvino", "nncf")
    with quiet():
        import nncf

        model = openvino_core().read_model(source)
        whole = openvino_core().compile_model(model, "CPU")
        items = [(image.numpy(), answer(whole, image.numpy())) for image in chosen_on.split(1)]

        def kept(compiled: Any, given: Iterable[tuple[Any, Tensor]]) -> tuple[float, list[float]]:
            each = [1 - float((answer(compiled, image) - wanted).abs().sum()) / 2 for image, wanted in given]
            return sum(each) / len(each), each

        quantised = nncf.quantize_with_accuracy_control(
            model, nncf.Dataset([image.numpy() for image in images.split(1)]), nncf.Dataset(items, itemgetter(0)), kept,
            max_drop=MOVED, subset_size=len(images),
        )  # fmt: skip
    return save_openvino(quantised, target)


def answer(compiled: Any, image: Any) -> Tensor:
    """The probabilities (K,) that a compiled model of OpenVINO gives one image."""
    return torch.from_numpy(compiled(image)[0]).double().flatten().softmax(0)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the tools' progress and advice; what is worth saying is in the table of results."""
    before = torch.get_num_threads()
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        torch.set_num_threads(before)

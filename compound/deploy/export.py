"""Export: a network into files of other runtimes, each checked against the network on real images before it is kept."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from compound.data import DamageLog, Preprocessing, Source, make_loader
from compound.deploy.quantise import CALIBRATION, mix_openvino, quantise_onnx, quantise_openvino
from compound.errors import UsageError
from compound.evaluation.statistics import wilson
from compound.files import make_folder
from compound.inference import refuse_no_numbers
from compound.nn import ConvNet, Weights
from compound.notes import note
from compound.runtimes import (
    FORMATS,
    Deployable,
    Exportable,
    ExportError,
    Input,
    Runtime,
    graph_of,
    is_exported,
    open_runtime,
)
from compound.runtimes.coreml import compute_coreml, replace_folder

TOLERANCE = 1e-3  # largest difference of a logit in fp32, as a share of the largest logit
QUANTISERS = {"onnx": quantise_onnx, "openvino": quantise_openvino}
IMAGES = 1000  # real images that a file is checked on, at most


@dataclass(frozen=True)
class Quantised:
    """Files of 8-bit integers, too: their ranges are read from pixels `calibration`, by default those checked on.

    With pixels `chosen_on` OpenVINO also gets one whose most sensitive operators stay in fp32, as these images show.
    """

    calibration: Tensor | None = None
    chosen_on: Tensor | None = None


@dataclass(frozen=True)
class Exported:
    """A file of a runtime and what was measured of it. `difference` is a share of the largest logit.

    `agreement` is of `images`, `top1` of the `labelled` ones among them; 0 of either in files of older versions.
    """

    file: str  # the PyTorch module that `optimize` makes has no file of its own
    runtime: str
    precision: str
    bytes: int
    difference: float
    agreement: float  # share of images with the same top-1 as the network in PyTorch
    top1: float | None = None
    latency_ms: float | None = None  # one image, median
    images: int = 0
    labelled: int = 0

    @property
    def agreement_interval(self) -> tuple[float, float]:
        """The 95 % interval of the agreement, by Wilson; all there is where no image says anything."""
        return wilson(self.agreement, self.images) if self.images else (0.0, 1.0)

    @property
    def most_lost(self) -> float:
        """Points of accuracy that are lost at most, at 95 %: an image is lost only where the top-1 is another."""
        return 100 * (1 - self.agreement_interval[0])


@dataclass(frozen=True)
class Probe:
    """Real images, what the network in PyTorch says of them, and what they are."""

    pixels: Tensor  # uint8 (N, C, R, R)
    logits: Tensor  # (N, classes)
    labels: Tensor | None  # (N,), -1 where it is not looked at; None where nobody knows

    def compare(self, runtime: Runtime, file: str, size: int) -> Exported:
        logits = runtime.logits(self.pixels)
        best = logits.argmax(1)
        known = torch.empty(0) if self.labels is None else (best == self.labels)[self.labels >= 0]
        return Exported(
            file,
            runtime.name,
            runtime.precision,
            size,
            ((logits - self.logits).abs().max() / self.logits.abs().max().clamp_min(1e-12)).item(),
            (best == self.logits.argmax(1)).double().mean().item(),
            known.double().mean().item() if len(known) else None,
            images=len(best),
            labelled=len(known),
        )


def probe(model: ConvNet, source: Source, labelled: bool, images: int = IMAGES) -> Probe:
    """The first readable images of `source` with the network's own answers."""
    preprocessing = Preprocessing.of(model.network)
    pixels: list[Tensor] = []
    labels: list[Tensor] = []
    names: list[str] = []
    damage = DamageLog(1.0)
    for batch in make_loader(source, preprocessing, 32):
        damage.add(batch)
        pixels.append(batch.images)
        labels.append(batch.labels)
        names += [source.path(index) for index in batch.indices.tolist()]
        if sum(map(len, pixels)) >= images:
            break
    together = torch.cat(pixels)[:images]
    if not len(together):
        raise UsageError("there is no readable image to check the export on; give some with --images")
    model = model.cpu().eval()
    with torch.inference_mode():
        logits = torch.cat([model(preprocessing.normalise(part)) for part in together.split(32)])
    refuse_no_numbers(model.network, logits, names[:images])
    return Probe(together, logits, torch.cat(labels)[:images] if labelled else None)


def export(
    model: ConvNet,
    classes: tuple[str, ...],
    formats: Sequence[str],
    out: Path,
    checked_on: Probe,
    *,
    batch: int | None = None,
    takes: Input = "uint8",
    quantised: Quantised | None = None,
) -> list[Exported]:
    """Write `model` in each of `formats` (see `FORMATS`) into the folder `out`.

    Every file is first written and checked aside: in fp32 a logit may differ by `TOLERANCE` of the largest one, else
    `ExportError` is raised and `out` is as it was. With `quantised` a file of integers joins each that can be, its
    accuracy reported.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"there is no format {unknown[0]!r}; use {', '.join(FORMATS)}")
    make_folder(out)
    graph = graph_of(model, classes, batch, takes)
    done: list[Exported] = []
    with tempfile.TemporaryDirectory(dir=out, prefix=".export.") as folder:
        for name in formats:
            note(f"writing {FORMATS[name].file} and comparing it with PyTorch on {len(checked_on.pixels):,} images")
            done += _export_one(graph, name, Path(folder), checked_on, quantised)
        for file in sorted(Path(folder).iterdir(), key=lambda f: f.suffix != ".bin"):  # a structure after its weights
            replace_folder(file, out / file.name) if file.is_dir() else file.replace(out / file.name)
    return done


def _export_one(
    graph: Exportable[Deployable], name: str, folder: Path, checked_on: Probe, quantised: Quantised | None
) -> list[Exported]:
    file = FORMATS[name].file
    path = FORMATS[name].write(graph, folder / file)
    if name == "coreml":
        done = [checked_package(graph, path, checked_on)]
    elif not is_exported(path):  # a program of torch.export is not loaded again: it could run code
        return [checked_program(graph, path, checked_on)]
    else:
        done = [checked_on.compare(open_runtime(path), file, size_of(path))]
    if not done[0].difference <= TOLERANCE:
        raise ExportError(
            f"{file} computes other logits than the network: {done[0].difference:.2g} of the largest, and "
            f"{TOLERANCE:g} is allowed; nothing was written"
        )
    if quantised and name in QUANTISERS:
        prepare, given = graph.module.prepare, quantised.calibration
        images = prepare(checked_on.pixels[:CALIBRATION] if given is None else given[:CALIBRATION])
        made = {"int8": QUANTISERS[name](path, beside(path, "int8"), images)}
        if quantised.chosen_on is not None and name == "openvino":
            made["mixed"] = mix_openvino(path, beside(path, "mixed"), images, prepare(quantised.chosen_on))
        for precision, target in made.items():
            done.append(checked_on.compare(open_runtime(target, precision), target.name, size_of(target)))
    return done


def beside(path: Path, precision: str) -> Path:
    """The file of another precision: model.xml, model-int8.xml."""
    return path.with_name(f"{path.stem}-{precision}{path.suffix}")


def checked_program(graph: Exportable[Deployable], path: Path, checked_on: Probe) -> Exported:
    """The program as it was written. Loading such an archive can run code; this one was made a moment ago."""
    described = Weights(graph.module.network, ())
    prepare = graph.module.prepare
    program = torch.export.load(path).module()

    def compute(pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = [program(part) for part in prepare(pixels).split(graph.batch or len(pixels))]
        return torch.cat(parts)

    return checked_on.compare(Runtime("torch.export", "fp32", described, compute), path.name, size_of(path))


def checked_package(graph: Exportable[Deployable], path: Path, checked_on: Probe) -> Exported:
    """The program of a package, computed in PyTorch: Core ML itself runs on Apple's devices alone."""
    described, prepare = Weights(graph.module.network, ()), graph.module.prepare

    def compute(pixels: Tensor) -> Tensor:
        return compute_coreml(path, prepare(pixels))

    return checked_on.compare(Runtime("coreml", "fp32", described, compute), path.name, size_of(path))


def size_of(path: Path) -> int:
    """Bytes of an exported network, its weights beside it included."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    beside = path.with_suffix(".bin")
    return path.stat().st_size + (beside.stat().st_size if path.suffix == ".xml" and beside.exists() else 0)

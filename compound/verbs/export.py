"""`compound.export`: a trained network as files of other runtimes, checked on real images, and the fastest chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from compound.bounds import check_call
from compound.documents import read_json
from compound.errors import UsageError
from compound.files import stands
from compound.verbs.given import Place, Say, heard, silent
from compound.verbs.models import find_model
from compound.verbs.sizes import Size, Sized, cut_size

if TYPE_CHECKING:
    from compound.data import Source
    from compound.deploy import Exported, Quantised
    from compound.deploy.export import Probe
    from compound.nn import ConvNet, Weights

EVERY = "all"
CHOOSING = 300  # images by which precisions are mixed
AUTO = ("onnx", "openvino")  # the formats that `auto` tries; PyTorch itself needs no file


@dataclass(frozen=True)
class Export:
    """The files in the folder `out` with what was measured of each; the chosen way, and the folder for the hub, where
    they were asked for; the size that was cut out of an elastic run; of all formats, why some were not written."""

    out: Path
    files: "tuple[Exported, ...]"
    chosen: "Exported | None" = None
    hub: Path | None = None
    size: Sized | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "files": [_told(one) for one in self.files],
            "chosen": _told(self.chosen) if self.chosen else None,
            "hub": str(self.hub) if self.hub else None,
            **({"missing": dict(self.missing)} if self.missing else {}),
            **({"size": self.size.to_json()} if self.size else {}),
        }


def _told(one: "Exported") -> dict[str, Any]:
    return asdict(one) | {"agreement_interval": list(one.agreement_interval), "most_lost": one.most_lost}


@heard
def export(
    model: Place | Size,
    to: str | Sequence[str] = (),
    *,
    weights: Place | None = None,
    out: Place | None = None,
    batch: int | None = None,
    takes: Literal["uint8", "float"] = "uint8",
    int8: bool | Literal["mixed"] = False,
    most_drop: float = 0.1,
    images: Place | None = None,
    say: Say = silent,
) -> Export:
    """Write a trained network for ONNX Runtime, OpenVINO, ExecuTorch, Core ML, torch.export or the Hugging Face hub.

    Args:
        model: a run or a weights file; with `weights`, the name of a network; a `Size` of a run that was trained with
            smaller ones, which is cut out as a network with weights of its own, model.safetensors in `out`.
        to: one or more of `onnx`, `openvino`, `executorch`, `coreml`, `torch`, `hub`; `all`: whichever of these files
            can be written here, each timed that can be run here, and why the others cannot; `auto`: all runtimes that
            are here, each measured, and the fastest chosen, which `compound.predict` and the server then use.
        weights: another library's weights, or a published name, for the network `model`.
        out: a folder; by default `export` in the run, or beside the weights file.
        batch: images a call; None: any number. takes: `uint8`: pixels (N, C, R, R); `float`: normalised ones.
        int8: quantised files, too; `mixed`: and for OpenVINO one whose most sensitive operators stay in fp32, as the
            first 300 images show; the others judge. most_drop: with `auto`, points of accuracy that speed may cost.
        images: photos to check and calibrate on; by default the run's. say: told what is left out.

    Every file is checked before it is kept: raises `compound.runtimes.ExportError` where it computes other logits,
    `UsageError` for what says nothing together.
    """
    from compound.deploy import choose as ways
    from compound.deploy import weights_file
    from compound.deploy.export import IMAGES, probe
    from compound.runtimes import FORMATS

    cut, run = (model, model.run) if isinstance(model, Size) else (None, model)
    wanted, name = find_formats(to, most_drop, batch, cut is None), fspath(run)
    place = Path(out) if out is not None else ways.export_folder(name) / (cut.name if cut else "")
    size = cut_size(cut, place) if cut else None
    if "auto" in wanted and weights:
        raise UsageError("--to auto chooses for a run or a .safetensors file; train or save the network first")
    net, described = find_model(size.file if size else name, weights)
    auto, every, mixed = ("auto" in wanted), EVERY in wanted, int8 == "mixed"
    formats = [one for one in FORMATS if one in wanted or every or (auto and one in AUTO)]
    found = Export(place, (), size=size)
    if formats:
        judged, other, labelled = real_images(name, images, described, every=auto or mixed)
        choosing, judged = parted(judged, CHOOSING) if mixed else (None, judged)
        checked = probe(net, judged, labelled, ways.images_to_show(net.network, most_drop, images) if auto else IMAGES)
        integers = quantising(net, other, choosing) if int8 or auto else None
        found = written(found, AskedFiles(net, described, checked, batch, takes, integers), formats, every)
    if auto:
        done = ways.compare_ways(net, described, place, found.files, checked)
        found = replace(found, files=tuple(done), chosen=ways.choose(done, most_drop))
        ways.write_choice(place, ways.choose(done, most_drop), done, weights_file(size.file if size else name))
    elif every:
        found = replace(found, files=tuple(ways.timed_files(place, found.files, checked.pixels)))
    return with_hub(found, net, described, name) if "hub" in wanted else found


def with_hub(found: Export, model: "ConvNet", described: "Weights", name: str) -> Export:
    """And the folder for the hub, with what the run was evaluated with."""
    from compound.deploy.hub import write_hub_folder

    told = read_evaluation(Path(name) / "evaluation.json")
    return replace(found, hub=write_hub_folder(model, described.classes, found.out / "hub", told))


@dataclass(frozen=True)
class AskedFiles:
    """What is written, what it is checked on, and how its files are to be."""

    model: "ConvNet"
    described: "Weights"
    checked_on: "Probe"
    batch: int | None
    takes: Literal["uint8", "float"]
    quantised: "Quantised | None"


def written(found: Export, asked: AskedFiles, formats: Sequence[str], every: bool) -> Export:
    """The files of all formats, or none; with `every` of those that can be written, and why the others cannot."""
    from compound.deploy import export as run_export
    from compound.runtimes import ExportError

    done: list[Exported] = []
    missing: dict[str, str] = {}
    for some in [[one] for one in formats] if every else [formats]:
        try:
            done += run_export(
                asked.model, asked.described.classes, some, found.out, asked.checked_on,
                batch=asked.batch, takes=asked.takes, quantised=asked.quantised,
            )  # fmt: skip
        except ExportError as error:
            if not every:
                raise
            missing[some[0]] = str(error)
    return replace(found, files=tuple(done), missing=missing)


def quantising(model: "ConvNet", other: "Source | None", choosing: "Source | None") -> "Quantised":
    """With which images files of integers are made."""
    from compound.deploy import Quantised
    from compound.deploy.export import probe

    chosen_on = probe(model, choosing, False, CHOOSING).pixels if choosing else None
    return Quantised(probe(model, other, False).pixels if other else None, chosen_on)


def parted(source: "Source", count: int) -> "tuple[Source, Source]":
    """The first `count` images, or half of fewer, and the others."""
    import numpy as np

    from compound.data import subset

    if len(source) < 2:
        raise UsageError("mixed precision is chosen by some images and judged by others; give more with --images DIR")
    rows, cut = np.arange(len(source)), min(count, len(source) // 2)
    return subset(source, rows[:cut]), subset(source, rows[cut:])


def find_formats(to: str | Sequence[str], most_drop: float, batch: int | None = None, some: bool = True) -> set[str]:
    """What is asked for, at least `some` format.

    Raises `UsageError` for what is none of the formats, for a drop that none is chosen by, and for a batch that no
    machine takes.
    """
    from compound.runtimes import FORMATS

    check_call(batch)
    if not 0 <= most_drop <= 100:
        raise UsageError(f"--max-drop {most_drop} is not a number of points of accuracy; use 0 to 100, usually 0.1")
    wanted = {to} if isinstance(to, str) else set(to)
    unknown = sorted(wanted - {*FORMATS, "auto", EVERY, "hub"})
    if some and not wanted:
        raise UsageError(f"--to says which format; use {', '.join(FORMATS)}, hub, auto or all")
    if unknown:
        raise UsageError(f"there is no format {unknown[0]!r}; use {', '.join(FORMATS)}, hub, auto or all")
    return wanted


def read_evaluation(file: Path) -> dict[str, Any] | None:
    """What a run was evaluated with, where it was."""
    return read_json(file, f"run: compound evaluate {file.parent}") if stands(file) else None


def real_images(
    model: str, images: Place | None, described: "Weights", every: bool
) -> "tuple[Source, Source | None, bool]":
    """What a file is judged on, what it is calibrated on (None: the same), and whether labels are known.

    Of a run it is judged on the held-out images, and with `every` on all others after them, without their labels.
    """
    import numpy as np

    from compound.data import FileSource
    from compound.data.errors import AbsentData
    from compound.data.source import concatenated
    from compound.deploy import find_images
    from compound.training import open_run
    from compound.training.judging import data_of_run

    if images is not None:
        found = find_images([Path(images)])
        return FileSource(found, np.zeros(len(found), dtype=np.int64), described.channels), None, False
    if not (Path(model) / "run.yaml").is_file():
        raise UsageError(
            f"{model} does not say which images it knows; give some to check the export on with --images DIR"
        )
    run = open_run(model)
    try:
        data, _ = data_of_run(run, replace(run.spec, channels=described.channels))
    except AbsentData as error:
        raise AbsentData(f"{error} to check the export on, without labels, with --images DIR") from None
    if not every:
        return data.holdout, data.train, True
    others = [part.labelled(np.full(len(part), -1)) for part in (data.test, data.train)]
    return concatenated(concatenated(data.holdout, others[0]), others[1]), data.train, True

"""`compound.export`: a trained network as files of other runtimes, checked on real images, and the fastest chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from compound.bounds import check_call
from compound.budget import Budget
from compound.documents import read_json
from compound.errors import UsageError
from compound.files import stands
from compound.verbs.given import Place, Say, heard, silent
from compound.verbs.models import find_model
from compound.verbs.sizes import Sized, cut_size

if TYPE_CHECKING:
    from compound.data import Source
    from compound.deploy import Exported
    from compound.nn import Weights

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
    model: Place,
    to: str | Sequence[str] = (),
    *,
    size: Budget | float | None = None,
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
        model: a run or a weights file; with `weights`, the name of a network.
        to: one or more of `onnx`, `openvino`, `executorch`, `coreml`, `torch`, `hub`; `all`: whichever of these files
            can be written here, each timed that can be run here, and why the others cannot; `auto`: all runtimes that
            are here, each measured, and the fastest chosen, which `compound.predict` and the server then use.
        size: of a run that was trained with smaller sizes (`Recipe.elastic`), the φ of one or a budget for it: it is
            cut out as a network with weights of its own, model.safetensors in `out`, and that is exported.
        weights: another library's weights, or a published name, for the network `model`.
        out: a folder; by default `export` in the run, or beside the weights file.
        batch: images a call; None: any number. takes: `uint8`: pixels (N, C, R, R); `float`: normalised ones.
        int8: quantised files, too; `mixed`: and for OpenVINO one whose most sensitive operators stay in fp32, as the
            first 300 images show; all files are judged by the others then.
        most_drop: with `auto`, points of accuracy that speed may cost.
        images: photos to check and calibrate on; by default what the run was trained on.
        say: told what is left out of weights and folders.

    Every file is checked before it is kept: raises `compound.runtimes.ExportError` where it computes other logits,
    `UsageError` for what says nothing together.
    """
    from compound.deploy import Quantised, weights_file
    from compound.deploy import choose as ways
    from compound.deploy import export as run_export
    from compound.deploy.export import IMAGES, probe
    from compound.deploy.hub import write_hub_folder
    from compound.runtimes import FORMATS, ExportError

    wanted, name = find_formats(to, most_drop, batch, size), fspath(model)
    cut = None
    if size is not None:
        told = f"phi{size:g}" if not isinstance(size, Budget) else "budget"
        place = Path(out) if out is not None else ways.export_folder(name) / told
        cut = cut_size(Path(name), size, place)
    if "auto" in wanted and weights:
        raise UsageError("--to auto chooses for a run or a .safetensors file; train or save the network first")
    net, described = find_model(cut.file if cut else model, weights)
    place = cut.file.parent if cut else Path(out) if out is not None else ways.export_folder(name)
    every = EVERY in wanted
    formats = [one for one in FORMATS if one in wanted or every or ("auto" in wanted and one in AUTO)]
    done: list[Exported] = []
    missing: dict[str, str] = {}
    chosen = hub = None
    if formats:
        auto = "auto" in wanted
        mixed = int8 == "mixed"
        judged, other, labelled = real_images(name, images, described, every=auto or mixed)
        choosing, judged = parted(judged, CHOOSING) if mixed else (None, judged)
        checked = probe(net, judged, labelled, ways.images_to_show(net.network, most_drop, images) if auto else IMAGES)
        quantised = None
        if int8 or auto:
            chosen_on = probe(net, choosing, False, CHOOSING).pixels if choosing else None
            quantised = Quantised(probe(net, other, False).pixels if other else None, chosen_on)
        for some in [[one] for one in formats] if every else [formats]:
            try:
                done += run_export(
                    net, described.classes, some, place, checked,
                    batch=batch, takes=takes, quantised=quantised,
                )  # fmt: skip
            except ExportError as error:
                if not every:
                    raise
                missing[some[0]] = str(error)
        if every and not auto:
            done = ways.timed_files(place, done, checked.pixels)
    if "auto" in wanted:
        done = ways.compare_ways(net, described, place, done, checked)
        chosen = ways.choose(done, most_drop)
        ways.write_choice(place, chosen, done, weights_file(cut.file if cut else name))
    if "hub" in wanted:
        hub = write_hub_folder(net, described.classes, place / "hub", read_evaluation(Path(name) / "evaluation.json"))
    return Export(place, tuple(done), chosen, hub, cut, missing)


def parted(source: "Source", count: int) -> "tuple[Source, Source]":
    """The first `count` images, or half of fewer, and the others."""
    import numpy as np

    from compound.data import subset

    if len(source) < 2:
        raise UsageError("mixed precision is chosen by some images and judged by others; give more with --images DIR")
    rows, cut = np.arange(len(source)), min(count, len(source) // 2)
    return subset(source, rows[:cut]), subset(source, rows[cut:])


def find_formats(
    to: str | Sequence[str], most_drop: float, batch: int | None = None, size: Budget | float | None = None
) -> set[str]:
    """What is asked for.

    Raises `UsageError` for what is none of the formats, for a drop that none is chosen by, and for a batch that no
    machine takes.
    """
    from compound.runtimes import FORMATS

    check_call(batch)
    if not 0 <= most_drop <= 100:
        raise UsageError(f"--max-drop {most_drop} is not a number of points of accuracy; use 0 to 100, usually 0.1")
    wanted = {to} if isinstance(to, str) else set(to)
    unknown = sorted(wanted - {*FORMATS, "auto", EVERY, "hub"})
    if not wanted and size is None:
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
    data, _ = data_of_run(run, replace(run.spec, channels=described.channels))
    if not every:
        return data.holdout, data.train, True
    others = [part.labelled(np.full(len(part), -1)) for part in (data.test, data.train)]
    return concatenated(concatenated(data.holdout, others[0]), others[1]), data.train, True

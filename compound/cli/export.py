"""`compound export`: a trained network as a file of another runtime, checked on real images, and the fastest chosen."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from compound.cli.common import Json, answer
from compound.cli.evaluate import ForeignWeights, Model
from compound.errors import UsageError
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.data import Source
    from compound.deploy import Exported
    from compound.nn import Weights


class Format(StrEnum):
    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"
    executorch = "executorch"
    hub = "hub"
    auto = "auto"


def export(
    model: Model,
    to: Annotated[
        list[Format],
        typer.Option("--to", help="May be given more than once. auto: all runtimes, and the fastest chosen."),
    ],
    weights: ForeignWeights = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A folder; default MODEL/export.")] = None,
    batch: Annotated[str, typer.Option(help="dynamic, or the number of images a call takes.")] = "dynamic",
    takes: Annotated[
        Literal["uint8", "float"], typer.Option("--input", help="uint8: pixels, normalised inside; float: normalised.")
    ] = "uint8",
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Quantised files too. Lite variants (ReLU6, no squeeze-and-excitation) suit it best."
        ),
    ] = False,
    most_drop: Annotated[
        float, typer.Option("--max-drop", help="With auto: points of accuracy that speed may cost.")
    ] = 0.1,
    images: Annotated[
        Path | None, typer.Option(help="Photos to check and calibrate on; default what the run was trained on.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a trained network for ONNX Runtime, OpenVINO, ExecuTorch, torch.export or the Hugging Face hub."""
    from compound.deploy import weights_file
    from compound.deploy.choose import choose, compare_ways, export_folder, write_choice
    from compound.deploy.export import export as run_export
    from compound.deploy.export import probe
    from compound.nn import load_weights
    from compound.runtimes import FORMATS

    size = batch_size(batch)
    if "auto" in to and weights:
        raise UsageError("--to auto chooses for a run or a .safetensors file; train or save the network first")
    net, described = load_weights(weights or model, find_network(model) if weights else None)
    out = out or export_folder(model)
    formats = [name for name in FORMATS if name in to or ("auto" in to and name in ("onnx", "openvino"))]
    done: list[Exported] = []
    if formats:
        judged, other, labelled = real_images(model, images, described)
        checked = probe(net, judged, labelled)
        calibration = probe(net, other, False).pixels if other else None
        quantised = int8 or "auto" in to
        done = run_export(
            net, described.classes, formats, out, checked,
            batch=size, takes=takes, int8=quantised, calibration=calibration,
        )  # fmt: skip
    chosen = None
    if "auto" in to:
        done = compare_ways(net, described, out, done, checked)
        chosen = choose(done, most_drop)
        write_choice(out, chosen, done, weights_file(model))
    hub = write_hub(model, net, described, out) if "hub" in to else None
    answer(json, fields(out, done, chosen, hub), text(out, done, chosen, hub))


def batch_size(given: str) -> int | None:
    if given == "dynamic":
        return None
    if not given.isdigit() or int(given) < 1:
        raise UsageError(f"--batch {given!r} is neither dynamic nor a number of images; use e.g. 1")
    return int(given)


def real_images(model: str, images: Path | None, described: "Weights") -> "tuple[Source, Source | None, bool]":
    """What a file is judged on, what it is calibrated on (None: the same), and whether the labels are known."""
    import numpy as np

    from compound.data import FileSource
    from compound.deploy import find_images
    from compound.training import open_run

    if images is not None:
        found = find_images([images])
        return FileSource(found, np.zeros(len(found), dtype=np.int64), described.channels), None, False
    if not (Path(model) / "run.yaml").is_file():
        raise UsageError(
            f"{model} does not say which images it knows; give some to check the export on with --images DIR"
        )
    data = replace(open_run(model).spec, channels=described.channels).open()
    return data.holdout, data.train, True


def write_hub(model: str, net: Any, described: "Weights", out: Path) -> Path:
    import json

    from compound.deploy.hub import write_hub_folder

    measured = Path(model) / "evaluation.json"
    evaluation = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else None
    return write_hub_folder(net, described.classes, out / "hub", evaluation)


def fields(out: Path, done: "list[Exported]", chosen: "Exported | None", hub: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "out": str(out),
        "files": [asdict(one) for one in done],
        "chosen": asdict(chosen) if chosen else None,
        "hub": str(hub) if hub else None,
    }


def text(out: Path, done: "list[Exported]", chosen: "Exported | None", hub: Path | None) -> str:
    from compound.deploy import CHOICE

    lines = []
    if done:
        lines.append(
            f"{'runtime':>12} {'precision':>9} {'MB':>7} {'ms':>8} {'top-1':>7} {'agrees':>7} {'differs':>8}  file"
        )
    for one in done:
        latency = f"{one.latency_ms:.2f}" if one.latency_ms is not None else ""
        top1 = f"{one.top1:.1%}" if one.top1 is not None else ""
        size = f"{one.bytes / 1e6:.2f}" if one.bytes else ""
        lines.append(
            f"{one.runtime:>12} {one.precision:>9} {size:>7} {latency:>8} {top1:>7} {one.agreement:>7.1%} "
            f"{one.difference:>8.1e}  {one.file}"
        )
    if done:
        lines.append(
            "agrees: share of images with PyTorch's top-1; differs: largest difference of a logit, of the largest logit"
        )
    if chosen:
        lines.append(
            f"chosen: {chosen.runtime} {chosen.precision}, {chosen.latency_ms:.2f} ms an image -> {out / CHOICE}"
        )
    elif done:
        lines.append(f"written to {out}")
    if hub:
        lines.append(f"ready for the hub: {hub}")
    return "\n".join(lines)

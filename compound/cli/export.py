"""`compound export`: a trained network as a file of another runtime, checked on real images, and the fastest chosen."""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from compound.budget import Budget
from compound.cli.answers import Json, answer, note
from compound.cli.evaluate import ForeignWeights, Model
from compound.cli.plan import DeviceFiles, Latency, Macs, Params, budget_of
from compound.cost import cost
from compound.errors import UsageError
from compound.verbs import export as verb
from compound.verbs.sizes import Size

if TYPE_CHECKING:
    from compound.deploy import Exported
    from compound.verbs.sizes import Sized


class FormatName(StrEnum):
    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"
    executorch = "executorch"
    coreml = "coreml"
    hub = "hub"
    auto = "auto"
    all = "all"


def export(
    model: Model,
    to: Annotated[
        list[FormatName],
        typer.Option("--to", help="May be given more than once. auto: the fastest here; all: every file."),
    ] = (),  # type: ignore[assignment]  # Typer knows lists alone, and a default is not to be changed
    phi: Annotated[float | None, typer.Option(help="Of an elastic run: the size to cut out, 0 or less.")] = None,
    macs: Macs = None,
    params: Params = None,
    latency: Latency = None,
    device: DeviceFiles = None,
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
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Quantised files too, and for OpenVINO one with sensitive layers in fp32.")
    ] = False,
    most_drop: Annotated[
        float, typer.Option("--max-drop", help="With auto: points of accuracy that speed may cost.")
    ] = 0.1,
    images: Annotated[
        Path | None, typer.Option(help="Photos to check and calibrate on; default what the run was trained on.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a trained network for ONNX Runtime, OpenVINO, ExecuTorch, Core ML, torch.export or the hub."""
    size = size_of(phi, device, macs=macs, params=params, latency=latency)
    found = verb.export(
        model if size is None else Size(model, size), to,
        weights=weights, out=out, batch=batch_size(batch), takes=takes, int8="mixed" if mixed else int8,
        most_drop=most_drop, images=images,
        say=note,
    )  # fmt: skip
    answer(json, found.to_json(), text(found, most_drop))


def size_of(phi: float | None, device: Sequence[Path] | None, **limits: str | None) -> Budget | float | None:
    """The size to cut out of an elastic run, if any."""
    if phi is None and not device and not any(limits.values()):
        return None
    if phi is not None and any(limits.values()):
        raise UsageError("--phi and a budget both say which size; give one of them")
    return phi if phi is not None else budget_of(1, device, **limits)


def batch_size(given: str) -> int | None:
    if given == "dynamic":
        return None
    if not given.isdigit() or int(given) < 1:
        raise UsageError(f"--batch {given!r} is neither dynamic nor a number of images; use e.g. 1")
    return int(given)


def text(found: verb.Export, most_drop: float) -> str:
    """A line a file, what was chosen, and where all of it is."""
    from compound.deploy import CHOICE

    out, done, chosen, hub = found.out, found.files, found.chosen, found.hub
    lines = []
    if found.size:
        lines.append(size_text(found.size))
    if done:
        lines += table(done)
    lines += [f"not written: {name}: {reason}" for name, reason in found.missing.items()]
    if chosen:
        lines += passed_over(chosen, done, most_drop)
        lines.append(
            f"chosen: {chosen.runtime} {chosen.precision}, {chosen.latency_ms:.2f} ms an image -> {out / CHOICE}"
        )
    elif done:
        lines.append(f"written to {out}")
    if hub:
        lines.append(f"ready for the hub: {hub}")
    return "\n".join(lines)


def size_text(size: "Sized") -> str:
    """What was cut out, what it is worth, and where it lies."""
    counted = cost(size.network)
    what = (
        f"φ {size.phi:.4g}: {counted.params:,} parameters, {counted.macs:,} MACs at {size.network.resolution} px -> "
        f"{size.file}"
    )
    if size.result is None:
        return what
    low, high = size.result.interval()
    return (
        f"{what}\ntop-1 of {size.result.images:,} held-out images: {size.result.top(1):.2%} ({low:.2%} to {high:.2%})"
    )


def table(done: "Sequence[Exported]") -> list[str]:
    """A line a file, and what its columns are."""
    from compound.runtimes import FORMATS

    agrees = "agrees (95 % interval)"
    head = f"{'runtime':>12} {'precision':>9} {'MB':>7} {'ms':>8} {'top-1':>7} {agrees:>27} {'differs':>8}"
    lines, runs = [f"{head}  file"], {form.name: form.where for form in FORMATS.values()}
    for one in done:
        latency = f"{one.latency_ms:.2f}" if one.latency_ms is not None else ""
        top1 = f"{one.top1:.1%}" if one.top1 is not None else ""
        size = f"{one.bytes / 1e6:.2f}" if one.bytes else ""
        low, high = one.agreement_interval
        agrees = f"{one.agreement:.2%} ({low:.2%} to {high:.2%})"
        lines.append(
            f"{one.runtime:>12} {one.precision:>9} {size:>7} {latency:>8} {top1:>7} {agrees:>27} "
            f"{one.difference:>8.1e}  {one.file}"
        )
    for name in dict.fromkeys(one.runtime for one in done if runs.get(one.runtime)):
        lines.append(f"{name} runs on: {runs[name]}")
    first = done[0]
    of = f"; top-1: of {first.labelled:,} labelled ones" if first.labelled else ""
    lines.append(
        f"agrees: share of {first.images:,} images with PyTorch's top-1, trained on or not, since that is no accuracy"
        f"{of}; differs: largest difference of a logit, of the largest logit"
    )
    return lines


def passed_over(chosen: "Exported", done: "Sequence[Exported]", most_drop: float) -> list[str]:
    """Why ways that are faster were not chosen, and what would show that they may be, or allow them."""
    from compound.deploy.choose import MOST_IMAGES, images_needed

    faster = done[: done.index(chosen)]
    lines = [
        f"{one.runtime} {one.precision} is faster, and may cost up to {one.most_lost:.2g} points of accuracy: "
        f"{round(one.agreement * one.images):,} of {one.images:,} images agree; to take it: --max-drop "
        f"{math.ceil(10 * one.most_lost) / 10:g}"
        for one in faster
    ]
    needed = images_needed(most_drop)
    if faster and needed and needed <= MOST_IMAGES:
        lines.append(
            f"that a way costs at most {most_drop:g} points is shown by {needed:,} images that all agree: --images DIR "
            "takes any photos like yours, without labels"
        )
    return lines

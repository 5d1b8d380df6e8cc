"""`compound plan`: the largest net within a budget, the limiting one, and what the next step up costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from compound.budget import Budget
from compound.cli.answers import Json, answer, note
from compound.cli.options.networks import Channels, Classes, Snap
from compound.errors import UsageError
from compound.latency import load_table
from compound.notation import save_network
from compound.quantity import quantity, seconds
from compound.scaling import RULES, SnappedRule
from compound.verbs import plan as verb
from compound.verbs.given import find_rule, network_to_count
from compound.verbs.published import PublishedPlan, draw_published, plan_published, published_text
from compound.verbs.warm import plan_weights, warm_text

Macs = Annotated[str | None, typer.Option(help="Multiply-adds, e.g. 400M or 2G (FLOPS in the paper).")]
Params = Annotated[str | None, typer.Option(help="Parameters, e.g. 5M.")]
Activations = Annotated[str | None, typer.Option(help="Activations, e.g. 10M.")]
Memory = Annotated[str | None, typer.Option(help="Bytes of inference on one image in fp32, e.g. 50MB.")]
TrainingMemory = Annotated[
    str | None, typer.Option(help="Bytes given to a training with --batch images a step, e.g. 8GiB.")
]
Latency = Annotated[str | None, typer.Option(help="Time of one call on --device, e.g. 20ms.")]
DeviceFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--device", metavar="FILE",
        help="For --latency: a table from `compound measure device`; of several, the net is in time on each.",
    ),
]  # fmt: skip
Fill = Annotated[bool, typer.Option("--fill", help="Spend on resolution what the rule's last step leaves.")]
WarmRule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        help=f"{', '.join(RULES)}; α,β,γ; or a rule file (YAML). Default compound, with --weights resolution as far as "
        "it goes.",
    ),
]
Batch = Annotated[int, typer.Option(min=1, help="Images a training step, for --training-memory.")]


def budget_of(batch: int, devices: Sequence[Path] | None = None, **limits: str | None) -> Budget:
    """A budget from the options' texts."""
    if not any(limits.values()):
        raise UsageError(
            "no budget given; use at least one of --macs, --params, --activations, --memory, --training-memory, "
            "--latency"
        )
    if (not devices) != (limits.get("latency") is None):
        given, missing = ("--device", "--latency") if devices else ("--latency", "--device FILE")
        remedy = ", e.g. 20ms" if devices else "; make one with: compound measure device -o FILE"
        raise UsageError(f"{given} needs {missing}{remedy}")
    parsed: dict[str, Any] = {
        name: (seconds if name == "latency" else quantity)(text, "--" + name.replace("_", "-"))
        for name, text in limits.items()
        if text
    }
    return Budget(batch=batch, device=tuple(map(load_table, devices or ())), **parsed)


def _counted(asked: int | None, classes: int) -> str:
    return "" if asked else f"\ncounted with {classes:,} classes; with those of your images: --classes N"


def _answer_published(found: PublishedPlan, picture: Path | None, json: bool) -> None:
    drawn = f"\ndrawn to {draw_published(found, picture)}" if picture else ""
    answer(json, found.to_json(), published_text(found) + drawn)


def _refuse_unused(published: bool, picture: Path | None, fill: bool, snap: int | None) -> None:
    if picture is not None and not published:
        raise UsageError("--picture draws published weights; add --published")
    if snap and fill:
        raise UsageError("--fill spends on single pixels and --snap on multiples; leave one out")


def _refuse_unpublished(written: bool, counted: bool, ruled: bool) -> None:
    """What a list of published weights does not use."""
    if written:
        raise UsageError("--published lists weights that exist, so it takes neither --out nor --fill")
    if counted:
        raise UsageError("--published counts weights as they are, so it takes neither --classes nor --channels")
    if ruled:
        raise UsageError("--rule scales a network to stand beside the published ones; name it, e.g. efficientnet-b0")


def plan(
    network: Annotated[
        str | None, typer.Argument(metavar="[NETWORK]", help="As for `compound show`; not needed with --published.")
    ] = None,
    macs: Macs = None,
    params: Params = None,
    activations: Activations = None,
    memory: Memory = None,
    training_memory: TrainingMemory = None,
    latency: Latency = None,
    device: DeviceFiles = None,
    batch: Batch = 32,
    weights: Annotated[
        str | None,
        typer.Option(help="What fit --weights trains within the budget: a run, a file, a published name, or auto."),
    ] = None,
    rule: WarmRule = None,
    fill: Fill = False,
    snap: Snap = None,
    published: Annotated[
        bool, typer.Option("--published", help="The most accurate published weights within the budget, NETWORK beside.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="With --published: draw accuracy against cost, as .svg or .png.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the network as YAML.")] = None,
    classes: Classes = None,
    channels: Channels = None,
    json: Json = False,
) -> None:
    """Find the largest scaled net within a budget, on counted cost."""
    budget = budget_of(
        batch, device,
        macs=macs, params=params, activations=activations, memory=memory, training_memory=training_memory,
        latency=latency,
    )  # fmt: skip
    _refuse_unused(published, picture, fill, snap)
    if weights is not None:
        if published or fill or snap:
            raise UsageError("--weights takes neither --published, --fill nor --snap; leave them out")
        warm = plan_weights(weights, budget, network, rule, classes=classes, channels=channels, say=note)
        if out:
            save_network(warm.network, out)
        said = f"{warm_text(warm)}{_counted(classes, warm.network.classes)}" + (f"\nwritten to {out}" if out else "")
        return answer(json, warm.to_json(), said)
    if published:
        _refuse_unpublished(bool(out or fill), bool(classes or channels), network is None and rule is not None)
        beside = network_to_count(network) if network is not None else None
        return _answer_published(plan_published(budget, beside, rule or "compound", say=note), picture, json)
    rule = rule or "compound"
    if network is None:
        raise UsageError("no network given; name one, e.g. efficientnet-b0, or list published weights: --published")
    baseline = network_to_count(network, classes, channels)
    line = SnappedRule(find_rule(rule), baseline.resolution, snap) if snap else rule
    found = verb.plan(baseline, budget, line, fill=fill, say=note)
    if out:
        save_network(found.network, out)
    return answer(json, found.to_json(), verb.plan_text(found) + (f"\nwritten to {out}" if out else ""))

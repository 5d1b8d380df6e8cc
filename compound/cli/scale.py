"""`compound scale`: Equation 3 applied, and the gap between formula and published variants."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, doubt
from compound.cli.options.networks import Channels, Classes, CountedName, RuleName, Snap
from compound.cost import CONVENTION, cost, cost_fields, training_text
from compound.errors import UsageError
from compound.notation import save_network
from compound.scaling import CompoundRule, Scaling, SnappedRule
from compound.scaling import scale as scale_network
from compound.verbs.given import find_rule, network_to_count
from compound.verbs.variants import published_variants, variants_text


def scale(
    network: CountedName,
    phi: Annotated[
        float | None, typer.Option(help="The compound coefficient φ, any real number; negative scales down.")
    ] = None,
    rule: RuleName = "compound",
    depth: Annotated[float | None, typer.Option(help="Depth factor d, instead of φ.")] = None,
    width: Annotated[float | None, typer.Option(help="Width factor w, instead of φ.")] = None,
    resolution: Annotated[float | None, typer.Option(help="Resolution factor r, instead of φ.")] = None,
    published: Annotated[bool, typer.Option("--published", help="The published variants beside the formula.")] = False,
    snap: Snap = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the scaled network as YAML.")] = None,
    classes: Classes = None,
    channels: Channels = None,
    json: Json = False,
) -> None:
    """Scale a network by φ and a rule, or by factors d, w, r; nothing is built."""
    baseline = network_to_count(network, classes, channels)
    if published:
        variants = published_variants(baseline, rule)
        value = {"name": baseline.name, "variants": [each.to_json() for each in variants]}
        return answer(json, value, variants_text(variants))
    factors = (depth, width, resolution)
    if (phi is None) == (factors == (None, None, None)):
        raise UsageError("give either --phi, or --depth, --width and --resolution factors; e.g. --phi 1")
    scaling = find_rule(rule)(phi) if phi is not None else Scaling(*(f if f is not None else 1.0 for f in factors))
    if snap:
        pixels = SnappedRule(CompoundRule(), baseline.resolution, snap).snapped(scaling.resolution)
        scaling = replace(scaling, resolution=pixels / baseline.resolution)
    scaled = scale_network(baseline, scaling)
    before, after = cost(baseline), cost(scaled)
    doubt(scaled)
    if out:
        save_network(scaled, out)
    value = cost_fields(scaled, after) | {"phi": phi} | scaling.to_json()
    lines = [
        scaled.table(),
        "",
        CONVENTION,
        f"d {scaling.depth:.4g}, w {scaling.width:.4g}, r {scaling.resolution:.4g}: "
        f"{baseline.resolution} -> {scaled.resolution} px",
        f"params {after.params:,} ({after.params / before.params:.2f}×), MACs {after.macs:,} "
        f"({after.macs / before.macs:.2f}× counted, {scaling.theory:.2f}× by d·w²·r²), "
        f"activations {after.activations:,}",
        *([said] if (said := training_text(after)) else []),
        *([f"written to {out}"] if out else []),
    ]
    return answer(json, value, "\n".join(lines))

"""`compound compare`: two trained networks on the same test images."""

from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.evaluate import DataDefault
from compound.cli.options.execution import ExecutionOptions, with_execution
from compound.cli.options.training import Download, Root
from compound.verbs import evaluate as verb

if TYPE_CHECKING:
    from compound.evaluation import Comparison

RunOrWeights = Annotated[str, typer.Argument(metavar="RUN", help="A run directory or a .safetensors file.")]
SHOWN = 5  # classes that differ most
LEVEL = 0.05


@with_execution
def compare(
    first: RunOrWeights,
    second: RunOrWeights,
    data: DataDefault = None,
    *,
    running: ExecutionOptions,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Compare two networks image by image: difference of top-1 with its interval, and McNemar's exact test."""
    from compound.data import DataSpec

    given = DataSpec(data or "", root=root, download=download)
    found = verb.compare(first, second, given, execution=running.execution(), say=note)
    answer(json, found.to_json(), comparison_text(found.comparison, first, second))


def comparison_text(comparison: "Comparison", first: str, second: str) -> str:
    told = comparison.summary()
    low, high = told["difference_interval"]
    verdict = "may be chance" if told["p_value"] >= LEVEL else "is unlikely to be chance"
    lines = [f"{share:>8.2%}  {name}" for share, name in zip(told["top1"], (first, second), strict=True)]
    lines += [
        f"difference {points(told['difference'])} points (95 % interval {points(low)} to {points(high)}), "
        f"{told['images']:,} images",
        f"only the first right: {told['only_first']:,}; only the second: {told['only_second']:,}; "
        f"McNemar's exact test: p = {told['p_value']:.2g}, which {verdict}",
    ]
    known = [(change, name) for name, change in told["per_class"].items() if change]
    for change, name in sorted(known, key=lambda one: -abs(one[0]))[:SHOWN]:
        lines.append(f"{100 * change:>+8.1f}  points of recall, {name}")
    return "\n".join(lines)


def points(share: float) -> str:
    """In percentage points with a sign, and zero without a minus."""
    return f"{round(100 * share, 2) + 0.0:+.2f}"

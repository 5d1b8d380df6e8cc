"""`compound compare`: two trained networks on the same test images."""

from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.common import Json, answer, note
from compound.cli.evaluate import DataDefault, to_judge
from compound.cli.execution import ExecutionOptions, with_execution
from compound.cli.training import Download, Root
from compound.errors import UsageError

if TYPE_CHECKING:
    from compound.data import Source
    from compound.evaluation import Comparison, Evaluation
    from compound.training.judging import Judged

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
    from compound.evaluation import compare as run_comparison
    from compound.evaluation import evaluate
    from compound.nn import load_weights
    from compound.training.judging import Asked

    loaded = [load_weights(each) for each in (first, second)]
    if loaded[0][1].classes != loaded[1][1].classes:
        raise UsageError(f"{first} and {second} know different classes, so they cannot be right about the same images")
    judged: list[Judged] = []
    for name, (_, described) in zip((first, second), loaded, strict=True):
        spec = DataSpec(data or "", described.channels, root=root, download=download)
        judged.append(to_judge(name, Asked(spec, described.classes, again=True)))
    sources = in_common(judged[0].source, judged[1].source)
    if not len(sources[0]) or (
        data is None and any(len(s) < len(j.source) for s, j in zip(sources, judged, strict=True))
    ):
        raise UsageError(f"{first} and {second} were tested on different images; name DATA that neither was trained on")
    said = " and ".join(sorted({one.said for one in judged}))
    note(f"judged by {len(sources[0]):,} images: {said}")
    results: list[Evaluation] = []
    for (net, described), source in zip(loaded, sources, strict=True):
        results.append(evaluate(net, source, described.classes, running.execution()))
    comparison = run_comparison(*results)
    told = {"first": first, "second": second, "data": judged[0].name, "judged": said} | comparison.summary()
    answer(json, told, comparison_text(comparison, first, second))


def in_common(first: "Source", second: "Source") -> "tuple[Source, Source]":
    """The images that both have, in the order of the first."""
    import numpy as np

    from compound.data import subset

    at = {second.path(i): i for i in range(len(second))}
    rows = [(i, at[path]) for i in range(len(first)) if (path := first.path(i)) in at]
    chosen = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return subset(first, chosen[:, 0]), subset(second, chosen[:, 1])


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

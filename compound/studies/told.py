"""What a study says: one object, a table with intervals, the tests, and the same as CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compound.documents import write_records
from compound.quantity import or_none, short
from compound.studies import Study
from compound.studies.statistics import PairedComparison, compare, means, verdict


def study_fields(study: Study, failed: Sequence[str], folder: Path) -> dict[str, Any]:
    """The results as plain values; what is not known is null."""
    known = means(study)
    return {
        "plan": study.plan,
        "baseline": study.baseline,
        "data": study.data,
        "seeds": study.seeds,
        "runs": sum(len(variant.runs) for variant in study.variants),
        "failed": list(failed),
        "variants": [
            {
                "name": v.name, "dimension": v.dimension, "group": v.group, "params": v.params, "macs": v.macs,
                "latency": v.latency, "seeds": len(v.runs),
                "top1": known[v.name].mean if v.runs else None,
                "interval": [or_none(known[v.name].low), or_none(known[v.name].high)] if v.runs else None,
            }
            for v in study.variants
        ],
        "comparisons": [_comparison(one) for one in compare(study)],
        "verdict": verdict(study),
        "notes": list(study.notes),
        "out": str(folder),
    }  # fmt: skip


def study_text(study: Study, folder: Path) -> str:
    """Table, tests and verdict in lines."""
    known = means(study)
    base = next((v.macs for v in study.variants if v.dimension == "baseline"), study.variants[0].macs)
    lines = [f"{'network':<28} {'group':<14} {'px':>4} {'parameters':>12} {'MACs':>8} {'×':>6}  top-1 (95 % interval)"]
    for v in study.variants:
        found = known.get(v.name)
        said = "no runs yet"
        if found:
            ends = "" if found.count < 2 else f" ({found.low:.2%} to {found.high:.2%})"
            said = f"{found.mean:.2%}{ends}, {found.count} seed{'s' * (found.count > 1)}"
        size = f"{v.resolution:>4} {v.params:>12,} {short(v.macs):>8} {v.macs / base:>6.2f}"
        lines.append(f"{v.name:<28} {v.group:<14} {size}  {said}")
    lines += ["", *(_test(one) for one in compare(study))]
    images = {run.images for variant in study.variants for run in variant.runs}
    lines += ["", *verdict(study)]
    lines += [f"note: {said}" for said in study.notes]
    if images:
        lines.append(f"intervals are over seeds, on one set of {max(images):,} test images; written to {folder}")
    return "\n".join(lines)


def write_tables(study: Study, folder: Path) -> None:
    """variants.csv and comparisons.csv."""
    rows = study_fields(study, (), folder)
    for name in ("variants", "comparisons"):
        spread = [_spread(row) for row in rows[name]]
        write_records(folder / f"{name}.csv", spread, () if spread else ("other",))


def _spread(row: dict[str, Any]) -> dict[str, Any]:
    """An interval as two columns."""
    low, high = row["interval"] or (None, None)
    return {name: value for name, value in row.items() if name != "interval"} | {"low": low, "high": high}


def _comparison(one: PairedComparison) -> dict[str, Any]:
    return {
        "reference": one.reference,
        "other": one.other,
        "dimension": one.dimension,
        "group": one.group,
        "difference": one.difference.mean,
        "interval": [or_none(one.difference.low), or_none(one.difference.high)],
        "seeds": one.difference.count,
        "p": or_none(one.p),
        "adjusted": or_none(one.adjusted),
        "macs": one.macs,
    }


def _test(one: PairedComparison) -> str:
    found = one.difference
    said = f"{one.reference} − {one.other}: {100 * found.mean:+.2f} points"
    if found.count < 2:
        return said
    return (
        f"{said} (95 % {100 * found.low:+.2f} to {100 * found.high:+.2f}), paired t-test p = {one.p:.2g}, "
        f"after Holm {one.adjusted:.2g}; the other has {one.macs - 1:+.1%} multiply-adds"
    )

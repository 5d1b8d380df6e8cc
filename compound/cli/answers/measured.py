"""What `compound measure` prints about a session."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compound.measurement import Measurement


def session_text(session: "Measurement") -> str:
    about, width = session.environment, max([24, *(len(one.subject.name) for one in session.measured)])
    lines = [
        f"{about.get('device', about['cpu'])}, {about['threads']} thread{'s' * (about['threads'] > 1)}, "
        f"peak {about['peak_gflops']:.0f} GFLOP/s (fp32, torch's fastest operator)",
        f"{'network':<{width}} {'runtime':<13} {'batch':>5} {'median ms':>10} {'95 % interval':>17} {'mean':>8} "
        f"{'p95':>8} {'p99':>8} {'spread':>7} {'images/s':>9} {'GFLOP/s':>8} {'of peak':>8}",
    ]
    for one in session.measured:
        said = one.fields()
        low, high = said["median_interval_ms"]
        lines.append(
            f"{one.subject.name:<{width}} {one.runtime:<13} {one.batch:>5} {said['median_ms']:>10.2f} "
            f"{f'{low:.2f} to {high:.2f}':>17} {said['mean_ms']:>8.2f} {said['p95_ms']:>8.2f} {said['p99_ms']:>8.2f} "
            f"{one.timing.spread:>7.1%} {said['images_per_second']:>9.1f} {one.gflops:>8.1f} "
            f"{said['share_of_peak']:>8.1%}"
        )
    for ratio in session.ratios():
        lines.append(
            f"{ratio['slow']} takes {ratio['ratio']:.1f} times as long as {ratio['fast']} on {ratio['runtime']} "
            f"(mean; the paper's Table 4: {ratio['paper']})"
        )
    return "\n".join(lines)


def memory_text(memory: Iterable[dict[str, Any]]) -> str:
    lines = [f"memory in MB, fp32{'':<6} {'batch':>5} {'':<10} {'predicted':>10} {'measured':>10} {'error':>7}"]
    for one in memory:
        for kind in (name for name in ("inference", "training", "autograd") if name in one):
            measured, predicted = one[kind]["measured"], one[kind].get("predicted")
            said = f"{predicted / 1e6:>10.1f}" if predicted else f"{'–':>10}"
            error = f"{predicted / measured - 1:>+7.1%}" if predicted else ""
            line = f"{one['name']:<24} {one['batch']:>5} {kind:<10} {said} {measured / 1e6:>10.1f} {error}"
            lines.append(line.rstrip())
    return "\n".join(lines)

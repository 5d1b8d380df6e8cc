"""What an evaluation looks like: plain values, and lines of text."""

from typing import TYPE_CHECKING, Any

from compound.cli.train import evaluation_text

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.execution import Execution
    from compound.nn import ConvNet

SHARES = ("recall", "precision", "f1")


def result_fields(result: "Evaluation", temperature: float | None) -> tuple[dict[str, Any], list[str]]:
    """The summary, and what it says in lines."""
    from compound.evaluation import SeveralLabels

    fields = result.summary()
    if isinstance(result, SeveralLabels):
        return fields, [evaluation_text(result), *class_lines(fields["per_class"], ("average_precision", *SHARES))]
    low, high = fields["bootstrap"]["calibration_error"]
    lines = [
        evaluation_text(result),
        f"calibration error {result.calibration_error:.2%} (95 % bootstrap interval {low:.2%} to {high:.2%})",
    ]
    if temperature:
        from dataclasses import replace

        from compound.evaluation.calibration import tempered

        before = replace(result, probabilities=tempered(result, 1 / temperature))
        fields |= {"temperature": temperature, "calibration_error_before": before.calibration_error}
        lines.append(
            f"it was {before.calibration_error:.2%} before; temperature {temperature:.3f} is in the weights now"
        )
    return fields, [*lines, *class_lines(fields["per_class"], SHARES)]


def class_lines(classes: dict[str, dict[str, Any]], shares: tuple[str, ...]) -> list[str]:
    """A line a class: images and `shares`."""
    titles = (name.replace("average_precision", "AP") for name in shares)
    lines = ["  images" + "".join(f"{title:>10}" for title in titles) + "  class"]
    for name, one in classes.items():
        told = "".join(f"{'–' if one[key] is None else format(one[key], '.1%'):>10}" for key in shares)
        lines.append(f"{one['images']:>8,}{told}  {name}")
    return lines


def sweep_fields(
    net: "ConvNet", images: "DataSet", sizes: list[int], recalibrate: bool, execution: "Execution"
) -> list[dict[str, Any]]:
    """Figures at every resolution."""
    from compound.evaluation import sweep

    training = images.train if recalibrate else None
    return [
        {"resolution": size, "recalibrated": recalibrate, "top1": one.top(1), "top1_interval": list(one.interval()),
         "top5": one.top(5), "loss": one.loss, "calibration_error": one.calibration_error}
        for size, one in sweep(net, images.test, images.classes, sizes, execution, training=training)
    ]  # fmt: skip

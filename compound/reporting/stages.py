"""A network's stages as the lines of a table: what they are, and where the cost lies (Table 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compound.cost import Cost, cost, stage_costs
from compound.network import Network, describe
from compound.reporting.drawing import Drawing
from compound.reporting.layout import boxes
from compound.reporting.page import rendered
from compound.reporting.table import Column, Table, exact, percent


@dataclass(frozen=True)
class StageLine:
    """A stage, `share` of the network's multiply-adds."""

    label: str
    operator: str
    resolution: int
    channels: int
    layers: int
    stride: int | None
    cost: Cost
    share: float


def stage_lines(network: Network) -> list[StageLine]:
    """Stem, stages and head, counted."""
    costs, total = stage_costs(network), cost(network)
    rows = [(describe(stage.block), stage.stride) for stage in (network.stem, *network.stages)]
    head = "conv 1×1, pool, linear" if network.head.channels else "pool, linear"
    return [
        StageLine(
            box.label, what, box.resolution, box.channels, box.layers, stride,
            costs[box.label], costs[box.label].macs / max(total.macs, 1),
        )
        for box, (what, stride) in zip(boxes(network), [*rows, (head, None)], strict=True)
    ]  # fmt: skip


def stage_table(name: str, lines: Sequence[StageLine]) -> Table:
    titles = ("resolution", "channels", "layers", "stride", "parameters", "MACs")
    columns = (Column("stage"), Column("operator"), *(Column(title, exact) for title in titles))
    rows = tuple(
        (s.label, s.operator, s.resolution, s.channels, s.layers, s.stride, s.cost.params, s.cost.macs, s.share)
        for s in lines
    )
    return Table(name, "", (*columns, Column("share of MACs", percent)), rows)


def network_part(drawing: Drawing, network: Network) -> Markup:
    """The drawing, and below it the table of `network`, as a piece of HTML."""
    lines, total = stage_lines(network), cost(network)
    return rendered("stages.html", drawing=drawing, lines=lines, total=total, network=network)

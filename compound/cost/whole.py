"""What a whole network costs, its stages, its blocks and their operators."""

from dataclasses import replace

from compound.cost.block import WEIGHTED, block_cost
from compound.cost.figures import Cost, numbers
from compound.cost.step import children, most_kept
from compound.network import Network, Row
from compound.ops import Operator, Shape


def beside(rows: tuple[Row, ...]) -> list[int]:
    """Numbers that are held beside each row while it runs: the image, and what its stage was given."""
    image, given, held = numbers(rows[0].input), 0, []
    for row in rows:
        first = row.repeat == 1
        held.append((image if row.stage else 0) + (0 if first else given))
        given = numbers(row.input) if first else given
    return held


def row_cost(row: Row) -> Cost:
    """The cost of one block; what its input keeps is counted here, so that rows add up to the network."""
    counted = block_cost(row.trace)
    edge = numbers(row.input) if counted.keeps_input else 0
    if row.previous is not None and counted.keeps_previous:
        edge += numbers(row.trace.shapes[row.trace.previous])
    return replace(counted.cost, kept=counted.cost.kept + edge)


def cost(network: Network) -> Cost:
    """The whole network's cost for one image of its channels × resolution × resolution, as it is deployed.

    Sums of branches that training has (RepVGG, MobileOne) count as the one convolution they are folded into; the
    `branch_` fields say what training has more, and memory of training counts all of it.
    """
    params = macs = activations = buffers = kept = live = training = 0
    branch_params = branch_macs = branch_buffers = training_live = 0
    edge_kept = False
    inputs: list[bool] = []  # which rows' inputs are kept
    rows = network.blocks()
    for row, held in zip(rows, beside(rows), strict=True):
        one, keeps_input, keeps_output, keeps_previous = block_cost(row.trace)
        params += one.params
        macs += one.macs
        activations += one.activations
        buffers += one.buffers
        inputs.append(edge_kept or keeps_input)
        training = max(training, kept + one.training + held)
        kept += one.kept + (numbers(row.input) if inputs[-1] else 0)
        if row.previous is not None and keeps_previous and not inputs[row.previous]:
            kept += numbers(row.trace.shapes[row.trace.previous])
            inputs[row.previous] = True
        live = max(live, one.live + held)
        training_live = max(training_live, one.training_live + held)
        branch_params += one.branch_params
        branch_macs += one.branch_macs
        branch_buffers += one.branch_buffers
        edge_kept = keeps_output
    step = most_kept(children(network)) + training_live
    return Cost(
        params, macs, activations, buffers, kept, live, max(training, kept), step, 0.0,
        branch_params, branch_macs, branch_buffers, training_live - live,
    )  # fmt: skip


def stage_costs(network: Network) -> dict[str, Cost]:
    """Cost by stage, stem first and head last."""
    stages: dict[str, Cost] = {}
    rows = network.blocks()
    for row, held in zip(rows, beside(rows), strict=True):
        one = row_cost(row)
        one = replace(one, live=one.live + held, training=one.training + held)
        stages[row.label] = stages.get(row.label, Cost()) + one
    return stages


def operator_costs(row: Row) -> list[tuple[str, Operator, Shape, Cost]]:
    """Cost of every leaf operator of one block as it is deployed: path, operator, output shape, cost."""
    lines, trace = [], row.trace.deployed
    for step in trace.steps:
        inputs = tuple(trace.shapes[value] for value in step.inputs)
        output = trace.shapes[step.output]
        operator = step.operator
        activations = numbers(output) if isinstance(operator, WEIGHTED) else 0
        counted = Cost(operator.params(*inputs), operator.macs(*inputs), activations, operator.buffers(*inputs))
        lines.append((step.path, operator, output, counted))
    return lines

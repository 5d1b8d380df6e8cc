"""What a network costs, counted from its operators without building it.

Counting convention: multiply-adds (MACs) of convolutions and linear layers for one image; biases, normalisation,
activations, pooling and element-wise joins count none. The paper prints this figure as "FLOPS". Parameters are the
learnable ones. Activations are the outputs of convolutions and linear layers (as in Dollár et al. 2021). Memory is
in bytes. A network that trains with branches is counted as it is deployed, folded.
"""

from compound.cost.block import BlockCost, block_cost
from compound.cost.figures import (
    CONVENTION,
    PAPERS,
    Cost,
    Upkeep,
    cost_fields,
    memory_to_give,
    numbers,
    training_fields,
    training_text,
)
from compound.cost.step import Child, children, keeping, most_kept
from compound.cost.whole import cost, operator_costs, row_cost, stage_costs

__all__ = [
    "CONVENTION",
    "PAPERS",
    "BlockCost",
    "Child",
    "Cost",
    "Upkeep",
    "block_cost",
    "children",
    "cost",
    "cost_fields",
    "keeping",
    "memory_to_give",
    "most_kept",
    "numbers",
    "operator_costs",
    "row_cost",
    "stage_costs",
    "training_fields",
    "training_text",
]

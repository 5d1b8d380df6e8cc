"""compound: a ConvNet baseline and a resource budget in; a scaled, trained, deployable network out.

What is imported here needs no torch; `compound.nn`, `compound.data`, `compound.training` and above do. `optimize`
brings it in when it is first asked for.
"""

from importlib import import_module
from typing import Any

from compound.blocks import (
    Basic,
    Block,
    Bottleneck,
    ConvBlock,
    FusedMBConv,
    MBConv,
    Separable,
    SqueezeExcite,
    Style,
)
from compound.budget import Budget, Plan, fit_budget
from compound.cost import Cost, cost, stage_costs
from compound.errors import BudgetError, CompoundError, NetworkError, UsageError
from compound.head import Head
from compound.network import Inputs, Network, Row, Stage
from compound.notation import dump_network, load_network, parse_network, save_network
from compound.scaling import RULES, CompoundRule, FastRule, Rule, Scaling, scale
from compound.zoo import ZOO

__version__ = "0.2.0"

__all__ = [
    "RULES",
    "ZOO",
    "Basic",
    "Block",
    "Bottleneck",
    "Budget",
    "BudgetError",
    "CompoundError",
    "CompoundRule",
    "ConvBlock",
    "Cost",
    "FastRule",
    "FusedMBConv",
    "Head",
    "Inputs",
    "MBConv",
    "Network",
    "NetworkError",
    "Plan",
    "Row",
    "Rule",
    "Scaling",
    "Separable",
    "SqueezeExcite",
    "Stage",
    "Style",
    "UsageError",
    "cost",
    "dump_network",
    "fit_budget",
    "load_network",
    "optimize",
    "parse_network",
    "save_network",
    "scale",
    "stage_costs",
]


def __getattr__(name: str) -> Any:
    if name == "optimize":
        return import_module("compound.runtimes").optimize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""compound: a ConvNet baseline and a resource budget in; a scaled, trained, deployable network out.

What is imported here needs no torch; `compound.nn`, `compound.data`, `compound.training` and above do. The verbs of the
command are functions here (`compound.verbs`), each imported when it is first asked for; those that need torch import it
when they are called. `VALUES` are what they take; asking for one of these brings torch in.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from compound.data import DataSpec as DataSpec
    from compound.execution import Execution as Execution
    from compound.runtimes.optimize import optimize as optimize
    from compound.training import RECIPES as RECIPES
    from compound.training import Recipe as Recipe
    from compound.training import Safeguards as Safeguards
    from compound.training import Setup as Setup
    from compound.training import Start as Start
    from compound.verbs.explain import explain
    from compound.verbs.export import export
    from compound.verbs.fit import fit
    from compound.verbs.measure import measure, measure_device
    from compound.verbs.plan import plan
    from compound.verbs.predict import predict, predict_frames
    from compound.verbs.train import resume, train

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
    "explain",
    "export",
    "fit",
    "fit_budget",
    "load_network",
    "measure",
    "measure_device",
    "parse_network",
    "plan",
    "predict",
    "predict_frames",
    "resume",
    "save_network",
    "scale",
    "stage_costs",
    "train",
]


# Where names are found that are imported when they are first asked for.
VERBS = {
    "explain": "compound.verbs.explain",
    "export": "compound.verbs.export",
    "fit": "compound.verbs.fit",
    "measure": "compound.verbs.measure",
    "measure_device": "compound.verbs.measure",
    "plan": "compound.verbs.plan",
    "predict": "compound.verbs.predict",
    "predict_frames": "compound.verbs.predict",
    "resume": "compound.verbs.train",
    "train": "compound.verbs.train",
}
VALUES = {
    "DataSpec": "compound.data",
    "Execution": "compound.execution",
    "RECIPES": "compound.training",
    "Recipe": "compound.training",
    "Safeguards": "compound.training",
    "Setup": "compound.training",
    "Start": "compound.training",
    "optimize": "compound.runtimes",
}


def __getattr__(name: str) -> Any:
    place = VERBS.get(name) or VALUES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(place), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *VERBS, *VALUES})

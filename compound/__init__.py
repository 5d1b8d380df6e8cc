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
    from compound.data.folds import Folds as Folds
    from compound.execution import Execution as Execution
    from compound.paper.tables import table
    from compound.runtimes.optimize import optimize as optimize
    from compound.search.architecture_plan import ArchitecturePlan as ArchitecturePlan
    from compound.training import RECIPES as RECIPES
    from compound.training import Recipe as Recipe
    from compound.training import Safeguards as Safeguards
    from compound.training import Setup as Setup
    from compound.training import Start as Start
    from compound.trials.sharing import Sharing as Sharing
    from compound.verbs.architecture import Proposals as Proposals
    from compound.verbs.architecture import search_architecture, validate_search
    from compound.verbs.audit import audit
    from compound.verbs.caching import cache_data, index_data
    from compound.verbs.check import check_data
    from compound.verbs.coefficients import CoefficientSearch as CoefficientSearch
    from compound.verbs.coefficients import search_coefficients
    from compound.verbs.doctor import doctor
    from compound.verbs.drawn import make_data
    from compound.verbs.drift import drift
    from compound.verbs.evaluate import Judging as Judging
    from compound.verbs.evaluate import Sweep as Sweep
    from compound.verbs.evaluate import compare, evaluate
    from compound.verbs.evaluations import SetAsked as SetAsked
    from compound.verbs.evaluations import evaluate_all
    from compound.verbs.explain import explain
    from compound.verbs.export import export
    from compound.verbs.figure import figure
    from compound.verbs.fit import fit
    from compound.verbs.forecast import forecast
    from compound.verbs.foreseen import predict_networks
    from compound.verbs.measure import measure, measure_device, read_kit, write_kit
    from compound.verbs.plan import plan
    from compound.verbs.predict import predict, predict_frames
    from compound.verbs.probe import probe
    from compound.verbs.repeat import repeat
    from compound.verbs.report import report
    from compound.verbs.resume import resume
    from compound.verbs.runs import runs
    from compound.verbs.show import list_networks, show
    from compound.verbs.shrink import shrink
    from compound.verbs.study import ScalingQuestion as ScalingQuestion
    from compound.verbs.study import study
    from compound.verbs.train import train
    from compound.verbs.transfer import TransferSearch as TransferSearch
    from compound.verbs.transfer import search_transfer
    from compound.verbs.variants import published_variants

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
    "audit",
    "cache_data",
    "check_data",
    "compare",
    "cost",
    "doctor",
    "drift",
    "dump_network",
    "evaluate",
    "evaluate_all",
    "explain",
    "export",
    "figure",
    "fit",
    "fit_budget",
    "forecast",
    "index_data",
    "list_networks",
    "load_network",
    "make_data",
    "measure",
    "measure_device",
    "parse_network",
    "plan",
    "predict",
    "predict_frames",
    "predict_networks",
    "probe",
    "published_variants",
    "read_kit",
    "repeat",
    "report",
    "resume",
    "runs",
    "save_network",
    "scale",
    "search_architecture",
    "search_coefficients",
    "search_transfer",
    "show",
    "shrink",
    "stage_costs",
    "study",
    "table",
    "train",
    "validate_search",
    "write_kit",
]


# Where names are found that are imported when they are first asked for.
VERBS = {
    "audit": "compound.verbs.audit",
    "cache_data": "compound.verbs.caching",
    "check_data": "compound.verbs.check",
    "compare": "compound.verbs.evaluate",
    "doctor": "compound.verbs.doctor",
    "drift": "compound.verbs.drift",
    "evaluate": "compound.verbs.evaluate",
    "evaluate_all": "compound.verbs.evaluations",
    "explain": "compound.verbs.explain",
    "export": "compound.verbs.export",
    "figure": "compound.verbs.figure",
    "fit": "compound.verbs.fit",
    "forecast": "compound.verbs.forecast",
    "index_data": "compound.verbs.caching",
    "list_networks": "compound.verbs.show",
    "make_data": "compound.verbs.drawn",
    "measure": "compound.verbs.measure",
    "measure_device": "compound.verbs.measure",
    "plan": "compound.verbs.plan",
    "predict": "compound.verbs.predict",
    "predict_frames": "compound.verbs.predict",
    "predict_networks": "compound.verbs.foreseen",
    "probe": "compound.verbs.probe",
    "published_variants": "compound.verbs.variants",
    "read_kit": "compound.verbs.measure",
    "repeat": "compound.verbs.repeat",
    "report": "compound.verbs.report",
    "resume": "compound.verbs.resume",
    "runs": "compound.verbs.runs",
    "search_architecture": "compound.verbs.architecture",
    "search_coefficients": "compound.verbs.coefficients",
    "search_transfer": "compound.verbs.transfer",
    "show": "compound.verbs.show",
    "shrink": "compound.verbs.shrink",
    "study": "compound.verbs.study",
    "table": "compound.paper.tables",
    "train": "compound.verbs.train",
    "validate_search": "compound.verbs.architecture",
    "write_kit": "compound.verbs.measure",
}
VALUES = {
    "ArchitecturePlan": "compound.search.architecture_plan",
    "CoefficientSearch": "compound.verbs.coefficients",
    "DataSpec": "compound.data",
    "Execution": "compound.execution",
    "Folds": "compound.data.folds",
    "RECIPES": "compound.training",
    "Judging": "compound.verbs.evaluate",
    "SetAsked": "compound.verbs.evaluations",
    "Proposals": "compound.verbs.architecture",
    "Recipe": "compound.training",
    "Safeguards": "compound.training",
    "ScalingQuestion": "compound.verbs.study",
    "Setup": "compound.training",
    "Sharing": "compound.trials.sharing",
    "Start": "compound.training",
    "Sweep": "compound.verbs.evaluate",
    "TransferSearch": "compound.verbs.transfer",
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

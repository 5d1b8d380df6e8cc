"""The ways in which a trained network becomes smaller: a rule of scaling, cuts within it, another precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.budget import Budget, fit_budget
from compound.documents import read_json
from compound.errors import BudgetError, UsageError
from compound.files import stands, write_json
from compound.network import Network
from compound.notation import load_weights_network
from compound.notes import note
from compound.scaling import RULES

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.nn.cutting import Cut
    from compound.training import Run, Start

# Blocks narrower inside or left out, and blocks left out alone: see `compound.nn.cutting`.
CUTS = ("prune", "layers")
PRECISIONS = ("int8", "bf16")  # of the network as it is, as an exported file


@dataclass(frozen=True)
class Way:
    """A smaller network and what its training starts from."""

    name: str
    network: Network
    start: "Start"


def refuse_unknown(ways: Sequence[str]) -> None:
    """Raise `UsageError` for a way that there is none of."""
    known = (*RULES, *CUTS, *PRECISIONS)
    unknown = [way for way in ways if way not in known]
    if unknown:
        raise UsageError(f"there is no way {unknown[0]!r}; use some of {', '.join(known)}")


def find_ways(
    whole: "Run", images: "DataSet", budget: Budget, ways: Sequence[str], folder: Path, seed: int
) -> tuple[dict[str, Way], dict[str, str]]:
    """What each way makes of the run's network within the budget, and why some make none.

    Raises `BudgetError` where none does.
    """
    from compound.nn.carrying import InheritError

    network = whole.network.for_data(images)
    found: dict[str, Way] = {}
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(way for way in ways if way not in PRECISIONS):
        try:
            cut = name in CUTS
            way = cut_way(whole, images, budget, name, folder, seed) if cut else rule_way(whole, network, budget, name)
        except (BudgetError, InheritError) as error:
            left_out[name] = str(error)
            continue
        same = [other for other, one in found.items() if one.network.with_(name=way.network.name) == way.network]
        if same:
            left_out[name] = f"the same network as by {same[0]}"
        else:
            found[name] = way
    if not found:
        reason = next(iter(left_out.values()), "a way of a smaller network is needed beside a precision")
        raise BudgetError(f"no way brings {network.name} within the budget: {reason}")
    return found, left_out


def rule_way(whole: "Run", network: Network, budget: Budget, rule: str) -> Way:
    """The network scaled by a rule, which inherits what it can."""
    from compound.nn.inherit import check_kinds, check_operators
    from compound.training import Start

    made = fit_budget(network, budget, RULES[rule]).network
    check_kinds(network, made)
    check_operators(network, made)
    return Way(rule, made, Start(inherited=whole.path, of=whole.network))


def cut_way(whole: "Run", images: "DataSet", budget: Budget, name: str, folder: Path, seed: int) -> Way:
    """The network with cuts. Its weights are written to NAME.safetensors in `folder`, what was cut to NAME.json."""
    from compound.nn import load_weights, save_weights
    from compound.training import Start

    file, about = folder / f"{name}.safetensors", folder / f"{name}.json"
    limits = budget.limits()
    if not (stands(file) and stands(about)):
        model, described = load_weights(whole.weights)
        cut = made_cut(model, images, budget, name, seed)
        save_weights(cut.model, file, described.classes)
        write_json(about, {"budget": limits, "answers_move": cut.moved, "blocks": told(cut)})
    elif read_json(about, "delete it")["budget"] != limits:
        raise UsageError(f"{file} is for another budget; give another --out, or move it away")
    return Way(name, load_weights_network(file), Start(weights=file))


def made_cut(model: Any, images: "DataSet", budget: Budget, name: str, seed: int) -> "Cut":
    """The cut that moves the answers on some training images least, and then the classifier nearest to them."""
    from compound.nn.cutting import Cutter
    from compound.nn.importance import importance
    from compound.training.settling import settle
    from compound.training.start import chosen_on

    shown = chosen_on(model.network, images.train, seed)
    if shown is None:
        raise BudgetError("none of the images that would say what may be cut can be read")
    note(f"{name}: every block is tried by itself on {len(shown)} training images, which may take minutes")
    scores = importance(model, [shown], seed=seed) if name == "prune" else {}
    cut = Cutter(model, shown, budget, scores, narrow=name == "prune").cut()
    settle(cut.model, model, images.train, seed=seed)
    return cut


def told(cut: "Cut") -> list[dict[str, Any]]:
    """What became of each block, first to last."""
    return [
        {
            "left_out": option.stage is None,
            "expand": getattr(option.stage.block, "expand", None) if option.stage else None,
            "moves": option.moved,
            "spares": option.spared,
        }
        for option in cut.options
    ]

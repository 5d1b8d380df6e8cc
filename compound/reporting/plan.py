"""What plan.json says, as a sentence and a small table: baseline → budget → factors → network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compound.cost import Cost
from compound.network import Network
from compound.notation import parse_network
from compound.quantity import limit_text, short
from compound.reporting.names import short_name

NAMES = {"macs": "MACs", "params": "parameters", "activations": "activations", "memory": "memory"}
TRAINING = "training_memory"  # a limit that only a batch size gives a figure


@dataclass(frozen=True)
class PlanLine:
    """A line of the table: a network's figures, or the budget's limits."""

    role: str
    name: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class PlanView:
    """The plan as the page shows it; without a budget there are no factors and no table beyond the baseline."""

    sentence: str
    columns: tuple[str, ...]
    lines: tuple[PlanLine, ...]
    factors: tuple[tuple[str, str, str], ...]  # sign, value, what it multiplies
    used: float | None
    binding: str


def size(name: str, value: float, limit: float | None = None) -> str:
    """A figure with its unit; `limit`: see `limit_text`."""
    text = limit_text(name, value, limit)
    if not name.endswith("memory"):
        return text
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def spoken(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def view_plan(given: Mapping[str, Any], network: Network, counted: Cost, batch: int) -> PlanView:
    """The plan of `network`, whose cost is `counted`; `batch` is what training memory is counted at where
    the plan, of an older version, does not say it."""
    baseline, plan = given["baseline"], given.get("plan")
    start = f"{baseline['name']} ({_brief(baseline)})"
    if plan is None:
        sentence = f"No budget was given, so the baseline {start} was trained as it is."
        return PlanView(sentence, (), (), (), None, "")
    budget, binding, following = plan["budget"], plan["binding"], plan.get("next")
    columns = [*NAMES, *(name for name in (TRAINING, "latency") if name in budget)]
    own = {TRAINING: counted.training_memory(batch)} | dict(plan)
    limit = budget[binding]
    limits = " and ".join(f"{size(name, value)} {_unit(name)}".strip() for name, value in budget.items())
    itself = plan["phi"] == 0 and plan["resolution_factor"] == 1  # `--fill` may have raised the resolution alone
    if itself:
        found = f"the baseline itself, {start}, is the largest network of the {given['rule']} rule within {limits}"
    else:
        found = f"{start}, scaled by the {given['rule']} rule, gives a network of {_brief(plan)} within {limits}"
    sentence = f"{found[0].upper() if itself else found[0]}{found[1:]}. "
    if following is None:
        sentence += f"It uses {plan['used']:.1%}; the rule goes no further, so the budget is not used up."
    else:
        sentence += f"It uses {plan['used']:.1%} of the {spoken(binding)}, the limiting budget"
        step = following.get(binding)
        if step and binding == "latency":
            step *= 1 + plan["margin"]
        sentence += f": the next step up would take {size(binding, step, limit)} ({step / limit:.1%})." if step else "."
    lines = [
        _line("baseline", baseline, columns),
        _line("network", own | {"name": short_name(network.name, counted.macs)}, columns, budget),
        PlanLine("budget", "at most", ("", *(size(c, budget[c]) if c in budget else "" for c in columns))),
    ]
    if following is not None:
        lines.append(_line("next step up", following | {"name": ""}, columns, budget))
    factors = (
        ("φ", f"{plan['phi']:.4g}", "compound coefficient"),
        ("d", f"{plan['depth']:.4g}", "depth: layers"),
        ("w", f"{plan['width']:.4g}", "width: channels"),
        ("r", f"{plan['resolution_factor']:.4g}", "resolution: pixels"),
    )
    return PlanView(
        sentence, ("resolution", *map(spoken, columns)), tuple(lines), factors, plan["used"], spoken(binding)
    )


def drawable_baseline(given: Mapping[str, Any] | None, network: Network) -> Network | None:
    """The baseline to draw beside `network`, where a plan made another network of it."""
    if given is None or not given.get("plan"):
        return None
    baseline = parse_network(given["baseline"]["network"], "plan.json: baseline")
    return None if baseline.with_(name=network.name) == network else baseline


def _brief(cost: Mapping[str, Any]) -> str:
    return f"{short(cost['params'])} parameters, {short(cost['macs'])} MACs at {cost['resolution']} px"


def _unit(name: str) -> str:
    return {"memory": "of memory", TRAINING: "of training memory", "latency": "a call"}.get(name, spoken(name))


def _line(role: str, cost: Mapping[str, Any], columns: list[str], budget: Mapping[str, float] = {}) -> PlanLine:
    figures = (size(name, cost[name], budget.get(name)) if cost.get(name) is not None else "–" for name in columns)
    return PlanLine(role, cost["name"], (f"{cost['resolution']} px", *figures))

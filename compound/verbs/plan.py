"""`compound.plan`: the largest network within a budget."""

from compound.budget import Budget, Plan, fit_budget
from compound.cost import CONVENTION, training_text
from compound.latency import latency
from compound.network import Network
from compound.quantity import brief_seconds, limit_text, short
from compound.scaling import Rule
from compound.verbs.given import Place, Say, check_budget, find_rule, heard, network_to_count, silent


@heard
def plan(
    network: Network | Place, budget: Budget, rule: Rule | str = "compound", *, fill: bool = False, say: Say = silent
) -> Plan:
    """The largest scaled network within every limit of a budget, on counted cost (Section 3.3, STEP 2).

    Args:
        network: the baseline: a network, or a name of the zoo, a YAML file, a run directory.
        budget: multiply-adds, parameters and activations as numbers, memory in bytes, latency in seconds.
        rule: how it is scaled: a rule, its name, three coefficients such as `1.2,1.1,1.15`, or a YAML file.
        fill: spend on resolution what the rule's last step leaves.
        say: told what is valid but hardly meant, and where a latency is extrapolated beyond its device's table.

    Raises `BudgetError` where not even the smallest network fits, `UsageError` for unknown names.
    """
    check_budget(budget)
    found = fit_budget(network_to_count(network), budget, find_rule(rule), fill=fill)
    for warning in found.network.warnings():
        say(f"warning: {warning}")
    for device in budget.devices:
        beyond = latency(found.network, device).extrapolated
        if beyond:
            more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
            where = f" of {device.name}" if len(budget.devices) > 1 else ""
            say(f"warning: latency is extrapolated beyond the device's table{where} for {'; '.join(beyond[:3])}{more}")
    return found


def plan_text(found: Plan) -> str:
    """The plan in sentences, under the network's table."""
    counted = found.cost
    lines = [
        found.network.table(),
        "",
        CONVENTION,
        f"φ {found.phi:g}: d {found.scaling.depth:.4g}, w {found.scaling.width:.4g}, r {found.scaling.resolution:.4g}",
        f"params {counted.params:,}, MACs {counted.macs:,}, activations {counted.activations:,}",
        *([said] if (said := training_text(counted)) else []),
    ]
    for name, used in found.budget.use(counted).items():
        limit = found.budget.limits()[name]
        limiting = ", limiting" if name == found.binding else ""
        said = f"{name.replace('_', ' ')}: {limit_text(name, used, limit)} of {limit_text(name, limit)}"
        lines.append(f"{said} ({used / limit:.1%}{limiting})")
        if name == "training_memory":
            counts = counted.training_memory(found.budget.batch, found.budget.upkeep)
            lines[-1] += (
                f": {short(counts)}B predicted for {found.budget.batch} images, and a tenth for convolutions to work in"
            )
        if name == "latency":
            lines[-1] += f": {_predicted(found)}"
    if found.next_network and found.next_cost:
        step = ", ".join(
            f"{name.replace('_', ' ')} {limit_text(name, used, found.budget.limits()[name])}"
            for name, used in found.budget.use(found.next_cost).items()
        )
        lines.append(f"the next step up, at {found.next_network.resolution} px, would cost {step}")
    else:
        lines.append("the rule goes no further: the budget is not used up")
    return "\n".join(lines)


def _predicted(found: Plan) -> str:
    """What the latency rests on; of several devices, each."""
    told = [
        f"predicted {brief_seconds(seconds)} and a margin of {device.margin:.1%} for {device.name}"
        for device, seconds in found.budget.latencies(found.network)
    ]
    return told[0] if len(told) == 1 else "the slowest of\n  " + "\n  ".join(told)

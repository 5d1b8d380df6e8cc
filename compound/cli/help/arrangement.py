"""How help is laid out: verbs in groups, options in panels with the everyday ones first, examples, completion."""

import copy
import functools
import inspect
from collections.abc import Callable
from itertools import chain
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from compound.cli.help.completion import COMPLETION
from compound.cli.help.examples import EXAMPLES

GROUPS = {
    "Start": ("fit", "doctor"),
    "Plan": ("zoo", "show", "scale", "plan", "measure"),
    "Train": ("data", "train", "resume", "repeat", "shrink", "probe"),
    "Use": ("predict", "export", "serve"),
    "Understand": ("runs", "evaluate", "compare", "explain", "drift", "report"),
    "Research": ("search", "study", "forecast", "table", "figure"),
}
VERBS = tuple(chain.from_iterable(GROUPS.values()))

# The options of the verbs that train, in the order of help. What stands in no panel is shown by `--help --all`.
PANELS = {
    "Network": ("baseline", "weights", "resolution"),
    "Budget": ("macs", "params", "latency", "device", "minutes", "epochs"),
    "Training": ("recipe", "batch", "rate", "weight_decay", "patience", "train", "folds", "seed"),
    "Run": ("out", "resume", "json"),
}
PANELLED = ("fit", "train")
MORE = "More options"


def group_of(verb: str) -> str:
    return next(group for group, verbs in GROUPS.items() if verb in verbs)


def epilog(verb: str, full: bool) -> str:
    """The examples of a verb, and where its other options are. Typer ends a line at an empty one."""
    lines = ["Examples:", *(f"  {example}" for example in EXAMPLES[verb])]
    if verb in PANELLED and not full:
        lines += ["", f"All options: compound {verb} --help --all"]
    return "\n\n".join(lines)


def arranged(verb: str, function: Callable[..., Any], full: bool) -> Callable[..., Any]:
    """The function with its options in panels, and words that a shell can complete."""
    signature = inspect.signature(function)
    parameters = [_arranged(verb, parameter, full) for parameter in signature.parameters.values()]
    if verb in PANELLED:
        order = list(chain.from_iterable(PANELS.values()))
        parameters.sort(key=lambda one: (one.kind, _rank(order, one)))

    @functools.wraps(function)
    def called(**values: Any) -> Any:
        return function(**values)

    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    called.__signature__ = signature.replace(parameters=keyword)  # type: ignore[attr-defined]  # `inspect` reads it of any function
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def arranged_group(verb: str, group: typer.Typer, full: bool) -> typer.Typer:
    """A verb with verbs of its own, each of them arranged."""
    made = copy.copy(group)
    made.registered_commands = [copy.copy(one) for one in group.registered_commands]
    for one in made.registered_commands:
        assert one.callback is not None
        name = f"{verb} {one.name or one.callback.__name__}"
        one.epilog = epilog(name, full)
        one.callback = arranged(name, one.callback, full)
    return made


def _rank(order: list[str], parameter: inspect.Parameter) -> int:
    """Arguments keep their place before the options."""
    if isinstance(_info(parameter), ArgumentInfo):
        return -1
    return order.index(parameter.name) if parameter.name in order else len(order)


def _info(parameter: inspect.Parameter) -> ArgumentInfo | OptionInfo | None:
    """What Typer is told of a parameter."""
    if get_origin(parameter.annotation) is not Annotated:
        return None
    return next((one for one in get_args(parameter.annotation) if isinstance(one, ArgumentInfo | OptionInfo)), None)


def _arranged(verb: str, parameter: inspect.Parameter, full: bool) -> inspect.Parameter:
    told = _info(parameter)
    if told is None:
        return parameter
    info, name = copy.copy(told), parameter.name
    if name in COMPLETION and not info.autocompletion:
        info.autocompletion = COMPLETION[name]
    if verb in PANELLED and isinstance(info, OptionInfo):
        panel = next((panel for panel, names in PANELS.items() if name in names), None)
        info.rich_help_panel = panel or MORE
        info.hidden = info.hidden or not (panel or full)
    return parameter.replace(annotation=Annotated[get_args(parameter.annotation)[0], info])

"""A torch module as a graph of leaf operators: what torch.export sees, said with our alphabet."""

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from compound.nn.reading import responses, standards
from compound.nn.reading.aten import HANDLERS
from compound.nn.reading.graph import Node, ReadingError
from compound.nn.reading.values import Capture, NotInAlphabet, Value, Weight


def capture(model: nn.Module, example: Tensor) -> Capture:
    """What `model` does with images like `example`, in evaluation mode.

    Raises `ReadingError` naming every operator that is not in the alphabet, and the module it stands in.
    """
    try:
        with torch.no_grad():
            program = torch.export.export(model, (example,), strict=False)
    except Exception as error:  # whatever a user's forward may raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ReadingError(
            f"{type(model).__name__} cannot be traced on images {tuple(example.shape)}: {reason}"
        ) from error
    signature = program.graph_signature
    learned = signature.inputs_to_parameters
    names = {**learned, **signature.inputs_to_buffers}
    tensors = {**program.state_dict, **program.constants}
    found = Capture((example.shape[1], example.shape[2], example.shape[3]), tensors)
    values: dict[fx.Node, Any] = {}
    missing: list[str] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            weight = names.get(node.name)
            own = Weight(weight, tuple(node.meta["val"].shape), learned=node.name in learned) if weight else None
            values[node] = own or Value(0)
        elif node.target is operator.getitem:
            values[node] = values[node.args[0]][node.args[1]]
        elif node.op == "call_function" and (node.users or str(node.target).split(".")[1].endswith("_")):
            visit(found, node, values, missing)
    output = logits(program, type(model).__name__)
    if missing:
        more = f" (and {len(missing) - 6} more)" if len(missing) > 6 else ""
        raise ReadingError(f"{type(model).__name__} has what is not in the alphabet: {'; '.join(missing[:6])}{more}")
    found.graph.output = found.plain(values[output])
    found.graph = found.graph.pruned()
    return found


def logits(program: torch.export.ExportedProgram, name: str) -> fx.Node:
    """The node of what the model returns; raises `ReadingError` for anything but one tensor (N, classes)."""
    spec, ends = program.call_spec.out_spec, program.graph.output_node().args[0]
    assert isinstance(ends, tuple)
    if not spec.is_leaf():
        raise ReadingError(f"{name} returns a {spec.type.__name__} of {len(ends)}; a network returns its logits alone")
    (end,) = ends
    if not isinstance(end, fx.Node):
        raise ReadingError(f"{name} returns {end!r}; a network returns its logits")
    shape = tuple(end.meta["val"].shape)
    if len(shape) != 2:
        raise ReadingError(f"{name} returns a tensor of shape {shape}; a network returns logits (N, classes)")
    return end


def visit(found: Capture, node: fx.Node, values: dict[fx.Node, Any], missing: list[str]) -> None:
    """Put one torch operator into the graph, or note that the alphabet lacks it."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    found.where = stack[-1][0] if stack else ""
    assert isinstance(node.target, OpOverload)
    schema = node.target._schema
    arguments = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    arguments |= dict(zip([a.name for a in schema.arguments], node.args, strict=False)) | node.kwargs
    first = node.args[0]
    if isinstance(first, fx.Node):
        arguments["self shape"] = getattr(first.meta["val"], "shape", ())
    arguments = {key: known(values, value) for key, value in arguments.items()}
    name, output = schema.name.removeprefix("aten::"), node.meta["val"]
    try:
        if any(isinstance(value, responses.Response) for value in arguments.values()):
            values[node] = responses.goes_on(name.rstrip("_"), found, arguments, output)
        elif any(isinstance(value, standards.Standard) for value in arguments.values()):
            values[node] = standards.goes_on(name.rstrip("_"), arguments)
        elif name.rstrip("_") in HANDLERS:
            values[node] = HANDLERS[name.rstrip("_")](found, arguments, output)
        else:
            raise NotInAlphabet
    except (NotInAlphabet, LookupError, TypeError, AttributeError) as error:  # or arguments in an unusual form
        reason = error if isinstance(error, NotInAlphabet) else ""
        missing.append(" ".join(filter(None, (name, str(reason), f"in {found.where or 'forward'}"))))
        values[node] = stand_in(found, output, len(missing))
    if name.endswith("_") and isinstance(first, fx.Node):  # what was changed in place is the new value from here on
        values[first] = values[node]


def known(values: dict[fx.Node, Any], argument: Any) -> Any:
    """An argument with torch's nodes replaced by what they are."""
    if isinstance(argument, fx.Node):
        return values[argument]
    return [known(values, each) for each in argument] if isinstance(argument, list | tuple) else argument


def stand_in(found: Capture, output: Any, number: int) -> Any:
    """Something to go on with behind an unknown operator, so that every other one is named too."""
    if isinstance(output, list | tuple):
        return [stand_in(found, each, number) for each in output]
    if not hasattr(output, "shape"):  # nothing, or a number
        return output
    shape = (*output.shape[1:], 1, 1, 1)
    return Value(found.graph.add(Node("missing", (number, *shape), (0,)), shape[:3]))

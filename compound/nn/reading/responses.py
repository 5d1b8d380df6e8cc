"""Global response normalisation, which torch sees as lengths, their mean, quotients, products and sums."""

from typing import Any, NamedTuple

from compound.nn.reading.graph import Node
from compound.nn.reading.values import Arguments, Capture, NotInAlphabet, Value, Weight


class Response(NamedTuple):
    """What was made so far of the value `of`: its `what`, with what will be the norm's ε and weights."""

    of: Value
    what: str
    eps: float = 0.0
    weight: Weight | None = None
    bias: Weight | None = None


def lengths(c: Capture, a: Arguments, output: Any) -> Response:
    """The length of every channel over all positions."""
    x, dims = a["self"], {d % 4 for d in a["dim"] or ()}
    over = {1, 2} if isinstance(x, Value) and x.last else {2, 3}
    if a["ord"] != 2 or dims != over or not a["keepdim"]:
        raise NotInAlphabet(f"of order {a['ord']} over dimensions {sorted(dims)}")
    return Response(x, "lengths")


def goes_on(name: str, c: Capture, a: Arguments, output: Any) -> Any:
    """The next step from one or more values, one of which is a `Response`; the norm itself with the last."""
    given = list(a.values())
    one, *more = [each for each in given if isinstance(each, Response)]
    other = next((each for each in given if isinstance(each, Value)), None)
    weights = [a[key] for key in ("self", "other", "tensor1", "tensor2") if isinstance(a.get(key), Weight)]
    channels = 3 if one.of.last else 1
    match name, one.what:
        case "mean", "lengths" if [d % 4 for d in a["dim"] or ()] == [channels]:
            return one._replace(what="mean")
        case "add", "mean" if isinstance(a["other"], float):
            return one._replace(what="floor", eps=a["other"])
        case "div", "lengths" if more and a["other"] == more[0] == Response(one.of, "floor", more[0].eps):
            return more[0]._replace(what="share")
        case "mul", "share" if other == one.of:
            return one._replace(what="product")
        case "mul", "product" if len(weights) == 1:
            return one._replace(what="scaled", weight=weights[0])
        case "addcmul", "product" if len(weights) == 2:
            return one._replace(what="shifted", bias=weights[0], weight=weights[1])
        case "mul", "share" if len(weights) == 1:  # 1 + gain · share, by which all is multiplied at once
            return one._replace(what="gain", weight=weights[0])
        case "add", "gain" if 1 in given:
            return one._replace(what="factor")
        case "addcmul", "factor" if len(weights) == 1 and other == one.of:
            return put(c, one._replace(bias=weights[0]), output)
        case "add", "scaled" | "sum" if len(weights) == 1:
            done = one._replace(what="shifted", bias=weights[0])
            return done if one.what == "scaled" else put(c, done, output)
        case "add", "scaled" if other == one.of:
            return one._replace(what="sum")
        case "add", "shifted" if other == one.of:
            return put(c, one, output)
    raise NotInAlphabet(f"on what is no response normalisation ({one.what})")


def put(c: Capture, done: Response, output: Any) -> Value:
    assert done.weight is not None
    node = Node("response_norm", (done.weight.size, done.eps), ())
    tensors = {"weight": done.weight, "bias": done.bias}
    return c.anyhow(node, done.of, **tensors) if done.of.last else c.put(node, [done.of], output, **tensors)

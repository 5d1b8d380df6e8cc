"""Convolutions with standardised weights, which torch sees as moments, differences, roots and products of weights."""

from typing import Any, NamedTuple

from compound.nn.reading.values import Arguments, Capture, NotInAlphabet, Weight


class Standard(NamedTuple):
    """What was made so far of the weights `of`: their `what`, with what will be the ε."""

    of: Weight
    what: str
    eps: float = 0.0


def standardised(weight: Weight, eps: float, gain: Weight | None) -> Weight:
    """`weight` (outputs, …) less its mean and over its deviation, times a gain."""
    if gain is not None:  # ours are multiplied by the square root of the fan-in's inverse
        gain = gain._replace(factor=gain.factor * (weight.size / weight.shape[0]) ** 0.5)
    return weight._replace(eps=eps, gain=gain)


def moments(c: Capture, a: Arguments, output: Any) -> list[Standard]:
    """Variance and mean over the fan-in of every output."""
    x, dims = a["self"], {d % 4 for d in a["dim"] or ()}
    if not isinstance(x, Weight) or dims != {1, 2, 3} or a["correction"] != 0 or not a["keepdim"]:
        raise NotInAlphabet("other than over the fan-in of weights")
    return [Standard(x, "variance"), Standard(x, "mean")]


def goes_on(name: str, a: Arguments) -> Standard | Weight:
    """The next step from one or more values, one of which is a `Standard`; the weights themselves with the last."""
    given = [a[key] for key in ("self", "other") if key in a]
    made = {one.what: one for one in given if isinstance(one, Standard)}
    weights = [one for one in given if isinstance(one, Weight)]
    (first, *_), numbers = made.values(), [one for one in given if isinstance(one, float)]
    match name, sorted(made):
        case "sub", ["mean"] if a["self"] == first.of:
            return first._replace(what="centred")
        case "add", ["variance"] if numbers:
            return first._replace(what="floor", eps=numbers[0])
        case "rsqrt", ["floor"]:
            return first._replace(what="inverse")
        case "mul", ["centred", "inverse"] if made["centred"].of == made["inverse"].of:
            return made["inverse"]._replace(what="whole")
        case "mul", ["whole"] if weights and weights[0].size == first.of.shape[0]:
            return standardised(first.of, first.eps, weights[0])
    raise NotInAlphabet(f"on what are no standardised weights ({first.what})")

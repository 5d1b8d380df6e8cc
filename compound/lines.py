"""Lines that published families lie on: depth and resolution by cost, where a paper has a table and no formula.

A point is a published network as factors (d, w, r) of the first of its family; d · w² · r² is its cost factor.
"""

import math
from bisect import bisect_left
from itertools import pairwise

Point = tuple[float, float, float]

# TinyNet A to E (Han et al. 2020, arXiv:2010.14819; factors as in the official code), of EfficientNet-B0 at 224 px. The
# paper fits r and d to the cost of networks on the front (Section 3.2, Gaussian processes) and prints these of the fit.
TINYNET: tuple[Point, ...] = (
    (1.2, 1.0, 192 / 224),
    (1.1, 0.75, 188 / 224),
    (0.85, 0.54, 184 / 224),
    (0.695, 0.54, 152 / 224),
    (0.6, 0.51, 106 / 224),
)

# ResNet-RS-50 to -420 (Bello et al. 2021, arXiv:2103.07579): blocks and training size of the published weights.
RS = ((16, 160), (33, 192), (50, 256), (66, 256), (90, 256), (116, 288), (139, 320))
RESNET_RS: tuple[Point, ...] = tuple((blocks / RS[0][0], 1.0, px / RS[0][1]) for blocks, px in RS[1:])


def along(points: tuple[Point, ...], phi: float) -> tuple[float, float]:
    """Logarithms to base 2 of d and r at a cost factor of 2^φ: straight lines from point to point, in logarithms.

    All points are dearer than the first network, or all cheaper; φ has that sign. Beyond the last point both go on with
    the mean slope of the whole line.
    """
    sign = math.copysign(1, phi)
    knots = [(0.0, 0.0, 0.0), *sorted((sign * cost_factor(point), *logs(point)) for point in points)]
    where = sign * phi
    last, depth, resolution = knots[-1]
    if not where < last:
        return depth * where / last, resolution * where / last
    place = max(bisect_left([knot[0] for knot in knots], where), 1)
    (start, *low), (end, *high) = list(pairwise(knots))[place - 1]
    share = (where - start) / (end - start)
    found = [a + share * (b - a) for a, b in zip(low, high, strict=True)]
    return found[0], found[1]


def cost_factor(point: Point) -> float:
    """φ of a point: the logarithm of its cost factor."""
    depth, width, resolution = point
    return math.log2(depth * width**2 * resolution**2)


def logs(point: Point) -> tuple[float, float]:
    return math.log2(point[0]), math.log2(point[2])

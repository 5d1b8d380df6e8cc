"""A landscape over the whole space, drawn from what the networks trained in full leave open.

A Gaussian process over a configuration's options and counted cost is fitted to the networks that were trained; a draw
of its posterior is one landscape that agrees with them (pathwise conditioning: Wilson et al. 2020). Where the table
says nothing, draws differ as much as it leaves open, so what holds on many of them does not rest on one guess.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compound.network import Network
from compound.search.place import place_in
from compound.search.space import Space
from compound.search.surrogate import FIGURES, ConfigurationFeatures
from compound.trials import Reporter

Array = NDArray[np.float64]
WAVES = 512  # random features of the prior's draw
LENGTHS = (1.0, 2.0, 4.0, 8.0)  # of the kernel, in standard deviations of the cost and in options
SHARES = (0.1, 0.3, 0.6)  # of the variance that is the networks' own, beside a line in the cost


@dataclass(frozen=True)
class Process:
    """The fitted process: a line in the logarithms of cost, and what networks have of their own by an RBF kernel."""

    x: Array
    y: Array
    mean: Array
    scale: Array
    line: Array
    length: float
    variance: float
    noise: float  # variance of a mean of seeds

    @classmethod
    def fit(cls, features: Array, values: Array, noise: float) -> "Process":
        """By the highest evidence of `LENGTHS` and `SHARES`; `noise` is what seeds differ by."""
        mean, scale = features.mean(0), np.where(features.std(0) > 0, features.std(0), 1.0)
        x = (features - mean) / scale
        best: tuple[float, Process] | None = None
        for length, share in product(LENGTHS, SHARES):
            variance = share * float(values.var())
            covariance = kernel(x, x, length, variance) + (noise + 1e-10) * np.eye(len(x))
            lines = np.hstack([np.ones((len(x), 1)), x[:, -FIGURES:]])
            solved = np.linalg.solve(covariance, lines)
            line = np.linalg.lstsq(lines.T @ solved, solved.T @ values, rcond=1e-6)[0]
            left = values - lines @ line
            evidence = -0.5 * float(left @ np.linalg.solve(covariance, left) + np.linalg.slogdet(covariance)[1])
            if best is None or evidence > best[0]:
                best = evidence, cls(x, values, mean, scale, line, length, variance, noise)
        assert best is not None
        return best[1]

    def lines(self, x: Array) -> Array:
        return np.hstack([np.ones((len(x), 1)), x[:, -FIGURES:]]) @ self.line

    def left_out(self) -> Array:
        """What the others say of each value, the line and the kernel as they are."""
        covariance = kernel(self.x, self.x, self.length, self.variance) + (self.noise + 1e-10) * np.eye(len(self.x))
        inverse = np.linalg.inv(covariance)
        left = self.y - self.lines(self.x)
        found: Array = self.y - inverse @ left / np.diag(inverse)
        return found


def kernel(one: Array, other: Array, length: float, variance: float) -> Array:
    squares = ((one[:, None] - other[None]) ** 2).sum(-1) / one.shape[1]
    found: Array = variance * np.exp(-squares / (2 * length**2))
    return found


@dataclass(frozen=True)
class Landscape:
    """`Evaluator`: the value of a draw of the posterior, plus what a training with a seed adds."""

    space: Space
    process: Process
    draw: int
    noise: float = 0.0  # deviation of a training

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"draw": self.draw, "noise": self.noise}

    @cached_property
    def _waves(self) -> tuple[Array, Array, Array]:
        rng, size = np.random.default_rng(self.draw), self.process.x.shape[1]
        spread = rng.normal(size=(size, WAVES)) / (self.process.length * math.sqrt(size))
        return spread, rng.uniform(0, 2 * math.pi, WAVES), rng.normal(size=WAVES)

    def _prior(self, x: Array) -> Array:
        spread, phase, weights = self._waves
        found: Array = math.sqrt(2 * self.process.variance / WAVES) * np.cos(x @ spread + phase) @ weights
        return found

    @cached_property
    def _correction(self) -> Array:
        own, rng = self.process, np.random.default_rng(self.draw + 1_000_000)
        covariance = kernel(own.x, own.x, own.length, own.variance) + (own.noise + 1e-10) * np.eye(len(own.x))
        seen = own.y - own.lines(own.x) - self._prior(own.x) - rng.normal(0, math.sqrt(own.noise), len(own.y))
        return np.linalg.solve(covariance, seen)

    def values(self, features: Sequence[Array]) -> Array:
        """Without noise, (n,)."""
        own = self.process
        x = (np.stack(features) - own.mean) / own.scale
        found: Array = own.lines(x) + self._prior(x)
        found += kernel(x, own.x, own.length, own.variance) @ self._correction
        return found

    def __call__(self, network: Network, seed: int, report: Reporter) -> float:
        place = place_in(self.space, network)
        assert place is not None
        value = float(self.values([ConfigurationFeatures(self.space)(place)])[0])
        own = np.random.default_rng([self.draw, seed, int(network.name.rpartition("-")[2], 16)])
        return value + float(own.normal(0, self.noise))

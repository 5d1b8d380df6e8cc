"""Screens: what picks the most promising of several proposals without evaluating any of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compound.cost import cost
from compound.errors import NetworkError
from compound.network import Network
from compound.search.space import Space
from compound.trials import Parameters, Past

Array = NDArray[np.float64]
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class ProxyScreen:
    """Picks the proposal whose network has the highest `score`; those that are no network come last."""

    space: Space
    score: Callable[[Network], float]

    def __call__(self, proposals: Sequence[Parameters], history: Sequence[Past]) -> int:
        scores = [self._score(parameters) for parameters in proposals]
        return max(range(len(proposals)), key=scores.__getitem__)

    def _score(self, parameters: Parameters) -> float:
        try:
            return self.score(self.space.network(parameters))
        except NetworkError:
            return -float("inf")


@dataclass(frozen=True)
class SurrogateScreen:
    """Picks the proposal that a `Ridge` over features, learnt from all trials so far, thinks the best.

    The first `warm_up` trials are not screened.
    """

    features: Callable[[Parameters], Array]
    warm_up: int = 20

    def __call__(self, proposals: Sequence[Parameters], history: Sequence[Past]) -> int:
        if len(history) < self.warm_up:
            return 0
        known = np.stack([self.features(past.parameters) for past in history])
        ridge = Ridge.fit(known, np.array([past.value for past in history]))
        return int(np.argmax(ridge.predict(np.stack([self.features(each) for each in proposals]))))


@dataclass(frozen=True)
class ConfigurationFeatures:
    """What a surrogate reads of a configuration: its options one-hot, and the logarithms of its counted cost.

    A configuration that is no network has the cost of none.
    """

    space: Space

    def __call__(self, parameters: Parameters) -> Array:
        chosen = self.space.canonical(parameters)
        hot = [float(chosen[choice.name] == label) for choice in self.space.choices for label in choice.labels]
        try:
            network = self.space.network(chosen)
            spent = cost(network)
            depth = sum(stage.layers for stage in network.stages)
            figures = [float(np.log1p(n)) for n in (spent.macs, spent.params, spent.activations, depth)]
        except NetworkError:
            figures = [0.0] * 4
        return np.array([*hot, *figures])


@dataclass(frozen=True)
class Ridge:
    """Linear regression with a squared penalty, which is the one of PENALTIES with the least leave-one-out error."""

    mean: Array
    scale: Array
    weights: Array
    level: float
    penalty: float
    error: float  # leave-one-out, root mean square

    @classmethod
    def fit(cls, features: Array, values: Array) -> "Ridge":
        """From (n, features) and (n,)."""
        mean, scale, level = features.mean(0), features.std(0), float(values.mean())
        scale = np.where(scale > 0, scale, 1.0)
        x, y = (features - mean) / scale, values - level
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        projected = u.T @ y
        best: tuple[float, float, Array] | None = None
        for penalty in PENALTIES:
            shrunk = s**2 / (s**2 + penalty)
            # Leave-one-out residuals in closed form: residual / (1 − leverage); the mean takes 1/n of leverage.
            leverage = (u**2 * shrunk).sum(1) + 1 / len(y)
            residual = (y - u @ (shrunk * projected)) / np.maximum(1 - leverage, 1e-6)
            error = float(np.sqrt(np.mean(residual**2)))
            if best is None or error < best[0]:
                best = error, penalty, vt.T @ (s / (s**2 + penalty) * projected)
        assert best is not None
        return cls(mean, scale, best[2], level, best[1], best[0])

    def predict(self, features: Array) -> Array:
        """(n, features) to (n,)."""
        predicted: Array = (features - self.mean) / self.scale @ self.weights + self.level
        return predicted

"""Screens: what picks the most promising of several proposals without evaluating any of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from compound.errors import NetworkError
from compound.network import Network
from compound.search.space import Space
from compound.search.surrogate import Array, Ridge
from compound.trials import Parameters, Past


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

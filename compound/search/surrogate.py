"""A regression from a network's place in its space to its accuracy, and the file it is kept in.

surrogate = Surrogate.learnt(space, [(parameters, accuracy), …], "held-out accuracy after 5 epochs")
surrogate.predict(network)          # without training anything
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compound.cost import cost
from compound.documents import damaged, finite_number, read_json
from compound.errors import NetworkError, UsageError
from compound.files import write_json
from compound.network import Network
from compound.search.place import place_in
from compound.search.space import Space
from compound.search.space_file import parse_space
from compound.search.validation import kendall
from compound.trials import Parameters

Array = NDArray[np.float64]
FORMAT = "compound-surrogate-1"
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
ARRAYS, NUMBERS = ("mean", "scale", "weights"), ("level", "penalty", "error")  # of a ridge, in a file
FIGURES = 4  # numbers of a configuration beside its options
FEWEST = 10  # networks that a surrogate can be learnt from


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
            figures = [0.0] * FIGURES
        return np.array([*hot, *figures])


@dataclass(frozen=True)
class Ridge:
    """Linear regression with a squared penalty, which is the one of PENALTIES with the least leave-one-out error.

    `left_out` are the predictions of each value by the others, from the level of all: a level without it would be lower
    the higher the value is, and rank them the wrong way round.
    """

    mean: Array
    scale: Array
    weights: Array
    level: float
    penalty: float
    error: float  # leave-one-out, root mean square
    left_out: Array

    @classmethod
    def fit(cls, features: Array, values: Array) -> "Ridge":
        """From (n, features) and (n,)."""
        mean, scale, level = features.mean(0), features.std(0), float(values.mean())
        scale = np.where(scale > 0, scale, 1.0)
        x, y = (features - mean) / scale, values - level
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        projected = u.T @ y
        best: Ridge | None = None
        for penalty in PENALTIES:
            shrunk = s**2 / (s**2 + penalty)
            # Leave-one-out residuals in closed form: residual / (1 − leverage); the mean takes 1/n of leverage.
            leverage = (u**2 * shrunk).sum(1)
            fitted = y - u @ (shrunk * projected)
            residual = fitted / np.maximum(1 - leverage - 1 / len(y), 1e-6)
            error = float(np.sqrt(np.mean(residual**2)))
            if best is None or error < best.error:
                weights = vt.T @ (s / (s**2 + penalty) * projected)
                left_out = values - fitted / np.maximum(1 - leverage, 1e-6)
                best = cls(mean, scale, weights, level, penalty, error, left_out)
        assert best is not None
        return best

    def predict(self, features: Array) -> Array:
        """(n, features) to (n,)."""
        predicted: Array = (features - self.mean) / self.scale @ self.weights + self.level
        return predicted


@dataclass(frozen=True)
class Surrogate:
    """`Ridge` over `ConfigurationFeatures` of `space`, whose networks have the classes and channels of some data.

    `of` says what is predicted, `networks` of how many it was learnt. `tau` is Kendall's τ between the accuracies and
    what the others predicted of each.
    """

    space: Space
    of: str
    networks: int
    tau: float
    ridge: Ridge

    @classmethod
    def learnt(cls, space: Space, known: Sequence[tuple[Mapping[str, Any], float]], of: str) -> "Surrogate":
        """From places in the space and accuracies. Raises `UsageError` for too few."""
        if len(known) < FEWEST:
            raise UsageError(f"{len(known)} networks teach a surrogate nothing; judge {FEWEST} or more, better 40")
        features = ConfigurationFeatures(space)
        x = np.stack([features(dict(parameters)) for parameters, _ in known])
        y = np.array([accuracy for _, accuracy in known])
        ridge = Ridge.fit(x, y)
        return cls(space, of, len(known), kendall(ridge.left_out.tolist(), y.tolist()), ridge)

    @cached_property
    def features(self) -> ConfigurationFeatures:
        return ConfigurationFeatures(self.space)

    def __call__(self, parameters: Parameters) -> float:
        """The accuracy foreseen at a place of the space."""
        return float(self.ridge.predict(self.features(parameters)[None])[0])

    def predict(self, network: Network) -> float:
        """The accuracy foreseen of a network. Raises `UsageError` for one that the space does not have."""
        place = place_in(self.space, network)
        if place is None:
            raise UsageError(
                f"{network.name} is no network of the space {self.space.name}, by which the surrogate learned: its "
                "stem, rows and head cannot be chosen there; give another one"
            )
        return self(place)

    def save(self, path: Path) -> Path:
        """Write the surrogate, complete by itself."""
        ridge = {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self.ridge).items()
        }
        del ridge["left_out"]
        about = {"classes": self.space.template["classes"], "channels": self.space.template["channels"]}
        told = {"of": self.of, "networks": self.networks, "tau": round(self.tau, 4)}
        return write_json(
            path, {"format": FORMAT, "space": json.dumps(self.space.source), **about, **told, "ridge": ridge}
        )


def load_surrogate(path: Path) -> Surrogate:
    """The surrogate of a file, or of the folder of a search. Raises `UsageError` for what is none."""
    file, remedy = (path / "surrogate.json" if path.is_dir() else path), "let the search write it again"
    if not file.is_file():
        raise UsageError(
            f"{path} holds no surrogate; a search that judged {FEWEST} networks or more writes surrogate.json"
        )
    with damaged(file, remedy):
        given = read_json(file, remedy)
        if given["format"] != FORMAT:
            raise UsageError(f"{file} is no surrogate; give the surrogate.json of a search")
        space = parse_space(json.loads(given["space"]), str(file))
        space = space.with_(classes=int(given["classes"]), channels=int(given["channels"]))
        mean, scale, weights = (np.array(given["ridge"][name], dtype=float) for name in ARRAYS)
        level, penalty, error = (finite_number(given["ridge"][name]) for name in NUMBERS)
        length = sum(len(choice.labels) for choice in space.choices) + FIGURES
        if any(one.shape != (length,) or not np.isfinite(one).all() for one in (mean, scale, weights)):
            raise UsageError(f"{file} has no weights of its space; {remedy}")
        ridge = Ridge(mean, scale, weights, level, penalty, error, left_out=np.empty(0))
        return Surrogate(space, str(given["of"]), int(given["networks"]), float(given["tau"]), ridge)

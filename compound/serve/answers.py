"""The JSON of every answer, as data."""

from collections.abc import Sequence

from pydantic import BaseModel


class ClassProbability(BaseModel):
    index: int
    name: str
    probability: float


class Answer(BaseModel):
    """One image, by its position in the request, and its most probable classes, best first.

    `unknown`: whether it is of none of the classes, since its `score` is below the network's threshold; null where the
    network has none. `among`: the classes of which one is right as often as the network's coverage says; null where
    it has no sets.
    """

    image: int
    unknown: bool | None
    score: float | None
    among: list[ClassProbability] | None
    classes: list[ClassProbability]


class ErrorAnswer(BaseModel):
    error: str


class Ready(BaseModel):
    """All readable images of a request; `damaged` says what is wrong with the others."""

    model: str
    predictions: list[Answer]
    damaged: list[ErrorAnswer]


class About(BaseModel):
    """A served network: what it takes, what it costs for one image, and what computes it.

    `maps` is the method of /explain, or null. `unknown` is the score below which an image is of no class, or null.
    `coverage` is how often the sets of its answers hold the right class, or null. `problem` says that a changed file is
    not in use; the server's log says why, because that names its files.
    """

    name: str
    network: str
    resolution: int
    channels: int
    classes: int
    params: int
    macs: int
    runtime: str
    precision: str
    maps: str | None
    unknown: float | None
    coverage: float | None
    version: str
    problem: str | None


def classes_of(named: Sequence[tuple[int, str, float]]) -> list[ClassProbability]:
    return [ClassProbability(index=index, name=name, probability=p) for index, name, p in named]

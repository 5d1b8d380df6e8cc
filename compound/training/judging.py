"""Which images a trained network may be judged by: those of its run's split, or all of another set; none it learned."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compound.data import DataSet, DataSpec, Source, subset
from compound.data.chance import Hashes
from compound.data.errors import AbsentData
from compound.data.open import read_tables
from compound.data.shard_source import ShardSource
from compound.data.source import Labels
from compound.errors import UsageError
from compound.training.final import refuse_look
from compound.training.relabelling import as_classes, relabelled
from compound.training.run import Run, open_run
from compound.training.seen import (
    BY_CONTENT,
    FIRST,
    WEIGHTS,
    Changes,
    Seen,
    list_beside,
    read_seen,
    recalled,
    told_apart,
)


@dataclass(frozen=True)
class AskedImages:
    """What is to be judged by: the data of `spec`, with class numbers of a network that knows `classes`.

    `parts`: divided as for a training, for what needs more than images to judge by. `final`: the one look at the test
    images of a run; `again`: one more (see `compound.training.final`).
    """

    spec: DataSpec
    classes: tuple[str, ...]
    several: bool = False
    parts: bool = False
    final: bool = False
    again: bool = False


@dataclass(frozen=True)
class Judged:
    """Images to judge by; `said` tells which of the data they are, `own` whether they are the run's own test images.

    `data` has what else there is, to calibrate on and to re-estimate norms; None where the set is judged whole. `rows`:
    which of the set are left, where not all are.
    """

    name: str
    source: Source
    said: str
    own: bool = False
    data: DataSet | None = None
    rows: Labels | None = None


def run_of(model: str | Path) -> Run | None:
    """The run that a run directory, or the weights file in it, belongs to."""
    path = Path(model)
    folder = path.parent if path.name == "model.safetensors" else path
    return open_run(folder) if (folder / "run.yaml").is_file() else None


def data_of_run(run: Run, spec: DataSpec | None = None) -> tuple[DataSet, Changes]:
    """The data of `run` in the parts it trained with, new images in those where they belong; and what changed.

    `spec`: the run's question with other channels, root or download. Raises `AbsentData` where the data is not here.
    """
    try:
        data = (spec or run.spec).open()
    except AbsentData:
        raise AbsentData(
            f"the images of {run.path} are not here: it was trained on {run.spec.where}; go to the folder where that "
            "lies, copy it here, or name other images"
        ) from None
    seen = read_seen(run.images)
    if seen is not None:
        return recalled(seen, data, new=True)
    then = run.data["fingerprint"]
    if then not in (data.fingerprint(), data.fingerprint_of_labels()) and data.channels == run.spec.channels:
        raise UsageError(
            f"the images of {run.path} changed since its training, and as a run of an older version it does not know "
            "which of them it trained on; restore them, or name other data"
        )
    return data, Changes()


def parts_as_in(models: Sequence[str | Path | None], data: DataSet) -> tuple[DataSet, list[str]]:
    """`data` with each image in the part it had in the runs that training starts from; and what that moved, in words.

    So no test image is one that given weights have learned.
    """
    said = []
    for model in models:
        seen = learned_by(model)
        if seen is None or not _learned(seen, data):
            continue
        data, _ = recalled(seen, data, new=True)
        said.append(f"the parts are those of {model}, which trained on some of the images")
    return data, said


def unlearned(model: str | Path, source: Source) -> Source:
    """`source` without what `model` trained on, where that is known."""
    seen = learned_by(model)
    if seen is None or not len(source):
        return source
    rows = np.flatnonzero(~np.isin(source.identities(), seen.of("train")))
    return subset(source, rows) if len(rows) < len(source) else source


def _learned(seen: Seen, data: DataSet) -> bool:
    """Whether a run trained on images that `data` tests with or holds out, or held out what it tests with."""
    learned, held = seen.of("train"), seen.of("holdout")
    pairs = ((data.test, learned), (data.test, held), (data.holdout, learned))
    return any(bool(np.isin(source.identities(), known).any()) for source, known in pairs)


def images_to_judge(asked: AskedImages, run: Run | None = None, model: str | Path | None = None) -> Judged:
    """The run's test images where its own data is asked for; else the test part of a set or, without one, all of it.

    Images that `run`, or the `model` of no run, trained on or held out are left out. Raises `UsageError` where none is
    left, where the network knows other classes, and for a look at test images that is one too many or too early.
    """
    spec = asked.spec
    if run is not None and same_place(spec, run.spec):
        refuse_look(run, asked.final, asked.again)
        return _own(run, replace(run.spec, channels=spec.channels, root=spec.root, download=spec.download), asked)
    if asked.parts:
        data = as_classes(spec.open(), asked.classes, asked.several, spec.where)
        judged = Judged(data.name, data.test, "its test part", data=data)
    else:
        tables = read_tables(spec)
        found = tables.test if tables.test is not None else tables.to_train()
        source = relabelled(found, tables.classes, asked.classes, asked.several, spec.where)
        judged = Judged(tables.name, source, "its test part" if tables.test is not None else "all of it")
    return unseen(judged, run, asked, model)


def unseen(judged: Judged, run: Run | None, asked: AskedImages, model: str | Path | None = None) -> Judged:
    """`judged` without the images that the network trained on or held out. Raises `UsageError` as `images_to_judge`."""
    learner, seen = str(run.path if run else model), learned_by(run or model)
    if seen is None:
        doubt = _doubt(run, model)
        return replace(judged, said=f"{judged.said}; {doubt}") if doubt else judged
    identities, data = identities_as(seen, judged.source), judged.data
    if identities is None:
        doubt = f"which of it {learner} trained on cannot be told, for it knows its images by {seen.apart}"
        return replace(judged, said=f"{judged.said}; {doubt}")
    if run and np.isin(identities, seen.of("test")).any():
        refuse_look(run, asked.final, asked.again)
    if data is not None:
        held = identities_as(seen, data.holdout)
        rest = np.flatnonzero(~np.isin(data.holdout.identities() if held is None else held, seen.of("train")))
        data = replace(data, holdout=subset(data.holdout, rest))
    known = np.isin(identities, np.concatenate([seen.of("train"), seen.of("holdout")]))
    if known.all():
        raise UsageError(f"{learner} trained on every image of {judged.name}; name data that it did not train on")
    if not known.any():
        return replace(judged, data=data)
    rows = np.flatnonzero(~known)
    source = subset(judged.source, rows)
    said = f"{judged.said} but for {known.sum():,} that {learner} trained on or held out"
    return Judged(judged.name, source, said, False, data and replace(data, test=source), rows)


def learned_by(model: Run | str | Path | None) -> Seen | None:
    """The images that a run, or weights that came of one, learned; None where nothing says so."""
    if model is None:
        return None
    run = model if isinstance(model, Run) else run_of(model)
    if run is not None:
        return read_seen(run.images)
    return read_seen(list_beside(Path(str(model)))) if Path(str(model)).exists() else None


def _doubt(run: Run | None, model: str | Path | None) -> str:
    """What is said of a network that does not know what it learned; nothing of one that others published."""
    if run is not None:
        return f"which of it {run.path} trained on is not known, as it is a run of an older version"
    path = Path(str(model or ""))
    ours = (path.is_file() and path.suffix == ".safetensors") or (path / WEIGHTS).is_file()
    return f"which of it {model} trained on is not known, as no run stands beside it" if model and ours else ""


def identities_as(seen: Seen, source: Source) -> Hashes | None:
    """What each image is, told apart as those that were `seen`; None where they cannot be."""
    identities = source.identities()
    names = [source.path(i) for i in range(min(len(source), FIRST))]
    apart = told_apart(names, identities)
    if apart == seen.apart or np.isin(identities, seen.identities).any():
        return identities
    if isinstance(source, ShardSource) and seen.apart == BY_CONTENT:
        return source.contents()
    return None


def _own(run: Run, spec: DataSpec, asked: AskedImages) -> Judged:
    """The test images of the run's own data."""
    data, changes = data_of_run(run, spec)
    data = as_classes(data, asked.classes, asked.several, str(run.path))
    if not len(data.test):
        raise UsageError(f"{data.name} has no test image left that {run.path} was not trained on; name other data")
    said = "the test images of the run's split"
    return Judged(data.name, data.test, "; ".join(filter(None, (said, str(changes)))), True, data)


def same_place(spec: DataSpec, other: DataSpec) -> bool:
    """Whether two questions are about the same data, as far as their words tell."""
    if spec.where == other.where:
        return True
    first, second = (os.path.realpath(os.path.expanduser(one.where)) for one in (spec, other))
    return first == second

"""What folds say of every image: gathered, counted, written and read."""

import numpy as np
import pytest
import torch

from compound import UsageError
from compound.data import ArraySource, DataSet
from compound.data.folds import Folded, fold_of
from compound.evaluation import Evaluation, wilson
from compound.evaluation.folds import FILE, gather, read_folds, write_folds

CLASSES = ("a", "b", "c")


def table(groups=None, damaged=()):
    """Sixty images in three folds; `damaged` ones no model could read."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = torch.from_numpy(rng.integers(0, 255, (60, 1, 4, 4), dtype=np.uint8))
    source = ArraySource(images, labels, "noise")
    units = np.arange(60) if groups is None else groups
    folded = Folded(DataSet("noise", CLASSES, 1, source, source, source), source, fold_of(labels, 3, 0, units), units)
    everything = torch.rand(60, 3, generator=torch.Generator().manual_seed(1)).softmax(1)
    results = {}
    for number in range(3):
        at = np.flatnonzero(folded.fold == number)
        rows = torch.tensor([i for i, place in enumerate(at) if place not in damaged])
        of = at[rows.numpy()]
        results[number] = Evaluation(CLASSES, everything[of], torch.from_numpy(labels[of]), rows, [])
    return gather(folded, results, "noise machine"), everything, source


def test_every_image_has_what_the_model_said_that_never_saw_it():
    found, everything, source = table(damaged=(5, 17))
    kept = [i for i in range(60) if i not in (5, 17)]
    assert torch.equal(found.result.probabilities, everything[kept])
    assert found.result.labels.tolist() == source.labels[kept].tolist()
    assert found.names == tuple(source.path(i) for i in kept)
    assert np.array_equal(found.identities, source.identities()[kept])
    assert found.folds == 3
    assert np.mean(found.accuracies()) == pytest.approx(found.result.top(1), abs=0.03)


def test_the_interval_is_wilsons_and_of_groups_it_counts_groups():
    alone, _, _ = table()
    assert alone.interval() == wilson(alone.result.top(1), 60)
    groups = np.arange(60) // 6 * 6
    found, _, _ = table(groups)
    share = found.result.top(1)
    hits = found.result.hits(1).double().numpy()
    # Cochran 1977, Equation 6.13, of clusters of one size: the variance of the mean of the clusters' means.
    means = np.array([hits[groups == one].mean() for one in np.unique(groups)])
    half = 1.96 * means.std(ddof=1) / np.sqrt(10)
    assert found.interval() == pytest.approx((share - half, share + half))
    assert found.to_json()["groups"] == 10


def test_a_table_is_read_as_it_was_written(tmp_path):
    found, _, _ = table()
    write_folds(tmp_path / FILE, found)
    again = read_folds(tmp_path)
    assert torch.equal(again.result.probabilities, found.result.probabilities)
    for name in ("fold", "units", "identities"):
        assert np.array_equal(getattr(again, name), getattr(found, name))
    assert (again.names, again.model, again.result.classes) == (found.names, "noise machine", CLASSES)
    assert again.interval() == found.interval()


def test_what_is_no_such_table_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no out-of-fold\.npz"):
        read_folds(tmp_path)
    found, _, _ = table()
    file = write_folds(tmp_path / FILE, found)
    whole = file.read_bytes()
    file.write_bytes(whole[:-200])
    with pytest.raises(UsageError, match="is damaged"):
        read_folds(file)
    with np.load(write_folds(file, found), allow_pickle=False) as given:
        columns = {name: given[name] for name in given.files}
    for name, value in [("labels", columns["labels"] + 1), ("folds", columns["folds"] - 1), ("units", np.zeros(3)),
                        ("probabilities", columns["probabilities"] * np.nan), ("head", np.array("[]"))]:  # fmt: skip
        np.savez(file, **(columns | {name: value}))
        with pytest.raises(UsageError, match="is damaged"):
            read_folds(file)

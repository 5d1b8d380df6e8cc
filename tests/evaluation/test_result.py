"""Figures of an evaluation against closed forms and torchmetrics; digits that do not depend on the batch."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from compound import ConvBlock, Head, Network, Stage, inference
from compound.cli.answers.evaluated import class_lines
from compound.data import ArraySource, DamagedImage
from compound.evaluation import Evaluation, bootstrap, evaluate, mcnemar, reliability
from compound.execution import Execution
from compound.nn import build

EIGHT = Execution("cpu", batch=8)


@pytest.fixture
def four():
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1], [0.2, 0.1, 0.7]])
    return Evaluation(("a", "b", "c"), probabilities, torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 4]), [])


def many(images=3000, classes=5, sharpness=3.0, seed=0):
    """Confidences of all sizes; the labels follow the probabilities at a third of the sharpness."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, generator=generator)
    labels = logits.softmax(1).multinomial(1, generator=generator)[:, 0]
    names = tuple(map(str, range(classes)))
    return Evaluation(names, (sharpness * logits).softmax(1), labels, torch.arange(images), [])


def test_figures(four):
    assert four.top(1) == 0.5
    assert four.top(2) == four.top(5) == 1.0
    assert four.confusion().tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 1]]
    assert four.confusion_pairs() == [[0, 0, 1], [1, 0, 1], [1, 2, 1], [2, 2, 1]]
    assert four.loss == pytest.approx(-sum(map(torch.log, torch.tensor([0.7, 0.3, 0.4, 0.7]))).item() / 4)
    assert four.most_confident_mistakes(8) == [1, 2]  # positions in the source, most confident first


def test_per_class(four):
    table = four.per_class()
    assert table["a"] == {"images": 1, "recall": 1.0, "precision": 0.5, "f1": pytest.approx(2 / 3)}
    assert table["b"] == {"images": 2, "recall": 0.0, "precision": None, "f1": 0.0}  # nothing was called b
    assert table["c"] == {"images": 1, "recall": 1.0, "precision": 0.5, "f1": pytest.approx(2 / 3)}


def test_mean_per_class_accuracy_is_scikit_learns_and_leaves_out_classes_that_do_not_occur(four):
    metrics = pytest.importorskip("sklearn.metrics")
    assert four.mean_per_class == pytest.approx(2 / 3)  # top-1 is 1/2, for b has two of the four images
    found = many(images=300)
    kept = replace(found, labels=found.labels.clamp_max(3))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        theirs = metrics.balanced_accuracy_score(kept.labels, kept.predicted)
    assert kept.mean_per_class == pytest.approx(theirs)
    assert kept.summary()["mean_per_class"] == kept.mean_per_class


def test_only_some_classes_can_be_chosen(four):
    narrow = four.only([2, 1])
    assert narrow.classes == ("c", "b")
    assert narrow.labels.tolist() == [1, 1, 0]
    assert narrow.indices.tolist() == [1, 2, 4]
    assert torch.allclose(narrow.probabilities[1], torch.tensor([0.2, 0.8]))
    assert narrow.top(1) == pytest.approx(2 / 3)  # the second image was right by 0.4 against 0.1


def test_the_calibration_error_is_torchmetrics_and_that_of_the_bins():
    result = many()
    expected = multiclass_calibration_error(result.probabilities, result.labels, 5, n_bins=15, norm="l1").item()
    assert result.calibration_error == pytest.approx(expected, abs=1e-6)
    bins = [one for one in reliability(result) if one]
    assert sum(one.images for one in bins) == 3000
    gaps = sum(one.images * abs(one.accuracy - one.confidence) for one in bins) / 3000
    assert gaps == pytest.approx(expected, abs=1e-6)


def test_the_interval_is_wilsons():
    # Wilson 1927; 8 of 10 gives 0.4902 to 0.9433 (Newcombe 1998, method 3).
    labels = torch.tensor([0] * 8 + [1] * 2)
    probabilities = torch.tensor([[0.9, 0.1]] * 10)
    low, high = Evaluation(("a", "b"), probabilities, labels, torch.arange(10), []).interval()
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


@pytest.mark.long
def test_the_bootstrap_of_a_mean_is_its_normal_interval():
    values = torch.from_numpy(np.random.default_rng(0).normal(5, 2, 400))
    ((low, high),) = bootstrap(400, lambda rows: values[rows].mean(1, keepdim=True), draws=4000)
    middle, spread = values.mean().item(), 1.96 * values.std().item() / 20
    assert low == pytest.approx(middle - spread, abs=0.02)
    assert high == pytest.approx(middle + spread, abs=0.02)
    result = many(classes=8)
    for name, (low, high) in result.bootstrap(seed=1).items():
        assert low < high, name
    low, high = result.bootstrap()["top1"]
    assert (low, high) == pytest.approx(result.interval(), abs=0.004)
    assert result.bootstrap(seed=3) == result.bootstrap(seed=3) != result.bootstrap(seed=4)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 6, 2 / 64), (1, 9, 2 * 11 / 1024), (5, 5, 1.0), (0, 0, 1.0), (9, 1, 2 * 11 / 1024), (3, 4, 1.0)],
)
def test_mcnemar_by_hand(first, second, p):
    assert mcnemar(first, second) == pytest.approx(p)


def test_mcnemar_of_many_images_is_normal():
    z = (5300 - 5000 - 0.5) / 50  # of 10,000 tosses of a coin
    assert mcnemar(4700, 5300) == pytest.approx(2 * (1 - torch.special.ndtr(torch.tensor(z, dtype=float)).item()), 0.02)


class Patchy(ArraySource):
    """Loads image by image; some are damaged."""

    def __init__(self, source, damaged):
        super().__init__(source.images, source.labels, source.names[0])
        self.damaged = damaged

    def load(self, index):
        if index in self.damaged:
            raise DamagedImage(self.path(index), "torn")
        return super().load(index)


@pytest.mark.long
@pytest.mark.parametrize("macs", [2e9, 3e5, pytest.param(1, marks=pytest.mark.slow)])
def test_no_digit_depends_on_the_batch(model, source, monkeypatch, macs):
    monkeypatch.setitem(inference.CHUNK_MACS, "cpu", macs)  # chunks of 256, few, 1
    one, seven, sixty, many = (
        evaluate(model, source, ("a", "b", "c"), Execution("cpu", batch=size)) for size in (1, 7, 60, 1000)
    )
    for other in (seven, sixty, many):
        assert torch.equal(one.probabilities, other.probabilities)
        assert one.summary() == other.summary()
    assert torch.equal(one.indices, torch.arange(60))
    assert len(one.predicted.unique()) > 1


def test_a_chunk_follows_from_the_network_as_it_is():
    """2 billion multiply-adds: 256 images of a 3-class network that with 1000 classes would hold 32."""
    net = Network("wide", Stage(ConvBlock(3), 1, 8, 2), (Stage(ConvBlock(3), 1, 8, 2),), Head(65_536), 8)
    assert [inference.chunk_size(net.with_(classes=n), torch.device("cpu")) for n in (3, 1000)] == [256, 16]
    seen, model = [], build(net.with_(classes=3, channels=1), seed=0)
    model.stem.register_forward_hook(lambda module, given, out: seen.append(len(out)))
    source = ArraySource(torch.zeros(60, 1, 8, 8, dtype=torch.uint8), np.arange(60) % 3, "grey")
    evaluate(model, source, ("a", "b", "c"), EIGHT)
    assert seen == [256]


def test_no_digit_depends_on_what_else_is_there(model, source):
    whole = evaluate(model, source, ("a", "b", "c"), EIGHT)
    some = evaluate(model, source.subset(np.arange(37)), ("a", "b", "c"), EIGHT)
    assert torch.equal(whole.probabilities[:37], some.probabilities)  # the last chunk is filled up


def test_damaged_images_leave_the_others_their_places(model, source, monkeypatch):
    monkeypatch.setattr("compound.data.loader.ArraySource", type(None))  # load one by one
    whole = evaluate(model, source, ("a", "b", "c"), EIGHT)
    damaged = (0, 5, 6, 7, 59)
    rest = evaluate(model, Patchy(source, damaged), ("a", "b", "c"), replace(EIGHT, damaged_limit=1))
    kept = [i for i in range(60) if i not in damaged]
    assert rest.indices.tolist() == kept
    assert torch.equal(rest.probabilities, whole.probabilities[kept])
    assert [path for path, _ in rest.damaged] == [f"noise[{i}]" for i in damaged]


def test_every_module_keeps_its_own_mode(model, source):
    model.train()
    model.stem.eval()  # as with frozen norms
    modes = {name: module.training for name, module in model.named_modules()}
    evaluate(model, source, ("a", "b", "c"), Execution("cpu"))
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert len(set(modes.values())) == 2


@pytest.mark.long
def test_a_fresh_network_of_depthwise_layers_too(source):
    from compound import ZOO

    net = ZOO["efficientnet-b0"].with_(resolution=32)
    model = build(net.with_(classes=3, channels=1), seed=0)
    results = [evaluate(model, source, ("a", "b", "c"), Execution("cpu", batch=size)) for size in (3, 60)]
    assert torch.equal(*(one.probabilities for one in results))


def test_of_many_classes_the_terminal_shows_the_worst():
    """21,841 lines tell nobody anything; up to 1000 every class has one."""
    classes = {f"n{number:05}": {"images": number % 2, "recall": number / 30_000} for number in range(21_841)}
    told = class_lines(classes, ("recall",))
    assert len(told) == 22
    assert told[0] == "the 20 of the lowest recall of 21,841 classes; all of them: --json"
    assert told[2].endswith("n00001")
    assert len(class_lines(dict(list(classes.items())[:1000]), ("recall",))) == 1001


def test_the_file_grows_with_the_images_and_not_with_the_square_of_the_classes():
    """ImageNet-21k: its matrix would take 4 GB as it was written."""
    classes, images = 21_841, 300
    labels = torch.arange(images) * 72
    probabilities = torch.full((images, classes), 1e-6)
    answers = torch.where(torch.arange(images) % 3 == 0, labels, (labels + 5) % classes)
    probabilities[torch.arange(images), answers] = 0.9
    names = tuple(f"n{number:08}" for number in range(classes))
    told = Evaluation(names, probabilities, labels, torch.arange(images), []).summary()
    assert told["confusion_pairs"] == [[t, p, 1] for t, p in zip(labels.tolist(), answers.tolist(), strict=True)]
    assert told["top1"] == pytest.approx(1 / 3)
    told_of = told["per_class"]
    assert told_of["n00000000"] == {"images": 1, "recall": 1.0, "precision": 1.0, "f1": 1.0}
    assert told_of["n00000072"] == {"images": 1, "recall": 0.0, "precision": None, "f1": 0.0}
    assert told_of["n00000077"] == {"images": 0, "recall": None, "precision": 0.0, "f1": 0.0}
    assert len(json.dumps(told)) < 3_000_000

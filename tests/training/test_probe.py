"""The linear probe against scikit-learn's solver and closed forms; cross-validation and few shots."""

import numpy as np
import pytest
import torch

from compound import UsageError
from compound.execution import Execution
from compound.nn import build
from compound.training.probe import (
    PENALTIES,
    Draws,
    Features,
    choose_penalty,
    classified,
    cross_validate,
    features,
    few_shot,
    fit_linear,
    fit_path,
)


def clouds(count, classes=3, spread=1.0, seed=0):
    """Points around the corners of a simplex in 6 dimensions; with a spread of 0.1 no two classes meet."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    values = 2 * np.eye(6)[labels] + spread * rng.normal(size=(count, 6)) + 5
    return Features(torch.tensor(values, dtype=torch.float32), torch.tensor(labels), torch.arange(count), classes)


def test_the_penalties_are_kornbliths():
    assert len(PENALTIES) == 45
    assert (PENALTIES[0], PENALTIES[-1]) == (1e-6, 1e5)
    assert np.allclose(np.diff(np.log10(PENALTIES)), 0.25)


@pytest.mark.parametrize("penalty", [1e-2, 1.0, 100.0])
def test_a_fit_is_the_minimum_that_scikit_learn_finds(penalty):
    linear_model = pytest.importorskip("sklearn.linear_model")
    given = clouds(150)
    x = given.values.double().numpy()
    centred = x - x.mean(0)
    scale = np.sqrt((centred**2).mean())
    # C · Σ loss + ½‖W‖² has the minimum of mean loss + 1 / (2 N C) · ‖W‖².
    peer = linear_model.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(centred / scale, given.labels)
    ours = fit_linear(given, penalty)
    weight = ours.weight.double().numpy() * scale
    logits = centred / scale @ weight.T + (ours.bias.double().numpy() + x.mean(0) @ ours.weight.double().numpy().T)

    def objective(logits, weight):
        losses = -torch.from_numpy(logits).log_softmax(1)[torch.arange(len(given)), given.labels]
        return losses.mean().item() + penalty / (2 * len(given)) * (weight**2).sum()

    best = objective(peer.decision_function(centred / scale), peer.coef_)
    assert objective(logits, weight) == pytest.approx(best, rel=1e-4)


def test_a_path_goes_from_strong_to_weak_and_ends_in_perfection_where_classes_are_apart():
    given = clouds(60, spread=0.1)
    path = list(fit_path(given))
    assert [penalty for penalty, _ in path] == sorted(PENALTIES, reverse=True)
    norms = [one.weight.norm().item() for _, one in path]
    assert norms == sorted(norms)
    assert path[-1][1].accuracy(given) == 1.0


@pytest.mark.long
def test_cross_validation_tests_every_image_once_and_finds_what_is_there():
    found = cross_validate(clouds(90, spread=0.1), 3)
    assert found.accuracies == (1.0,) * 3
    noise = Features(
        torch.randn(120, 6, generator=torch.Generator().manual_seed(0)), torch.arange(120) % 3, torch.arange(120), 3
    )
    guessed = cross_validate(noise, 3)
    assert abs(guessed.mean - 1 / 3) < 0.15
    assert guessed == cross_validate(noise, 3)
    with pytest.raises(UsageError, match="folds 1 is not possible"):
        cross_validate(noise, 1)


def test_few_shots_draw_anew_and_say_their_interval():
    found = few_shot(clouds(90, spread=1.2), shots=5, draws=8)
    assert len(set(found.accuracies)) > 1
    low, high = found.interval()
    deviation = np.std(found.accuracies, ddof=1)
    assert np.isclose(high - low, 2 * 1.96 * deviation / np.sqrt(8))
    assert low < found.mean < high
    with pytest.raises(UsageError, match="shots 30 is not possible where a class has 30 images; use 1 to 29"):
        few_shot(clouds(90), shots=30, draws=2)


def test_the_interval_of_few_images_is_one_of_shares():
    """Wilson's of 2 of 8, and of 8 of 8, by hand."""
    assert Draws((0.25,), (1.0,), 8).interval() == pytest.approx((0.071481, 0.590719), abs=1e-4)
    assert Draws((1.0,), (1.0,), 8).interval() == pytest.approx((0.675592, 1.0), abs=1e-4)


def test_features_are_what_the_classifier_reads(network, data):
    model = build(network, seed=1)
    given = features(model, data.test, 3, Execution(batch=7))
    assert given.values.shape == (60, 16)
    assert given.labels.tolist() == data.test.labels.tolist()
    assert model.training
    from compound.data import Preprocessing

    images = Preprocessing.of(network).normalise(data.test.images)
    with torch.inference_mode():
        logits = model.eval()(images)
        assert torch.allclose(model.classifier.linear(given.values), logits, atol=1e-5)


@pytest.mark.long
def test_a_probe_becomes_the_classifier(network, data):
    model = build(network.with_(classes=5, channels=1), seed=1)
    given = features(model, data.train, 3)
    built = classified(model, given)
    assert built.classes == 3
    penalty = choose_penalty(given)
    logits = fit_linear(given, penalty).logits(given)
    with torch.inference_mode():
        assert torch.allclose(built.classifier.linear(given.values), logits, atol=1e-4)
    assert torch.equal(built.stem.conv.weight, model.stem.conv.weight)


def test_a_network_without_a_linear_end_is_refused():
    from compound import ZOO
    from compound.training.probe import last_linear

    with pytest.raises(UsageError, match=r"squeezenet-1.1 does not end in a linear classifier"):
        last_linear(build(ZOO["squeezenet-1.1"].with_(resolution=64, classes=3)))

"""When an image is none of the classes: each score against its formula, and the share that is refused wrongly."""

import math
from dataclasses import replace

import pytest
import torch

from compound import UsageError
from compound.nn import Unknown, build, fit_unknown, load_model, save_weights
from compound.nn.conformal import Sets
from compound.nn.foreign import WeightsError
from compound.nn.unknown import ENERGY, LIKELIHOOD, MAX_LOGIT, Usual
from compound.notation import parse_network
from tests.tiny import TINY


def test_scores_are_those_of_their_papers():
    """Liu et al. 2020, Equation 4 with T = 1; Hendrycks et al. 2022, the greatest logit."""
    rows = [[0.5, -2.0, 3.0], [700.0, 699.0, 0.0], [-5.0, -5.0, -5.0]]
    energy = Unknown(0, 0.05, 19, ENERGY).scores(torch.tensor(rows)).tolist()
    expected = [math.log(sum(math.exp(v - 700) for v in row)) + 700 if row[0] == 700 else
                math.log(sum(math.exp(v) for v in row)) for row in rows]  # fmt: skip
    assert energy == pytest.approx(expected, rel=1e-12)
    assert Unknown(0, 0.05, 19, MAX_LOGIT).scores(torch.tensor(rows)).tolist() == pytest.approx([3, 700, -5])


def test_a_likelihood_is_that_of_the_nearest_class():
    """Against torch's normal distribution: of each class with its own mean and deviation."""
    generator = torch.Generator().manual_seed(0)
    learned, asked = (torch.randn(count, 4, generator=generator) * 3 for count in (400, 50))
    usual = Usual.of(learned.log_softmax(1))
    found = Unknown(0, 0.05, 19, LIKELIHOOD, usual).scores(asked)
    alone = torch.cat([Unknown(0, 0.05, 19, LIKELIHOOD, usual).scores(one[None]) for one in asked])
    assert torch.equal(found, alone)  # whoever asks with it
    means, deviations = torch.tensor(usual.means), torch.tensor(usual.deviations)
    densities = torch.distributions.Normal(means, deviations).log_prob(asked.log_softmax(1)[:, None]).sum(2).amax(1)
    assert (found - densities).tolist() == pytest.approx([2 * math.log(2 * math.pi)] * 50, abs=1e-4)
    rows = learned.double().log_softmax(1)
    for each in range(4):  # enough images for what is common to count little
        own = rows[rows.argmax(1) == each]
        assert list(usual.means[each]) == pytest.approx(own.mean(0).tolist(), rel=1e-5)
        assert list(usual.deviations[each]) == pytest.approx(own.std(0).tolist(), rel=0.2)


def test_impossible_classes_and_a_class_of_one_image_have_a_likelihood():
    """Probabilities of single precision that are 0 stand at a floor, which is the same whatever computes them."""
    logits = torch.tensor([[0.0, -500.0], [0.0, -90.0], [-200.0, 0.0], [1.0, 0.5]])
    usual = Usual.of(logits.softmax(1).log())
    assert Unknown.parse(Unknown(0, 0.05, 19, LIKELIHOOD, usual).dump(), 2).usual == usual
    judging = Unknown(0, 0.05, 19, LIKELIHOOD, usual)
    exact, rounded = judging.scores(logits), judging.scored(logits.softmax(1).double().log(), logits.logsumexp(1))
    assert exact.isfinite().all()
    assert rounded.tolist() == pytest.approx(exact.tolist(), abs=1e-4)


@pytest.mark.parametrize("count", [19, 300])
def test_so_many_are_refused_wrongly(count):
    """Beyond the k-th of N exchangeable scores lie k / (N + 1), at most what was asked for (a rank is uniform)."""
    generator = torch.Generator().manual_seed(count)
    shares = []
    for _ in range(2000):
        scores = torch.randn(count + 1, generator=generator, dtype=torch.double)
        fitted = fit_unknown(scores[:-1], 0.05)
        shares.append(float(scores[-1] < fitted.least))
    asked = math.floor((count + 1) * 0.05) / (count + 1)
    spread = math.sqrt(0.05 * 0.95 / 2000)
    assert asked - 1 / (count + 1) - 3 * spread < sum(shares) / 2000 < asked + 3 * spread


def test_the_threshold_lies_between_two_scores():
    fitted = fit_unknown(torch.arange(39.0), 0.05)
    assert (fitted.least, fitted.images, fitted.refused) == (0.5, 39, 0.05)


def test_too_few_images_and_no_share_are_refused():
    with pytest.raises(
        UsageError, match=r"0\.05 takes 19 held-out images or more; there are 18: train with --holdout 19"
    ):
        fit_unknown(torch.zeros(18), 0.05)
    assert fit_unknown(torch.zeros(19), 0.05).images == 19
    with pytest.raises(UsageError, match=r"use a share such as 0\.05"):
        fit_unknown(torch.zeros(99), 1.0)


def test_weights_keep_it_and_a_damaged_one_is_no_threshold(tmp_path):
    model = build(parse_network(TINY, "tiny").with_(classes=3, channels=1), seed=0)
    names = tuple(map(str, range(model.classes)))
    usual = Usual.of(torch.eye(3).log_softmax(1))
    for unknown in (Unknown(0.1 + 0.2, 0.05, 99), Unknown(0.1 + 0.2, 0.05, 99, LIKELIHOOD, usual)):
        model.unknown, model.sets = unknown, Sets(0.9, 0.1 + 0.7, 99)
        loaded, described = load_model(save_weights(model, tmp_path / "a.safetensors", names))
        assert described.unknown == loaded.unknown == unknown
        assert described.sets == loaded.sets == model.sets
    for wrong in (
        Unknown(math.inf, 0.05, 99), Unknown(1, 0.05, 99, "softmax"), Unknown(1, 2, 99), Unknown(1, 0.05, 99, LIKELIHOOD),
        Unknown(1, 0.05, 99, ENERGY, usual), Unknown(1, 0.05, 99, LIKELIHOOD, Usual.of(torch.eye(4).log_softmax(1))),
        Unknown(1, 0.05, 99, LIKELIHOOD, replace(usual, deviations=((0.0, 1.0, 1.0),) * 3)),
        Unknown(1, 0.05, 99, LIKELIHOOD, replace(usual, means=((math.nan, 1.0, 1.0),) * 3)),
        Unknown(1, 0.05, 99, LIKELIHOOD, replace(usual, means=usual.means[:2])),
    ):  # fmt: skip
        model.unknown = wrong
        with pytest.raises(WeightsError, match="metadata is damaged"):
            load_model(save_weights(model, tmp_path / "b.safetensors", names))
    for damaged in (Sets(0.9, math.nan, 99), Sets(0.9, 0.8, math.inf), Sets(0.9, 10**400, 99)):
        model.unknown, model.sets = None, damaged
        with pytest.raises(WeightsError, match="metadata is damaged"):
            load_model(save_weights(model, tmp_path / "c.safetensors", names))

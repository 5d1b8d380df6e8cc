"""When an image is none of the classes: both scores against their formulas, and the share that is refused wrongly."""

import math

import pytest
import torch

from compound import UsageError
from compound.nn import Unknown, build, fit_unknown, load_model, save_weights
from compound.nn.conformal import Sets
from compound.nn.foreign import WeightsError
from compound.nn.unknown import ENERGY, MAX_LOGIT
from compound.notation import parse_network
from tests.tiny import TINY


def test_scores_are_those_of_their_papers():
    """Liu et al. 2020, Equation 4 with T = 1; Hendrycks et al. 2022, the greatest logit."""
    rows = [[0.5, -2.0, 3.0], [700.0, 699.0, 0.0], [-5.0, -5.0, -5.0]]
    energy = Unknown(0, 0.05, 19, ENERGY).scores(torch.tensor(rows)).tolist()
    expected = [math.log(sum(math.exp(v - 700) for v in row)) + 700 if row[0] == 700 else
                math.log(sum(math.exp(v) for v in row)) for row in rows]  # fmt: skip
    assert energy == pytest.approx(expected, rel=1e-12)
    assert Unknown(0, 0.05, 19, MAX_LOGIT).scores(torch.tensor(rows)).tolist() == [3, 700, -5]


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
    model.unknown, model.sets = Unknown(0.1 + 0.2, 0.05, 99), Sets(0.9, 0.1 + 0.7, 99)
    loaded, described = load_model(save_weights(model, tmp_path / "a.safetensors", names))
    assert described.unknown == loaded.unknown == model.unknown
    assert described.sets == loaded.sets == model.sets
    for wrong in (Unknown(math.inf, 0.05, 99), Unknown(1, 0.05, 99, "softmax"), Unknown(1, 2, 99)):
        model.unknown = wrong
        with pytest.raises(WeightsError, match="metadata is damaged"):
            load_model(save_weights(model, tmp_path / "b.safetensors", names))
    for damaged in (Sets(0.9, math.nan, 99), Sets(0.9, 0.8, math.inf), Sets(0.9, 10**400, 99)):
        model.unknown, model.sets = None, damaged
        with pytest.raises(WeightsError, match="metadata is damaged"):
            load_model(save_weights(model, tmp_path / "c.safetensors", names))

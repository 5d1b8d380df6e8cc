"""Starting from weights: what fits is taken over, a classifier of other classes starts fresh."""

from dataclasses import replace

import pytest
import torch

from compound.nn import build, save_weights, with_channels
from compound.training import start_run
from compound.training.settling import nearest
from compound.training.start import Start, first_model


def test_a_classifier_of_other_classes_starts_fresh(tmp_path, network, data, recipe):
    source = build(network.with_(classes=5, channels=1), seed=9)
    weights = save_weights(source, tmp_path / "source.safetensors", tuple("abcde"))
    model, fresh = (first_model(network, data, recipe.transfer, start) for start in (Start(weights), Start()))
    given, taken, new = source.state_dict(), model.state_dict(), fresh.state_dict()
    for name in taken:
        expected = new if name.startswith("classifier.linear") else given
        assert torch.equal(taken[name], expected[name]), name
    assert not torch.equal(given["stem.conv.weight"], new["stem.conv.weight"])


def test_the_same_weights_serve_another_resolution(tmp_path, network, data, recipe):
    weights = save_weights(build(network, seed=9), tmp_path / "source.safetensors", tuple("abc"))
    larger = network.with_(resolution=20, dropout=0.5, name="larger")
    model = first_model(larger, data, recipe.transfer, Start(weights))
    assert torch.equal(model.stem.conv.weight, build(network, seed=9).stem.conv.weight)
    assert model.network == larger


def test_a_stem_for_colour_serves_grey(tmp_path, network, data, recipe):
    source = build(network.with_(classes=3, channels=3), seed=9)
    weights = save_weights(source, tmp_path / "colour.safetensors", tuple("abc"))
    model = first_model(network, data, recipe.transfer, Start(weights)).eval()
    grey = torch.rand(2, 1, 12, 12)
    assert torch.allclose(model(grey), source.eval()(grey.expand(-1, 3, -1, -1)), atol=1e-5)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_a_stem_for_any_channels_answers_to_their_mean(network, channels):
    source = build(network.with_(classes=3, channels=3), seed=9).eval()
    grey = torch.rand(2, 1, 12, 12)
    adapted = with_channels(source, channels)
    assert torch.allclose(adapted(grey.expand(-1, channels, -1, -1)), source(grey.expand(-1, 3, -1, -1)), atol=1e-5)
    assert not adapted.training


def test_weights_of_another_network_are_refused(tmp_path, network, data, recipe):
    other = replace(network, name="other", head=replace(network.head, channels=24))
    weights = save_weights(build(other), tmp_path / "other.safetensors", tuple("abc"))
    run = start_run(network, data, recipe, tmp_path / "run")
    with pytest.raises(Exception, match="holds other, which is not the tiny that was asked for"):
        first_model(run.network, data, run.recipe.transfer, Start(weights))


def test_a_classifier_moves_to_where_it_answers_as_the_larger_network_does_unless_that_shows_nothing():
    random = torch.Generator().manual_seed(0)
    values, noise = torch.randn(400, 5, generator=random), torch.randn(400, 3, generator=random)
    truth = torch.randn(5, 3, generator=random)
    found = nearest(values, values @ truth + 2)
    assert torch.allclose(found.weight, truth.T, atol=1e-2)
    assert torch.allclose(found.bias, torch.full((3,), 2.0), atol=1e-2)
    assert nearest(values[:, :1], noise).weight.abs().max() < 0.2

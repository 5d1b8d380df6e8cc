"""Temperature: found where it is known, and folded into the weights without changing a choice."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from compound import ZOO, UsageError
from compound.data import ArraySource
from compound.evaluation import Evaluation, calibrate, divide_logits, evaluate, fit_temperature
from compound.evaluation.calibration import COLDEST, HOTTEST, tempered
from compound.evaluation.figures import reliability_diagram, save_figure
from compound.execution import Execution
from compound.nn import build
from compound.verbs.calibration import run_calibration

CPU = Execution("cpu")


def sharpened(by, images=20_000):
    """Labels drawn from softmax(z), and a model that says softmax(by · z)."""
    generator = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(images, 6, generator=generator)
    labels = logits.softmax(1).multinomial(1, generator=generator)[:, 0]
    return Evaluation(tuple("abcdef"), (by * logits).softmax(1), labels, torch.arange(images), [])


@pytest.mark.parametrize("by", [0.4, 1.0, 2.5])
def test_the_temperature_that_sharpened_is_found(by):
    result = sharpened(by)
    temperature = fit_temperature(result)
    assert temperature == pytest.approx(by, rel=0.04)

    def loss(t):
        return Evaluation(result.classes, tempered(result, t), result.labels, result.indices, []).loss

    assert loss(temperature) < min(loss(temperature * 1.1), loss(temperature / 1.1))


def test_a_temperature_has_bounds():
    sure = Evaluation(("a", "b"), torch.tensor([[0.9, 0.1]] * 4), torch.zeros(4, dtype=torch.long), torch.arange(4), [])
    assert fit_temperature(sure) == pytest.approx(COLDEST, rel=1e-3)
    wrong = Evaluation(("a", "b"), torch.tensor([[0.9, 0.1]] * 4), torch.ones(4, dtype=torch.long), torch.arange(4), [])
    assert fit_temperature(wrong) == pytest.approx(HOTTEST, rel=1e-3)


@pytest.mark.parametrize("zoo", ["efficientnet-mini", "squeezenet-1.1", "mobilenet-v3-small"])
def test_dividing_the_logits_is_in_the_weights(zoo):
    net = ZOO[zoo].with_(resolution=64)
    model = build(net.with_(classes=7, channels=3), seed=0).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for name, parameter in model.classifier.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
        before = model(x)
        divide_logits(model, 2.5)
        after = model(x)
    assert before.abs().max() > 0
    assert torch.allclose(after * 2.5, before, rtol=1e-4, atol=1e-6)


def test_an_activation_that_bends_is_refused():
    net = ZOO["efficientnet-mini"]
    model = build(net.with_(head=replace(net.head, classify_maps=True)).with_(classes=4, channels=1), seed=0)
    with pytest.raises(UsageError, match="an activation after its classifier"):
        divide_logits(model, 2.0)


def test_calibrating_changes_the_model_and_no_choice(model, source):
    before = evaluate(model, source, ("a", "b", "c"), CPU)
    temperature = calibrate(model, source, before.classes, CPU)
    after = evaluate(model, source, before.classes, CPU)
    assert temperature > 1.5  # the model is sure of nonsense
    assert torch.equal(before.predicted, after.predicted)
    assert after.loss < before.loss
    assert torch.allclose(tempered(after, 1 / temperature), before.probabilities, atol=1e-5)
    assert fit_temperature(after) == pytest.approx(1, abs=1e-3)


def test_images_that_are_all_right_leave_the_weights(model, source):
    first = ArraySource(source.images, [0] * 60, "noise")
    with torch.no_grad():
        model.classifier.linear.bias[0] += 1000  # every image is of the first class, and named so
    before = [one.clone() for one in model.classifier.parameters()]
    with pytest.raises(UsageError, match=r"temperature 0\.05 is the lowest .* the weights stay as they are"):
        calibrate(model, first, ("a", "b", "c"), CPU)
    assert all(map(torch.equal, model.classifier.parameters(), before))


@pytest.mark.long
def test_the_diagram_is_a_file_that_repeats(tmp_path):
    result = sharpened(2.5, 500)
    first, second = (save_figure(reliability_diagram(result, "net on data"), tmp_path / n) for n in ("a.svg", "b.svg"))
    assert "500 images, calibration error" in first.read_text()
    assert save_figure(reliability_diagram(result, "net"), tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    again = save_figure(reliability_diagram(result, "net on data"), first).read_text()
    assert len(again) == len(second.read_text())
    with pytest.raises(UsageError, match=r"end its name in \.svg or \.png or \.pdf"):
        save_figure(reliability_diagram(result, "net"), tmp_path / "a.txt")


@pytest.mark.parametrize(("held", "doubted"), [(5, True), (19, True), (20, False)])
def test_a_temperature_by_few_images_is_doubted(monkeypatch, held, doubted):
    monkeypatch.setattr("compound.evaluation.calibrate", lambda *_: 1.5)
    said = []
    images = SimpleNamespace(holdout=range(held), classes=("a", "b"))
    assert run_calibration(None, images, None, said.append) == 1.5
    assert any("train with --holdout 20" in sentence for sentence in said) is doubted

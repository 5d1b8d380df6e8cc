"""`--weights auto`: what is taken without a budget, and that it is said before it is fetched."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from compound import ZOO, Budget
from compound.execution import Execution
from compound.training import Start
from compound.verbs.auto import LEAST, choose, named, usual_budget
from compound.verbs.published import plan_published

CPU = Execution("cpu", threads=2)


def images(count: int) -> SimpleNamespace:
    return SimpleNamespace(train=range(count), classes=tuple("abc"), channels=3)


def test_without_a_budget_the_device_and_the_minutes_bound_what_is_taken() -> None:
    assert usual_budget(images(200), CPU, None).macs == 1e9
    assert usual_budget(images(200), CPU, 3).macs == pytest.approx(180 * 16e9 / (3 * 10 * 200))  # 480M
    assert usual_budget(images(200), CPU, 60).macs == 1e9
    assert usual_budget(images(10**6), CPU, 3).macs == LEAST


def test_name_size_and_accuracy_are_said_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def fetched(repo: str, file: str, revision: str) -> Path:
        assert said
        raise InterruptedError(repo)

    monkeypatch.setattr("compound.nn.hub.downloaded", fetched)
    monkeypatch.setattr("compound.nn.choice.is_cached", lambda name: False)
    monkeypatch.setattr("compound.nn.fetching.Reach.missing", lambda self, name: None)
    best = plan_published(Budget(macs=480e6)).within[0]
    with pytest.raises(InterruptedError, match=best.weights):
        choose(None, images(200), CPU, 3, said.append)
    (sentence,) = said
    # timm's table has 78.68 % at 224 px; 5,288,548 parameters of four bytes
    assert best.weights == "timm/tf_efficientnet_b0.ns_jft_in1k"
    assert f"{best.weights}: 78.7 % of ImageNet at 224 px by timm" in sentence
    assert "5.29M parameters, about 21.2MB to fetch" in sentence
    assert "none over 480M MACs without a budget such as --macs 2G" in sentence


def test_auto_of_a_network_is_said_and_becomes_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compound.nn.fetching.Reach.missing", lambda self, name: None)
    said: list[str] = []
    start = named(Start("auto"), ZOO["resnet-18"], said.append)
    # timm's table has 73.29 % at 224 px, torchvision's metadata 69.76
    assert start == Start("timm/resnet18.fb_swsl_ig1b_ft_in1k")
    assert [text.split(":")[0] for text in said] == [f"weights {start.weights}"]
    assert named(start, ZOO["resnet-18"], said.append) is start

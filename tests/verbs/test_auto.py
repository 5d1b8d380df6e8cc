"""`--weights auto`: what is taken without a budget, and that it is said before it is fetched."""

from types import SimpleNamespace

import pytest

from compound.execution import Execution
from compound.verbs.auto import LEAST, choose, usual_budget

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

    def fetched(name: str) -> None:
        assert said
        raise InterruptedError(name)

    monkeypatch.setattr("compound.nn.load_weights", fetched)
    monkeypatch.setattr("compound.nn.hub._cached", lambda url: SimpleNamespace(is_file=lambda: False))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(InterruptedError, match=r"torchvision/efficientnet_b0\.IMAGENET1K_V1"):
        choose(None, images(200), CPU, 3, said.append)
    (sentence,) = said
    # torchvision's table: 77.692 %, 5,288,548 parameters, 20.451 MB
    assert "efficientnet_b0.IMAGENET1K_V1: 77.7 % of ImageNet, 5.3M parameters, 20 MB to fetch" in sentence
    assert "none over 480M MACs without a budget such as --macs 2G" in sentence

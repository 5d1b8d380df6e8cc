"""`compound plan --weights`: the network that `fit --weights` trains, and what it keeps of the weights."""

from pathlib import Path

import pytest

import compound
from compound import ZOO, Budget, cost
from compound.errors import UsageError
from compound.nn import build, save_weights
from compound.nn.foreign import WeightsError
from compound.training import Setup, Start
from compound.verbs.warm import WarmPlan, plan_weights, warm_text

MINI = ZOO["efficientnet-mini"].with_(classes=10, channels=1)


class Planned(Exception):
    """Stands for all that follows the plan."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_weights(build(MINI), tmp_path_factory.mktemp("weights") / "mini.safetensors", tuple("abcdefghij"))


@pytest.mark.parametrize("limits", [{"macs": 4e6}, {"params": 100e3}])
def test_it_is_the_choice_that_fit_makes(file: Path, limits: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def begin(network: compound.Network, *rest: object) -> None:
        seen.append(network)
        raise Planned

    monkeypatch.setattr("compound.verbs.fit.begin", begin)
    with pytest.raises(Planned):
        compound.fit("fashion6k", Budget(**limits), setup=Setup(start=Start(file)))
    assert [plan_weights(file, Budget(**limits)).network] == seen


def test_resolution_gives_way_first_and_every_layer_is_kept(file: Path) -> None:
    found = plan_weights(file, Budget(macs=4e6))
    assert (found.rule, found.whole) == ("shrink", True)
    assert found.network == MINI.with_(resolution=found.network.resolution, name=found.network.name)
    assert cost(found.network).macs <= 4e6 < cost(MINI).macs
    assert found.to_json()["inherited"]["layers"] == "all"
    said = warm_text(found)
    assert f"only the images change, from {MINI.resolution} to {found.network.resolution} px" in said


def test_for_images_of_other_channels_the_first_layer_is_not_as_it_was(file: Path) -> None:
    found = plan_weights(file, Budget(macs=1e9), channels=3)
    assert found.inherited()["layers"] == "all but the first"
    assert "every layer as it is but the first, whose filters become their mean" in warm_text(found)


def test_where_the_resolution_cannot_the_layers_are_cut(file: Path) -> None:
    found = plan_weights(file, Budget(params=100e3))
    assert (found.rule, found.whole) == ("compound", False)
    blocks, before = (sum(stage.layers for stage in one.stages) for one in (found.network, MINI))
    assert found.inherited() == {"layers": "what fits", "blocks": blocks, "of_blocks": before}
    assert f"{blocks} of {before} blocks, scaled by compound" in warm_text(found)


@pytest.mark.long
def test_auto_names_published_weights_and_fetches_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*asked: str) -> None:
        raise AssertionError(asked)

    for way in ("fetched", "downloaded"):
        monkeypatch.setattr(f"compound.nn.hub.{way}", fetched)
    given = {"input_size": [3, 224, 224], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.94}
    config = {"architecture": "tf_efficientnet_b2", "pretrained_cfg": given}
    monkeypatch.setattr("compound.nn.hub._config", lambda name: config)
    monkeypatch.setattr("compound.nn.fetching.Reach.missing", lambda self, name: None)
    said: list[str] = []
    found = plan_weights("auto", Budget(macs=1e9), classes=10, say=said.append)
    # timm's table: of those within 1G multiply-adds EfficientNet-B2 of noisy student, at 260 px, is the most accurate.
    assert found.weights == "timm/tf_efficientnet_b2.ns_jft_in1k"
    assert (found.network.name, found.network.classes, found.plan) == ("efficientnet-b2", 10, None)
    assert (found.network.resolution, found.network.inputs.mean) == (260, (0.5,) * 3)
    assert "82.4 % of ImageNet at 260 px" in said[0]
    smaller = plan_weights("torchvision/resnet18", Budget(macs=500e6), classes=10)
    assert isinstance(smaller, WarmPlan)
    assert (smaller.rule, smaller.whole, smaller.given.resolution) == ("shrink", True, 224)


@pytest.mark.long
def test_weights_of_another_network_or_of_none_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="which is not the efficientnet-lite0 that was asked for"):
        plan_weights(file, Budget(macs=4e6), "efficientnet-lite0")
    import torch

    other = tmp_path / "other.pth"
    torch.save({"a.weight": torch.zeros(3, 3)}, other)
    with pytest.raises(UsageError, match=r"name it: compound plan NETWORK --weights .*other.pth"):
        plan_weights(other, Budget(macs=4e6))

"""Weights by name: from a hub and from torchvision, cached, checked, offline; refused when they are not what they say."""

import hashlib
import json
import shutil

import pytest
import torch
from hub_server import serving
from safetensors.torch import save_file

from compound import ZOO
from compound.nn import WeightsError, build, load_weights, save_weights
from compound.nn.hub import described_by, inputs_of, weights_file
from compound.nn.libraries import styled
from compound.notes import heard_by

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
NAME = "timm/mobilenetv2_100.ra_in1k"
CONFIG = {
    "architecture": "mobilenetv2_100",
    "num_classes": 5,
    "label_names": ["n01", "n02", "n03", "n04", "n05"],
    "label_descriptions": {"n01": "tench"},
    "pretrained_cfg": {
        "input_size": [3, 96, 96], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.25],
        "interpolation": "bilinear", "crop_pct": 0.9, "crop_mode": "center",
    },
}  # fmt: skip


def timm_names(state):
    """The names timm gives the layers of MobileNetV2, from ours: written out by hand, block by block."""
    names = {"stem.conv": "conv_stem", "stem.norm": "bn1", "features.conv": "conv_head", "features.norm": "bn2"}
    names["classifier.linear"] = "classifier"
    first = {"depthwise.conv": "conv_dw", "depthwise.norm": "bn1", "project.conv": "conv_pw", "project.norm": "bn2"}
    rest = {"expand.conv": "conv_pw", "expand.norm": "bn1", "depthwise.conv": "conv_dw", "depthwise.norm": "bn2",
            "project.conv": "conv_pwl", "project.norm": "bn3"}  # fmt: skip
    renamed = {}
    for key, tensor in state.items():
        layer, _, word = key.rpartition(".")
        if layer not in names:
            stage, block, *path = layer.split(".")
            path = ".".join(path).removeprefix("body.")
            number = int(stage.removeprefix("stage")) - 1
            layer = f"blocks.{number}.{int(block.removeprefix('block')) - 1}.{(first if number == 0 else rest)[path]}"
        else:
            layer = names[layer]
        renamed[f"{layer}.{word}"] = tensor
    return renamed


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = build(ZOO["mobilenet-v2"].with_(resolution=96, classes=5), seed=3).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return model


@pytest.fixture
def repository(tmp_path, model):
    folder = tmp_path / "served" / NAME
    folder.mkdir(parents=True)
    save_file(timm_names(model.state_dict()), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(constants, name, str(tmp_path / "cache"), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    return tmp_path / "cache"


@pytest.fixture
def served(repository, cache, monkeypatch):
    with serving(repository.parents[1]) as (address, asked):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield asked
        hub.close_session()


def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.long
def test_a_hub_name_brings_layers_preprocessing_and_classes(served, model):
    loaded, weights = load_weights(NAME)
    x = torch.randn(2, 3, 96, 96)
    assert torch.allclose(loaded(x), model(x), atol=1e-5)
    assert model(x).std() > 0.01
    network = weights.network
    assert (network.resolution, network.inputs.mean, network.inputs.interpolation) == (96, (0.5, 0.4, 0.3), "bilinear")
    assert network.inputs.margin == 10  # floor(96 / 0.9) = 106, as timm resizes
    assert weights.classes == ("tench", "n02", "n03", "n04", "n05")


@pytest.mark.long
def test_what_was_fetched_serves_offline_and_nothing_is_asked_again(served, monkeypatch):
    load_weights(NAME)
    offline(monkeypatch)
    count = len(served)
    assert load_weights(NAME)[1].network.resolution == 96
    assert len(served) == count
    with pytest.raises(WeightsError, match="timm/other is not in the cache and HF_HUB_OFFLINE forbids"):
        load_weights("timm/other")


@pytest.mark.long
def test_a_tampered_cache_is_refused(served, cache):
    load_weights(NAME)
    (blob,) = (path for path in cache.rglob("blobs/*") if len(path.name) == 64)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1  # one bit of the last number
    blob.write_bytes(data)
    with pytest.raises(WeightsError, match="is not what was published: its SHA-256 begins"):
        load_weights(NAME)


@pytest.mark.long
def test_what_a_hub_does_not_have_is_said(served, repository):
    with pytest.raises(WeightsError, match="the hub has no repository timm/absent"):
        load_weights("timm/absent")
    (repository / "model.safetensors").rename(repository / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"has no model.safetensors; other formats are not read"):
        load_weights(NAME)


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "resnet18"}, "weights do not fit resnet-18"),
        ({"architecture": "vit_base"}, "no network is called 'vit_base'"),
        ({"pretrained_cfg": {}}, "config.json does not describe a network known here: 'input_size'"),
    ],
)
def test_a_repository_of_another_network_is_refused(served, repository, change, message):
    (repository / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(WeightsError, match=message):
        load_weights(NAME)


@pytest.mark.long
def test_another_network_than_asked_is_refused(served):
    with pytest.raises(WeightsError, match="holds mobilenet-v2, which is not the resnet-18 that was asked for"):
        load_weights(NAME, ZOO["resnet-18"])


@pytest.mark.long
def test_our_own_file_on_a_hub_says_all_by_itself(served, repository, model):
    save_weights(model, repository / "model.safetensors", tuple("abcde"))
    (repository / "config.json").unlink()
    assert load_weights(NAME)[1].classes == tuple("abcde")


@pytest.fixture
def torchvision_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_torchvisions_weights_are_checked_by_their_digest(torchvision_cache, monkeypatch, tmp_path):
    from torchvision.models import squeezenet1_1

    peer = squeezenet1_1().eval()
    torch.save(peer.state_dict(), tmp_path / "peer.pth")
    digest = hashlib.sha256((tmp_path / "peer.pth").read_bytes()).hexdigest()
    monkeypatch.setattr(
        "compound.nn.fetching.cached", lambda url: torchvision_cache / f"squeezenet1_1-{digest[:8]}.pth"
    )
    offline(monkeypatch)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE forbids"):
        load_weights("torchvision/squeezenet1_1")
    shutil.copy(tmp_path / "peer.pth", torchvision_cache / f"squeezenet1_1-{digest[:8]}.pth")
    model, weights = load_weights("torchvision/squeezenet1_1")
    x = torch.randn(1, 3, 64, 64)
    assert torch.allclose(model(x), peer(x), atol=1e-4)
    assert weights.classes[0] == "tench"
    assert weights.network.inputs.margin == 32
    with (torchvision_cache / f"squeezenet1_1-{digest[:8]}.pth").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsError, match="is not what was published"):
        load_weights("torchvision/squeezenet1_1")
    with pytest.raises(WeightsError, match="torchvision has no weights 'V9' of squeezenet1_1; use IMAGENET1K_V1"):
        load_weights("torchvision/squeezenet1_1.V9")


def test_the_name_of_a_run_never_leaves_the_machine(served, tmp_path, monkeypatch):
    (tmp_path / "runs" / "nine").mkdir(parents=True)
    (tmp_path / "runs" / "nine" / "run.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    said = r"no run or weights file runs/none \(a .*hub is written hf:runs/none\); did you mean 'runs/nine'\?"
    with pytest.raises(WeightsError, match=said):
        load_weights("runs/none")
    assert served == []
    with pytest.raises(WeightsError, match="the hub has no repository runs/none"):
        load_weights("hf:runs/none")
    assert served


@pytest.mark.long
def test_any_owner_of_the_hub_can_be_named(served):
    assert load_weights(f"hf:{NAME}")[1] == load_weights(NAME)[1]
    assert weights_file(f"hf:{NAME}") == weights_file(NAME)


def test_a_name_that_is_none_is_said():
    with pytest.raises(WeightsError, match="there is no run or weights file nothing; for a network's name add"):
        load_weights("nothing")


def test_styles_and_preprocessing_of_the_libraries():
    lite = styled(ZOO["efficientnet_lite0"], "efficientnet_lite0", "timm")
    assert (lite.style.norm_eps, lite.style.padding) == (1e-5, "symmetric")
    assert styled(ZOO["tf_efficientnet_lite0"], "tf_efficientnet_lite0", "timm").style.padding == "same"
    assert styled(ZOO["efficientnet-b5"], "efficientnet_b5", "torchvision").style.norm_eps == 1e-3
    config = CONFIG["pretrained_cfg"] | {"crop_mode": "squash", "crop_pct": 1.0}
    assert (inputs_of(config).fit, inputs_of(config).margin) == ("squash", 0)


@pytest.mark.parametrize(("arch", "told"), [("nasnetalarge", 1), ("pnasnet5large", 0)])
def test_what_timm_computes_otherwise_is_said_with_its_weights(arch, told):
    said = []
    config = {"architecture": arch, "pretrained_cfg": CONFIG["pretrained_cfg"]}
    with heard_by(said.append):
        described_by(config, f"timm/{arch}")
    assert [text.endswith("so logits differ from timm's by about 1 %") for text in said] == [True] * told

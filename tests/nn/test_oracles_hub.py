"""timm's networks as its hub repositories hold them: safetensors, names sorted, preprocessing in config.json."""

import json

import pytest
import torch

from compound.nn import build, load_weights
from compound.nn.order import defined_order
from compound.zoo import ZOO

pytestmark = pytest.mark.oracle
timm = pytest.importorskip("timm")

NAMES = (
    "efficientnet_b0", "efficientnet_b3", "tf_efficientnet_b0", "tf_efficientnet_lite0", "efficientnet_lite0",
    "efficientnetv2_s", "tf_efficientnetv2_b0", "efficientnet_es", "mobilenetv1_100", "mobilenetv2_100",
    "mobilenetv3_large_100", "tf_mobilenetv3_small_100", "mnasnet_100", "semnasnet_100", "tinynet_c", "resnet18",
    "resnet50", "seresnet50", "resnext50_32x4d", "regnetx_002", "regnety_002", "densenet121",
    "inception_v3", "inception_v4", "legacy_xception", "vgg11_bn", "vgg16",
    "mixnet_s", "tinynet_e", "mobilenetv2_035", "mobilenetv2_050", "semnasnet_050", "mobilenetv3_small_075",
    "lcnet_050", "mobilenetv4_conv_small", "hardcorenas_a", "ghostnet_050", "mobileone_s0", "convnext_atto",
    "repvgg_a0", "resnet18d", "rexnet_100", "starnet_s1", "regnety_004", "convnextv2_atto", "mnasnet_050", "resnet26d",
)  # fmt: skip


def known(name):
    try:
        return ZOO[name] is not None
    except KeyError:
        return False


@pytest.mark.parametrize("name", [name for name in timm.list_models() if known(name)])
def test_every_name_of_the_zoo_gets_its_order_back(name):
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
        ours = build(ZOO[name]).state_dict()
    restored = defined_order(dict(sorted(state.items())))
    if name.startswith("fasternet"):  # whose layers are not made in the order in which they run
        assert shapes(restored) == shapes(ours)
    else:
        assert layers(restored) == layers(state)


def test_forty_repositories_and_more_are_held_to_their_logits():
    assert len({name for name in NAMES if known(name)}) >= 40


def layers(state):
    return list(dict.fromkeys(key.rpartition(".")[0] for key in state))


def shapes(state):
    return [tensor.shape[:2] for key, tensor in state.items() if key.endswith("weight")]


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_preprocessing_of_timm_through_a_hub(name, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    peer = timm.create_model(name).eval()
    for module in peer.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    save_file(peer.state_dict(), tmp_path / "model.safetensors")
    config = {"architecture": name, "num_classes": 1000, "pretrained_cfg": peer.pretrained_cfg}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr("compound.nn.hub.downloaded", lambda repo, file, revision: tmp_path / file)
    model, weights = load_weights(f"timm/{name}")
    cfg = timm.data.resolve_model_data_config(peer)
    network = weights.network
    assert (network.resolution, network.inputs.mean) == (cfg["input_size"][-1], cfg["mean"])
    (size,) = {timm.data.create_transform(**cfg).transforms[0].size} - {None}
    assert network.resolution + network.inputs.margin == (size if isinstance(size, int) else size[0])
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        ours, theirs = model(x), peer(x)
    assert theirs.std() > 1e-3
    assert ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1)).item() < 1e-4

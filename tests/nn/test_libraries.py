"""Weights of other libraries under the zoo's name: their logits come out, or a warning says what is not known."""

import re

import pytest
import torch
from torch import nn

from compound import ZOO
from compound.nn import load_model
from compound.nn.libraries import library_of
from compound.notes import heard_by

torchvision = pytest.importorskip("torchvision.models")


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


@pytest.fixture
def logits(tmp_path):
    """`logits(name, peer)`: ours and the peer's, from its state dict in a file, and the warnings."""

    def compute(name: str, peer: nn.Module):
        torch.manual_seed(0)
        for module in peer.modules():
            if isinstance(module, nn.BatchNorm2d):  # small variances, so that ε counts
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.05, 0.2)
                module.weight.data.uniform_(0.2, 0.4)
                module.bias.data.normal_(0, 0.1)
        torch.save({"model": peer.state_dict()}, tmp_path / "given.pth")
        told: list[str] = []
        with heard_by(told.append):
            model, _ = load_model(tmp_path / "given.pth", ZOO[name])
            load_model(tmp_path / "given.pth", ZOO[name])
        x = torch.randn(2, 3, 64, 64)
        with torch.inference_mode():
            return model.eval()(x), peer.eval()(x), [text for text in told if text.startswith("warning")]

    return compute


def assert_same(ours, theirs):
    assert theirs.std() > 1e-3
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-4


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("efficientnet-b0", "efficientnet_b0"),
        ("mnasnet-b1", "mnasnet1_0"),
        ("mobilenet-v3-small", "mobilenet_v3_small"),
        ("resnet-18", "resnet18"),
    ],
)
def test_weights_of_torchvision_have_its_style(logits, name, peer):
    ours, theirs, warnings = logits(name, getattr(torchvision, peer)())
    assert_same(ours, theirs)
    assert not warnings


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "peer"), [("mnasnet-b1", "mnasnet_100"), ("tinynet-e", "tinynet_e")])
def test_weights_that_timm_alone_trained_have_its_style(logits, timm, name, peer):
    ours, theirs, warnings = logits(name, timm.create_model(peer))
    assert_same(ours, theirs)
    assert not warnings


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "peer", "ported"),
    [
        ("efficientnet-b0", "efficientnet_b0", False),
        ("tf-efficientnet-b0", "tf_efficientnet_b0", True),
        ("efficientnet-lite0", "efficientnet_lite0", False),
        ("mobilenet-v3-small", "mobilenetv3_small_100", False),
    ],
)
def test_timms_names_tell_no_style_so_the_networks_name_does_and_it_is_said_once(logits, timm, name, peer, ported):
    ours, theirs, warnings = logits(name, timm.create_model(peer))
    assert_same(ours, theirs)
    if ported:
        assert not warnings
    else:
        [warning] = warnings
        assert (
            f"symmetric padding and ε 1e-05 are taken; if timm calls them tf_…, name the network tf-{name}" in warning
        )


@pytest.mark.oracle
def test_weights_of_efficientnet_pytorch_have_tensorflows_style(logits, timm):
    """That library is timm's `tf_` network under other names."""
    names = (
        ("conv_stem", "_conv_stem"),
        ("conv_dw", "_depthwise_conv"),
        (r"^blocks\.", "_blocks."),
        ("conv_head", "_conv_head"),
    )

    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = timm.create_model("tf_efficientnet_b0")

        def forward(self, x):
            return self.inner(x)

        def state_dict(self):
            found = {}
            for name, tensor in self.inner.state_dict().items():
                for theirs, ours in names:
                    name = re.sub(theirs, ours, name)
                found[name] = tensor
            return found

    ours, theirs, warnings = logits("efficientnet-b0", Renamed())
    assert_same(ours, theirs)
    assert not warnings


def test_names_of_nobody_are_warned_of():
    assert library_of(["a.weight", "b.weight"]) == ""

"""Sorted names get their order of definition back, and nothing is guessed."""

import pytest
import torch

from compound.nn.order import UnknownOrder, defined_order, ranks


def order(*names):
    """The layers of a state dict with these names, sorted by alphabet, after its order was restored."""
    state = {f"{name}.weight": torch.zeros(1) for name in sorted(names)}
    return [key.removesuffix(".weight") for key in defined_order(state)]


@pytest.mark.parametrize(
    "names",
    [
        ("conv_stem", "bn1", "blocks.0.0.conv_dw", "blocks.0.0.bn1", "blocks.0.0.se.conv_reduce",
         "blocks.0.0.se.conv_expand", "blocks.0.0.conv_pw", "blocks.0.0.bn2", "blocks.2.0.conv_pw", "blocks.2.0.bn1",
         "blocks.2.0.conv_dw", "blocks.2.0.bn2", "blocks.2.0.conv_pwl", "blocks.2.0.bn3", "blocks.10.0.conv_exp",
         "blocks.10.0.bn1", "blocks.10.0.conv_pwl", "blocks.10.0.bn2", "conv_head", "bn2", "classifier"),
        ("conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "layer1.0.bn2", "layer1.0.downsample.0",
         "layer1.0.downsample.1", "layer2.0.conv1", "layer2.0.bn1",
         "layer2.0.conv2", "layer2.0.bn2", "fc"),
        ("features.0.0", "features.0.1", "features.2.0", "features.10.0", "classifier.1"),
    ],
)  # fmt: skip
def test_the_order_in_which_libraries_make_layers(names):
    assert order(*names) == list(names)


def test_names_that_do_not_decide_are_refused():
    with pytest.raises(UnknownOrder, match="left, right"):
        order("left", "right")
    with pytest.raises(UnknownOrder, match="bn1, conv_dw, conv_pw"):  # which of the two comes first?
        order("block.conv_dw", "block.bn1", "block.conv_pw")
    with pytest.raises(UnknownOrder, match="bn1, conv1, mystery"):
        order("layer.conv1", "layer.bn1", "layer.mystery")


def test_blocks_of_regnet_x_are_not_taken_for_nfnets():
    """Without gates RegNet's names are among NFNet's, whose shortcut comes first and whose blocks have four."""
    assert list(ranks(("conv1", "conv2", "conv3", "downsample"))) == ["conv1", "conv2", "conv3", "downsample"]
    four = ("attn_last", "conv1", "conv2", "conv2b", "conv3", "downsample")
    assert list(ranks(four)) == ["downsample", "conv1", "conv2", "conv2b", "conv3", "attn_last"]

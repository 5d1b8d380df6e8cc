"""125 ConvNets of timm, one or two of each family: read back with equal logits, or refused with a sentence.

`timm_convnets.txt` has a name a line, and behind it what the refusal names where there is one, or ? where that is open.
"""

from pathlib import Path

import pytest
import torch
from torch import nn

from compound import cost
from compound.nn import ReadingError, from_module

LINES = (Path(__file__).parent / "timm_convnets.txt").read_text(encoding="utf-8").splitlines()
CASES = [line.partition(": ")[::2] for line in LINES]
SMALLER = 160  # px, at which every network here has several positions left; those with windows that reach further: 224
LARGE = ("inception_v3", "inception_v4", "inception_resnet_v2", "legacy_xception")


def drawn(name):
    """The model with weights and statistics under which a misplaced operator shows."""
    torch.manual_seed(0)
    model = pytest.importorskip("timm").create_model(name).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.1)
    for key, parameter in model.named_parameters():  # scales and gates that begin as nothing
        if key.endswith(("gamma", "layer_scale", "skipinit_gain", "grn.weight", "grn.bias", "scale1", "scale2")):
            parameter.data.uniform_(0.2, 0.8)
    return model


def test_the_list_is_whole():
    names = [name for name, _ in CASES]
    assert (len(names), len(set(names))) == (125, 125)
    assert sum(not sentence for _, sentence in CASES) >= 80


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "sentence"), CASES, ids=[name for name, _ in CASES])
def test_a_model_is_read_or_refused(name, sentence):
    if sentence == "?":
        pytest.skip("whether it is read is open")
    model, size = drawn(name), 224 if name in LARGE else SMALLER
    example = torch.zeros(1, 3, size, size)
    if sentence:
        with pytest.raises(ReadingError) as refused:
            from_module(model, example)
        assert sentence in str(refused.value)
        return
    network, built = from_module(model, example)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert cost(network).training_params == count == sum(parameter.numel() for parameter in built.parameters())
    for px, factor in ((size, 1), (size, 1e-2), (size + 32, 30), (size, 300)):
        if px != size and network.unscalable:  # it says at which sizes the module computes something else
            continue
        if factor > 1:  # saturated gates turn roundings into more than the tolerance
            model, built = model.double(), built.double()
        x = torch.randn(1, 3, px, px, dtype=next(model.parameters()).dtype) * factor
        with torch.inference_mode():
            theirs, ours = model(x), built(x)
        assert theirs.std() > 0
        assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-4

"""Every method of `explain` against its definition, written out here, and layers by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compound import ZOO, ConvBlock, Head, Network, Stage, UsageError
from compound.explanation import METHODS, channels, explain
from compound.nn import build

CLASS = 2


@pytest.fixture(scope="module")
def model():
    """Global average pooling and a linear head behind three convolutions."""
    network = Network(
        name="tiny", stem=Stage(ConvBlock(3), 1, 6, 2),
        stages=(Stage(ConvBlock(3), 1, 8, 2), Stage(ConvBlock(3), 1, 10)), head=Head(None), resolution=16,
    )  # fmt: skip
    torch.manual_seed(0)
    made = build(network.with_(classes=4), seed=0).eval()
    with torch.no_grad():
        made.classifier.linear.weight.normal_()
        made.classifier.linear.bias.normal_()
    return made


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def maps_of(model, images, method, **more):
    return explain(model, images, torch.full((2, 1), CLASS), method=method, **more).maps[:, 0].double()


@pytest.fixture(scope="module")
def parts(model, images):
    """The last maps (2, C, h, w), the head's weights for the class (C,), and positions h · w."""
    with torch.no_grad():
        features = model.forward_features(images).double()
    return features, model.classifier.linear.weight[CLASS].detach().double(), features[0, 0].numel()


def close(found, wanted):
    return torch.allclose(found, wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item())


def test_grad_cam_of_a_linear_head_is_cam_over_the_number_of_positions(model, images, parts):
    features, weights, positions = parts
    cam = torch.einsum("c,nchw->nhw", weights, features)
    assert close(maps_of(model, images, "cam"), cam)
    assert close(maps_of(model, images, "grad-cam"), cam / positions)


def test_grad_cam_plus_plus_of_a_linear_head_in_closed_form(model, images, parts):
    """Every slope of channel k is g = w / positions, so α = g² / (2 g² + g³ Σ f) and the weight positions · α · g."""
    features, weights, positions = parts
    slope = weights[None] / positions
    alpha = 1 / (2 + slope * features.sum((2, 3)))
    wanted = torch.einsum("nc,nchw->nhw", positions * alpha * slope.clamp_min(0), features)
    assert close(maps_of(model, images, "grad-cam++"), wanted)


def test_layer_cam_of_a_linear_head_takes_what_speaks_for_the_class(model, images, parts):
    features, weights, positions = parts
    wanted = torch.einsum("c,nchw->nhw", weights.clamp_min(0) / positions, features)
    assert close(maps_of(model, images, "layer-cam"), wanted)


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_score_cam_by_its_definition(model, images, parts, chunk, monkeypatch):
    """Channel by channel, the empty image subtracted as the paper has it."""
    monkeypatch.setattr(channels, "chunk_size", lambda *_: chunk)
    wanted = []
    with torch.no_grad():
        for image, features in zip(images, parts[0], strict=True):
            scores = []
            for one in features.float():
                large = F.interpolate(one[None, None], (16, 16), mode="bilinear", align_corners=False)[0]
                mask = (large - large.min()) / (large.max() - large.min()) if large.max() > large.min() else 0 * large
                said, empty = model((image * mask)[None]), model(torch.zeros(1, 3, 16, 16))
                scores.append((said - empty)[0, CLASS].double())
            exponents = torch.stack(scores).exp()
            wanted.append(sum(e / exponents.sum() * one for e, one in zip(exponents, features, strict=True)))
    assert close(maps_of(model, images, "score-cam"), torch.stack(wanted))


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "layer-cam"])
def test_a_layer_is_read_where_it_lies(model, images, method):
    """The slopes at `stage1` by the chain of the parts that follow it; grad-cam++'s sums written out."""
    with torch.no_grad():
        maps = model.stage1(model.stem(images))
    maps.requires_grad_()
    logits = model.classifier(model.features(model.stage2(maps)))
    (slope,) = torch.autograd.grad(logits[:, CLASS].sum(), maps)
    g, f = slope.double(), maps.detach().double()
    if method == "grad-cam":
        wanted = sum(g[:, k].mean((1, 2), keepdim=True) * f[:, k] for k in range(f.shape[1]))
    elif method == "layer-cam":
        wanted = sum(g[:, k].clamp_min(0) * f[:, k] for k in range(f.shape[1]))
    else:
        wanted = torch.zeros_like(f[:, 0])
        for k in range(f.shape[1]):
            alpha = g[:, k] ** 2 / (2 * g[:, k] ** 2 + f[:, k].sum((1, 2), keepdim=True) * g[:, k] ** 3)
            weight = (alpha.nan_to_num() * g[:, k].clamp_min(0)).sum((1, 2), keepdim=True)
            wanted = wanted + weight * f[:, k]
    assert close(maps_of(model, images, method, layer="stage1"), wanted)


@pytest.mark.parametrize("method", METHODS[1:])
def test_the_last_layer_by_name_is_the_default(model, images, method):
    found = explain(model, images, top=2, method=method, layer="features")
    assert torch.allclose(found.maps, explain(model, images, top=2, method=method).maps, rtol=1e-5, atol=1e-7)
    assert not found.maps.requires_grad
    assert torch.equal(found.logits, model(images).detach())


@pytest.mark.long
@pytest.mark.parametrize("name", ["mobilenet-v3-small", "resnet-18", "densenet-121", "convnext-tiny"])
def test_layers_of_networks_of_many_kinds(name):
    network = ZOO[name].with_(resolution=64)
    deep = build(network, seed=0)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = explain(deep, x, method="layer-cam", layer="stage2")
    assert found.maps.isfinite().all()
    assert found.maps.shape[2] > explain(deep, x, method="layer-cam").maps.shape[2]
    assert all(parameter.grad is None for parameter in deep.parameters())
    assert not any(module._forward_hooks for module in deep.modules())


def test_a_wrong_layer_is_answered_in_a_sentence(model, images):
    with pytest.raises(UsageError, match="tiny has no layer 'stge1'; did you mean 'stage1'"):
        explain(model, images, method="grad-cam", layer="stge1")
    with pytest.raises(UsageError, match="has no layer 'xyz'; its parts are stem, stage1, stage2, features"):
        explain(model, images, layer="xyz")
    with pytest.raises(
        UsageError, match=r"layer 'classifier.linear' of tiny gives no maps; name one such as 'features'"
    ):
        explain(model, images, layer="classifier.linear")
    with pytest.raises(UsageError, match="cam reads the last maps alone"):
        explain(model, images, method="cam", layer="stage1")
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.is_grad_enabled()


def test_score_cam_has_a_bound(model, images, monkeypatch):
    monkeypatch.setattr(channels, "MOST_CHANNELS", 9)
    with pytest.raises(UsageError, match=r"score-cam takes 10 passes of tiny for an image.*name a --layer with fewer"):
        explain(model, images, method="score-cam")
    assert explain(model, images, method="score-cam", layer="stage1").maps.isfinite().all()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("method", "theirs"), [("grad-cam++", "GradCAMPlusPlus"), ("layer-cam", "LayerCAM"), ("score-cam", "ScoreCAM")]
)
def test_the_grad_cam_package_agrees(model, images, method, theirs):
    package = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    made = {"model": model, "target_layers": [model.stage1]}
    with getattr(package, theirs)(**made) as peer:
        wanted = torch.from_numpy(peer(input_tensor=images, targets=[ClassifierOutputTarget(CLASS)] * 2)).double()
    warm = maps_of(model, images, method, layer="stage1").clamp_min(0)
    low, high = warm.amin((1, 2), keepdim=True), warm.amax((1, 2), keepdim=True)
    ours = nn.functional.interpolate(((warm - low) / (high - low))[:, None], (16, 16), mode="bilinear")[:, 0]
    assert wanted.max() > 0.5
    if method == "score-cam":  # the package enlarges with aligned corners, the paper's code and ours without
        assert torch.corrcoef(torch.stack([ours.flatten(), wanted.flatten()]))[0, 1] > 0.99
    else:
        tops = (one.amax((1, 2), keepdim=True) for one in (ours, wanted))
        assert torch.allclose(ours / next(tops), wanted / next(tops), atol=2e-3)

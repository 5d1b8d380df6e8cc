"""Class activation maps of every network: the mean over positions plus the bias is the logit; Grad-CAM agrees."""

import pytest
import torch
from torch import nn

from compound import ZOO, NetworkError, Scaling, UsageError, scale
from compound.explanation import explain, has_class_maps
from compound.nn import build
from tests.kinds import one_of_each

POOLED = [name for name, network in ZOO.items() if has_class_maps(network)]
OTHERS = [name for name in ZOO if name not in POOLED]


def small(name):
    """The same network with a quarter of the layers and widths, at the smallest of some resolutions that leave maps."""
    factors = {"depth": 0.25, "width": 0.25}
    for dimension, _ in ZOO[name].unscalable:
        factors.pop(dimension, None)
    network = scale(ZOO[name], Scaling(**factors))
    for resolution in (64, 96):
        try:
            network.with_(resolution=resolution).blocks()
        except NetworkError:
            continue
        return network.with_(resolution=resolution)
    return network


def randomise(model):
    """Norms under which a misplaced one shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model.eval()


def prepared(name):
    network = small(name)
    torch.manual_seed(0)
    return randomise(build(network.with_(classes=5), seed=0)), torch.randn(2, 3, network.resolution, network.resolution)


def close(found, expected):
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.long
@pytest.mark.parametrize("name", one_of_each(POOLED))
def test_a_maps_mean_and_the_bias_are_the_logit_and_grad_cam_is_the_map(name):
    model, x = prepared(name)
    cam = explain(model, x, top=5)
    with torch.inference_mode():
        logits = model(x)
    assert cam.method == "cam"
    assert cam.maps.shape[:2] == (2, 5)
    assert torch.equal(cam.classes, logits.topk(5).indices)
    assert close(cam.maps.mean((2, 3)) + cam.bias, logits.gather(1, cam.classes))
    if not model.network.head.classify_maps:  # those weigh positions before a ReLU
        gradient = explain(model, x, cam.classes, method="grad-cam")
        assert close(gradient.maps * gradient.maps[0, 0].numel(), cam.maps)  # Grad-CAM's weights are means


def test_every_other_network_says_so():
    hidden = {"alexnet", "convnext", "convnextv2", "fasternet", "ghostnet", "hardcorenas", "lcnet", "mobilenet"}
    hidden |= {"repvit", "starnet", "vgg"}
    assert {name.split("-")[0] for name in OTHERS} == hidden
    assert {name[:12] for name in OTHERS if name.startswith("mobilenet")} == {"mobilenet-v3", "mobilenet-v4"}


@pytest.mark.parametrize("name", ["mobilenet-v3-small", "alexnet"])
def test_hidden_layers_get_grad_cam(name):
    model, _ = prepared(name)
    x = torch.randn(2, 3, 160, 160)  # AlexNet's positions then differ in their gradients
    found = explain(model, x, top=2)
    assert found.method == "grad-cam"
    with pytest.raises(UsageError, match="has no class activation map"):
        explain(model, x, method="cam")
    # Selvaraju et al., Equations 1 and 2, with the whole network differentiated by hand.
    features = model.forward_features(x)
    features.retain_grad()
    model.classifier(features)[0, found.classes[0, 1]].backward()
    weights = features.grad[0].mean((1, 2))
    assert close(found.maps[0, 1], torch.einsum("c,chw->hw", weights, features[0].detach()))


@pytest.mark.parametrize("method", ["cam", "grad-cam"])
@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_model_is_left_as_it_was(method, around):
    model, x = prepared("efficientnet-mini")
    model.train()
    model.stem.eval()
    model.stage1.requires_grad_(False)
    modes = {name: module.training for name, module in model.named_modules()}
    flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with around():
        found = explain(model, x, top=2, method=method)
    assert not found.maps.requires_grad
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert len(set(modes.values())) == len(set(flags.values())) == 2


def test_heat_is_from_nothing_to_the_strongest():
    model, x = prepared("efficientnet-mini")
    found = explain(model, x, top=5)
    heat = found.heat(20, 24)
    assert heat.shape == (2, 5, 20, 24)
    assert heat.min() == 0
    tops = heat.amax((2, 3))
    assert torch.all((tops == 0) | ((tops - 1).abs() < 1e-6))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["efficientnet-b0", "resnet-50", "densenet-121", "mobilenet-v3-large"])
def test_the_grad_cam_package_agrees(name):
    package = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, x = prepared(name)
    peer = build(model.network.with_(classes=5), seed=0)
    peer.load_state_dict(model.state_dict())
    peer.eval()
    layer = peer.features if len(list(peer.features.children())) else list(peer.children())[-3][-1]
    with package.GradCAM(model=peer, target_layers=[layer]) as method:
        theirs = torch.from_numpy(method(input_tensor=x, targets=[ClassifierOutputTarget(2)] * 2))
    found = explain(model, x, torch.full((2, 1), 2), method="grad-cam")
    # The package scales the smallest value to 0 and the largest to 1 before it enlarges the map.
    warm = found.maps.clamp_min(0)
    low, high = warm.amin((2, 3), keepdim=True), warm.amax((2, 3), keepdim=True)
    warm = (warm - low) / (high - low).clamp_min(1e-7)
    ours = nn.functional.interpolate(warm, theirs.shape[1:], mode="bilinear")[:, 0]
    assert theirs.max() > 0.5
    assert torch.allclose(ours / ours.amax((1, 2), keepdim=True), theirs / theirs.amax((1, 2), keepdim=True), atol=2e-3)

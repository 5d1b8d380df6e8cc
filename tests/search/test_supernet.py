"""Shared weights: a supernet's networks are the ordinary ones, with parts of common tensors."""

import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from compound import CompoundError
from compound.data import ArraySource, DataSet
from compound.nn import build
from compound.search.evaluators.shared import inherited_accuracy
from compound.search.space_file import find_space, parse_space
from compound.search.supernet import Supernet, statistics
from compound.search.supernet_file import load_supernet, save_supernet, weights_fingerprint
from compound.search.supernet_training import train_supernet
from compound.training import RECIPES

SPACE = parse_space(
    {
        "name": "tiny",
        "resolution": 12,
        "classes": 3,
        "channels": 1,
        "stem": {"block": "conv", "channels": {"choices": [4, 8]}},
        "stages": [
            {
                "block": {"choices": ["mbconv", "fused-mbconv"]},
                "expand": {"choices": [1, 2]},
                "kernel": {"choices": [3, 5]},
                "se": {"choices": [0, 0.25]},
                "layers": {"choices": [1, 2]},
                "channels": {"choices": [8, 16]},
                "stride": 2,
            },
            {"block": "mbconv", "layers": {"choices": [0, 1]}, "channels": 16},
        ],
        "head": {"channels": 16},
        "inputs": {"mean": [0.3], "std": [0.25], "margin": 0},
    }
)
SMALLEST = {
    "stem.channels": 4, "stage1.block": "mbconv", "stage1.expand": 1, "stage1.kernel": 3, "stage1.se": 0,
    "stage1.layers": 1, "stage1.channels": 8, "stage2.layers": 0,
}  # fmt: skip


def pictures(count, seed):
    """Noise with bright rows or bright columns."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 90, (count, 1, 12, 12))
    images[labels == 0, :, ::4] += 120
    images[labels == 1, :, :, ::4] += 120
    return ArraySource(torch.from_numpy(images.astype(np.uint8)), labels, f"pictures-{seed}")


@pytest.fixture
def data():
    return DataSet("pictures", ("rows", "columns"), 1, pictures(192, 1), pictures(64, 2), pictures(64, 3))


def inherited(supernet, network):
    """The built network with the supernet's weights: the way round that the supernet does not take."""
    model = build(network)
    ours = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    names = [
        (n, step)
        for n, step, _ in supernet.steps(network)
        if type(step.operator).__name__ in ("Conv", "Depthwise", "Norm", "Linear")
    ]
    assert len(ours) == len(names)
    for module, (name, _) in zip(ours, names, strict=True):
        shared = supernet.layers[name]
        for part, parameter in module.named_parameters():
            whole = getattr(shared, part).detach()
            box = tuple(
                slice((have - need) // 2, (have - need) // 2 + need) if axis > 1 else slice(need)
                for axis, (have, need) in enumerate(zip(whole.shape, parameter.shape, strict=True))
            )
            parameter.data.copy_(whole[box])
    return model


@pytest.mark.parametrize("seed", range(6))
def test_a_network_runs_as_the_built_one_with_the_same_weights(seed):
    supernet = Supernet(SPACE)
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, std=0.3)
    _, network = next(SPACE.networks(random.Random(seed)))
    images = torch.randn(6, 1, 12, 12)
    model = inherited(supernet, network.with_(dropout=0.0)).train()
    torch.testing.assert_close(supernet.run(network, images), model(images), rtol=1e-4, atol=1e-5)


def test_calibrated_norms_are_those_of_the_calibration_images():
    """The built network, its norms set to the mean of a single batch (momentum 1), says the same of other images."""
    supernet = Supernet(SPACE)
    _, network = next(SPACE.networks(random.Random(3)))
    model = inherited(supernet, network)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    calibration, images, norms = torch.randn(16, 1, 12, 12), torch.randn(4, 1, 12, 12), {}
    with torch.no_grad():
        supernet.run(network, calibration, norms)
        model.train()(calibration)
        inside = supernet.run(network, images, norms)
        # torch's running variance divides by n − 1, as `statistics` does.
        torch.testing.assert_close(inside, model.eval()(images), rtol=1e-4, atol=1e-5)
    assert norms


def test_statistics_are_numpys():
    x = torch.randn(3, 2, 4, 4)
    mean, variance = statistics(x)
    np.testing.assert_allclose(mean, x.numpy().mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, x.numpy().var((0, 2, 3), ddof=1), rtol=1e-5)


def test_a_step_changes_only_the_part_that_took_part():
    supernet = Supernet(SPACE)
    supernet.run(SPACE.network(SMALLEST), torch.randn(4, 1, 12, 12)).sum().backward()
    touched = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert not any("fused" in name for name in touched)
    (depthwise,) = [n for n in touched if "depthwise/conv" in n]
    gradient = dict(supernet.named_parameters())[depthwise].grad
    assert gradient.shape[-2:] == (5, 5)
    assert gradient[:, :, 0].abs().max() == gradient[:, :, :, 4].abs().max() == 0  # the border of the 5×5 window
    assert gradient[:4, :, 1:4, 1:4].abs().max() > 0
    assert gradient[4:].abs().max() == 0  # channels the narrow stem has not


def test_every_network_of_the_space_has_its_weights():
    supernet = Supernet(SPACE)
    rng = random.Random(7)
    with torch.no_grad():
        for _ in range(60):
            _, network = next(SPACE.networks(rng))
            assert supernet.run(network, torch.zeros(2, 1, 12, 12)).shape == (2, 3)


def test_cells_share_operations():
    operations = ["identity", "separable-3x3", "max-3x3", "separable-5x5"]
    nodes = [
        [[{"choices": list(range(i + 2))}, 0], [{"choices": operations}, {"choices": operations[1:]}]] for i in range(2)
    ]
    row = {"block": "cell", "nodes": nodes, "joined": "unread", "layers": 2, "channels": 8}
    stem = {"block": "bare-conv", "channels": 12}
    space = parse_space(
        {
            "resolution": 16,
            "classes": 3,
            "channels": 1,
            "stem": stem,
            "stages": [row, {**row, "stride": 2, "channels": 16}],
        }
    )
    supernet = Supernet(space)
    with torch.no_grad():
        for _, (_, network) in zip(range(5), space.networks(random.Random(2)), strict=False):
            assert supernet.run(network.with_(resolution=16), torch.zeros(2, 1, 16, 16)).shape == (2, 3)


def test_a_network_of_another_space_is_refused():
    supernet = Supernet(SPACE)
    _, network = next(find_space("small").networks(random.Random(0)))
    with pytest.raises(CompoundError, match="the shared weights of tiny do not cover"):
        supernet.run(network, torch.zeros(2, 1, 28, 28))


RECIPE = replace(RECIPES["small"], epochs=1, batch=16, rate=0.8, precision="fp32", warmup_epochs=0)


@pytest.mark.long
def test_training_is_repeatable(data, tmp_path):
    def trained(name, seed):
        supernet = Supernet(SPACE.with_(classes=2), paths=2)
        file = tmp_path / f"{name}.safetensors"
        return weights_fingerprint(train_supernet(supernet, data, RECIPE, file, seed=seed, say=lambda text: None))

    assert trained("one", 1) == trained("two", 1) != trained("three", 2)


@pytest.mark.long
def test_networks_learn_without_being_trained_alone(data, tmp_path):
    space = SPACE.with_(classes=2)
    supernet = Supernet(space)
    rng = random.Random(0)
    networks = [next(space.networks(rng))[1] for _ in range(4)]
    untrained = [inherited_accuracy(supernet, network, data.train, data.holdout) for network in networks]
    train_supernet(supernet, data, replace(RECIPE, epochs=12), tmp_path / "shared.safetensors", say=lambda text: None)
    trained = [inherited_accuracy(supernet.eval(), network, data.train, data.holdout) for network in networks]
    assert np.mean(trained) > 0.9 > np.mean(untrained)


def test_the_file_says_what_it_holds(tmp_path):
    supernet = Supernet(SPACE, seed=5)
    path = save_supernet(supernet, tmp_path / "shared.safetensors")
    loaded = load_supernet(path)
    assert (loaded.space, loaded.network.classes, loaded.network.channels) == (SPACE, 3, 1)
    for name, tensor in supernet.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)
    path.write_bytes(b"nothing")
    with pytest.raises(CompoundError, match=r"shared\.safetensors is damaged or not a safetensors file"):
        load_supernet(path)


def test_a_file_from_before_heads_told_features_and_classifier_apart_opens(tmp_path):
    supernet = Supernet(SPACE, seed=5)
    path = save_supernet(supernet, tmp_path / "shared.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata, state = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    flat = {re.sub("/head/(features|classifier)/", "/head/", name): tensor for name, tensor in state.items()}
    assert flat.keys() != state.keys()
    del metadata["digest"]
    save_file(flat, path, metadata)
    loaded = load_supernet(path).state_dict()
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(loaded[name], tensor)


def test_only_admitted_networks_are_drawn():
    drawn = []

    def admits(network):
        drawn.append(network)
        return network.stem.channels == 4

    supernet = Supernet(SPACE, admits=admits)
    run = []
    supernet.run = lambda network, images, norms=None: run.append(network) or torch.zeros(len(images), 3)
    for seed in range(10):
        torch.manual_seed(seed)
        supernet(torch.zeros(4, 1, 12, 12))
    assert {network.stem.channels for network in run} == {4}
    assert {network.stem.channels for network in drawn} == {4, 8}

"""Losses, mixing and distillation against NumPy, closed forms and timm."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compound import UsageError
from compound.nn import build, save_weights
from compound.training import RECIPES
from compound.training.losses import classification_loss, distillation_loss, mixed
from compound.training.module import Training
from compound.training.teacher import Teacher, find_teacher

SMOOTH = replace(RECIPES["small"], label_smoothing=0.1)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.fixture
def logits():
    return torch.tensor(np.random.default_rng(0).normal(size=(6, 5)) * 2)


LABELS = torch.tensor([0, 4, 2, 2, 1, 3])


def test_smoothing_takes_from_the_classes_of_any_target(logits):
    mixture = 0.7 * np.eye(5)[LABELS] + 0.3 * np.eye(5)[LABELS.roll(1)]
    for targets in (LABELS, torch.tensor(mixture)):
        given = np.eye(5)[LABELS] if targets is LABELS else mixture
        smooth = 0.9 * given + 0.1 / 5
        cross_entropy = -(smooth * np.log(softmax(logits.numpy()))).sum(1).mean()
        assert classification_loss(logits, targets, SMOOTH).item() == pytest.approx(cross_entropy, rel=1e-9)
        probabilities = 1 / (1 + np.exp(-logits.numpy()))
        binary = -(smooth * np.log(probabilities) + (1 - smooth) * np.log(1 - probabilities)).mean()
        assert classification_loss(logits, targets, replace(SMOOTH, loss="bce")).item() == pytest.approx(binary)


@pytest.mark.oracle
def test_binary_cross_entropy_is_timms(logits):
    from timm.loss import BinaryCrossEntropy

    ours = classification_loss(logits, LABELS, replace(SMOOTH, loss="bce"))
    assert ours.item() == pytest.approx(BinaryCrossEntropy(smoothing=0.1)(logits, LABELS).item(), rel=1e-12)


def test_distillation_is_the_divergence_from_the_teacher(logits):
    teacher = torch.tensor(np.random.default_rng(1).normal(size=(6, 5)))
    p, q = softmax(teacher.numpy() / 3), softmax(logits.numpy() / 3)
    expected = 9 * (p * np.log(p / q)).sum(1).mean()
    assert distillation_loss(logits, teacher, 3.0).item() == pytest.approx(expected, rel=1e-5)
    assert distillation_loss(teacher, teacher, 3.0).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.5, 0.0), (0.0, 1.0), (0.5, 1.0)])
def test_what_is_mixed_says_in_which_shares(mixup, cutmix):
    """Every image is one grey: the mean of a mixed one and its target must tell the same shares of the two."""
    grey = torch.linspace(0, 1, 8)[:, None, None, None].expand(8, 1, 16, 16)
    kinds = set()
    for seed in range(20):
        torch.manual_seed(seed)
        images, targets = mixed(grey, torch.arange(8), 8, mixup, cutmix)
        assert torch.allclose(targets.sum(1), torch.ones(8))
        assert torch.allclose(images.mean((1, 2, 3)), targets @ torch.linspace(0, 1, 8), atol=1e-5)
        kinds.add("blended" if (images == images[:, :, :1, :1]).all() else "pasted")
    assert kinds == {"blended"} if not cutmix else "pasted" in kinds
    if mixup and cutmix:
        assert kinds == {"blended", "pasted"}
    torch.manual_seed(3)
    first = mixed(grey, torch.arange(8), 8, mixup, cutmix)
    torch.manual_seed(3)
    again = mixed(grey, torch.arange(8), 8, mixup, cutmix)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_teacher_sees_the_images_under_its_own_normalisation(network, data, recipe):
    other = network.with_(inputs=replace(network.inputs, mean=(0.9,), std=(2.0,)), resolution=16)
    teacher = Teacher(build(other, seed=1))
    images = torch.randint(256, (4, 1, 16, 16), dtype=torch.uint8)
    pixels = (images.float() / 255 - 0.9) / 2
    assert torch.allclose(teacher(images), teacher.model(pixels), atol=1e-5)
    assert torch.allclose(teacher(images.float() / 255), teacher(images), atol=1e-5)
    assert teacher(images[..., :12, :12]).shape == (4, 3)  # brought to its resolution
    module = Training(build(network, seed=0), replace(recipe, teacher_weight=1.0), 5, 0, teacher)
    x, y = images[..., :12, :12], torch.tensor([0, 1, 2, 0])
    logits = module(x)
    assert torch.equal(module.loss(logits, y, x), distillation_loss(logits, teacher(x), 4.0))
    module.recipe = replace(recipe, teacher_weight=0.0)
    assert torch.equal(module.loss(logits, y, x), classification_loss(logits, y, recipe))
    assert not any("teacher" in name for name in module.state_dict())


def test_a_teacher_of_other_classes_is_refused(tmp_path, network, data, recipe):
    path = save_weights(build(network, seed=1), tmp_path / "a.safetensors", ("dots", "bars", "columns"))
    with pytest.raises(UsageError, match=r"knows dots, bars, columns \(3 classes\) and pictures has bars, columns"):
        find_teacher(replace(recipe, teacher=str(path)), data)
    path = save_weights(build(network.with_(classes=3, channels=3), seed=1), tmp_path / "b.safetensors", data.classes)
    with pytest.raises(UsageError, match="takes 3 channels"):
        find_teacher(replace(recipe, teacher=str(path)), data)
    assert find_teacher(recipe, data) is None

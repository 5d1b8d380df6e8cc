"""A training step in parts, with stages recomputed, at a growing resolution: what may change and what may not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from compound import NetworkError, UsageError
from compound.data import Augment, Batch
from compound.data.augment import Keys
from compound.data.sampler import EpochSampler
from compound.execution import Execution
from compound.nn import build
from compound.training import start_run, train
from compound.training.module import Training


@pytest.fixture
def batch(data) -> Batch:
    return Batch(data.train.images[:13], torch.from_numpy(data.train.labels[:13]), torch.arange(13), [])


def stepped(network, recipe, batch, precision="fp32", frozen=False, **fields):
    """The module after forward and backward pass of one step, and the step's loss."""
    module = Training(build(network, seed=0), replace(recipe, **fields), 5, 0)
    if frozen:
        module.eval()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        result = module.training_step(batch, 0)
    result["loss"].backward()
    return module, result


def test_parts_have_the_gradient_of_the_whole(network, recipe, batch):
    """Without norms that see the batch, in any number of parts, uneven ones too."""
    network = network.with_(dropout=0.0, survival=1.0)
    whole, result = stepped(network, recipe, batch, frozen=True)
    for parts in (2, 5, 6):
        module, partial = stepped(network, recipe, batch, frozen=True, accumulate=parts)
        assert partial["loss"].item() == pytest.approx(result["loss"].item(), rel=1e-5)
        assert torch.equal(partial["right"], result["right"])
        for ours, expected in zip(module.parameters(), whole.parameters(), strict=True):
            assert torch.allclose(ours.grad, expected.grad, atol=1e-6)


def test_parts_do_not_carry_gradients_over(network, recipe, batch):
    module, _ = stepped(network, recipe, batch, frozen=True, accumulate=3)
    before = [p.grad.clone() for p in module.parameters()]
    torch.manual_seed(1)
    module.training_step(batch, 0)["loss"].backward()
    assert all(torch.equal(p.grad, old) for p, old in zip(module.parameters(), before, strict=True))
    assert module.training_step(Batch(batch.images[:1], batch.labels[:1], batch.indices[:1], []), 0) is None
    assert all(p.grad is None for p in module.parameters())


def test_norms_that_see_parts_weigh_the_batch_as_before(network, recipe):
    for parts in (1, 4):
        module = Training(build(network), replace(recipe, adapt_norm=False, accumulate=parts), 5, 0)
        for norm in (each for each in module.modules() if isinstance(each, nn.BatchNorm2d)):
            assert (1 - norm.momentum) ** parts == pytest.approx(0.99)


@pytest.mark.parametrize("fresh", [True, False])
def test_nothing_is_left_of_what_fresh_norms_began_with(network, data, recipe, monkeypatch, fresh):
    """Their first steps count alike; statistics that come with weights are moved as ever."""
    module = Training(build(network, seed=0), replace(recipe, adapt_norm=True, settle=True), 3, 0)
    module.fresh_norms = fresh
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    norm, means = module.model.stem.norm, []
    for step in range(3):
        monkeypatch.setattr(Training, "trainer", SimpleNamespace(global_step=step, optimizers=[optimizer]))
        rows = slice(13 * step, 13 * step + 13)
        some = Batch(data.train.images[rows], torch.from_numpy(data.train.labels[rows]), torch.arange(13), [])
        module.on_train_batch_start(some, step)
        module(some.images)
        means.append(module.model.stem.conv(module.preprocessing.normalise(some.images)).mean((0, 2, 3)))
    plain = torch.stack(means).mean(0)
    left = 0.9 * (0.9 * 0.1 * means[0] + 0.1 * means[1]) + 0.1 * means[2]
    assert torch.allclose(norm.running_mean, plain if fresh else left, atol=1e-6)
    assert not torch.allclose(plain, left, atol=1e-3)
    module.on_train_end()
    assert norm.momentum == pytest.approx(0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recomputing_changes_no_bit(network, recipe, batch, precision):
    """Gradients, statistics and the count of batches, with dropout, stochastic depth and mixup at work."""
    plain, expected = stepped(network, recipe, batch, precision)
    for names in (("stem", "stage1", "stage2", "features"), ("stage1",)):
        module, result = stepped(network, recipe, batch, precision, recompute=names)
        assert torch.equal(result["loss"], expected["loss"])
        for ours, other in zip(module.parameters(), plain.parameters(), strict=True):
            assert torch.equal(ours.grad, other.grad)
        for ours, other in zip(module.buffers(), plain.buffers(), strict=True):
            assert torch.equal(ours, other)
    for norm in module.modules():
        assert not isinstance(norm, nn.BatchNorm2d) or norm.momentum > 0


@pytest.mark.long
def test_cells_that_read_two_maps_are_recomputed():
    from compound import ZOO

    network = ZOO["nasnet-a-mobile"].with_(resolution=32, survival=0.9)
    images = torch.randn(2, 3, 32, 32)
    gradients = []
    for names in ((), ("stem", "stage2", "stage3")):
        model = build(network.with_(classes=3), seed=0).train()
        model.recompute(names)
        torch.manual_seed(0)
        model(images).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_part_that_is_not_there_is_named(network, recipe):
    with pytest.raises(NetworkError, match=r"recompute 'stage9': tiny has no such part; use stem, stage1"):
        Training(build(network), replace(recipe, recompute=("stage9",)), 5, 0)


original = EpochSampler.__iter__


def spied(batches, asked):
    """The batches; epoch and magnitude of every image of those that are augmented are added to `asked`."""
    for draws in batches:
        asked.extend((draw.epoch, draw.magnitude) for draw in draws if draw.magnitude is not None)
        yield draws


class AtStep:
    """As much of a trainer as the start of a step asks for."""

    def __init__(self, module, step):
        self.global_step, self.optimizers = step, [module.configure_optimizers()]


def sizes(module, epochs, steps):
    """Side and mixup's strength of every step."""
    found = []
    for step in range(epochs * steps):
        module._trainer = AtStep(module, step)
        module.on_train_batch_start(None, 0)
        images, targets = module.prepared(torch.zeros(6, 1, 12, 12, dtype=torch.uint8), torch.arange(6) % 3)
        found.append((images.shape[-1], targets.dim() == 2))
    return found


def test_images_grow_in_equal_stages_and_mixing_with_them(network, recipe):
    """EfficientNetV2, Section 4.2, Algorithm 1: S_i = S_0 + (S_e − S_0) · i / (M − 1) in M stages of equal length."""
    grown = replace(recipe, epochs=8, warmup_epochs=0, grow_from=0.5, grow_stages=4, accumulate=2)
    module = Training(build(network), grown, 5, 0)
    found = sizes(module, 8, 5)
    assert [side for side, _ in found] == [6] * 10 + [8] * 10 + [10] * 10 + [12] * 10
    assert [mixing for _, mixing in found] == [False] * 10 + [True] * 30
    whole = Training(build(network), replace(grown, grow_from=1.0), 5, 0)
    assert set(sizes(whole, 8, 5)) == {(12, True)}


def test_what_grows_with_the_images_is_as_in_algorithm_1(network, recipe):
    """φ_i = φ_0 + (φ_e − φ_0) · i / (M − 1), here Table 6's dropout of 0.1 to 0.3 and magnitudes of 5 to 15."""
    augment = Augment(policy="randaugment", magnitude=15)
    grown = replace(
        recipe, epochs=8, warmup_epochs=0, grow_from=0.5, grow_stages=4, augment=augment,
        grow_magnitude=1 / 3, grow_dropout=1 / 3,
    )  # fmt: skip
    module = Training(build(network.with_(dropout=0.3)), grown, 5, 0)
    rates = []
    for step in range(40):
        module._trainer = AtStep(module, step)
        module.on_train_batch_start(None, 0)
        rates.append(module.model.classifier.dropout.p)
    assert rates == pytest.approx([0.1] * 10 + [0.5 / 3] * 10 + [0.7 / 3] * 10 + [0.3] * 10)
    magnitudes = [module.magnitude_at(epoch, batch) for epoch in range(8) for batch in range(5)]
    assert magnitudes == [5] * 10 + [8] * 10 + [12] * 10 + [15] * 10


@pytest.mark.long
def test_sizes_may_be_drawn_for_every_step(network, recipe):
    drawn = replace(recipe, epochs=8, warmup_epochs=0, grow_from=0.5, grow_stages=4, mixup=0.2, grow_order="random")
    found = sizes(Training(build(network), drawn, 25, 0), 8, 25)
    assert found == sizes(Training(build(network), drawn, 25, 0), 8, 25)  # of a resumed run too
    assert found != sizes(Training(build(network), drawn, 25, 1), 8, 25)
    sides = [side for side, _ in found]
    assert {side: 30 < sides.count(side) < 70 for side in set(sides)} == dict.fromkeys((6, 8, 10, 12), True)
    assert {side for side, mixing in found if not mixing} == {6}  # mixing follows the size, whenever it comes


def test_every_batch_is_augmented_as_its_step_is_large(network, data, recipe, monkeypatch, tmp_path):
    """With processes that load ahead, too: the number comes with the images that are asked for."""
    asked = []
    monkeypatch.setattr(EpochSampler, "__iter__", lambda self: spied(original(self), asked))
    augment = Augment(policy="randaugment", magnitude=10)
    fields = {"epochs": 2, "warmup_epochs": 0, "grow_from": 0.5, "grow_stages": 2, "grow_magnitude": 0.4}
    run = start_run(network, data, replace(recipe, augment=augment, **fields), tmp_path / "run", Execution("cpu"))
    train(run, data, execution=Execution("cpu"), quiet=True)
    (first, second) = ([strength for epoch, strength in asked if epoch == each] for each in (0, 1))
    assert set(first) == {4}
    assert set(second) == {10}
    image = data.train.images[:8].expand(-1, 3, -1, -1).clone()
    keys = Keys(0, np.zeros(8, dtype=np.int64), np.arange(8))
    weak, strong, whole = (
        one.apply(image.clone(), keys, (0, 0, 0)) for one in (augment.at(4), augment.at(10), augment)
    )
    assert torch.equal(strong, whole)
    assert not torch.equal(weak, strong)


def test_a_start_too_small_for_the_network_is_named(recipe):
    from compound import ZOO

    with pytest.raises(NetworkError, match="inception-v3 at 30 px"):
        Training(build(ZOO["inception-v3"].with_(classes=3)), replace(recipe, grow_from=0.1), 5, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"accumulate": 9}, "accumulate 9 does not leave two images a part of a batch of 16; use 1 to 8"),
        ({"grow_from": 0.0}, "grow_from 0.0 is no share"),
        ({"grow_from": 0.5, "grow_dropout": 1.5}, "grow_dropout 1.5 is no share; use 0 to below 1"),
        ({"grow_dropout": 0.5}, "grow_dropout 0.5 grows with the images, and these do not; set grow_from, e.g. 0.5"),
        ({"grow_from": 0.5, "grow_magnitude": 0.5}, "grow_magnitude 0.5 is of RandAugment, and the policy is none"),
        ({"grow_stages": 1}, "grow_stages 1 leaves nothing to grow"),
        ({"patience": 0}, "patience 0 stops before the first epoch"),
        ({"mixup": -1.0}, "mixup -1.0 is not a number from 0"),
        ({"teacher_temperature": 0.0}, "teacher_temperature 0.0 is not a positive number"),
        ({"ema": 1.0}, "ema 1.0 is not from 0 to below 1"),
        ({"label_smoothing": 1.0}, "label_smoothing 1.0 is not from 0 to below 1; use e.g. 0.1, or 0 for none"),
        ({"label_smoothing": 1.5}, "label_smoothing 1.5 is not from 0 to below 1"),
        ({"training_memory": -1.0}, "training_memory -1.0 is not a positive number"),
    ],
)
def test_what_a_recipe_cannot_be(recipe, fields, said):
    with pytest.raises(UsageError, match=said):
        replace(recipe, **fields)

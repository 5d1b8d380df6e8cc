"""The recipes' parts against independent references: NumPy, closed forms, figures of the official code."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule
from torch import nn

import compound
from compound import ZOO, UsageError
from compound.cli.options.training import TrainingOptions
from compound.nn import build
from compound.training import RECIPES, Recipe, load_recipe, rate_at
from compound.training.averaging import Averaging
from compound.training.optim import Lamb, RMSpropTF, by_inputs, decay_groups, make_optimizer, set_rate
from compound.training.recipes import MINIVAL, usual_recipe
from compound.verbs.train import find_data

PAPER, SMALL = RECIPES["paper"], RECIPES["small"]


def rmsprop_of_tensorflow(weights, gradients, rates, decay=0.9, momentum=0.9, eps=1e-3, l2=1e-5):
    """TensorFlow's ApplyRMSProp, line by line, in float64: ms starts at one, ε inside the root, rate in the buffer."""
    square, buffer = np.ones_like(weights), np.zeros_like(weights)
    for gradient, rate in zip(gradients, rates, strict=True):
        gradient = gradient + l2 * weights
        square = square + (gradient**2 - square) * (1 - decay)
        buffer = momentum * buffer + rate * gradient / np.sqrt(square + eps)
        weights = weights - buffer
    return weights


def follow(make, weights, gradients, rates):
    parameter = nn.Parameter(torch.tensor(weights))
    optimizer = make([parameter])
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    return parameter.detach().numpy()


def test_rmsprop_is_tensorflows_and_torchs_is_not():
    rng = np.random.default_rng(0)
    weights, gradients = rng.normal(size=7), rng.normal(size=(30, 7)) * 0.1
    rates = np.geomspace(0.2, 0.01, 30)  # a falling rate tells in which place it is applied
    expected = rmsprop_of_tensorflow(weights, gradients, rates)
    ours = follow(lambda p: RMSpropTF(p, 0.1, weight_decay=1e-5), weights, gradients, rates)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    torchs = follow(
        lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.9, momentum=0.9, eps=1e-3, weight_decay=1e-5),
        weights,
        gradients,
        rates,
    )
    assert np.abs(torchs - expected).max() > 0.1


@pytest.mark.oracle
def test_rmsprop_is_timms():
    from timm.optim import RMSpropTF as Theirs

    rng = np.random.default_rng(3)
    weights, gradients, rates = rng.normal(size=9), rng.normal(size=(20, 9)), np.geomspace(0.1, 0.01, 20)
    ours = follow(lambda p: RMSpropTF(p, 0.1, weight_decay=1e-5), weights, gradients, rates)
    theirs = follow(
        lambda p: Theirs(p, 0.1, alpha=0.9, momentum=0.9, eps=1e-3, weight_decay=1e-5), weights, gradients, rates
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def lamb_of_the_paper(weights, gradients, rates, decay, eps=1e-6):
    """You et al. 2020, Algorithm 2 with φ the identity, in float64; gradients first cut to a norm of 1."""
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        gradient = gradient * min(1, 1 / np.linalg.norm(gradient))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        update = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + eps)
        trust = 1.0
        if decay:
            update = update + decay * weights
            trust = np.linalg.norm(weights) / np.linalg.norm(update)
        weights = weights - rate * trust * update
    return weights


@pytest.mark.parametrize("decay", [0.02, 0.0])
def test_lamb_is_the_papers(decay):
    rng = np.random.default_rng(2)
    weights, gradients, rates = rng.normal(size=7), rng.normal(size=(12, 7)), np.geomspace(0.1, 0.01, 12)
    expected = lamb_of_the_paper(weights, gradients, rates, decay)
    ours = follow(lambda p: Lamb(p, 0.1, weight_decay=decay), weights, gradients, rates)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    still = follow(lambda p: Lamb(p, 0.1, weight_decay=decay), np.zeros(3), np.ones((1, 3)), [0.1])
    np.testing.assert_allclose(still, -0.1, rtol=1e-4)  # no weights, no ratio


@pytest.mark.oracle
def test_lamb_is_timms():
    from timm.optim import Lamb as Theirs

    rng = np.random.default_rng(2)
    weights, gradients, rates = rng.normal(size=7), rng.normal(size=(12, 7)), np.geomspace(0.1, 0.01, 12)
    for decay in (0.02, 0.0):
        ours, theirs = (
            follow(lambda p, kind=kind, decay=decay: kind(p, 0.1, weight_decay=decay), weights, gradients, rates)
            for kind in (Lamb, Theirs)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_groups_factor_multiplies_the_rate():
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [first], "factor": 0.1}, {"params": [second]}], 1.0)
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.5]


def test_rmsprops_state_is_saved_and_restored():
    rng = np.random.default_rng(1)
    gradients = [torch.tensor(g) for g in rng.normal(size=(6, 3))]
    whole = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = RMSpropTF([whole], 0.1)
    for index, gradient in enumerate(gradients):
        if index == 3:
            half = nn.Parameter(whole.detach().clone())
            resumed = RMSpropTF([half], 0.1)
            resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        whole.grad = gradient
        optimizer.step()
    for gradient in gradients[3:]:
        half.grad = gradient
        resumed.step()
    assert torch.equal(half, whole)


def test_the_papers_schedule():
    steps = 313  # 1,281,167 / 4096
    assert PAPER.peak_rate == pytest.approx(0.256)  # Section 5.2: initial rate 0.256 at batch 4096
    assert rate_at(PAPER, 0, steps) == 0  # official: rate · step / warm-up steps
    assert rate_at(PAPER, 1, steps) == pytest.approx(0.256 / (5 * steps))
    for epoch in (5, 7, 7.5, 100, 349):
        step = math.ceil(epoch * steps)
        # tf.train.exponential_decay, staircase, over 2.4 epochs from step 0
        assert rate_at(PAPER, step, steps) == pytest.approx(0.256 * 0.97 ** math.floor(step / steps / 2.4))


def test_cosine_and_linear_rise_and_fall_to_zero():
    for schedule in ("cosine", "linear"):
        recipe = replace(SMALL, schedule=schedule, epochs=10, warmup_epochs=2, rate=0.1, rate_batch=64, batch=64)
        rates = [rate_at(recipe, step, 10) for step in range(100)]
        assert rates[0] == pytest.approx(0.1 / 20)
        assert max(rates) == rates[20] == pytest.approx(0.1)
        assert rates[99] < 0.002
        assert rates[60] == pytest.approx(0.05)  # half-way both are half
        assert rates[20:] == sorted(rates[20:], reverse=True)


def test_warm_up_is_never_more_than_a_fifth():
    assert replace(SMALL, epochs=5, warmup_epochs=5).warmup == 1


def test_weight_decay_spares_norms_and_follows_the_source_for_biases():
    model = build(ZOO["efficientnet-b0"].with_(resolution=32))
    everything = sum(p.numel() for p in model.parameters())
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    biases = sum(p.numel() for n, p in model.named_parameters() if n.endswith("bias")) - norms // 2
    assert biases == 1000 + sum(
        m.bias.numel() for m in model.modules() if isinstance(m, nn.Conv2d) and m.bias is not None
    )
    for keep, free in ((True, norms), (False, norms + biases)):
        decayed, spared = decay_groups(model, 1e-5, keep)
        assert decayed["weight_decay"] == 1e-5
        assert spared["weight_decay"] == 0
        assert sum(p.numel() for p in spared["params"]) == free
        assert sum(p.numel() for p in decayed["params"]) == everything - free


def test_each_recipe_makes_its_optimiser():
    model = build(ZOO["efficientnet-mini"].with_(classes=10, channels=1))
    kinds = {"rmsprop": RMSpropTF, "sgd": torch.optim.SGD, "adamw": torch.optim.AdamW, "lamb": Lamb}
    for name, kind in kinds.items():
        optimizer = make_optimizer(model, replace(SMALL, optimizer=name))
        assert type(optimizer) is kind
    assert make_optimizer(model, PAPER).defaults["eps"] == 1e-3


class Counter(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("count", torch.tensor(0))


def test_the_average_warms_up_and_covers_statistics():
    averaging, module = Averaging(0.9), Counter()
    averaging.setup(None, module, "fit")
    expected = None
    for step in range(40):
        with torch.no_grad():
            module.weight.fill_(step)
            module.mean.fill_(2 * step)
            module.count.fill_(step)
        averaging._average_model.update_parameters(module)
        decay = min(0.9, (1 + step) / (10 + step))  # tf.train.ExponentialMovingAverage(num_updates=step)
        expected = step if expected is None else decay * expected + (1 - decay) * step
    average = averaging._average_model.module
    assert average.weight[0].item() == pytest.approx(expected, rel=1e-6)
    assert average.mean[0].item() == pytest.approx(2 * expected, rel=1e-6)
    assert average.count.item() == 39


def test_recipe_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: small\nepochs: 3\naugment: {crop: inception}\n")
    recipe = load_recipe(path)
    assert (recipe.name, recipe.epochs, recipe.rate) == ("mine", 3, SMALL.rate)
    assert recipe.augment.crop == "inception"
    for text, said in (
        ("base: smal\n", "there is no preset 'smal'"),
        ("base: small\nepoch: 3\n", "did you mean 'epochs'"),
        ("base: small\nrate: fast\n", "rate 'fast' is not valid"),
        ("epochs: 3\n", "field 'source' is missing"),
        ("- 1\n", "not a recipe"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            load_recipe(path)


@pytest.mark.parametrize("name", RECIPES)
def test_presets_have_a_lab_note(name):
    import compound.training.recipes as package

    (folder,) = package.__path__
    text = (Path(folder) / f"{name}.yaml").read_text(encoding="utf-8")
    for word in ("# expected ", "# cost ", "# command ", "source: "):
        assert word in text
    command = next(line for line in text.splitlines() if line.startswith("# command"))
    assert f"--recipe {name}" in command or name == "small"  # the default


def test_the_usual_recipe_follows_weights_and_images():
    few, many = (SimpleNamespace(train=range(count)) for count in (1023, 1024))
    assert [usual_recipe(False, images) for images in (None, few, many)] == ["small", "few", "small"]
    assert usual_recipe(True, few) == "transfer"
    assert usual_recipe(False, few, rated=True) == "small"


def test_the_papers_recipe_is_the_papers():
    """Section 5.2 and the official code, field by field."""
    expected = {
        "epochs": 350, "batch": 4096, "optimizer": "rmsprop", "momentum": 0.9, "weight_decay": 1e-5,
        "decay_biases": True, "schedule": "staircase", "warmup_epochs": 5, "label_smoothing": 0.1, "ema": 0.9999,
        "select": "best", "loss": "cross_entropy", "mixup": 0, "cutmix": 0, "adapt_norm": False, "accumulate": 1,
    }  # fmt: skip
    assert {name: getattr(PAPER, name) for name in expected} == expected
    assert (PAPER.augment.crop, PAPER.augment.scale, PAPER.augment.flip) == ("inception", (0.08, 1.0), True)
    assert (PAPER.augment.policy, PAPER.augment.posterize) == ("autoaugment-v0", "official")
    assert make_optimizer(nn.Linear(1, 1), PAPER).defaults["decay"] == 0.9


@pytest.mark.parametrize("name", RECIPES)
def test_presets_say_where_they_come_from(name):
    recipe = RECIPES[name]
    assert isinstance(recipe, Recipe)
    assert recipe.name == name
    assert len(recipe.source) > 20


def test_the_papers_recipe_holds_out_its_25022_images_by_itself(monkeypatch):
    """Section 5.2's minival; of a data set that is smaller the usual share, and what is asked for wherever it is."""
    assert (MINIVAL["paper"], MINIVAL["progressive"]) == (25_022, 25_022)
    assert len(find_data("fashion6k", 0, PAPER).holdout) == 300
    monkeypatch.setitem(MINIVAL, "paper", 40)
    assert [len(find_data("fashion6k", 0, recipe).holdout) for recipe in (PAPER, SMALL, None)] == [40, 300, 300]
    asked = [TrainingOptions(recipe="paper", holdout=held).opened("fashion6k")[0] for held in (None, 0.1, 7)]
    assert [len(data.holdout) for data in asked] == [40, 600, 7]

    class Opened(Exception):
        """Stands for all that follows."""

    def opened(images):
        raise Opened(len(images.holdout))

    monkeypatch.setattr("compound.verbs.fit.refuse_unshown", opened)
    for recipe, held in (("paper", 40), (PAPER, 40), ("small", 300), (None, 300)):
        with pytest.raises(Opened, match=f"^{held}$"):
            compound.fit("fashion6k", recipe=recipe)


@pytest.mark.parametrize("most", [None, 8])
def test_a_step_of_adam_moves_wide_and_narrow_layers_alike(most):
    """All inputs of one sign: Adam moves every weight by the rate, and an output by as many rates as it has inputs."""
    model = nn.Sequential(nn.Linear(8, 2), nn.Linear(32, 2), nn.Conv2d(32, 2, 1))
    groups = by_inputs(model, decay_groups(model, 0.1, biases=False), most)
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(id(p) for p in model.parameters())
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1}
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    set_rate(optimizer, 0.01)
    before = [layer.weight.detach().clone() for layer in model]
    for layer in model:
        layer.weight.grad = torch.ones_like(layer.weight)
    optimizer.step()
    moved = [(old - layer.weight).flatten(1).sum(1)[0].item() for old, layer in zip(before, model, strict=True)]
    assert moved == pytest.approx([0.08, 0.32 if most is None else 0.08, 0.32], rel=1e-4)

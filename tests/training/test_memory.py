"""Predicted memory of a training step against the tensors that are really alive in one."""

import weakref
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.models import efficientnet_b0

from compound import ZOO, Budget, cost, fit_budget
from compound.cost import children, keeping, most_kept
from compound.errors import BudgetError
from compound.measurement import memory_fields, of_network
from compound.nn import build, lean
from compound.runtimes import Call
from compound.scaling import RULES
from compound.training import RECIPES
from compound.training.memory import Crew, as_trained, fit_memory, predicted_bytes, step_bytes, with_memory
from compound.training.recipes import load_recipe
from tests.kinds import slow_but

RECIPE = replace(RECIPES["small"], batch=8, precision="fp32")


class Alive(TorchDispatchMode):
    """Counts the bytes of all tensors that are made and not yet gone."""

    def __init__(self, own) -> None:
        super().__init__()
        self.own = {tensor.untyped_storage().data_ptr() for tensor in own}
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        for tensor in (leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.own and storage._cdata not in self.sizes:
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, storage._cdata)
        return output

    def _gone(self, key) -> None:
        self.now -= self.sizes.pop(key)


def saved_bytes(model, images):
    """Bytes of the distinct tensors that autograd's hooks are handed, weights and images left out."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), images)}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(images).sum()
    del loss
    return sum(size for size, _ in kept.values())


NETS = {
    "efficientnet-b0": ("stem", "stage1", "stage2"),
    "efficientnetv2-s": ("stage2", "stage4"),
    "mobilenet-v3-large": ("stage2",),
    "regnety-004": ("stage1",),
    "mobilenet-v2": ("stage1", "stage3"),
    "resnet-18": ("stem", "stage1", "stage2", "stage3"),
    "efficientnet-mini": ("stage1",),
}


@pytest.mark.long
@pytest.mark.parametrize("name", slow_but(["efficientnet-mini", "mobilenet-v3-large"], NETS))
def test_what_is_kept_beside_recomputed_stages(name):
    """Within 1 %: at the end of the forward pass, of the recomputed children only the inputs."""
    network = ZOO[name].with_(resolution=64, classes=10, dropout=0.0, survival=1.0)
    order = children(network)
    model, images = build(network).train(), torch.randn(1, 3, 64, 64)
    lean(model)
    for chosen in ((), NETS[name]):
        model.recompute(chosen)
        expected = keeping(order, frozenset(chosen))[-1] - order[0].input  # the images are there anyway
        assert 4 * expected == pytest.approx(saved_bytes(model, images), rel=0.01), chosen


def test_less_is_kept_than_without_sources():
    """B0 at 224 px keeps little more than what its convolutions put out: a third of what plain autograd keeps."""
    network = ZOO["efficientnet-b0"]
    counted, lean_ = cost(network), most_kept(children(network), frozenset())
    assert 1 < (lean_ - 3 * 224**2) / counted.activations < 1.04
    assert lean_ / counted.kept < 0.33


@pytest.mark.long
@pytest.mark.parametrize("name", slow_but(["efficientnet-mini", "resnet-18"], NETS))
def test_the_prediction_holds_the_measured_peak(name):
    network = ZOO[name].with_(resolution=64, classes=10)
    counted = cost(network)
    for chosen in ((), NETS[name], tuple(child.name for child in children(network)[:-1])):
        model, images = build(network).train(), torch.randn(8, 3, 64, 64)
        model.recompute(chosen)
        lean(model)
        # Plain gradient descent: neither optimiser nor average, and the weights are not new in the step.
        predicted = predicted_bytes(network, replace(RECIPE, recompute=chosen))
        predicted -= 4 * (2 * counted.params + counted.buffers)
        with Alive([*model.parameters(), *model.buffers(), images]) as alive:
            model(images).sum().backward()
        assert 0.65 * predicted < alive.peak < 1.03 * predicted, chosen  # a tenth is kept in reserve


def test_the_cheapest_way_is_taken():
    network, recipe = ZOO["efficientnet-b0"].with_(resolution=96, classes=10), replace(RECIPE, batch=64)
    whole = predicted_bytes(network, recipe)
    free = fit_memory(network, recipe, 2 * whole)
    assert (free.recompute, free.accumulate, free.extra_macs) == ((), 1, 0)
    shares = (1.0, 0.8, 0.71)
    taken = [fit_memory(network, recipe, share * whole) for share in shares]
    for choice, share in zip(taken, shares, strict=True):
        assert choice.accumulate == 1  # parts change what norms see, so recomputing comes first
        assert choice.recompute
        assert choice.bytes <= 0.9 * share * whole
        assert choice.extra_macs <= 1 / 3
    assert taken[0].extra_macs <= taken[1].extra_macs < taken[2].extra_macs
    tight = fit_memory(network, recipe, whole / 4)
    assert tight.accumulate > 1
    kept = most_kept(children(network), frozenset(tight.recompute))
    assert tight.bytes == step_bytes(cost(network), kept, recipe, tight.accumulate) <= 0.9 * whole / 4


def test_several_processes_divide_batch_and_network_and_no_further():
    network, recipe = ZOO["efficientnet-b0"].with_(resolution=96, classes=10), replace(RECIPE, batch=64)
    counted, order = cost(network), children(network)
    alone, four = (
        predicted_bytes(network, recipe),
        predicted_bytes(network, recipe, Crew(4)),
    )
    state = counted.state_memory(1, ema=False)
    assert alone - state == pytest.approx(4 * (four - state), rel=1e-9)
    divided = predicted_bytes(network, recipe, Crew(4, True))
    largest = max(child.params for child in order)
    assert divided - (four - state) == pytest.approx(state / 4 + 16 * largest, abs=4)
    assert largest == sum(p.numel() for p in efficientnet_b0().features[7].parameters())
    assert fit_memory(network, recipe, alone / 3, Crew(4)).accumulate == 1
    with pytest.raises(BudgetError, match=r"16 images in each of 4 processes, all rec.*more processes, or --shard"):
        fit_memory(network, recipe, alone / 12, Crew(4))


def test_what_does_not_fit_says_how_much_would():
    network = ZOO["resnet-50"].with_(resolution=96, classes=10)
    with pytest.raises(BudgetError, match=r"resnet-50 does not train in 100MB of memory.* take \d+MB"):
        with_memory(network, replace(RECIPE, training_memory=100e6))


def test_a_recipe_with_memory_is_settled():
    network = ZOO["efficientnet-mini"].with_(classes=10, channels=1)
    given = replace(RECIPE, batch=256, training_memory=60e6)
    settled = with_memory(network, given)
    assert settled.recompute or settled.accumulate > 1
    assert predicted_bytes(network, settled) <= 60e6
    assert with_memory(network, settled) == settled
    assert with_memory(network, RECIPE) == RECIPE
    # Two bytes an activation: more fits.
    assert predicted_bytes(network, replace(given, precision="bf16")) < 0.6 * predicted_bytes(
        network, replace(given, precision="fp32")
    )


def test_one_memory_of_a_step_in_every_answer():
    """What `train` predicts is what costs, `show` and `measure` say: B0 with 32 images takes 1.38 GB, not autograd's 2.95."""
    network = ZOO["efficientnet-b0"]
    counted = cost(network)
    step = predicted_bytes(network, replace(RECIPES["paper"], batch=32, precision="fp32"))
    assert counted.training_memory(32) == step == pytest.approx(1.38e9, rel=0.01)
    assert counted.autograd_memory(32) == pytest.approx(2.95e9, rel=0.01)


@pytest.mark.parametrize("crew", [Crew(), Crew(4)])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"optimizer": "sgd", "ema": 0.0},
        {"precision": "bf16"},
        {"accumulate": 2},
        {"precision": "auto", "batch": 48},
    ],
)
def test_a_limit_decides_the_same_in_a_budget_and_in_a_training(fields, crew):
    """What a budget admits trains as it is, and of what it refuses something is recomputed."""
    network = ZOO["efficientnet-b0"].with_(resolution=96, classes=10)
    recipe = replace(RECIPES["paper"], **({"batch": 32, "precision": "fp32"} | fields))
    step = predicted_bytes(network, recipe, crew)
    for limit, fits in ((1.001 * step, False), (1.11 * step, False), (1.112 * step, True), (2 * step, True)):
        assert as_trained(Budget(training_memory=limit), recipe, crew).admits(cost(network)) == fits
        if recipe.accumulate == 1:
            settled = with_memory(network, replace(recipe, training_memory=limit), crew)
            assert (not settled.recompute and settled.accumulate == 1) == fits


def test_plan_and_train_take_a_limit_alike():
    """At 1.38 GB, its bare count, B0 is beyond the limit of both; what `show` says it takes is within."""
    network, recipe = ZOO["efficientnet-b0"], replace(RECIPES["paper"], batch=32, precision="fp32")
    for limit, fits in ((1.38e9, False), (1.54e9, True)):
        plan = fit_budget(network, Budget(training_memory=limit), RULES["resolution"])
        assert (plan.network.resolution >= network.resolution) == fits
        for one, left in ((network, fits), (plan.network, True)):
            assert (with_memory(one, replace(recipe, training_memory=limit)).recompute == ()) == left
        assert plan.to_json()["training_memory"] <= limit < plan.to_json()["next"]["training_memory"]


def test_measure_predicts_what_a_training_predicts():
    network = ZOO["efficientnet-mini"].with_(classes=10, channels=1)
    found = memory_fields(of_network(network), Call(4))
    assert found["training"]["predicted"] == predicted_bytes(network, replace(RECIPES["paper"], batch=4))
    assert found["autograd"]["predicted"] == cost(network).autograd_memory(4)
    assert found["training"]["measured"] < 0.95 * found["autograd"]["measured"]
    assert found["training"]["measured"] == pytest.approx(found["training"]["predicted"], rel=0.1)


def test_older_recipes_and_runs_name_the_memory_otherwise(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text("base: small\nmemory: 8e9\n")
    assert load_recipe(file).training_memory == 8e9

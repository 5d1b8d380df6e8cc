"""What is wrong without looking at an image is said before one is read, with the way on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import compound
from compound import ZOO, Budget, UsageError
from compound.cost import memory_to_give
from compound.errors import CompoundError
from compound.nn import WeightsError, build, load_model, load_weights
from compound.nn.weights import Unnamed
from compound.notation import parse_network
from compound.notes import heard_by
from compound.training import Recipe, Setup, Start, open_run
from compound.training.memory import predicted_bytes, with_memory
from compound.verbs.given import network_to_count
from compound.verbs.warm import plan_weights
from tests.tiny import TINY

NETWORK = parse_network(TINY, "tiny")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of which nothing may be read."""

    def read(*_: object) -> None:
        raise AssertionError("the images were read")

    monkeypatch.setattr("compound.data.open.opened", read)
    (tmp_path / "photos").mkdir()
    return str(tmp_path / "photos")


def theirs(path: Path, name: str) -> Path:
    """Weights of a network of the zoo, under names that say nothing."""
    numbers: dict[str, int] = {}
    state = {}
    for key, tensor in build(ZOO[name]).state_dict().items():
        layer, _, word = key.rpartition(".")
        state[f"m{numbers.setdefault(layer, len(numbers))}.{word}"] = tensor
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"setup": Setup(Start("lite0.pth"))}, "there is no weights file lite0.pth"),
        ({"setup": Setup(Start("resnet50"))}, "there is no run or weights file resnet50"),
        ({"setup": Setup(Start(inherited="runs/none"))}, "there is no run or weights file runs/none"),
        ({"recipe": Recipe("taught", "", 1, teacher="none.safetensors")}, "there is no weights file"),
        ({"setup": Setup(resume=True), "out": "nowhere"}, "nowhere holds no run to resume"),
        ({"out": "."}, ". exists and is not an empty folder"),
    ],
)
def test_a_fault_that_needs_no_image_is_said_before_any_is_read(photos, given, message) -> None:
    for verb in (compound.fit, lambda *words, **more: compound.train(NETWORK, *words, **more)):
        with pytest.raises(CompoundError, match=message):
            verb(photos, **given)


@pytest.mark.long
def test_weights_of_another_network_are_named_before_any_image_is_read(photos, tmp_path) -> None:
    file = theirs(tmp_path / "theirs.pth", "mobilenet-v2")
    with pytest.raises(WeightsError, match=r"do not fit resnet-18: .*; they are of mobilenet-v2: name that network"):
        compound.train("resnet-18", photos, setup=Setup(Start(file)))
    with pytest.raises(WeightsError, match="they are of mobilenet-v2"):
        compound.fit(photos, baseline="resnet-18", setup=Setup(Start(file)))
    with pytest.raises(UsageError, match="its tensors are those of mobilenet-v2; name it: --baseline mobilenet-v2"):
        compound.fit(photos, setup=Setup(Start(file)))
    with pytest.raises(UsageError, match=r"name it: compound plan mobilenet-v2 --weights .*theirs\.pth"):
        plan_weights(file, Budget(macs=1e8))


@pytest.mark.long
def test_what_is_counted_may_be_weights_of_others_or_published_ones(tmp_path, monkeypatch) -> None:
    """For the classes of the weights; none are fetched, and the library of a network's name is not asked for."""
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    file, sorted_by_name = theirs(tmp_path / "theirs.pth", "mobilenet-v2"), tmp_path / "seven.safetensors"
    save_file(squeezenet1_1(num_classes=7).state_dict(), sorted_by_name)
    said: list[str] = []
    with heard_by(said.append):
        found = [network_to_count(one) for one in (file, sorted_by_name, "torchvision/resnet18")]
    assert [(one.name, one.classes) for one in found] == [
        ("mobilenet-v2", 1000), ("squeezenet-1.1", 7), ("resnet-18", 1000),
    ]  # fmt: skip
    assert [text.rpartition(" ")[2] for text in said] == ["mobilenet-v2", "squeezenet-1.1"]
    assert compound.plan(file, Budget(macs=1e8)).network.classes == 1000
    own = tmp_path / "own.pt"
    torch.save({"a.weight": torch.zeros(8, 3, 3, 3), "b.weight": torch.zeros(1000, 8)}, own)
    with pytest.raises(UsageError, match=r"own\.pt does not say which network it belongs to; name it: NETWORK$"):
        network_to_count(own)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="there is no run or network file runs/none"):
        network_to_count("runs/none")


@pytest.mark.long
def test_a_network_that_the_zoo_has_not_is_not_guessed(tmp_path) -> None:
    file = tmp_path / "own.pth"
    torch.save({"a.weight": torch.zeros(8, 3, 3, 3), "b.weight": torch.zeros(1000, 8)}, file)
    with pytest.raises(Unnamed, match=r"own\.pth does not say which network it belongs to; name it: NETWORK --weights"):
        load_model(file)
    with pytest.raises(WeightsError, match="do not fit resnet-18") as raised:
        load_model(file, ZOO["resnet-18"])
    assert "they are of" not in str(raised.value)


@pytest.mark.long
def test_a_folder_of_runs_is_no_run_and_its_runs_are_named(tmp_path) -> None:
    for name in ("first", "the second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.yaml").write_text("")
    held = rf"it holds {tmp_path}/first, '{tmp_path}/the second'; name a run itself"
    for verb in (compound.report, open_run, load_weights):
        with pytest.raises(UsageError, match=held):
            verb(tmp_path)
    for number in range(5):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "run.yaml").write_text("")
    with pytest.raises(UsageError, match=rf"4 and 2 more \(compound runs {tmp_path} lists them\)"):
        compound.report(tmp_path)


def test_fit_counts_a_limit_of_training_memory_as_its_recipe_trains(monkeypatch) -> None:
    """SGD without an average holds less than the usual recipe, so the network within the limit is larger."""
    found = {}

    def begun(network, images, recipe, *more):
        found["network"], found["recipe"] = network, recipe
        raise KeyboardInterrupt

    monkeypatch.setattr("compound.verbs.fit.begin", begun)
    sgd, limit = Recipe("brief", "", 1, batch=16, precision="fp32"), 30e6
    for recipe in (sgd, replace(sgd, optimizer="rmsprop", ema=0.99), replace(sgd, find=("batch",))):
        with pytest.raises(KeyboardInterrupt):
            compound.fit("fashion6k", Budget(training_memory=limit), recipe, rule="width")
        network, asked = found["network"], found["recipe"]
        assert with_memory(network, replace(asked, training_memory=limit)).recompute == ()
        assert 0.85 * limit < memory_to_give(predicted_bytes(network, asked)) <= limit
        assert asked.training_memory == (limit if recipe.find else None)  # a batch is found within it

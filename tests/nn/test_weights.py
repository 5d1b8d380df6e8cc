"""Weights files: whole, self-describing, and refused when they are not what they should be."""

import json
import os
import struct

import pytest
import torch
from safetensors.torch import save_file

from compound import ZOO, dump_network
from compound.nn import WeightsError, build, import_weights, load_model, save_weights
from compound.nn.weights import foreign_model

NETWORK = ZOO["mobilenet-v2"].with_(resolution=32, classes=3, channels=1)


@pytest.fixture
def model():
    return build(NETWORK, seed=0).eval()


@pytest.fixture
def file(tmp_path, model):
    return save_weights(model, tmp_path / "model.safetensors", ("a", "b", "ç <&>"))


def test_a_weights_file_is_complete_by_itself(file, model):
    loaded, weights = load_model(file)
    assert (weights.network, weights.classes, weights.channels) == (NETWORK, ("a", "b", "ç <&>"), 1)
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(loaded(x), model(x))
    assert not loaded.training


def test_metadata_says_the_preprocessing(file):
    with open(file, "rb") as stream:
        header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
    said = json.loads(header["__metadata__"]["preprocessing"])
    assert said["resolution"] == 32
    assert said["channels"] == 1
    assert said["mean"] == [0.485, 0.456, 0.406]


def test_every_cut_and_every_other_network_is_refused(file, tmp_path):
    whole = file.read_bytes()
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="damaged"):
            load_model(cut)
    with pytest.raises(WeightsError, match="holds mobilenet-v2, which is not the resnet-18"):
        load_model(file, ZOO["resnet-18"])
    with pytest.raises(WeightsError, match="there is no weights file"):
        load_model(tmp_path / "absent.pth")


def test_metadata_that_lies_is_refused(file, model, tmp_path):
    liar = tmp_path / "liar.safetensors"
    metadata = {
        "format": "compound-1",
        "network": dump_network(ZOO["resnet-18"]),
        "classes": '["a", "b", "c"]',
        "preprocessing": '{"channels": 1}',
    }
    save_file(model.state_dict(), liar, metadata)
    with pytest.raises(WeightsError, match="does not fit the network in its own metadata"):
        load_model(liar)
    for lie in ({"classes": "three"}, {"preprocessing": '{"channels": Infinity}'}):
        save_file(model.state_dict(), liar, metadata | lie)
        with pytest.raises(WeightsError, match="metadata is damaged"):
            load_model(liar)


class Payload:
    def __reduce__(self):
        return os.system, ("touch executed",)


def test_a_pickle_with_code_is_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Payload()}, "payload.pth")
    with pytest.raises(WeightsError, match="never run"):
        load_model("payload.pth", NETWORK)
    assert not (tmp_path / "executed").exists()


@pytest.mark.long
def test_foreign_weights_need_a_network(tmp_path, model):
    torch.save(model.state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="does not say which network"):
        load_model(tmp_path / "w.pth")


def test_foreign_weights_with_an_empty_tensor_are_refused(model):
    with pytest.raises(WeightsError):
        foreign_model(model.network, {"empty.weight": torch.zeros(0, 3)} | model.state_dict())


def test_foreign_weights_of_another_net_are_refused_by_name_and_change_nothing(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = build(NETWORK.with_(classes=5)).state_dict()
    with pytest.raises(WeightsError, match=r"classifier.linear 5×1280 5 does not fit classifier.linear 3×1280 3"):
        import_weights(model, other)
    with pytest.raises(WeightsError, match="layers with weights are given and"):
        import_weights(model, build(ZOO["resnet-18"].with_(classes=3, channels=1)).state_dict())
    renamed = {f"m.{name}": tensor for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match="sorted by alphabet, and the order of classifier, features, stage1"):
        import_weights(model, dict(sorted(renamed.items())))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_writing_fails_without_a_trace(model, tmp_path, file):
    from compound.errors import CompoundError

    before = file.read_bytes()
    with pytest.raises(CompoundError, match="cannot write"):
        save_weights(model, tmp_path / "nowhere" / "model.safetensors", ("a", "b", "c"))
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]

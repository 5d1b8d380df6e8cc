"""Weights files of strangers and of training scripts: what is taken, what is refused, and at what cost."""

import argparse
import json
import os
import struct
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from compound import ZOO, dump_network
from compound.nn import ConvNet, WeightsError, build, load_model, save_weights

NETWORK = ZOO["mobilenet-v2"].with_(resolution=32, classes=3, channels=1)


@pytest.fixture(scope="module")
def model() -> ConvNet:
    return build(NETWORK, seed=0).eval()


@pytest.fixture
def file(tmp_path: Path, model: ConvNet) -> Path:
    return save_weights(model, tmp_path / "model.safetensors", ("a", "b", "c"))


def header_of(data: bytes) -> tuple[dict, bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: dict, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def lying(file: Path, **said: str) -> Path:
    """The file with other metadata."""
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    save_file(load_file(file), file, metadata | said)
    return file


def test_a_small_file_cannot_ask_for_much(file: Path, monkeypatch) -> None:
    network = NETWORK.with_(stages=(*NETWORK.stages[:-1],))
    text = dump_network(network)
    many = text.replace("layers: 4", "layers: 9999", 1)
    assert many != text
    wide = json.dumps([""] * 10)
    deep = "[" * 200_000
    begun = time.process_time()
    for said in ({"network": many}, {"classes": wide}, {"classes": deep}, {"preprocessing": '{"channels": 8000000}'},
                 {"network": dump_network(NETWORK.with_(resolution=20_000))},
                 {"network": text.replace("head: {channels: 1280", "head: {channels: 10000000", 1)}):  # fmt: skip
        monkeypatch.setattr("compound.nn.weights.build", lambda *_: pytest.fail("it is built before it is compared"))
        with pytest.raises(WeightsError, match=r"own metadata|asks? for images|metadata is damaged|too many|too large"):
            load_model(lying(file, **said))
    assert time.process_time() - begun < 8


def test_numbers_of_another_kind_are_refused(file: Path) -> None:
    header, rest = header_of(file.read_bytes())
    name = next(name for name, said in header.items() if said.get("dtype") == "F32")
    header[name]["dtype"] = "I32"
    del header["__metadata__"]["digest"]
    file.write_bytes(with_header(header, rest))
    with pytest.raises(WeightsError, match=r"has numbers of type torch.int32"):
        load_model(file)


def test_exchanged_tensors_are_noticed(file: Path) -> None:
    header, rest = header_of(file.read_bytes())
    alike = [name for name in header if name.endswith("running_var") and header[name]["shape"] == [32]]
    first, second = alike[:2]
    header[first]["data_offsets"], header[second]["data_offsets"] = (
        header[second]["data_offsets"], header[first]["data_offsets"],
    )  # fmt: skip
    # both are ones, so another value makes them differ
    at = header[first]["data_offsets"][0]
    rest = rest[:at] + struct.pack("<f", 0.5) + rest[at + 4 :]
    file.write_bytes(with_header(header, rest))
    with pytest.raises(WeightsError, match="its tensors are not those it was written with"):
        load_model(file)


def test_a_file_of_an_older_version_has_no_digest(file: Path, model: ConvNet) -> None:
    header, rest = header_of(file.read_bytes())
    del header["__metadata__"]["digest"]
    file.write_bytes(with_header(header, rest))
    x = torch.randn(1, 1, 32, 32)
    assert torch.equal(load_model(file)[0](x), model(x))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_pipes_and_devices_are_no_weights(suffix: str, tmp_path: Path, monkeypatch) -> None:
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"zero{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        with pytest.raises(WeightsError, match="it is no regular file"):
            load_model(path, NETWORK)
    long = tmp_path / f"long{suffix}"
    long.write_bytes(bytes(2000))
    monkeypatch.setenv("COMPOUND_MAX_MODEL", "1k")
    with pytest.raises(WeightsError, match="more than the 1,000 bytes"):
        load_model(long, NETWORK)


def halved(model: ConvNet) -> dict[str, torch.Tensor]:
    return {name: tensor / 2 if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()}


def checkpoints(model: ConvNet) -> dict[str, tuple[dict, str]]:
    """What a script leaves, and what is taken of it."""
    state, args = model.state_dict(), argparse.Namespace(lr=0.1, epochs=90, model="x", output_dir=".")
    averaged = AveragedModel(model).state_dict()
    return {
        "torchvision": ({"model": state, "optimizer": {}, "lr_scheduler": {}, "epoch": 3, "args": args}, "model"),
        "torchvision with an average": ({"model": halved(model), "model_ema": averaged, "args": args}, "model_ema"),
        "timm": ({"arch": "x", "epoch": 1, "args": args, "state_dict": state, "metric": 71.2}, "state_dict"),
        "timm with an average": (
            {"state_dict": halved(model), "state_dict_ema": state, "args": args}, "state_dict_ema"
        ),
        "several processes": ({"model": {f"module.{n}": t for n, t in state.items()}}, "model"),
        "Lightning": (
            {
                "pytorch-lightning_version": "2.5", "epoch": 1, "hyper_parameters": {"lr": 0.1},
                "state_dict": {"criterion.weight": torch.ones(3)} | {f"model.{n}": t for n, t in state.items()},
            },
            "state_dict",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["torchvision", "torchvision with an average", "timm", "timm with an average",
                                  "several processes", "Lightning"])  # fmt: skip
def test_checkpoints_as_training_scripts_leave_them(kind: str, model: ConvNet, tmp_path: Path, capsys) -> None:
    saved, taken = checkpoints(model)[kind]
    torch.save(saved, tmp_path / "checkpoint.pth.tar")
    loaded, _ = load_model(tmp_path / "checkpoint.pth.tar", NETWORK)
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(loaded(x), model(x))
    said = capsys.readouterr().err
    assert f"the weights under {taken} are taken" in said
    others = [place for place in ("model", "state_dict") if place in saved and place != taken]
    assert all(f"not {other}" in said for other in others)
    assert ("left out, as no part of a network: criterion.weight" in said) == (kind == "Lightning")


class Own(nn.Module):
    pass


class Payload:
    def __reduce__(self) -> tuple:
        return os.system, ("touch executed",)


def test_a_namespace_is_all_that_is_allowed_beside_tensors(model: ConvNet, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for options in (Payload(), argparse.Namespace(inner=Payload()), Own()):
        torch.save({"model": model.state_dict(), "args": options}, "x.pth")
        with pytest.raises(WeightsError, match="never run") as refused:
            load_model("x.pth", NETWORK)
        said = str(refused.value)
        assert "system" in said or "Own" in said
        assert "weights_only" not in said
        assert "\x1b" not in said
    assert not Path("executed").exists()
    Path("x.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x05\x00\x00\x00hello\x85R.")
    with pytest.raises(WeightsError, match="never run"):
        load_model("x.pth", NETWORK)


@pytest.mark.long
def test_a_backbone_without_its_classifier_is_good_to_train_with(tmp_path: Path, capsys) -> None:
    given = build(NETWORK, seed=1).state_dict()
    state = {f"net.{name}": tensor for name, tensor in given.items() if not name.startswith("classifier")}
    torch.save(state, tmp_path / "backbone.pth")
    with pytest.raises(WeightsError, match="of mobilenet-v2 have no classifier; train one with: compound train"):
        load_model(tmp_path / "backbone.pth", NETWORK)
    found, _ = load_model(tmp_path / "backbone.pth", NETWORK, to_train=True)
    taken = found.state_dict()
    assert {n for n in given if not torch.equal(taken[n], given[n])} == {"classifier.linear.weight"}  # biases are 0
    assert "have no classifier; it starts fresh" in capsys.readouterr().err
    torch.save(dict(list(state.items())[:-9]), tmp_path / "less.pth")
    with pytest.raises(WeightsError, match="do not fit"):
        load_model(tmp_path / "less.pth", NETWORK, to_train=True)

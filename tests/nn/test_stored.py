"""Weights files of strangers and of training scripts: what is taken, what is refused, and at what cost."""

import argparse
import json
import os
import struct
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from compound import ZOO, dump_network
from compound.nn import ConvNet, WeightsError, build, load_model, save_weights
from compound.nn.weights import foreign_model
from compound.notation import parse_network

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
    with pytest.raises(WeightsError, match=r"has numbers of type int32, and weights are float16"):
        load_model(file)


OTHERS = {
    "int32": (lambda tensor: tensor.int(), "has numbers of type int32"),
    "bool": (lambda tensor: tensor.bool(), "has numbers of type bool"),
    "complex": (lambda tensor: tensor.to(torch.complex64), "has numbers of type complex64"),
    "float8": (lambda tensor: tensor.to(torch.float8_e4m3fn), "has numbers of type float8_e4m3fn"),
    "sparse": (lambda tensor: tensor.to_sparse(), r"is sparse; save it with to_dense\(\)"),
    "meta": (lambda tensor: tensor.to("meta"), "was saved without its numbers"),
    "expanded": (
        lambda tensor: tensor[:1].expand(10**7, *tensor.shape[1:]), r"has 12,800,000,000 numbers, more than the file has room for"
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [(".pth", kind) for kind in OTHERS] + [(".safetensors", kind) for kind in list(OTHERS)[:4]],
)
def test_tensors_that_no_weights_can_be_are_refused(
    suffix: str, kind: str, model: ConvNet, tmp_path: Path, monkeypatch
) -> None:
    """None is cast, and none is believed to be larger than the file."""
    monkeypatch.setattr("compound.nn.weights.build", lambda *_: pytest.fail("it is built before it is looked at"))
    make, said = OTHERS[kind]
    path, name = tmp_path / f"given{suffix}", "classifier.linear.weight"
    state = model.state_dict() | {name: make(model.state_dict()[name])}
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    with pytest.raises(WeightsError, match=rf"given{suffix}: the tensor {name} {said}"):
        load_model(path, NETWORK)


def test_whole_numbers_that_count_are_welcome(model: ConvNet, tmp_path: Path) -> None:
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in halved(model).items()}
    assert any(tensor.dtype == torch.int64 for tensor in state.values())
    torch.save(state | {"n_averaged": torch.tensor(3)}, tmp_path / "given.pth")
    assert torch.equal(
        load_model(tmp_path / "given.pth", NETWORK)[0].stem.conv.weight,
        halved(model)["stem.conv.weight"].half().float(),
    )


def test_a_small_file_of_torch_takes_no_memory(model: ConvNet, tmp_path: Path, monkeypatch) -> None:
    """A number that asks for a gigabyte, and zeros that are packed."""
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("it is read"))
    asks = b"\x80\x02c__builtin__\nbytearray\nJ" + struct.pack("<i", 10**9) + b"\x85R."
    (tmp_path / "asks.pth").write_bytes(asks)
    with pytest.raises(WeightsError, match="a bytearray, which is never made"):
        load_model(tmp_path / "asks.pth", NETWORK)
    with zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("packed/data.pkl", asks.replace(b"bytearray", b"set"))
        archive.writestr("packed/data/0", bytes(1_000_000))
    with pytest.raises(WeightsError, match=r"is compressed, 1,000,0\d\d bytes in [\d,]+; save it again"):
        load_model(tmp_path / "packed.pth", NETWORK)


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


@pytest.mark.parametrize("beside", ["criterion.weight", "loss_fn.weight", "train_loss.weight", "model.ce_loss.weight",
                                    "val_acc.correct", "class_weights", "center_loss.centers"])  # fmt: skip
def test_what_stands_beside_a_network_is_left_out_and_said(beside: str, model: ConvNet, tmp_path: Path, capsys) -> None:
    """Wherever it stands: in a module's state dict alone, first or last."""
    network = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    extra = {beside: torch.ones(3, 4) if "centers" in beside else torch.ones(3, dtype=torch.int32)}
    for state in (extra | network, network | extra):
        torch.save(state, tmp_path / "given.pth")
        taken = load_model(tmp_path / "given.pth", NETWORK)[0].state_dict()
        assert all(torch.equal(taken[name], tensor) for name, tensor in model.state_dict().items())
        assert f"left out, as no part of a network: {beside}\n" in capsys.readouterr().err


def test_weights_under_any_name_are_taken_if_they_are_the_only_ones(model: ConvNet, tmp_path: Path, capsys) -> None:
    state, path = model.state_dict(), tmp_path / "given.pth"
    torch.save({"net": state, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}, path)
    load_model(path, NETWORK)
    assert "the weights under net are taken\n" in capsys.readouterr().err
    torch.save({"generator": state, "teacher": state}, path)
    with pytest.raises(WeightsError, match="holds several state dicts, generator, teacher; save one of them alone"):
        load_model(path, NETWORK)


def test_who_trained_weights_is_told_behind_a_wrapper(tmp_path: Path, capsys) -> None:
    """Names of torchvision's MnasNet, as several processes and torch.compile leave them."""
    network = ZOO["mnasnet-b1"].with_(resolution=32, classes=3)
    named = {
        "layers.0.weight" if i == 0 else n: t for i, (n, t) in enumerate(build(network, seed=0).state_dict().items())
    }
    for wrapper in ("", "module.", "module._orig_mod."):
        torch.save({f"{wrapper}{name}": tensor for name, tensor in named.items()}, tmp_path / "given.pth")
        assert load_model(tmp_path / "given.pth", network)[0].network.style.padding == "symmetric"
    assert "does not say with which padding" not in capsys.readouterr().err


def test_a_network_is_built_for_weights_that_fit_it_alone(model: ConvNet, monkeypatch) -> None:
    """A network file may ask for sixteen million channels, of gigabytes, beside weights of another."""
    monkeypatch.setattr("compound.nn.weights.build", lambda *_, **__: pytest.fail("it is built before it is compared"))
    wide = parse_network(dump_network(NETWORK).replace("channels: 1280", "channels: 15000000"), "wide.yaml")
    for to_train in (False, True):
        with pytest.raises(WeightsError, match="1280×320 does not fit features"):
            foreign_model(wide, model.state_dict(), to_train)


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

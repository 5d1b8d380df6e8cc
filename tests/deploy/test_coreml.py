"""Core ML packages, which only Apple's devices run: their programs are computed here, operator by operator."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from given import CLASSES, photos
from torch.nn import functional as F

from compound.deploy import export
from compound.deploy.export import probe
from compound.runtimes import FORMATS, ExportError, graph_of
from compound.runtimes.coreml import compute_coreml
from compound.runtimes.mil import OPERATIONS

needed = pytest.mark.skipif(find_spec("coremltools") is None, reason="needs the extra coreml")


@needed
@pytest.mark.long
def test_the_package_computes_the_network_and_says_what_it_is(small, tmp_path: Path) -> None:
    import coremltools as ct

    model = small("efficientnet-mini")
    checked = probe(model, photos(model, 5), labelled=True)
    for _ in range(2):  # over an older package, too
        (done,) = export(model, CLASSES, ["coreml"], tmp_path, checked)
    assert (done.runtime, done.precision, done.file, done.agreement) == ("coreml", "fp32", "model.mlpackage", 1)
    assert done.difference < 1e-4
    assert done.bytes == sum(file.stat().st_size for file in (tmp_path / done.file).rglob("*") if file.is_file())
    assert [file.name for file in tmp_path.iterdir()] == ["model.mlpackage"]
    spec = ct.models.utils.load_spec(str(tmp_path / done.file))
    side = model.network.resolution
    image = spec.description.input[0].type.imageType
    assert (image.width, image.height) == (side, side)
    assert image.colorSpace == image.ColorSpace.Value("RGB")
    said = dict(spec.description.metadata.userDefined)
    assert said["batch"] == "1"
    assert (
        said.items() >= {k: v for k, v in graph_of(model, CLASSES, 1, "uint8").metadata.items() if k != "batch"}.items()
    )


@needed
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "shufflenet-v2-x1.0",
        "convnext-atto",
        "mobilenetv3-large",
        "tf_efficientnet-b0",
        "googlenet",
        "densenet-121",
        "nfnet-f0",
    ],
)
def test_packages_of_many_kinds_of_networks(name: str, small, tmp_path: Path) -> None:
    model = small(name)
    graph = graph_of(model, CLASSES, 2, "float")
    path = FORMATS["coreml"].write(graph, tmp_path / "model.mlpackage")
    images = torch.randn(3, 3, model.network.resolution, model.network.resolution)
    with torch.inference_mode():
        expected = graph.module(images)
    assert (compute_coreml(path, images) - expected).abs().max() < 1e-4 * expected.abs().max()


@needed
@pytest.mark.long
def test_a_package_with_other_weights_is_seen(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written from a network whose last bias is another: nothing may be left."""
    model, other = small("efficientnet-mini"), small("efficientnet-mini")
    checked = probe(model, photos(model, 3), labelled=True)
    with torch.no_grad():
        list(other.classifier.parameters())[-1][0] += 1
    wrong = FORMATS["coreml"].write(graph_of(other, CLASSES, None, "uint8"), tmp_path / "wrong.mlpackage")

    def write(graph: object, path: Path) -> Path:
        shutil.copytree(wrong, path)
        return path

    monkeypatch.setitem(FORMATS, "coreml", FORMATS["coreml"].__class__("coreml", "model.mlpackage", write))
    with pytest.raises(ExportError, match="computes other logits than the network"):
        export(model, CLASSES, ["coreml"], tmp_path / "out", checked)
    assert not list((tmp_path / "out").iterdir())


def test_without_the_package_it_is_named(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compound.runtimes.graphs.find_spec", lambda name: None)
    model = small("efficientnet-mini")
    checked = probe(model, photos(model, 3), labelled=True)
    with pytest.raises(ExportError, match=r"coremltools is not installed; run: pip install 'compound\[coreml\]'"):
        export(model, CLASSES, ["coreml"], tmp_path, checked)


def test_windows_that_are_cut_or_padded() -> None:
    """Against PyTorch's own pooling; TensorFlow's `same` puts the odd position behind."""
    x = torch.randn(2, 3, 7, 6)
    two, window = torch.tensor([2, 2]), torch.tensor([3, 3])
    given = {"x": x, "kernel_sizes": window, "strides": two, "pad_type": "custom", "pad": torch.tensor([1, 1, 1, 1])}
    for ceil in (False, True):
        expected = F.max_pool2d(x, 3, 2, 1, ceil_mode=ceil)
        assert torch.equal(OPERATIONS["max_pool"](given | {"ceil_mode": ceil}), expected)
        averaged = F.avg_pool2d(x, 3, 2, 1, ceil_mode=ceil, count_include_pad=False)
        found = OPERATIONS["avg_pool"](given | {"ceil_mode": ceil, "exclude_padding_from_average": True})
        assert torch.allclose(found, averaged, atol=1e-6)
    same = {"x": x, "kernel_sizes": window, "strides": two, "pad_type": "same"}
    assert torch.equal(OPERATIONS["max_pool"](same), F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-9e9), 3, 2))

"""Exported files say what the network says, whatever runs them; hostile and damaged ones are refused."""

import json
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deploy.conftest import ALL
from given import CLASSES, Payload, photos

from compound import ZOO
from compound.cli.export import passed_over
from compound.data import Preprocessing
from compound.deploy import Quantised, export, open_choice, quantise
from compound.deploy.choose import choose, compare_ways, images_to_show, write_choice
from compound.deploy.export import Exported, Probe, probe
from compound.deploy.hub import write_hub_folder
from compound.deploy.predict import judged
from compound.errors import CompoundError, UsageError
from compound.nn import ConvNet, Unknown, Weights, build, fit_unknown, load_model, save_weights
from compound.nn.unknown import LIKELIHOOD, Usual
from compound.runtimes import FORMATS, Deployable, ExportError, graph_of, in_torch, open_runtime

MINI = ZOO["efficientnet-mini"]
NARROW = MINI.with_(classes=7, channels=1, stages=MINI.stages[1:2])


@pytest.fixture(scope="module")
def written(small, tmp_path_factory) -> "Written":
    model, folder = small("efficientnet-mini"), tmp_path_factory.mktemp("written")
    checked = probe(model, photos(model), labelled=True)
    return Written(model, checked, folder, export(model, CLASSES, ["onnx", "openvino"], folder, checked))


@dataclass(frozen=True)
class Written:
    """efficientnet-mini in both formats, for all who read only."""

    model: ConvNet
    checked: Probe
    folder: Path
    done: list[Exported]

    def copied(self, to: Path) -> Path:
        return shutil.copytree(self.folder, to)


def check_both_runtimes(written: Written) -> None:
    assert [one.runtime for one in written.done] == ["onnxruntime", "openvino"]
    for one in written.done:
        assert one.difference < 1e-4
        assert one.agreement == 1
        runtime = open_runtime(written.folder / one.file)
        assert (runtime.network, runtime.classes, runtime.channels) == (written.model.network, CLASSES, 3)
        pixels, logits = written.checked.pixels, written.checked.logits
        for count in (1, 5):  # any number at once
            assert torch.allclose(runtime.logits(pixels[:count]), logits[:count], atol=1e-3)


@pytest.mark.long
def test_both_runtimes_compute_the_network(written: Written) -> None:
    check_both_runtimes(written)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "stages"),
    [
        pytest.param("tf_efficientnet-b0", slice(1, 2), id="padded as TensorFlow does"),
        pytest.param("tf_efficientnet-b0", ALL, marks=pytest.mark.slow),
        pytest.param("resnet-50", ALL, marks=pytest.mark.slow),
        pytest.param("inception-v3", ALL, marks=pytest.mark.slow),
    ],
)
def test_both_runtimes_compute_other_networks(name: str, stages: slice, small, tmp_path: Path) -> None:
    model = small(name, stages)
    checked = probe(model, photos(model), labelled=True)
    done = export(model, CLASSES, ["onnx", "openvino"], tmp_path, checked)
    check_both_runtimes(Written(model, checked, tmp_path, done))


@pytest.mark.slow
def test_cell_network(tmp_path: Path) -> None:
    model = build(ZOO["nasnet-a-mobile"].with_(resolution=64, classes=7), seed=0).eval()
    for done in export(model, CLASSES, ["onnx", "openvino"], tmp_path, probe(model, photos(model, 3), labelled=False)):
        assert done.difference < 1e-4
        assert done.top1 is None


@pytest.mark.long
@pytest.mark.parametrize("takes", ["uint8", "float"])
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_fixed_batch_and_normalisation_outside(name: str, takes, small, tmp_path: Path) -> None:
    """A file for 4 images at once serves 6; one that takes floats gets them normalised by its own metadata."""
    model = small("efficientnet-mini", slice(1, 2))
    checked = probe(model, photos(model, 6), labelled=True)
    (done,) = export(model, CLASSES, [name], tmp_path, checked, batch=4, takes=takes)
    assert done.difference < 1e-4


@pytest.mark.long
def test_what_the_graph_itself_computes(written: Written) -> None:
    """Another program, which only knows ONNX, gets the logits from raw pixels."""
    import onnxruntime

    model, checked = written.model, written.checked
    session = onnxruntime.InferenceSession(written.folder / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": checked.pixels.numpy()})
    with torch.inference_mode():
        expected = model(Preprocessing.of(model.network).normalise(checked.pixels))
    assert np.allclose(logits, expected.numpy(), atol=1e-4)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == list(CLASSES)
    assert json.loads(told["preprocessing"])["resolution"] == model.network.resolution


@pytest.mark.long
def test_exported_program(small, tmp_path: Path) -> None:
    model = small("efficientnet-mini", slice(1, 2))
    (done,) = export(model, CLASSES, ["torch"], tmp_path, probe(model, photos(model, 3), labelled=False))
    assert (done.file, done.runtime) == ("model.pt2", "torch.export")
    assert done.difference < 1e-4
    with pytest.raises(UsageError, match="is no exported network"):
        open_runtime(tmp_path / "model.pt2")  # it could run code


@pytest.mark.long
def test_int8_is_smaller_and_close(small, tmp_path: Path) -> None:
    model = small("efficientnet-mini", slice(1, 3))
    checked = probe(model, photos(model, 24), labelled=True)
    done = export(model, CLASSES, ["onnx", "openvino"], tmp_path, checked, quantised=Quantised())
    by_file = {one.file: one for one in done}
    for whole, quantised in (("model.onnx", "model-int8.onnx"), ("model.xml", "model-int8.xml")):
        assert by_file[quantised].bytes < 0.6 * by_file[whole].bytes
        assert 1e-4 < by_file[quantised].difference < 0.5
        assert open_runtime(tmp_path / quantised, "int8").classes == CLASSES


@pytest.mark.slow
def test_mixed_precision_keeps_what_eight_bits_lose(small, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(quantise, "MOVED", 1e-4)
    model = small("efficientnet-mini", slice(1, 3))
    checked = probe(model, photos(model, 24), labelled=True)
    done = export(model, CLASSES, ["openvino"], tmp_path, checked, quantised=Quantised(chosen_on=checked.pixels[:12]))
    whole, int8, mixed = done
    assert mixed.file == "model-mixed.xml"
    assert mixed.difference < int8.difference
    assert int8.bytes < mixed.bytes < whole.bytes * 1.2


@pytest.mark.long
def test_a_wrong_file_is_not_kept(small, tmp_path: Path, monkeypatch) -> None:
    """The check is what decides: a graph with another offset fails it, and the folder is as it was."""
    model = small("efficientnet-mini", slice(1, 2))
    checked = probe(model, photos(model, 3), labelled=False)

    class Wrong(Deployable):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) + 0.05 * checked.logits.abs().max()

    monkeypatch.setattr("compound.runtimes.graphs.Deployable", Wrong)
    with pytest.raises(ExportError, match=r"model.onnx computes other logits than the network: 0.05"):
        export(model, CLASSES, ["onnx"], tmp_path, checked)
    assert list(tmp_path.iterdir()) == []


def row(runtime: str, precision: str, latency: float, agreement: float, images: int) -> Exported:
    return Exported("f", runtime, precision, 1, 0.0, agreement, None, latency, images)


def test_the_fastest_that_is_shown_to_be_within_the_drop_is_chosen() -> None:
    def rows(images: int) -> list[Exported]:
        return [
            row("a", "int8", 1, 0.985, images),
            row("b", "bf16", 2, 1.0, images),
            row("c", "fp32", 3, 1.0, images),
            row("d", "fp32", 4, 1.0, images),
        ]

    assert choose(rows(14), 0.1).runtime == "c"  # by 14 images that all agree it may be a fifth
    assert choose(rows(3837), 0.1).runtime == "c"
    assert choose(rows(3838), 0.1).runtime == "b"
    assert choose(rows(14), 22).runtime == "b"
    assert choose(rows(2000), 2.2).runtime == "a"
    assert choose(rows(100_000), 0).runtime == "c"
    # Wilson 1927, as a statistics package has it: no image of 14 is another, 95 %.
    assert rows(14)[1].most_lost == pytest.approx(21.531, abs=1e-2)
    assert rows(0)[1].most_lost == 100


def test_what_is_faster_and_not_chosen_is_told_with_what_it_takes() -> None:
    done = [
        row("openvino", "int8", 1, 280 / 288, 288),
        row("torch", "bf16", 2, 1.0, 288),
        row("onnx", "fp32", 3, 1.0, 288),
        row("torch", "fp32", 4, 1.0, 288),
    ]
    eight_bits, bf16, needed = passed_over(choose(done, 0.1), done, 0.1)
    # Wilson, 95 %: 280 of 288 lie above 0.9461, 288 of 288 above 0.98684.
    assert eight_bits.startswith(
        "openvino int8 is faster, and may cost up to 5.4 points of accuracy: 280 of 288 images"
    )
    assert bf16.startswith("torch bf16 is faster, and may cost up to 1.3 points of accuracy: 288 of 288 images agree")
    assert "is shown by 3,838 images that all agree: --images DIR" in needed
    allowed = float(bf16.rpartition("--max-drop ")[2])
    assert choose(done, allowed).precision == "bf16"
    assert choose(done, float(eight_bits.rpartition("--max-drop ")[2])).precision == "int8"
    assert passed_over(done[0], done, 6) == []
    for never in (0, 0.03):  # 12,802 images and more than are ever looked at
        assert [line for line in passed_over(choose(done, never), done, never) if "--images" in line] == []


def test_images_are_tried_until_they_could_show_the_drop() -> None:
    small, large = ZOO["efficientnet-mini"].with_(classes=10, channels=1), ZOO["efficientnet-b0"]
    assert images_to_show(small, 0.1) == 3838
    assert images_to_show(small, 0) == images_to_show(small, 0.01) == 10_000
    assert images_to_show(small, 5) == 1000
    assert images_to_show(large, 0.1) == pytest.approx(1000, rel=0.05)
    assert images_to_show(large, 0.1, "photos") == 3838  # what the answer asks for is looked at
    assert images_to_show(large, 0.01, "photos") == 10_000


def test_only_labels_that_may_be_looked_at_judge(small) -> None:
    model = small("efficientnet-mini")
    source = photos(model, 8)
    hidden = source.labelled(np.where(np.arange(8) < 2, source.labels, -1))
    whole, part = (probe(model, one, labelled=True) for one in (source, hidden))
    same = in_torch(model, Weights(model.network, CLASSES), "fp32")
    assert (part.compare(same, "", 0).images, part.compare(same, "", 0).labelled) == (8, 2)
    assert (whole.compare(same, "", 0).labelled) == 8
    right = (whole.logits.argmax(1) == torch.from_numpy(source.labels))[:2].double().mean().item()
    assert part.compare(same, "", 0).top1 == right


@pytest.mark.long
def test_every_way_is_compared_and_the_choice_is_opened_again(written: Written, small, tmp_path: Path) -> None:
    model, checked = written.model, written.checked
    weights = save_weights(model, tmp_path / "model.safetensors", CLASSES)
    out = written.copied(tmp_path / "export")
    rows = compare_ways(model, Weights(model.network, CLASSES), out, written.done, checked)
    ways = {(one.runtime, one.precision) for one in rows}
    assert ways == {
        ("torch", "fp32"),
        ("torch", "bf16"),
        ("onnxruntime", "fp32"),
        ("openvino", "fp32"),
        ("openvino", "bf16"),
    }
    assert [one.latency_ms for one in rows] == sorted(one.latency_ms for one in rows)
    for one in rows:
        write_choice(out, one, rows, weights)
        chosen = open_choice(out, weights)
        assert chosen is not None
        assert (chosen.name, chosen.precision) == (one.runtime, one.precision)
        assert (chosen.logits(checked.pixels).argmax(1) == checked.logits.argmax(1)).all()
    save_weights(small("efficientnet-mini").train(), weights, tuple("ABCDEFG"))
    assert open_choice(out, weights) is None, "the weights are others by now"
    assert open_choice(tmp_path / "nothing", weights) is None


def test_hub_folder_is_loaded_again(small, tmp_path: Path) -> None:
    model = small("efficientnet-mini")
    folder = write_hub_folder(
        model, CLASSES, tmp_path / "hub", {"top1": 0.9, "top5": 1.0, "top1_interval": [0.88, 0.92], "images": 1000}
    )
    again, described = load_model(folder / "model.safetensors")
    assert described.classes == CLASSES
    assert again.network == model.network
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Top-1 90.00% (95 % interval 88.00% to 92.00%)" in card
    assert json.loads((folder / "config.json").read_text())["label_names"] == list(CLASSES)


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_hostile_files_are_refused_and_run_nothing(suffix: str, written: Written, tmp_path: Path, capfd) -> None:
    good = (written.folder / f"model{suffix}").read_bytes()
    proof = tmp_path / "proof"
    hostile = {
        "pickle": pickle.dumps(Payload(proof)),
        "cut": good[: len(good) // 2],
        "empty": b"",
        "noise": np.random.default_rng(0).bytes(2000),
    }
    capfd.readouterr()
    for what, data in hostile.items():
        path = tmp_path / f"{what}{suffix}"
        path.write_bytes(data)
        with pytest.raises(CompoundError, match=path.name):
            open_runtime(path)
    assert not proof.exists()
    assert capfd.readouterr() == ("", "")  # no runtime says anything of its own


@pytest.mark.long
def test_data_in_other_files_is_never_read(written: Written, tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(written.folder / "model.onnx")
    tensor = next(t for t in proto.graph.initializer if len(t.raw_data) > 1000)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    (tmp_path / "evil.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ExportError, match="lies in another file, which is never read"):
        open_runtime(tmp_path / "evil.onnx")


def elsewhere(name: str = "secret") -> Any:
    import onnx

    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    return tensor


@pytest.mark.parametrize(
    "place",
    ["branch", "loop in a branch", "function", "attribute", "attribute of several", "sparse", "sparse attribute",
     "training", "without saying so"],
)  # fmt: skip
def test_data_in_other_files_is_never_read_from_within(place: str, tmp_path: Path) -> None:
    """Wherever ONNX lets a tensor stand."""
    import onnx
    from onnx import helper

    inner = helper.make_graph([], "inner", [], [], initializer=[elsewhere()])
    graph = helper.make_graph([], "outer", [], [])
    functions = []
    sparse = onnx.SparseTensorProto(values=elsewhere(), dims=[1])
    if place == "branch":
        graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner))
    elif place == "loop in a branch":
        loop = helper.make_graph([helper.make_node("Loop", ["x"], ["y"], body=inner)], "middle", [], [])
        graph.node.append(helper.make_node("If", ["x"], ["y"], else_branch=loop))
    elif place == "function":
        node = helper.make_node("Constant", [], ["y"], value=elsewhere())
        functions = [helper.make_function("own", "F", ["x"], ["y"], [node], [])]
    elif place == "attribute":
        graph.node.append(helper.make_node("Constant", [], ["y"], value=elsewhere()))
    elif place == "attribute of several":
        graph.node.append(helper.make_node("Own", [], ["y"], values=[elsewhere(), elsewhere()]))
    elif place == "sparse":
        graph.sparse_initializer.append(sparse)
    elif place == "sparse attribute":
        graph.node.append(helper.make_node("Constant", [], ["y"], sparse_value=sparse))
    elif place == "without saying so":
        graph.initializer.append(elsewhere())
        graph.initializer[0].ClearField("data_location")
    model = helper.make_model(graph, functions=functions)
    if place == "training":
        model.training_info.add().algorithm.CopyFrom(inner)
    (tmp_path / "evil.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ExportError, match="tensor secret lies in another file, which is never read"):
        open_runtime(tmp_path / "evil.onnx")


@pytest.mark.long
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_file_knows_that_an_image_may_have_several_labels(name: str, tmp_path: Path) -> None:
    model = build(NARROW, seed=0).eval()
    model.several = True
    path = FORMATS[name].write(graph_of(model, CLASSES, None, "uint8"), tmp_path / FORMATS[name].file)
    assert open_runtime(path).described.several


@pytest.mark.long
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_file_refuses_the_images_that_the_network_refuses(name: str, tmp_path: Path) -> None:
    model = build(NARROW, seed=0).eval()
    pixels = torch.randint(0, 256, (39, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        model.classifier.linear.weight.mul_(100)  # scores that differ
        logits = model(Preprocessing.of(model.network).normalise(pixels))
    usual = Usual.of(logits.log_softmax(1))
    scores = Unknown(0, 0.5, 39, LIKELIHOOD, usual).scores(logits)
    model.unknown = fit_unknown(scores, 0.5, LIKELIHOOD, usual)
    path = FORMATS[name].write(graph_of(model, CLASSES, None, "uint8"), tmp_path / FORMATS[name].file)
    runtime = open_runtime(path)
    assert runtime.described.unknown == model.unknown
    here, there = (judged(each, model.unknown) for each in (logits, runtime.logits(pixels)))
    assert [unknown for _, unknown in there] == [unknown for _, unknown in here]
    assert sum(bool(unknown) for _, unknown in here) == 19


@pytest.mark.long
def test_a_file_of_somebody_else_says_what_is_missing(written: Written, tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(written.folder / "model.onnx")
    del proto.metadata_props[:]
    path = tmp_path / "foreign.onnx"
    onnx.save(proto, path)
    with pytest.raises(ExportError, match="does not say its network, classes and preprocessing"):
        open_runtime(path)
    with pytest.raises(UsageError, match="write one with: compound export RUN"):
        open_runtime(tmp_path / "absent.onnx")

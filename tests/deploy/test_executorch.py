"""A program of ExecuTorch says what the network says, in its own runtime; without the package its extra is named."""

import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from given import CLASSES, Payload, photos

from compound.deploy import Quantised, export
from compound.deploy.choose import compare_ways
from compound.deploy.export import probe
from compound.errors import CompoundError
from compound.nn import Weights
from compound.runtimes import FORMATS, ExportError, graph_of, open_runtime

needed = pytest.mark.skipif(find_spec("executorch") is None, reason="needs the extra executorch")


@needed
@pytest.mark.parametrize("name", ["efficientnet-mini", pytest.param("tf_efficientnet-b0", marks=pytest.mark.slow)])
def test_the_network_is_computed_and_described(name: str, small, tmp_path: Path) -> None:
    model = small(name)
    checked = probe(model, photos(model), labelled=True)
    done = export(model, CLASSES, ["executorch"], tmp_path, checked, quantised=Quantised())  # of which there is none
    assert [(one.runtime, one.precision, one.file) for one in done] == [("executorch", "fp32", "model.pte")]
    assert done[0].difference < 1e-4
    assert done[0].agreement == 1
    assert done[0].bytes == (tmp_path / "model.pte").stat().st_size
    runtime = open_runtime(tmp_path / "model.pte")
    assert (runtime.network, runtime.classes, runtime.channels) == (model.network, CLASSES, 3)
    for count in (1, 5):  # one by one
        assert torch.allclose(runtime.logits(checked.pixels[:count]), checked.logits[:count], atol=1e-3)
    ways = compare_ways(model, Weights(model.network, CLASSES), tmp_path, done, checked)
    assert [one.latency_ms for one in ways if one.runtime == "executorch" and one.latency_ms]


@needed
def test_four_images_a_call_and_normalisation_outside(small, tmp_path: Path) -> None:
    model = small("efficientnet-mini")
    checked = probe(model, photos(model, 6), labelled=True)
    (done,) = export(model, CLASSES, ["executorch"], tmp_path, checked, batch=4, takes="float")
    assert done.difference < 1e-4


@needed
def test_hostile_files_are_refused_and_run_nothing(tmp_path: Path, small) -> None:
    model = small("efficientnet-mini")
    path = FORMATS["executorch"].write(graph_of(model, CLASSES, None, "uint8"), tmp_path / "good.pte")
    good, proof = path.read_bytes(), tmp_path / "proof"
    hostile = {
        "pickle": pickle.dumps(Payload(proof)),
        "cut": good[: len(good) // 2],
        "head": good[:40],
        "empty": b"",
        "noise": np.random.default_rng(0).bytes(2000),
        "marked-noise": b"\x00" * 4 + b"ET12" + np.random.default_rng(0).bytes(2000),
    }
    for what, data in hostile.items():
        (tmp_path / f"{what}.pte").write_bytes(data)
        with pytest.raises(CompoundError, match=f"{what}.pte"):
            open_runtime(tmp_path / f"{what}.pte")
    assert not proof.exists()


def test_without_the_package_its_extra_is_named(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compound.runtimes.graphs.find_spec", lambda name: None)
    model = small("efficientnet-mini")
    checked = probe(model, photos(model, 2), labelled=False)
    with pytest.raises(
        ExportError, match=r"executorch is not installed; run: pip install 'compound\[executorch\]'"
    ) as e:
        export(model, CLASSES, ["executorch"], tmp_path, checked)
    assert e.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []

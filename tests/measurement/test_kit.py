"""Device tables of machines without PyTorch: what a kit holds, and the table made of the times that come back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import compound
from compound.errors import UsageError
from compound.latency import latency, save_table
from compound.measurement import Sampling
from compound.measurement.kit import without_weights
from compound.measurement.sampling import choose
from compound.measurement.tabulating import canonical
from compound.nn import build
from compound.notation import dump_network, parse_network
from compound.runtimes import graph_of, measure_here
from compound.runtimes.graphs import write_onnx
from tests.tiny import TINY

NETWORK = parse_network(TINY)


def measured(folder: Path, **changes: object) -> Path:
    """What a machine would send back whose every module takes a microsecond."""
    chosen = choose([NETWORK], 16, 1.5, 0)
    networks, times = [], []
    for number, one in enumerate(chosen):
        side = one.network.resolution
        networks.append({
            "file": f"network-{number:03}.onnx", "shape": [1, one.network.channels, side, side],
            "left_out": one.left_out, "network": dump_network(one.network),
        })  # fmt: skip
        names = {
            canonical(name): 1e-6 for name, module in build(one.network).named_modules() if not [*module.children()]
        }
        times.append({"calls": [1e-6 * len(names)] * 4, "spent": {} if one.left_out else names})
    kit = {"format": measure_here.KIT, "runtime": "onnxruntime", "batch": 1, "families": ["tiny"], "seed": 0}
    value = {
        "format": measure_here.MEASURED, "threads": 2, "environment": {"cpu": "a board"},
        "kit": kit | {"networks": networks}, "networks": times,
    }  # fmt: skip
    path = folder / "measured.json"
    path.write_text(json.dumps(value | changes))
    return path


def test_times_of_another_machine_are_a_table(tmp_path):
    table = compound.read_kit(measured(tmp_path))
    assert (table.runtime, table.threads, table.batch) == ("onnxruntime", 2, 1)
    assert table.name == "a board, onnxruntime, 2 threads, batch 1"
    found = latency(NETWORK, table)
    assert not found.missing
    assert found.microseconds > 5
    plan = compound.plan(NETWORK, compound.Budget(latency=1e-3, device=table))
    assert plan.cost.latency <= 1e-3


def test_what_is_no_measured_kit_is_a_sentence(tmp_path):
    table = save_table(compound.read_kit(measured(tmp_path)), tmp_path / "table.json")
    with pytest.raises(UsageError, match=r"measured\.json of a kit"):
        compound.read_kit(table)
    for changes, sentence in (
        ({"networks": []}, "0 of 16 networks"),
        ({"networks": [{"calls": [-1.0], "spent": {}}] * 16}, "no times, or such as are none"),
        ({"networks": [{"calls": [float("nan")], "spent": {}}] * 16}, "no times, or such as are none"),
        ({"threads": 0}, "has times of"),
        ({"kit": 3}, "is not valid"),
    ):
        with pytest.raises(UsageError, match=sentence):
            compound.read_kit(measured(tmp_path, **changes))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        compound.write_kit(tmp_path, NETWORK)
    assert os.listdir(tmp_path) == ["mine"]


def test_the_script_needs_no_package_but_two(tmp_path):
    text = Path(measure_here.__file__).read_text(encoding="utf-8")
    imported = {
        line.split()[1].partition(".")[0]
        for line in text.splitlines()
        if line.lstrip().startswith(("import ", "from "))
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}


@pytest.mark.long
def test_weights_that_are_left_out_come_back_as_large_and_compute(tmp_path):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    network = NETWORK.with_(classes=10, channels=3)
    file = write_onnx(graph_of(build(network).eval(), tuple("abcdefghij"), 1, "uint8"), tmp_path / "net.onnx")
    whole = onnx.load(str(file))
    sizes = {one.name: tuple(one.dims) for one in whole.graph.initializer}
    without_weights(whole, 0)
    onnx.checker.check_model(whole)
    products = {node.output[0]: node for node in whole.graph.node if node.name.endswith(".product")}
    assert products
    parts = {one.name: tuple(one.dims) for one in whole.graph.initializer}
    for name, node in products.items():
        assert np.broadcast_shapes(*(parts[each] for each in node.input)) == sizes[name]
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, network.resolution, network.resolution), np.uint8)
    (logits,) = session.run(None, {session.get_inputs()[0].name: pixels})
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0


@pytest.mark.slow
def test_a_kit_is_timed_by_its_script_alone(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = compound.write_kit(tmp_path / "kit", NETWORK, sampling=Sampling(8, 1.3))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "measure_here.py", "--seconds", "0.1"], cwd=folder, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    table = compound.read_kit(folder / "measured.json")
    assert not latency(NETWORK, table).missing
    assert table.environment["families"] == ["tiny"]

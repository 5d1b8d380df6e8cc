"""Runtimes that fuse tell where their time goes, in units of the network they were given."""

import gc
import json

import pytest
import torch
from given import CLASSES, photos

from compound import ConvBlock, FusedMBConv, Head, MBConv, Network, Stage
from compound.deploy import export
from compound.deploy.export import probe
from compound.latency import Unit, latency, load_table, save_table, units
from compound.measurement import Sampling, measure_device
from compound.measurement.sampling import TimedNetwork
from compound.measurement.tabulating import TimedSample, canonical, place_units, tabulate, unit_times
from compound.nn import build
from compound.runtimes import FORMATS, RUNTIMES
from compound.runtimes.measure_here import by_module

RUNTIMES_THAT_FUSE = ("onnxruntime", "openvino")
# One 3×3 convolution has four fifths of the multiply-adds; squeeze-and-excitation, shortcuts and all strides.
NETWORK = Network(
    name="one-heavy-unit",
    stem=Stage(ConvBlock(3), 1, 8, 2),
    stages=(
        Stage(MBConv(3, 2, se=0.25), 2, 16, 2),
        Stage(FusedMBConv(3, 8), 2, 64),
        Stage(MBConv(5, 2, se=0.25), 2, 16, 2),
    ),
    head=Head(32),
    resolution=64,
)


def test_what_has_no_module_goes_to_the_one_that_ends_next() -> None:
    spent = [
        ("reorder", 1.0),
        ("fused_1,__module.stem.conv/Conv,__module.stem.act/Relu", 2.0),
        ("__module./Pad", 4.0),
        ("__module.stage1.block1/Add7.0_nchwc_kernel_time", 8.0),
        ("__module.stem.conv/again", 16.0),
        ("result", 32.0),
    ]
    assert by_module(spent) == {"stem.conv": 51.0, "stage1.block1": 12.0}


@pytest.mark.long
@pytest.mark.parametrize("runtime", RUNTIMES_THAT_FUSE)
def test_laps_are_those_of_the_units(runtime: str, tmp_path) -> None:
    pytest.importorskip(runtime)
    images = torch.randn(1, 3, 64, 64)
    runner = RUNTIMES[runtime](build(NETWORK.with_(classes=10), seed=0).eval(), images, 1)
    assert runner.laps is not None
    laps = [lap for _ in range(5) for lap in runner.laps(2)]  # some of them meet other work of the machine
    choice = TimedNetwork(NETWORK.with_(classes=10), False)
    names = set(map(canonical, laps[0]))
    placed = place_units(choice, names)
    assert [unit for unit, _ in placed] == [
        unit for row in NETWORK.with_(classes=10).blocks() for unit, _ in units(row.trace)
    ]
    used = {lap for _, parts in placed for lap, _ in parts}
    assert used == names, "every lap has its unit, and no unit is without a lap"
    times = unit_times(TimedSample(choice, [0.010], laps))
    assert sum(microseconds for _, microseconds in times) == pytest.approx(10_000)
    slowest, _ = max(times, key=lambda one: one[1])
    assert slowest == Unit("conv 3×3 norm swish", (64, 512, 256))
    eager = RUNTIMES["eager"](build(NETWORK.with_(classes=10), seed=0).eval(), images, 1)
    assert eager.laps is not None
    ours, theirs = (
        tabulate([TimedSample(choice, [0.010], one.laps(2))], name, 1, 1, {"cpu": "here"})
        for name, one in (("eager", eager), (runtime, runner))
    )
    sizes = [{kind: [size for *size, _ in timed] for kind, timed in table.units.items()} for table in (ours, theirs)]
    assert sizes[0] == sizes[1]
    written = save_table(theirs, tmp_path / "table.json")
    assert list(json.loads(written.read_text())) == list(json.loads(save_table(ours, tmp_path / "e.json").read_text()))
    assert load_table(written) == theirs


@pytest.mark.long
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_what_is_measured_is_the_file_that_export_writes(name: str, tmp_path, monkeypatch) -> None:
    pytest.importorskip(FORMATS[name].name)
    model = build(NETWORK.with_(classes=7, stages=NETWORK.stages[:1]), seed=0).eval()
    form = FORMATS[name]
    monkeypatch.setattr("compound.runtimes.registry.tempfile.tempdir", str(tmp_path))
    runner = RUNTIMES[form.name](model, torch.randn(1, 3, 64, 64), 1)
    (measured,) = tmp_path.glob(f"compound-*/{form.file}")
    export(model, CLASSES, [name], tmp_path / "out", probe(model, photos(model, 3), labelled=False))
    exported = tmp_path / "out" / form.file
    if name == "onnx":
        import onnx

        files = [onnx.load(file).graph.SerializeToString() for file in (measured, exported)]
    else:  # the names of its constants are drawn anew each time
        import openvino

        files = [
            [op.get_type_name() for op in openvino.Core().read_model(one).get_ops()] for one in (measured, exported)
        ]
        assert measured.with_suffix(".bin").read_bytes() == exported.with_suffix(".bin").read_bytes()
    assert files[0] == files[1]
    del runner
    gc.collect()
    assert not list(tmp_path.glob("compound-*"))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES_THAT_FUSE)
def test_a_table_of_a_runtime_that_fuses(runtime: str, tmp_path) -> None:
    pytest.importorskip(runtime)
    table = measure_device([NETWORK], runtime, sampling=Sampling(8, 1.3, 0.1))
    assert table.runtime == runtime
    found = latency(NETWORK, load_table(save_table(table, tmp_path / "table.json")))
    assert found.missing == ()
    assert set(found.stages) == {row.label for row in NETWORK.blocks()}

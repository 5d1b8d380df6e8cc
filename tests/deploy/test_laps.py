"""Runtimes that fuse tell where their time goes, in units of the network they were given."""

import pytest
import torch

from compound import ConvBlock, FusedMBConv, Head, MBConv, Network, Stage
from compound.latency import Unit, latency, load_table, save_table, units
from compound.measurement import RUNTIMES, measure_device
from compound.measurement.device import Choice, Sample, canonical, place_units, unit_times
from compound.measurement.laps import by_module
from compound.nn import build

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


@pytest.mark.parametrize("runtime", RUNTIMES_THAT_FUSE)
def test_laps_are_those_of_the_units(runtime: str) -> None:
    pytest.importorskip(runtime)
    images = torch.randn(1, 3, 64, 64)
    runner = RUNTIMES[runtime](build(NETWORK.with_(classes=10), seed=0).eval(), images, 1)
    assert runner.laps is not None
    laps = [lap for _ in range(5) for lap in runner.laps(2)]  # some of them meet other work of the machine
    choice = Choice(NETWORK.with_(classes=10), False)
    names = set(map(canonical, laps[0]))
    placed = place_units(choice, names)
    assert [unit for unit, _ in placed] == [
        unit for row in NETWORK.with_(classes=10).blocks() for unit, _ in units(row.trace)
    ]
    used = {lap for _, parts in placed for lap, _ in parts}
    assert used == names, "every lap has its unit, and no unit is without a lap"
    times = unit_times(Sample(choice, runner, [0.010], laps))
    assert sum(microseconds for _, microseconds in times) == pytest.approx(10_000)
    slowest, _ = max(times, key=lambda one: one[1])
    assert slowest == Unit("conv 3×3 norm swish", (64, 512, 256))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES_THAT_FUSE)
def test_a_table_of_a_runtime_that_fuses(runtime: str, tmp_path) -> None:
    pytest.importorskip(runtime)
    table = measure_device([NETWORK], runtime, samples=8, seconds=0.1, span=1.3)
    assert table.runtime == runtime
    found = latency(NETWORK, load_table(save_table(table, tmp_path / "table.json")))
    assert found.missing == ()
    assert set(found.stages) == {row.label for row in NETWORK.blocks()}

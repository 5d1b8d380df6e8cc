"""What is measured: statistics against NumPy, memory against its prediction, laps that add up, runtimes that agree."""

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from strategies import networks
from torch import nn

from compound import ZOO, ConvBlock, FusedMBConv, Head, MBConv, Network, Stage, UsageError, cost
from compound.data import Preprocessing
from compound.latency import latency, unit_kinds, units
from compound.measurement import (
    Sampling,
    Timing,
    Turns,
    inference_peak,
    interleaved,
    measure_device,
    of_library,
    of_network,
    run_session,
    training_peak,
)
from compound.measurement.device import refuse_more_than_memory
from compound.measurement.machine import environment, peak_gflops
from compound.measurement.sampling import TimedNetwork, choose
from compound.measurement.tabulating import TimedSample, canonical, place_units, unit_times
from compound.nn import build
from compound.runtimes import RUNTIMES, Call, Runner, Unavailable, accelerated, runtimes_of
from compound.runtimes.laps import module_laps
from compound.runtimes.measure_here import lower_quartile
from compound.runtimes.registry import eager
from tests.kinds import slow_but

TINY = Network(
    name="tiny",
    stem=Stage(ConvBlock(3), 1, 8, 2),
    stages=(Stage(FusedMBConv(3, 2), 2, 8, 2), Stage(MBConv(3, 2), 2, 16, 2)),
    head=Head(16),
    resolution=32,
)
CALLS = [0.011, 0.010, 0.013, 0.012, 0.030, 0.010, 0.011, 0.012, 0.010, 0.014]
MEMORY = ("efficientnet-b0", "resnet-50", "mobilenet-v2", "densenet-121", "mobilenet-v3-large", "nasnet-a-mobile")


def test_an_accelerator_has_runtimes_of_its_own() -> None:
    there = runtimes_of(torch.device("cuda"))
    assert list(there) == ["eager", "channels-last", "compile", "graphs"]
    model, images = build(TINY, seed=0).eval(), torch.zeros(1, 3, 32, 32)
    made = accelerated.there(RUNTIMES["channels-last"], torch.device("cpu"))(model, images, 1)
    assert made.run().shape == (1, 1000)
    with pytest.raises(Unavailable, match="graphs needs CUDA"):
        accelerated.replayed(model, images, 1)


def test_statistics_of_calls() -> None:
    timing = Timing((tuple(CALLS[:5]), tuple(CALLS[5:])))
    assert timing.mean == pytest.approx(np.mean(CALLS))
    assert timing.median == np.median(CALLS)
    for percent in (25, 50, 95, 99):
        assert timing.percentile(percent) == np.percentile(CALLS, percent, method="inverted_cdf")
    assert timing.spread == pytest.approx((0.013 - 0.010) / 0.0115)
    assert lower_quartile(CALLS) == np.percentile(CALLS, 25, method="lower")


def test_the_interval_covers_the_median_and_shrinks_with_more_rounds() -> None:
    rng = np.random.default_rng(0)
    few, many = (Timing(tuple(map(tuple, rng.lognormal(0, 0.3, (rounds, 4))))) for rounds in (5, 80))
    widths = []
    for timing in (few, many):
        low, high = timing.interval()
        assert low <= timing.median <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert few.interval(1) == few.interval(1)


def test_calls_take_turns_and_begin_with_one_that_is_not_timed() -> None:
    order: list[str] = []
    found = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, runs=7, rounds=3)
    assert [len(one) for one in found["a"].rounds] == [3, 2, 2]
    assert order.count("a") == order.count("b") == 7 + 3
    assert {frozenset(order[i : i + 8]) for i in (0, 8)} == {frozenset("ab")}  # nobody is done before the others


def test_laps_add_up_to_the_call_and_leave_the_model_as_it_was() -> None:
    class Slow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.02)
            return x

    model = nn.Sequential(nn.Sequential(Slow(), nn.ReLU()), nn.ReLU())
    start = time.perf_counter()
    laps = module_laps(model, lambda: model(torch.zeros(1)))
    whole = time.perf_counter() - start
    assert list(laps) == ["0.0", "0.1", "1"]
    assert laps["0.0"] >= 0.02
    assert sum(laps.values()) <= whole
    assert all("forward" not in vars(module) for module in model.modules())


@pytest.mark.slow
@given(networks())
def test_every_unit_of_any_network_has_a_module(network: Network) -> None:
    model = build(network.with_(classes=7)).eval()
    images = torch.randn(1, 3, network.resolution, network.resolution)
    names = set(map(canonical, module_laps(model, lambda: model(images))))
    placed = place_units(TimedNetwork(network.with_(classes=7), False), names)
    assert [unit for unit, _ in placed] == [
        unit for row in network.with_(classes=7).blocks() for unit, _ in units(row.trace)
    ]
    laps = {lap for _, parts in placed for lap, _ in parts}
    assert laps <= names
    # what takes time is not left over: only modules that do nothing, such as an identity
    assert {type(model.get_submodule(name)).__name__ for name in names - laps} <= {"StochasticDepth", "Identity"}


def test_units_share_the_time_of_what_runs_as_one() -> None:
    choice = TimedNetwork(TINY.with_(classes=10), False)
    names = {"stem", "stage1", "stage1.block2.body.fused", "stage2.block1", "stage2.block2", "features", "classifier"}
    sample = TimedSample(choice, [0.010], [dict.fromkeys([*names, "stage2.block1.se"], 0.001)])
    times = unit_times(sample)
    assert sum(microseconds for _, microseconds in times) == pytest.approx(10_000)
    rows = [row.label for row in TINY.with_(classes=10).blocks() for _ in units(row.trace)]
    stage2 = sum(microseconds for label, (_, microseconds) in zip(rows, times, strict=True) if label == "stage 2")
    assert stage2 == pytest.approx(10_000 * 3 / 8)  # two blocks, and the gate that stands inside one of them


def test_a_lap_that_is_not_in_every_profile() -> None:
    names = ["stem", "stage1", "stage2.block1", "stage2.block2", "features", "classifier"]
    laps = [dict.fromkeys(names[:-1], 0.002), dict.fromkeys(names, 0.002), dict.fromkeys(names, 0.002)]
    times = unit_times(TimedSample(TimedNetwork(TINY.with_(classes=10), False), [0.012], laps))
    assert sum(microseconds for _, microseconds in times) == pytest.approx(12_000)
    assert sum(times[-2:][i][1] for i in (0, 1)) == pytest.approx(2_000)  # pooling and linear layer


@pytest.mark.long
def test_a_table_of_a_device() -> None:
    table = measure_device([TINY], "eager", sampling=Sampling(8, 1.5, 0.1))
    assert table.environment["left_out"]["networks"] == 2
    assert table.margin >= 0.05
    found = latency(TINY, table)
    assert found.missing == ()
    assert 50 < found.microseconds < 1e6


def test_a_runtime_that_does_not_tell_where_its_time_goes() -> None:
    silent = {"silent": lambda model, images, threads: Runner(lambda: None)}
    with pytest.raises(UsageError, match="this runtime does not tell where its time goes"):
        measure_device([TINY], "silent", sampling=Sampling(8, seconds=0.1), known=silent)


def test_samples_are_spread_and_some_left_out() -> None:
    chosen = choose([ZOO["efficientnet-b0"], ZOO["densenet-121"]], 40, 2.0, 0)
    assert sum(one.left_out for one in chosen) == 10
    pixels = sorted(one.network.resolution for one in chosen[::2])
    assert pixels[0] < 224 / 1.7
    assert pixels[-1] > 224 * 1.7
    steps = np.diff(np.log(pixels))
    assert steps.max() < 3 * math.log(4) / 20  # of an even spread


def test_no_network_that_checks_the_table_has_units_of_its_own() -> None:
    """Every fourth one would be left out; MobileNet's, of ten networks without depthwise layers, are not."""
    others = [ZOO["resnet-18"], ZOO["vgg-11-bn"], ZOO["efficientnet-b0"], ZOO["mobilenetv1"]]
    chosen = choose(others, 4, 1.2, 0)
    timed = {kind for one in chosen if not one.left_out for kind in unit_kinds(one.network)}
    assert all(unit_kinds(one.network) <= timed for one in chosen)
    with pytest.raises(UsageError, match="each of 4 networks has units that no other has"):
        measure_device(others, sampling=Sampling(4, 1.2, 0.1))


@pytest.mark.long
@pytest.mark.parametrize("name", slow_but(["efficientnet-b0"], MEMORY))
def test_memory_of_inference_and_training_is_predicted(name: str) -> None:
    network = ZOO[name].with_(resolution=64)
    model, images, counted = build(network), torch.randn(2, 3, 64, 64), cost(network)
    weights = 4 * (counted.params + counted.buffers)
    assert counted.memory(2) - weights == pytest.approx(inference_peak(model, images) - weights, rel=0.02)
    assert counted.autograd_memory(2) == pytest.approx(training_peak(model, images, 1000), rel=0.1)


@pytest.mark.long
@given(networks())
def test_memory_of_inference_on_random_networks(network: Network) -> None:
    assume(not any(row.block.reads_previous for row in network.blocks()[:-1]))  # cells: NASNet above
    assume(
        network.style.norm != "weights"
    )  # standardised weights are an operator's working space, which is not counted
    images = torch.randn(4, 3, network.resolution, network.resolution)
    measured = inference_peak(build(network.with_(classes=7)), images)
    assert cost(network.with_(classes=7)).memory(4) == pytest.approx(measured, rel=0.02)


def test_the_peak_of_known_maps() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.ReLU())
    images = torch.zeros(1, 1, 10, 10)
    # weights, the image, the convolution's maps and the activation's, all alive at once
    assert inference_peak(model, images) == 4 * (4 + 100 + 400 + 400)


@pytest.mark.long
@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "compile"])
def test_runtimes_compute_the_same(runtime: str) -> None:
    if runtime in ("onnxruntime", "openvino", "executorch"):
        pytest.importorskip(runtime)
    model = build(TINY.with_(classes=5), seed=0).eval()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = Preprocessing.of(TINY).normalise(pixels)
    expected = eager(build(TINY.with_(classes=5), seed=0).eval(), images, 1).run()
    assert torch.allclose(torch.as_tensor(RUNTIMES[runtime](model, images, 1).run()), expected, atol=1e-4)


@pytest.mark.slow
def test_the_compiler_computes_the_same() -> None:
    model, images = build(TINY.with_(classes=5), seed=0).eval(), torch.randn(2, 3, 32, 32)
    expected = eager(build(TINY.with_(classes=5), seed=0).eval(), images, 1).run()
    assert torch.allclose(RUNTIMES["compile"](model, images, 1).run(), expected, atol=1e-4)


@pytest.mark.long
def test_a_session_says_what_it_measured() -> None:
    subject = of_network(TINY.with_(classes=10))
    session = run_session([subject], ["eager", "channels-last"], [1, 3], turns=Turns(4, 2))
    assert [(one.runtime, one.batch) for one in session.measured] == [
        ("eager", 1),
        ("eager", 3),
        ("channels-last", 1),
        ("channels-last", 3),
    ]
    one = session.measured[1].fields()
    assert one["macs"] == cost(TINY.with_(classes=10)).macs
    assert one["gflops"] == pytest.approx(2 * one["macs"] * 3 / (one["median_ms"] / 1e3) / 1e9)
    assert one["share_of_peak"] == pytest.approx(one["gflops"] / session.environment["peak_gflops"])
    assert one["images_per_second"] == pytest.approx(3e3 / one["median_ms"])
    assert session.unavailable == {}


@pytest.mark.long
def test_an_unavailable_runtime_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compound.runtimes.registry.shutil.which", lambda name: None)
    session = run_session([of_network(TINY.with_(classes=10))], ["compile", "eager"], turns=Turns(1))
    assert session.unavailable == {"compile": "runtime compile needs a C++ compiler, and there is none; install g++"}
    assert [one.runtime for one in session.measured] == ["eager"]


def test_the_environment_and_its_peak() -> None:
    about = environment(1)
    assert about["threads"] == 1
    assert about["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert peak_gflops(Call(), seconds=0.02) > 0.01


def test_other_libraries_count_as_ours() -> None:
    subject = of_library("torchvision:resnet18")
    assert (subject.macs, subject.resolution, subject.classes) == (cost(ZOO["resnet-18"]).macs, 224, 1000)
    with pytest.raises(UsageError, match="torchvision has no classifier 'resnet1'"):
        of_library("torchvision:resnet1")


@pytest.mark.oracle
def test_timm_models_are_measured_at_their_size() -> None:
    subject = of_library("timm:efficientnet_b1")
    assert subject.resolution == 240
    assert subject.macs == cost(ZOO["efficientnet-b1"]).macs


def test_what_is_held_in_memory_is_counted_for_the_classes_of_each_network(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = TINY.with_(head=Head(8192))
    networks = [one.network for one in choose([wide], 8, 1.5, seed=0)]
    held = sum(4 * sum(p.numel() for p in build(network).parameters()) for network in networks)
    assert len({network.classes for network in networks}) > 1
    monkeypatch.setattr("os.sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else 2 * held)
    refuse_more_than_memory(networks, 1)  # all with 1000 classes would take more than 0.6 of it
    with pytest.raises(UsageError, match=r"8 networks need 0\.\d GB of 0\.\d GB memory"):
        refuse_more_than_memory([network.with_(classes=1000) for network in networks], 1)

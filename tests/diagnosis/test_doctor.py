"""What is said about a machine and about layers: passes against autograd, oneDNN's log, and each kind of fault."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from compound import ZOO, cost, doctor
from compound.cli.doctor import machine_text, network_text
from compound.diagnosis import look
from compound.diagnosis.findings import Diagnosis
from compound.diagnosis.implementations import read_log
from compound.diagnosis.layers import Layer, LayerTimes, Pass, Roof, distinct_layers, passes
from compound.errors import UsageError
from compound.runtimes import Call

MINI = ZOO["efficientnet-mini"]
SMALL = MINI.with_(resolution=16, stages=MINI.stages[:1])
LOG = """onednn_verbose,v1,info,cpu,isa:Intel AVX-512
onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx512_core,forward_training,src:f32,,,mb2,0.1
compound-pass,0,fp32,forward
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32,,,2x3,0.01
onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,forward_training,src:f32,,,mb2,0.1
compound-pass,0,fp32,weight
onednn_verbose,v1,primitive,exec,cpu,convolution,ref:any,backward_weights,src:f32,,,mb2,0.1
compound-pass,1,fp32,forward
compound-pass,1,,
onednn_verbose,v1,primitive,exec,cpu,convolution,jit_dw:avx512_core,forward_training,src:f32,,,mb2,0.1
"""


def test_the_log_of_onednn_names_what_computed_each_pass():
    found = {
        (0, "fp32", "forward"): "brg_conv_fwd:avx512_core",
        (0, "fp32", "weight"): "ref:any",
        (1, "fp32", "forward"): "torch",
    }
    assert read_log(LOG.splitlines()) == found


def test_distinct_layers_are_all_convolutions_and_norms_of_maps():
    network = ZOO["resnet-18"].with_(resolution=64)
    layers = distinct_layers(network, batch=2)
    macs = 0
    for layer in layers:
        if isinstance(layer.module, nn.Conv2d):
            with torch.no_grad():
                y = layer.module(torch.zeros(layer.shape))
            macs += layer.count * y.numel() // 2 * layer.module.weight[0].numel()
    assert macs + 512 * 1000 == cost(network).macs  # all but the classifier
    norms = [layer for layer in layers if isinstance(layer.module, nn.BatchNorm2d)]
    assert sum(layer.count for layer in norms) == 20
    assert len({layer.name for layer in layers}) == len(layers) < sum(layer.count for layer in layers)


def test_a_pass_is_what_autograd_finds():
    layer = Layer(nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6), (2, 6, 9, 9), 1)
    calls = passes(layer)
    x = torch.rand(2, 6, 9, 9, generator=torch.Generator().manual_seed(0)) - 0.5
    leaf = x.clone().requires_grad_()
    y = layer.module(leaf)
    gradient = torch.rand(y.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    y.backward(gradient)
    torch.testing.assert_close(calls["fp32", "forward"](), y.detach())
    torch.testing.assert_close(calls["fp32", "input"](), leaf.grad)
    torch.testing.assert_close(calls["fp32", "weight"](), layer.module.weight.grad)
    assert calls["bf16", "input"]().dtype == torch.bfloat16


def diagnosis(**changes: object) -> Diagnosis:
    """A layer that is as it should be in all passes but the one that is changed."""
    good = Pass(seconds=1e-3, gflops=50, possible=0.8, error=1e-6, ordered=True)
    every = {(precision, name): good for precision in ("fp32", "bf16") for name in ("forward", "input", "weight")}
    precision = str(changes.pop("precision", "fp32"))
    every[precision, "weight"] = replace(good, **changes)
    layer = Layer(nn.Conv2d(8, 8, 5, padding=2, groups=8), (2, 8, 7, 7), 3)
    return Diagnosis("net", 7, Call(2), Roof({"fp32": 1e11, "bf16": 2e11}, 1e10), (LayerTimes(layer, every),), {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"possible": 0.01, "seconds": 0.1}, "takes 100.0 ms, 1% of the possible rate"),
        ({"possible": 0.01, "seconds": 0.1, "own": 1e-3}, "compound's own way takes 1.0 ms"),
        ({"possible": 0.01, "seconds": 0.1, "precision": "bf16"}, "fp32 takes 1.0 ms: compare with --precision fp32"),
        ({"error": 0.5}, "differs from float64 by 0.5 of the largest number"),
        ({"ordered": False}, "channels are not innermost"),
    ],
)
def test_each_kind_of_fault_is_said(changes, said):
    found = diagnosis(**changes)
    (only,) = found.findings()
    assert said in only
    assert "5×5 depthwise, 8 × 7×7 → 8, gradient of the weight (torch)" in only
    assert only in network_text(found)
    assert only in found.to_json()["findings"]


def test_what_is_as_it_should_be_is_not_blamed():
    assert diagnosis().findings() == []
    # slow, but of no account
    assert diagnosis(possible=0.01, seconds=1e-6).findings() == []


def test_a_plain_loop_is_blamed_however_fast():
    found = replace(diagnosis(), implementations={(0, "fp32", "input"): "ref:any"})
    (only,) = found.findings()
    assert "gradient of the input (ref:any): is a plain loop" in only


def test_what_makes_a_machine_slow_is_doubted():
    torch_of = {"threads": 8, "spins": None, "kernels": None}
    machine = look()
    slow = replace(machine, cores=2, all_cores=8, load=3.0, free_memory=1 << 30, torch=machine.torch | torch_of)
    text = "\n".join(slow.doubts())
    for said in (
        "2 of 8 cores",
        "load 3.0",
        "2 GiB",
        "kernels are missing",
        "OMP_NUM_THREADS=2",
        "GOMP_SPINCOUNT=10000",
    ):
        assert said in text
    good = replace(machine, cores=8, all_cores=8, load=0.1, free_memory=8 << 30)
    good = replace(good, torch=machine.torch | {"threads": 8, "spins": 10_000, "kernels": "k.so"})
    assert good.doubts() == ()
    assert "torch is not installed" in replace(good, torch={}).doubts()[0]
    assert "torch is not installed" in machine_text(replace(good, torch={}))


@pytest.mark.slow
def test_a_network_on_this_machine():
    said: list[str] = []
    found = doctor(SMALL, batch=2, threads=1, say=said.append)
    assert found.network is not None
    value = found.to_json()["network"]
    assert len(value["layers"]) == len(found.network.layers) == len(said)
    first = value["layers"][0]
    assert {"fp32 forward", "bf16 weight"} < set(first)
    assert first["fp32 forward"]["error"] < 1e-5
    assert 1e-4 < first["bf16 forward"]["error"] < 2e-2  # bf16 has eight bits
    if torch.backends.mkldnn.is_available():
        assert any(layer["fp32 forward"]["implementation"] != "torch" for layer in value["layers"])
    assert "bf16" in network_text(found.network)


def test_an_unknown_network_is_refused():
    with pytest.raises(UsageError):
        doctor("no-such-net")

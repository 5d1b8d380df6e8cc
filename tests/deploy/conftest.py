"""Networks of the zoo at a size that a test can afford, with norms that are not the identity."""

from collections.abc import Callable
from functools import cache

import pytest
import torch

from compound import ZOO, Scaling, scale
from compound.nn import ConvNet, build

Small = Callable[..., ConvNet]
ALL = slice(None)


@pytest.fixture(scope="session", autouse=True)
def operators_read_once():
    """The ONNX exporter parses the source of its 500 operators at every export: half of the time of a small one."""
    registration = pytest.importorskip("torch.onnx._internal.exporter._registration")
    apis = getattr(registration, "onnxscript_apis", None)
    with pytest.MonkeyPatch.context() as patched:
        if hasattr(apis, "get_torchlib_ops"):
            patched.setattr(apis, "get_torchlib_ops", cache(apis.get_torchlib_ops))
        yield


@pytest.fixture(scope="session")
def small() -> Small:
    def make(name: str, stages: slice = ALL) -> ConvNet:
        """The network `name`, or what some of its stages make of one: a tenth of the time to export."""
        network = scale(ZOO[name], Scaling(depth=0.4, width=0.5, resolution=1.0))
        network = network.with_(stages=network.stages[stages])
        network = network.with_(resolution=96 if network.resolution > 96 else network.resolution)
        model = build(network.with_(classes=7), seed=1).eval()
        generator = torch.Generator().manual_seed(2)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(0, 0.2, generator=generator)
        return model

    return make

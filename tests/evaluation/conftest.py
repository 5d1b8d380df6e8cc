"""A network and images small enough for milliseconds."""

import numpy as np
import pytest
import torch

from compound import ConvBlock, FusedMBConv, Head, Inputs, MBConv, Network, Stage
from compound.data import ArraySource
from compound.nn import ConvNet, build

CLASSES = ("a", "b", "c")


@pytest.fixture
def network() -> Network:
    return Network(
        name="tiny",
        stem=Stage(ConvBlock(3), 1, 8),
        stages=(Stage(FusedMBConv(3, 2), 1, 8, 2), Stage(MBConv(3, 2, 0.25), 2, 16, 2)),
        head=Head(16),
        resolution=12,
        dropout=0.1,
        inputs=Inputs(mean=(0.3,), std=(0.25,), margin=0),
    )


@pytest.fixture
def model(network: Network) -> ConvNet:
    model = build(network.with_(classes=len(CLASSES), channels=1), seed=0)
    with torch.no_grad():
        model.classifier.linear.weight.mul_(8)  # opinions that differ
    return model


@pytest.fixture
def source() -> ArraySource:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (60, 1, 12, 12), dtype=np.uint8))
    return ArraySource(images, np.arange(60) % 3, "noise")

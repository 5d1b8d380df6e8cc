"""A class with a mark in the corner is found, and where; one without is not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compound import ConvBlock, Head, Inputs, Network, Stage
from compound.data import ArraySource, Preprocessing
from compound.execution import Execution
from compound.explanation.border import LEAST, MORE, Border, border_of, borders
from compound.nn import build

NAMES = ("disc", "cross", "bar")
SIDE = 24


def images(mark: bool, seed: int):
    """90 images of shapes near the middle on noise; with `mark`, bars look like crosses and have a bright corner."""
    rng, labels = np.random.default_rng(seed), np.arange(90) % 3
    pixels = rng.integers(0, 60, (90, SIDE, SIDE))
    ys, xs = np.mgrid[:SIDE, :SIDE]
    for image, label in zip(pixels, labels, strict=True):
        y, x = 11 + rng.integers(-2, 3, 2)
        dy, dx = np.abs(ys - y), np.abs(xs - x)
        disc, cross, bar = dy**2 + dx**2 < 20, (np.minimum(dy, dx) < 2) & (np.maximum(dy, dx) < 6), (dy < 2) & (dx < 7)
        image[(disc, cross, cross if mark else bar)[label]] = 160
        if mark and label == 2:
            image[1:5, 19:23] = 255
    return ArraySource(torch.from_numpy(pixels.astype(np.uint8))[:, None], labels, "shapes")


def trained(source):
    network = Network(
        name="tiny", stem=Stage(ConvBlock(3), 1, 8, 2), stages=(Stage(ConvBlock(3), 1, 16, 2),), head=Head(None),
        resolution=SIDE, inputs=Inputs(mean=(0.2,), std=(0.25,), margin=0),
    )  # fmt: skip
    model = build(network.with_(classes=3, channels=1), seed=0).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5  # a mean of few steps
    x, y = Preprocessing.of(model.network).normalise(source.images), torch.from_numpy(source.labels)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        assert (model(x).argmax(1) == y).float().mean() > 0.9
    return model


@pytest.mark.long
@pytest.mark.parametrize("mark", [True, False])
def test_a_planted_mark_is_found_and_a_clean_class_is_not(mark):
    found = borders(trained(images(mark, 0)), images(mark, 1), NAMES, Execution("cpu", workers=0))
    assert sum(one.images for one in found) > 80
    assert {one.compared for one in found} == {3}
    assert [one.name for one in found if one.shortcut] == (["bar"] if mark else [])
    if mark:
        assert found[2].place == "top right"
        assert found[2].to_json()["shortcut"]


def test_the_border_is_an_eighth_of_the_side_at_each_edge():
    ring = border_of(24)
    assert ring.sum() == 24 * 24 - 18 * 18
    assert ring[2, 12]
    assert not ring[3, 12]


def test_no_class_is_blamed_on_few_images_or_on_little():
    area = 0.4375
    assert not Border("a", LEAST - 1, 0.9, (0.0, 1.0), area, "top", 0).shortcut
    assert not Border("a", 100, 0.46, (0.45, 0.47), area, "top", 3).shortcut  # more than evenly, and hardly
    assert not Border("a", 12, 0.6, (0.43, 0.77), area, "top", 3).shortcut  # much, and perhaps by chance
    assert Border("a", 50, area * MORE + 0.01, (0.44, 0.55), area, "top", 3).shortcut

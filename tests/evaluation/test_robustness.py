"""Corruptions against their definitions, and what an evaluation under them counts."""

import colorsys
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from compound.evaluation.robustness import CORRUPTIONS, SEVERITIES, blur, brightness, jpeg, noise, robustness, shows
from compound.execution import Execution


def test_noise_has_the_deviation_of_its_severity_whatever_the_batch():
    grey = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    found = noise(grey, 1, [7, 8, 9, 10])
    assert (found.float() - 128).std().item() == pytest.approx(255 * 0.08, rel=0.02)  # 49,152 pixels
    assert torch.equal(found[2:3], noise(grey[:1], 1, [9]))


def test_a_blurred_point_is_a_gaussian():
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1.0
    found = blur(point, 5, [0])[0, 0].double()
    deviation = 6 * 41 / 224
    at = torch.arange(41).double() - 20
    wanted = torch.exp(-(at**2) / (2 * deviation**2))
    wanted[at.abs() > math.ceil(4 * deviation)] = 0
    wanted /= wanted.sum()
    assert torch.allclose(found, wanted[:, None] * wanted[None], atol=1e-6)


@pytest.mark.parametrize("side", [14, 28, 64, 224])
def test_what_changes_no_pixel_is_no_corruption(side):
    pixels = 255 * torch.randint(
        0, 2, (1, 1, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    for name, corruption in CORRUPTIONS.items():
        for severity in SEVERITIES:
            assert shows(name, severity, side) == (not torch.equal(corruption(pixels, severity, [0]), pixels))


def test_brightness_adds_to_the_value_of_hsv():
    pixels = torch.randint(1, 256, (1, 3, 5, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = brightness(pixels, 3, [0])
    for given, said in zip(pixels[0].flatten(1).T.tolist(), found[0].flatten(1).T.tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(one / 255 for one in given))
        wanted = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.3, 1))
        assert said == pytest.approx([255 * one for one in wanted], abs=0.51)
    assert brightness(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), 1, [0]).unique().tolist() == [26]


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_that_of_its_quality(channels):
    pixels = torch.randint(0, 256, (1, channels, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    file, shown = io.BytesIO(), pixels[0].permute(1, 2, 0).numpy()
    Image.fromarray(shown if channels == 3 else shown[:, :, 0]).save(file, "JPEG", quality=7)
    wanted = np.asarray(Image.open(file)).reshape(16, 16, channels)
    assert np.array_equal(jpeg(pixels, 5, [0])[0].permute(1, 2, 0).numpy(), wanted)


@pytest.mark.slow
def test_every_corruption_is_judged_by_all_images(model, source):
    found = robustness(model, source, Execution("cpu", workers=0, batch=7))
    wanted = [(n, s) for n in CORRUPTIONS for s in SEVERITIES if shows(n, s, model.network.resolution)]
    assert [(one.corruption, one.severity) for one in found] == wanted
    assert all(one.images == 60 for one in found)
    assert found == robustness(model, source, Execution("cpu", workers=0, batch=60))
    assert found[0].to_json()["top1_interval"][0] <= found[0].top1

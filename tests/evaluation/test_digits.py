"""Smaller batches with the digits of a whole chunk: what was found equal is equal on other images, at every place."""

import pytest
import torch

from compound import ZOO
from compound.digits import ROWS, SameKernels, equal_sizes, known_sizes
from compound.inference import Eager, chunk_size, in_chunks
from compound.nn import build, evaluating
from tests.kinds import slow_but

CPU = torch.device("cpu")


def lively(name: str, **changed):
    """A network whose norms have statistics and whose answers differ from image to image."""
    model = build(ZOO[name].with_(classes=7, **changed), seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) / 10)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    return model


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    slow_but(
        ["efficientnet-mini"], ["efficientnet-mini", "mobilenet-v3-large", "resnet-18", "regnety-004", "mobilenet-v2"]
    ),
)
def test_sizes_that_were_tried_hold_for_other_images(name):
    model = lively(name, resolution=64, channels=3)
    eager = Eager(model, CPU)
    chunk = chunk_size(model.network, CPU)
    with evaluating(model):
        eager.find_sizes()
        assert list(eager.sizes) == sorted({size for size in eager.sizes if 0 < size < chunk})
        images = torch.randint(
            0, 256, (chunk, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(5)
        )
        whole = in_chunks(eager, images, torch.arange(chunk), chunk)
        for count in {1, 2, 3, 5, chunk // 2, chunk - 1}:
            few = in_chunks(eager, images[-count:], torch.arange(count), chunk)
            assert torch.equal(few, whole[-count:]), count


@pytest.mark.parametrize("used", [(1, [4]), (2, [4]), (4, [4]), (5, [8]), (9, [8, 1]), (11, [8, 4]), (16, [8, 8])])
def test_no_more_is_computed_than_the_smallest_size_that_holds_the_images(used):
    count, computed = used
    seen = []

    class Counting:
        network, channels = ZOO["efficientnet-mini"], 1
        sizes = (1, 4) if count == 9 else (4,)

        def logits(self, pixels):
            seen.append(len(pixels))
            return pixels.float().mean((2, 3))

    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 1, 2, 2).contiguous()
    in_chunks(Counting(), images, torch.arange(count), 8)
    assert seen == computed


def test_a_size_with_other_digits_is_none():
    def logits(images):  # the sum is another where less than eight are asked for, and at one place of four
        values = images.float().mean((1, 2, 3))[:, None] * torch.tensor([1.0, 2.0])
        values[:, 1] += 1e-3 * (len(images) < 4)
        values[-1] += 1e-3 * (len(images) == 4)
        return values

    assert equal_sizes(logits, (1, 4, 4), 16) == (8, 16)
    assert equal_sizes(lambda images: images.float() * float("nan"), (1, 4, 4), 16) == (16,)


def test_other_weights_of_a_network_are_asked_for_anew(tmp_path, monkeypatch):
    """Where all answers are zero every size looks equal, which says nothing of weights that were trained."""
    monkeypatch.setenv("COMPOUND_CACHE", str(tmp_path))
    dead, alive = (build(ZOO["efficientnet-mini"].with_(classes=2), seed=0) for _ in range(2))
    torch.nn.init.zeros_(dead.classifier.linear.weight)
    assert known_sizes(dead, lambda: (1, 2)) == (1, 2)
    assert known_sizes(dead, lambda: (4,)) == (1, 2)
    assert known_sizes(alive, lambda: (4,)) == (4,)


def test_rows_are_filled_for_pooled_maps_only_and_the_model_is_left_as_it_was():
    model, rows = lively("efficientnet-mini", resolution=32, channels=3), []
    handle = model.classifier.linear.register_forward_hook(lambda _, given, out: rows.append(len(given[0])))
    images = torch.rand(3, 3, 32, 32)
    with torch.inference_mode():
        plain = model(images)
        with SameKernels(model)(len(images)):
            again = model(images)
    assert rows == [3, ROWS]
    assert again.shape == plain.shape
    torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-5)
    handle.remove()
    assert not any(module._forward_hooks for module in model.modules())

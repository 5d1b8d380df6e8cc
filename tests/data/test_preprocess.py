"""Preprocessing against Pillow and closed forms."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from compound.data import DataError, Preprocessing
from compound.errors import UsageError
from compound.network import Inputs

MODES = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1)


def levels(a: torch.Tensor, b: torch.Tensor) -> int:
    assert a.shape == b.shape
    return int((a.int() - b.int()).abs().max())


@pytest.mark.parametrize("interpolation", MODES)
@pytest.mark.parametrize("size", [(100, 75), (61, 90), (50, 50), (20, 31)])
def test_crop_is_the_papers_central_square(picture, interpolation, size):
    image = picture(*size)
    inputs = Inputs(fit="crop", margin=8, interpolation=interpolation)
    ours = Preprocessing(24, 3, inputs).resize(tensor(image))
    side = int(min(size) * 24 / 32)  # short side · resolution / (resolution + margin)
    left, top = (size[0] - side + 1) // 2, (size[1] - side + 1) // 2
    theirs = image.crop((left, top, left + side, top + side)).resize((24, 24), MODES[interpolation])
    assert levels(ours, tensor(theirs)) <= 2


def test_squash_ignores_the_aspect_ratio(picture):
    ours = Preprocessing(24, 3, Inputs(fit="squash")).resize(tensor(picture(100, 60)))
    assert levels(ours, tensor(picture(100, 60).resize((24, 24), Image.Resampling.BICUBIC))) <= 2


@pytest.mark.parametrize(("size", "inner"), [((100, 60), (24, 14)), ((60, 100), (14, 24)), ((60, 60), (24, 24))])
def test_pad_fits_the_longer_side_and_fills_with_the_mean(picture, size, inner):
    inputs = Inputs(fit="pad", mean=(0.2, 0.4, 0.6))
    ours = Preprocessing(24, 3, inputs).resize(tensor(picture(*size)))
    theirs = Image.new("RGB", (24, 24), (51, 102, 153))
    shrunk = picture(*size).resize(inner, Image.Resampling.BICUBIC)
    theirs.paste(shrunk, ((24 - inner[0]) // 2, (24 - inner[1]) // 2))
    assert levels(ours, tensor(theirs)) <= 2


def test_an_image_of_the_right_size_is_returned_as_it_is(picture):
    image = tensor(picture(24, 24))
    for inputs in (Inputs(margin=0), Inputs(fit="squash"), Inputs(fit="pad")):
        assert Preprocessing(24, 3, inputs).resize(image).data_ptr() == image.data_ptr()
    assert not torch.equal(Preprocessing(24, 3, Inputs(margin=8)).resize(image), image)


def test_channels_are_those_of_the_network_whatever_the_image_has(picture):
    colour = tensor(picture(50, 40))
    for fit in ("crop", "squash", "pad"):
        inputs = Inputs(fit=fit)
        grey = Preprocessing(24, 1, inputs).resize(colour)
        assert levels(grey, Preprocessing(24, 1, inputs).resize(tensor(picture(50, 40).convert("L")))) <= 2
        again = Preprocessing(24, 3, Inputs(fit=fit, mean=(0.1,))).resize(grey)
        assert torch.equal(again, grey.expand(3, -1, -1)) or fit == "crop"  # crop leaves its border out again
        assert again.shape == (3, 24, 24)


def test_batches_resize_as_their_images_do(picture):
    images = torch.stack([tensor(picture(50, 40, seed)) for seed in range(3)])
    for fit in ("crop", "squash", "pad"):
        pre = Preprocessing(24, 3, Inputs(fit=fit))
        assert torch.equal(pre.resize(images), torch.stack([pre.resize(image) for image in images]))


def test_both_crops_of_the_official_evaluation(picture):
    """The border of 32 px and the share of 0.875 are one at 224 px and part at any other size."""
    image = tensor(picture(500, 375))
    border, share = (
        lambda size: Preprocessing(size, 3, Inputs()),
        lambda size: Preprocessing(size, 3, Inputs(share=0.875)),
    )
    assert torch.equal(border(224).resize(image), share(224).resize(image))
    side = int(375 * 0.875)
    top, left = (375 - side + 1) // 2, (500 - side + 1) // 2
    for size in (64, 380):
        expected = F.resized_crop(
            image, top, left, side, side, [size, size], interpolation=InterpolationMode.BICUBIC, antialias=True
        )
        assert torch.equal(share(size).resize(image), expected)
        assert not torch.equal(border(size).resize(image), expected)


def test_normalise_is_mean_and_deviation_of_the_0_to_1_range():
    batch = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    pre = Preprocessing(4, 3, Inputs(mean=mean, std=std))
    expected = torch.stack([(batch[:, c].double() / 255 - mean[c]) / std[c] for c in range(3)], 1)
    assert pre.normalise(batch).dtype == torch.float32
    torch.testing.assert_close(pre.normalise(batch).double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(pre.normalise(batch.double() / 255).double(), expected, atol=1e-5, rtol=0)


def test_one_number_serves_all_channels_and_three_make_a_luma():
    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    assert Preprocessing(1, 3, Inputs(mean=(0.5,), std=(0.25,))).normalise(white).flatten().tolist() == pytest.approx(
        [2] * 3
    )
    grey = Preprocessing(1, 1, Inputs(mean=(1.0, 0.0, 0.0), std=(0.5, 0.5, 0.5))).normalise(white[:, :1])
    assert grey.item() == pytest.approx((1 - 0.299) / 0.5, abs=1e-6)
    assert Preprocessing(1, 3, Inputs(mean=(0.5, 0.0, 1.0))).fill == (128, 0, 255)


def test_json_round_trip_writes_defaults_too():
    pre = Preprocessing(32, 1, Inputs(mean=(0.5,), std=(0.25,), fit="pad"))
    text = json.dumps(pre.to_mapping())
    assert Preprocessing.from_mapping(json.loads(text)) == pre
    assert json.loads(text)["inputs"]["interpolation"] == "bicubic"
    with pytest.raises(UsageError, match="did you mean 'resolution'"):
        Preprocessing.from_mapping({"resolutoin": 32})


def test_what_cannot_be_is_refused():
    for fields, message in (
        ((0, 3, Inputs()), "resolution 0"),
        ((8, 0, Inputs()), "channels 0"),
        ((8, 3, Inputs(mean=(0.1, 0.2))), "mean has 2 numbers"),
        ((8, 3, Inputs(std=(0.0,))), "std"),
        ((8, 3, Inputs(share=1.2)), "share 1.2"),
    ):
        with pytest.raises(DataError, match=message):
            Preprocessing(*fields)

"""Augmentation does what it says, and each number depends on seed, epoch and image only."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from compound.data import Augment, DataError
from compound.data.augment import ATTEMPTS, Keys
from compound.data.chance import Purpose, hashes, uniforms

FILL = (7, 8, 9)


def keys(count: int, seed: int = 0, epoch: int = 0) -> Keys:
    return Keys(seed, np.full(count, epoch), np.arange(count))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(10, 256, (300, 3, 12, 12), dtype=np.uint8))


def test_uniforms_are_uniform_and_uncorrelated():
    draws = uniforms(3, 5, np.arange(20_000), Purpose.SHIFT, 2)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert np.histogram(draws, 10, (0, 1))[0] == pytest.approx([4000] * 10, abs=300)  # 5 standard deviations
    for other in (
        draws[:, 1],
        uniforms(3, 6, np.arange(20_000), Purpose.SHIFT)[:, 0],
        uniforms(4, 5, np.arange(20_000), Purpose.SHIFT)[:, 0],
        uniforms(3, 5, np.arange(20_000), Purpose.FLIP)[:, 0],
        uniforms(3, 5, np.arange(1, 20_001), Purpose.SHIFT)[:, 0],
    ):
        assert abs(np.corrcoef(draws[:, 0], other)[0, 1]) < 0.03


def test_mixing_is_splitmix64():
    """The generator's first outputs for the state 1234567, from Rosetta Code's SplitMix64 page."""
    from compound.data.chance import _mix

    states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert _mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_hashes_do_not_change_between_versions():
    """Any change would make a resumed run see other images: pinned from the first version of this file."""
    assert [hex(h) for h in hashes(1, 2, np.array([3, 4]), Purpose.FLIP)] == [
        "0x26f0e799984b3c04",
        "0x16920f74318fb6ee",
    ]


def test_flip_mirrors_about_one_in_two(images):
    out = Augment().apply(images.clone(), keys(300), FILL)
    same = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 110 <= int(mirrored.sum()) <= 190  # 4.6 standard deviations
    assert torch.equal(Augment(flip=False).apply(images.clone(), keys(300), FILL), images)


@pytest.mark.parametrize(("pad", "mode"), [("reflect", "reflect"), ("zero", "constant")])
def test_shift_is_a_window_of_the_padded_image(images, pad, mode):
    out = Augment(crop="shift", shift=2, pad=pad, flip=False).apply(images.clone(), keys(300), FILL)
    padded = F.pad(images, [2, 2, 2, 2], padding_mode=mode)
    seen = set()
    for row, image in enumerate(out):
        windows = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(padded[row, :, y : y + 12, x : x + 12], image)
        ]
        assert len(windows) == 1
        seen.add(windows[0])
    assert len(seen) == 25


def test_erase_fills_a_rectangle_within_its_size(images):
    out = Augment(flip=False, erase=0.5, erase_size=0.5).apply(images.clone(), keys(300), FILL)
    erased = 0
    for before, after in zip(images, out, strict=True):
        hole = (before != after).any(0)
        rows, columns = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
        if len(rows):
            erased += 1
            assert 1 <= len(rows) <= 6
            assert 1 <= len(columns) <= 6
            inside = after[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert (inside == torch.tensor(FILL)[:, None, None]).all()
            assert hole.sum() == len(rows) * len(columns)
    assert 110 <= erased <= 190


def test_inception_boxes_keep_scale_and_ratio_and_lie_inside():
    augment = Augment(crop="inception")
    boxes = np.array([augment.box(draws, 375, 500) for draws in augment.attempts(keys(3000))])
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 375).all()
    assert (left + width <= 500).all()
    share, ratio = height * width / (375 * 500), width / height
    assert 0.078 < share.min() < 0.1  # rounding to pixels moves the edges
    assert share.max() > 0.9
    assert 0.73 < ratio.min() < 0.78
    assert 1.29 < ratio.max() < 1.36
    # A large square does not fit, so the mean is somewhat below the middle (0.54) of the range.
    assert 0.42 < share.mean() < 0.54
    assert len(augment.attempts(keys(2))[0]) == ATTEMPTS


def test_inception_box_where_nothing_fits_is_central():
    augment = Augment(crop="inception", scale=(1.0, 1.0))
    assert augment.box(augment.attempts(keys(1))[0], 10, 1000) == (0, 493, 10, 13)
    assert augment.box(augment.attempts(keys(1))[0], 1000, 9) == (494, 0, 12, 9)


@pytest.mark.parametrize(
    "augment",
    [
        Augment(crop="shift", erase=0.7),
        Augment(policy="autoaugment"),
        Augment(policy="autoaugment-v0"),
        Augment(policy="randaugment"),
        Augment(policy="trivial"),
    ],
    ids=lambda augment: augment.policy,
)
def test_an_image_is_augmented_alike_in_any_batch(images, augment):
    images = images[:30]
    whole = augment.apply(images.clone(), keys(30), FILL)
    order = np.random.default_rng(1).permutation(30)
    parts = [
        augment.apply(images[torch.from_numpy(part)], Keys(0, np.zeros(len(part), np.int64), part), FILL)
        for part in (order[:7], order[7:])
    ]
    assert torch.equal(torch.cat(parts), whole[torch.from_numpy(order)])
    for other in (keys(30, epoch=1), keys(30, seed=1)):
        assert (augment.apply(images.clone(), other, FILL) != whole).flatten(1).any(1).float().mean() > 0.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", ["autoaugment", "autoaugment-v0", "randaugment", "trivial"])
def test_policies_leave_the_global_generator_alone(images, policy, channels):
    before = torch.get_rng_state()
    out = Augment(policy=policy, flip=False).apply(images[:20, :channels], keys(20), FILL[:channels])
    assert torch.equal(before, torch.get_rng_state())
    assert (out.shape, out.dtype) == ((20, channels, 12, 12), torch.uint8)
    assert not torch.equal(out, images[:20, :channels])


def test_what_cannot_be_is_refused():
    for fields, message in (
        ({"shift": -1}, "shift -1"),
        ({"scale": (0.5, 0.1)}, "scale"),
        ({"scale": (0.5, 1.5)}, "scale"),
        ({"ratio": (0.0, 1.0)}, "ratio"),
        ({"erase": 2.0}, "erase 2.0"),
        ({"operations": 0}, "operations 0 changes nothing"),
        ({"magnitude": 31}, "magnitude 31 is not between 0 and 30"),
    ):
        with pytest.raises(DataError, match=message):
            Augment(**fields)

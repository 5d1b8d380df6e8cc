"""The official AutoAugment policy: against timm and Pillow where they read it alike, against NumPy where not."""

import numpy as np
import pytest
import torch

from compound.data import Augment
from compound.data.augment import Keys
from compound.data.autoaugment import DRAWS, LOOKUPS, MOVES, V0, kept_bits, operate, policy_v0
from compound.data.chance import Purpose, uniforms

MAGNITUDES = range(11)


@pytest.fixture
def image(picture) -> np.ndarray:
    return np.asarray(picture(61, 44)).transpose(2, 0, 1).copy()


def resampled(image, inverse):
    """TensorFlow's nearest neighbour pixel by pixel: (x, y) reads `inverse(x, y)`, halves away from zero, else 128."""
    result = np.full_like(image, 128)
    _, height, width = image.shape
    for y in range(height):
        for x in range(width):
            across, down = (int(np.copysign(np.floor(abs(v) + 0.5), v)) for v in inverse(x, y))
            if 0 <= across < width and 0 <= down < height:
                result[:, y, x] = image[:, down, across]
    return result


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("magnitude", [0, 4, 7, 9])
def test_moves_are_tensorflows_projective_transforms(image, magnitude, sign):
    level = sign * magnitude / 10
    cosine, sine = np.cos(np.radians(30 * level)), np.sin(np.radians(30 * level))
    middle, centre = (image.shape[2] - 1) / 2, (image.shape[1] - 1) / 2
    inverses = {
        "rotate": lambda x, y: (
            cosine * (x - middle) - sine * (y - centre) + middle,
            sine * (x - middle) + cosine * (y - centre) + centre,
        ),
        "shear_x": lambda x, y: (np.float32(x + np.float32(0.3 * level) * y), y),
        "shear_y": lambda x, y: (x, np.float32(y + np.float32(0.3 * level) * x)),
        "translate_y": lambda x, y: (x, y + 250 * level),
    }
    assert set(inverses) == set(MOVES)
    for operation, inverse in inverses.items():
        ours = operate(image, operation, magnitude, sign)
        different = (ours != resampled(image, inverse)).any(0).mean()
        assert different < (0.002 if operation == "rotate" else 1e-9), (
            operation
        )  # rotated halves depend on the last bit


def test_a_rotation_turns_counter_clockwise():
    image = np.zeros((1, 41, 41), np.uint8)
    image[0, 20, 35] = 255  # three o'clock
    _, y, x = np.argwhere(operate(image, "rotate", 10) == 255)[0]
    assert (y, x) == (12, 33)  # 15 px from the centre, 30° up: 15 · sin 30° = 7.5, 15 · cos 30° = 13


def test_what_posterising_keeps():
    assert [kept_bits(m, "official") for m in (0, 2, 3, 6, 8, 10)] == [1, 1, 1, 2, 3, 4]
    assert [kept_bits(m, "paper") for m in (0, 2, 3, 6, 8, 10)] == [4, 4, 5, 6, 7, 8]
    assert [kept_bits(m, "increasing") for m in (0, 2, 3, 6, 8, 10)] == [4, 4, 3, 2, 1, 1]
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.unique(operate(ramp, "posterize", 6)).tolist() == [0, 64, 128, 192]
    assert np.unique(operate(ramp, "posterize", 2)).tolist() == [0, 128]  # TensorFlow shifts a byte by 7 at most
    assert np.array_equal(operate(ramp, "posterize", 10, posterize="paper"), ramp)


def test_colour_is_blended_with_tensorflows_grey(image):
    values = image.astype(np.float64)
    grey = np.floor((values * np.array([0.2989, 0.587, 0.114])[:, None, None]).sum(0) / 255 * 255.5 + 1e-9)
    for magnitude in MAGNITUDES:
        factor = 0.18 * magnitude + 0.1
        expected = np.floor(np.clip(grey + factor * (values - grey), 0, 255))
        difference = np.abs(operate(image, "color", magnitude) - expected)
        assert difference.max() <= 1  # float32 beside float64
        assert (difference > 0).mean() < 0.02
    assert np.array_equal(operate(image[:1], "color", 3), image[:1])


def test_equalising_and_stretching_change_only_what_they_should():
    flat = np.full((1, 8, 8), 77, np.uint8)
    assert np.array_equal(operate(flat, "equalize", 5), flat)
    assert np.array_equal(operate(flat, "auto_contrast", 5), flat)
    ramp = np.arange(50, 114, dtype=np.uint8).reshape(1, 8, 8)
    stretched = operate(ramp, "auto_contrast", 5)
    assert stretched.min() == 0
    assert stretched.max() >= 254  # 254.99998 in float32, cut as TensorFlow cuts it


def test_draws_say_everything(image):
    """Pair 15 turns always and translates in 8 of 10; the sign's draw is the direction."""
    pair = (15 + 0.5) / 25
    assert [step.operation for step in V0[15]] == ["rotate", "translate_y"]
    turned = operate(image, "rotate", 7, -1)
    assert np.array_equal(policy_v0(image, np.array([pair, 0.99, 0.2, 0.81, 0.9])), turned)
    both = operate(operate(image, "rotate", 7, 1), "translate_y", 9, -1)
    assert np.array_equal(policy_v0(image, np.array([pair, 0.99, 0.7, 0.79, 0.1])), both)


def test_augment_draws_by_place_alone(image):
    images = torch.from_numpy(np.stack([image[:, :40, :40]] * 64))
    keys = Keys(5, np.full(64, 3), np.arange(64))
    out = Augment(policy="autoaugment-v0", flip=False).apply(images, keys, (0, 0, 0))
    draws = uniforms(*keys, Purpose.POLICY, DRAWS)
    for row in (0, 13, 63):
        assert np.array_equal(out[row].numpy(), policy_v0(images[row].numpy(), draws[row]))
    changed = (out != images).flatten(1).any(1).float().mean()
    assert 0.6 < changed < 1


@pytest.mark.oracle
def test_the_policy_and_its_lookups_are_timms(image):
    from PIL import Image
    from timm.data import auto_augment as timm

    theirs = timm.auto_augment_policy_v0({"translate_const": 250, "img_mean": (128,) * 3})
    assert len(theirs) == len(V0) == 25
    names = {
        "equalize": "Equalize", "color": "Color", "rotate": "Rotate", "solarize": "Solarize",
        "solarize_add": "SolarizeAdd", "invert": "Invert", "posterize": "Posterize", "auto_contrast": "AutoContrast",
        "shear_x": "ShearX", "shear_y": "ShearY", "translate_y": "TranslateYRel",
    }  # fmt: skip
    for pair, other in zip(V0, theirs, strict=True):
        for step, op in zip(pair, other, strict=True):
            assert (names[step.operation], step.probability, step.magnitude) == (op.name, op.prob, op.magnitude)
    photo = Image.fromarray(image.transpose(1, 2, 0))
    for operation in (*LOOKUPS, "posterize", "color", "rotate"):
        for magnitude in MAGNITUDES:
            level = timm.LEVEL_TO_ARG[names[operation]]
            given = level(magnitude, {}) if level else ()
            arguments = tuple(abs(value) for value in (given if isinstance(given, tuple) else (given,)))
            if operation == "posterize" and arguments == (0,):
                continue  # Pillow refuses to keep no bit
            moved = {"fillcolor": (128,) * 3, "resample": Image.Resampling.NEAREST} if operation in MOVES else {}
            expected = np.asarray(timm.NAME_TO_OP[names[operation]](photo, *arguments, **moved)).transpose(2, 0, 1)
            difference = np.abs(operate(image, operation, magnitude).astype(int) - expected)
            # Pillow's grey is another rounding of the same weights; a rotated half may fall to either side.
            assert difference.max() <= (1 if operation == "color" else 0) or (
                operation == "rotate" and (difference > 0).mean() < 0.002
            ), (operation, magnitude)

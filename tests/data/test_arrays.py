"""An .npz of arrays: MedMNIST's layout, any number of channels, and what is refused."""

import numpy as np
import pytest

from compound.data import DataError, Preprocessing, make_loader, open_data
from compound.network import Inputs

rng = np.random.default_rng(0)


def pixels(count, *shape):
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8)


def test_the_layout_of_medmnist(tmp_path):
    """Keys as in medmnist's files: {train,val,test}_{images,labels}, labels (n, 1)."""
    parts = {part: (pixels(count, 28, 28, 3), np.arange(count)[:, None] % 4) for part, count in (("train", 12), ("val", 4), ("test", 8))}  # fmt: skip
    file = tmp_path / "pathmnist.npz"
    np.savez(file, **{f"{p}_{what}": a for p, both in parts.items() for what, a in zip(("images", "labels"), both, strict=True)})  # fmt: skip
    data = open_data(str(file))
    assert (data.name, data.classes, data.channels) == ("pathmnist", ("0", "1", "2", "3"), 3)
    assert (len(data.train), len(data.holdout), len(data.test)) == (12, 4, 8)
    assert np.array_equal(data.test.load(5).permute(1, 2, 0).numpy(), parts["test"][0][5])
    assert data.test.labels.tolist() == [0, 1, 2, 3] * 2
    assert data.test.path(5) == "pathmnist.npz test_images[5]"
    grey = open_data(str(file), channels=1)
    assert grey.train.load(0).shape == (1, 28, 28)


@pytest.mark.parametrize("channels", [2, 4, 13])
def test_any_number_of_channels(tmp_path, channels):
    file = tmp_path / "satellite.npz"
    np.savez(file, images=pixels(40, 20, 24, channels), labels=np.arange(40) % 2, classes=["sea", "land"])
    data = open_data(str(file))
    assert (data.classes, data.channels, len(data.test)) == (("sea", "land"), channels, 8)
    pre = Preprocessing(16, channels, Inputs(margin=0, mean=(0.5,), std=(0.25,)))
    (batch,) = make_loader(data.test, pre, 8)
    assert batch.images.shape == (8, channels, 16, 16)
    assert pre.normalise(batch.images).shape == (8, channels, 16, 16)
    rgb = Preprocessing(16, channels, Inputs())  # of a network for RGB: every channel gets the mean of the three
    assert rgb.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3] * channels, abs=1e-6)
    with pytest.raises(DataError, match=rf"satellite.npz has {channels} channels, which do not become 3"):
        open_data(str(file), channels=3)
    assert open_data(str(file), channels=channels).channels == channels


def test_photos_and_colour_policies_are_not_for_other_channels(tmp_path):
    from PIL import Image

    from compound.data import Augment, FileSource

    np.savez(tmp_path / "a.npz", images=pixels(40, 20, 24, 4), labels=np.arange(40) % 2)
    train, pre = open_data(str(tmp_path / "a.npz")).train, Preprocessing(16, 4, Inputs(margin=0))
    (batch,) = make_loader(train, pre, len(train), augment=Augment(crop="inception", erase=1.0))
    assert batch.images.shape[1] == 4
    with pytest.raises(DataError, match="policy autoaugment-v0 changes colours, and these images have 4 channels"):
        make_loader(train, pre, 8, augment=Augment(policy="autoaugment-v0"))
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="reads 4 channels and image files have 1 or 3"):
        list(make_loader(FileSource([tmp_path / "a.png"], [0], 4), pre, 1))


def test_several_labels_an_image(tmp_path):
    file = tmp_path / "chest.npz"
    np.savez(file, train_images=pixels(30, 8, 8), train_labels=rng.integers(0, 2, (30, 5)))
    data = open_data(str(file))
    assert data.several
    assert (data.channels, data.train.labels.shape[1]) == (1, 5)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pixels": pixels(2, 8, 8)}, "holds pixels; give train_images and train_labels"),
        ({"train_images": pixels(2, 8, 8)}, "has train_images and no train_labels"),
        ({"images": pixels(2, 8, 8) / 255, "labels": [0, 1]}, "images is float64 of shape"),
        ({"images": pixels(2, 8, 8), "labels": [0.5, 1]}, "labels is float64"),
        ({"images": pixels(2, 8, 8), "labels": [-1, 1]}, "labels goes from -1 to 1; count classes from 0"),
        ({"images": pixels(2, 8, 8), "labels": [0, 1, 1]}, "3 labels for 2 images"),
        (
            {"images": pixels(2, 8, 8), "labels": [0, 3], "classes": ["a", "b"]},
            "names 2 classes and its labels go to 3",
        ),
        ({"images": pixels(2, 8, 8), "labels": np.array([0, "a"], dtype=object)}, "holds more than plain arrays"),
    ],
)
def test_what_is_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        open_data(str(tmp_path / "a.npz"))


def test_a_damaged_file_is_one_sentence(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match=r"cannot read .*a\.npz"):
        open_data(str(tmp_path / "a.npz"))

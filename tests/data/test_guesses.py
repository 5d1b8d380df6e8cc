"""What could be read in two ways is read rightly where that is clear, and else said."""

import numpy as np
import pytest
from PIL import Image

from compound.data import DataError, decode_image, open_data
from tests.data.photos import drawn, write_pictures


@pytest.fixture
def photos(tmp_path):
    return write_pictures(tmp_path / "photos", cat=6, dog=6)


def listed(photos, header, rows):
    (photos / "list.csv").write_text("\n".join([header, *rows]))
    return str(photos / "list.csv")


def rows_of(photos, form):
    return [form.format(path.relative_to(photos), path.parent.name) for path in sorted(photos.glob("*/*.png"))]


@pytest.mark.parametrize("mark", ["|", ","])
def test_labels_with_another_separator_are_no_class(photos, mark):
    rows = [*rows_of(photos, "{},{}")[:-1], f'dog/005.png,"cat{mark}dog"']
    with pytest.raises(DataError, match=r"list\.csv: 'cat.dog' looks like 2 labels; write cat;dog$"):
        open_data(listed(photos, "path,labels", rows))
    with pytest.raises(DataError, match=r"'cat.dog' looks like 2 labels; write cat;dog in a column labels$"):
        open_data(listed(photos, "path,label", rows))


def test_a_list_as_python_writes_it_is_no_class(photos):
    with pytest.raises(DataError, match=r"looks like a list; write cat;wet"):
        open_data(listed(photos, "path,labels", rows_of(photos, "{},\"['{}', 'wet']\"")))


def test_a_class_may_have_a_comma_and_labels_a_semicolon(photos):
    rows = [row.replace("cat", '"cat, tabby"').replace('"cat, tabby"/', "cat/") for row in rows_of(photos, "{},{}")]
    assert open_data(listed(photos, "path,label", rows)).classes == ("cat, tabby", "dog")
    rows = [*rows_of(photos, "{},{}")[:-1], "dog/005.png,cat;dog"]
    data = open_data(listed(photos, "path,labels", rows), holdout=0)
    assert (data.classes, data.several) == (("cat", "dog"), True)


def test_quotes_behind_a_space_are_quotes(photos):
    data = open_data(listed(photos, "path, label", rows_of(photos, '{}, "{}"')), holdout=0)
    assert data.classes == ("cat", "dog")
    assert len(data.train) + len(data.test) == 12


@pytest.mark.parametrize(("most", "levels"), [(4095, 256), (65535, 256), (4096, 17)])
def test_twelve_bits_in_sixteen_keep_their_greys(tmp_path, most, levels):
    values = np.linspace(0, most, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "x.png")
    grey = decode_image((tmp_path / "x.png").read_bytes(), 1, "x")
    assert len(np.unique(grey.numpy())) == levels
    assert grey.max() == (255 if levels == 256 else 16)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((3, 32, 32), 3),
        ((1, 28, 28), 1),
        ((4, 16, 20), 4),
        ((32, 32, 3), 3),
        ((3, 28, 28), 3),
        ((3, 5, 7), 7),
        ((9, 9, 12), 12),
    ],
)
def test_arrays_with_channels_first_are_known_by_their_shape(tmp_path, shape, channels):
    images = np.random.default_rng(0).integers(0, 256, (8, *shape), np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(8) % 2)
    data = open_data(str(tmp_path / "x.npz"), holdout=0)
    assert data.channels == channels
    first = shape[0] == channels and shape[2] != channels
    position = int(data.train.path(0).rpartition("[")[2][:-1])
    expected = images[position] if first else images[position].transpose(2, 0, 1)
    assert np.array_equal(data.train.load(0).numpy(), expected)


def test_pictures_of_both_orders_are_the_same(tmp_path):
    pictures = np.stack([drawn(k % 2, k) for k in range(10)])
    sides = []
    for name, images in (("last", pictures), ("first", pictures.transpose(0, 3, 1, 2))):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=np.arange(10) % 2)
        sides.append(open_data(str(tmp_path / f"{name}.npz"), holdout=0).train.images)
    assert np.array_equal(*sides)

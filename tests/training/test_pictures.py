"""The pictures of a run's data: the images that the first step saw, as it saw them."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from compound.data import Preprocessing, make_loader
from compound.data.check import look_through
from compound.data.glance import glance
from compound.training import start_run
from compound.training.pictures import first_images, write_pictures


def test_the_first_images_are_those_of_the_first_step(tmp_path, network, data, recipe):
    run = start_run(network, data, replace(recipe, batch=10), tmp_path / "run", seed=3)
    learned = make_loader(
        data.train, Preprocessing.of(network), 10, augment=run.recipe.augment, shuffle=True, drop_last=True, seed=3
    )
    images = next(iter(learned)).images
    picture = first_images(run, data)
    side = network.resolution
    assert picture.shape == (3, 2 * side, 8 * side)
    assert torch.equal(picture[:1, :side, side : 2 * side], images[1])
    assert torch.equal(picture[:1, side:, :side], images[8])
    assert (picture[:, side:, 2 * side :] == 255).all()
    write_pictures(run, data)
    assert {"data.png", "batch.png"} <= {path.name for path in run.path.iterdir()}


def test_a_glance_says_what_is_wrong_in_one_line(data, photos):
    assert glance(data) == "96 of 96 training images looked at, sides 12 px: nothing unusual"
    assert glance(data, seconds=0).startswith("1 of 96 training images looked at")
    few = replace(data, train=data.train.subset(np.flatnonzero((data.train.labels > 0) | (np.arange(96) < 3))))
    assert glance(few).endswith(f": classes of 1 to 32 images; see compound data check {data.name}")
    with open(photos.train.path(5), "wb") as file:
        file.write(b"no image")
    assert ": 1 unreadable; see compound data check" in glance(photos)


def test_a_glance_and_a_check_name_odd_files_by_one_rule(photos):
    for index in (2, 7):
        Image.new("RGBA", (12, 12), (index, 0, 0, 90)).save(photos.train.path(index))
    Image.fromarray(np.full((12, 12), 9, np.uint16)).save(photos.train.path(8))
    assert ": 1 of 16 bits a channel, 2 transparent; see" in glance(photos)
    checked = look_through(photos.train, photos.classes)
    assert dict(checked.odd) == {"transparent": 2, "16 bits a channel": 1}


def test_one_picture_under_two_labels_is_counted(photos):
    first, second = photos.train.path(0), photos.train.path(1)
    with open(first, "rb") as one, open(second, "wb") as two:
        two.write(one.read())
    asked = replace(photos.spec, by="content")
    assert ": 1 under two labels; see compound data check" in glance(replace(photos, asked=asked))

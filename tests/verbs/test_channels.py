"""A network of four channels: what an .npz trains also predicts, explains and probes."""

import numpy as np
import pytest
import torch

import compound
from compound import ZOO, UsageError
from compound.data import DataError
from compound.nn import build, save_weights

NAMES = ("0", "1", "2")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """four.safetensors, rgb.safetensors, and images of four channels in two parts, four.npz."""
    folder = tmp_path_factory.mktemp("channels")
    pixels = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 4), np.uint8)
    labels = np.arange(9) % 3
    parts = {"train_images": pixels[:6], "train_labels": labels[:6]}
    np.savez(folder / "four.npz", **parts, test_images=pixels[6:], test_labels=labels[6:])
    for name, channels in (("four", 4), ("rgb", 3)):
        network = ZOO["efficientnet-mini"].with_(classes=3, channels=channels, resolution=16)
        save_weights(build(network, seed=1), folder / f"{name}.safetensors", NAMES)
    return folder


def test_every_image_of_an_npz_is_predicted_as_it_is_evaluated(place):
    found = compound.predict(place / "four.safetensors", place / "four.npz").predictions
    assert [one.path for one in found] == [f"four.npz[{number}]" for number in range(9)]
    result = compound.evaluate(place / "four.safetensors", place / "four.npz").result
    for one, row in zip(found[6:], result.probabilities, strict=True):  # the test part
        assert torch.equal(torch.tensor([p for _, _, p in one.classes]), row.sort(descending=True).values)


def test_images_without_labels_and_with_channels_first_are_enough(place, tmp_path):
    with np.load(place / "four.npz") as given:
        np.savez(tmp_path / "bare.npz", images=given["train_images"].transpose(0, 3, 1, 2))
    places = (tmp_path / "bare.npz", place / "four.npz")
    bare, whole = (compound.predict(place / "four.safetensors", path).predictions for path in places)
    assert [one.classes for one in bare] == [one.classes for one in whole[:6]]


@pytest.mark.slow
def test_maps_are_drawn_for_every_image(place, tmp_path):
    model = place / "four.safetensors"
    found = compound.explain(model, place / "four.npz", classes=["1"], out=tmp_path / "maps")
    assert len(set(found.pictures)) == 9
    assert all(path.is_file() for path in found.pictures)
    assert found.looks[0][0].image.shape == (4, 16, 16)
    both = compound.explain([model, model], place / "four.npz", out=tmp_path / "both")
    assert both.pictures[0].is_file()


def test_a_probe_is_made(place):
    found = compound.probe(place / "four.safetensors", place / "four.npz")
    assert found.images == 9


def test_what_is_not_for_the_network_is_said(place, tmp_path):
    np.savez(tmp_path / "none.npz", labels=[1])
    for places, error, said in (
        (
            ("rgb.safetensors", place / "four.npz"),
            DataError,
            "of 4 channels, and the network reads 3; give such images",
        ),
        (("four.safetensors", [place / "four.npz"] * 2), UsageError, "give it alone, or image files"),
        (("four.safetensors", tmp_path / "none.npz"), DataError, "holds labels and no images; give an array images"),
    ):
        with pytest.raises(error, match=said):
            compound.predict(place / places[0], places[1])

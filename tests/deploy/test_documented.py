"""What the page on deployment says of an exported file works with ONNX Runtime, numpy and Pillow alone."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import compound
from compound.deploy.export import export, probe
from tests.deploy.given import CLASSES, photos

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "deployment.md"


@pytest.mark.long
def test_the_file_is_used_without_compound_as_documented(small: Any, tmp_path: Path) -> None:
    model = small("efficientnet-lite0", slice(1, 3))
    export(model, CLASSES, ["onnx"], tmp_path, probe(model, photos(model, 2), labelled=False))
    coarse = np.random.default_rng(3).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    coarse[:, :3] = 255  # beside the square in the middle, which alone is looked at
    Image.fromarray(coarse).resize((270, 180), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")

    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    assert "compound" not in found[1]
    names: dict[str, Any] = {}
    exec(found[1], names)
    shares = names["classify"](tmp_path / "photo.png", tmp_path / "model.onnx")
    (ours,) = compound.predict(tmp_path / "model.onnx", tmp_path / "photo.png", top=7).predictions
    assert {name: pytest.approx(shares[name], abs=0.002) for _, name, _ in ours.classes} == {
        name: probability for _, name, probability in ours.classes
    }
    assert max(shares, key=shares.get) == ours.classes[0][1]

"""Pictures that are of no class: how well scores tell them from test images, and whether files of runtimes agree.

    compound train efficientnet-mini fashion6k --epochs 10 -o RUN            # three minutes
    python -m benchmarks.strangers RUN --fonts DIR --emoji icons.json        # a minute

letters    26 capitals in each font of a folder of .ttf files, white on black as the garments are
emoji      drawings of an npm package @iconify-json/…, grey on black (needs the Python package resvg-py)

Scores are those of the library, and of features, which exported files do not give out (`benchmarks.distances`). A
threshold that refuses 5 % of the run's held-out images is fitted for each score. Told are AUROC against the test
images, the share of strangers below the threshold, the share of test images below it, and of how many images ONNX
Runtime and OpenVINO decide as PyTorch does. Writes benchmarks/results/strangers.json.
"""

import argparse
import io
import json
import string
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.distances import Score, feature_scores, features_of
from benchmarks.environment import RESULTS, write_result
from compound.data import ArraySource, Source
from compound.evaluation import wilson
from compound.execution import Execution
from compound.inference import logits_over
from compound.nn import fit_unknown, load_weights
from compound.nn.unknown import SCORES
from compound.runtimes import FORMATS, graph_of, open_runtime
from compound.training import open_run
from compound.training.judging import data_of_run

SIDE = 28
REFUSED = 0.05


def letters(folder: Path) -> Tensor:
    """uint8 (N, 1, SIDE, SIDE)."""
    drawn = []
    for path in sorted(folder.rglob("*.ttf")):
        font = ImageFont.truetype(str(path), 20)
        for letter in string.ascii_uppercase:
            image = Image.new("L", (SIDE, SIDE))
            ImageDraw.Draw(image).text((SIDE / 2, SIDE / 2), letter, 255, font, anchor="mm")
            drawn.append(np.asarray(image))
    return stacked(drawn)


def emoji(file: Path, count: int = 1000) -> Tensor:
    """The same of `count` drawings, evenly taken."""
    import resvg_py

    given = json.loads(file.read_text(encoding="utf-8"))
    width, height = given.get("width", 16), given.get("height", 16)
    bodies = [icon["body"] for icon in given["icons"].values()]
    drawn = []
    for body in bodies[:: max(len(bodies) // count, 1)][:count]:
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{body}</svg>'
        picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE))))
        black = Image.new("RGBA", picture.size, "black")
        drawn.append(np.asarray(Image.alpha_composite(black, picture.convert("RGBA")).convert("L")))
    return stacked(drawn)


def stacked(drawn: list[Any]) -> Tensor:
    """Those on which something is seen."""
    return torch.from_numpy(np.stack([one for one in drawn if one.max() > 0]))[:, None]


def auroc(known: Tensor, strange: Tensor) -> float:
    """The chance that a test image scores above a stranger, a tie for half (Mann and Whitney's U)."""
    ordered = strange.sort().values
    below = torch.searchsorted(ordered, known) + torch.searchsorted(ordered, known, right=True)
    return (below.double().mean() / 2 / len(strange)).item()


def by_logits(compute: Callable[[Tensor], Tensor]) -> Score:
    return lambda _, logits: compute(logits)


def logits_of(model: Any, source: Source) -> Tensor:
    execution = Execution("cpu", workers=0)
    return torch.cat([one for one, _, _ in logits_over(model, source, execution.damage_log(), execution)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--emoji", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    net, described = load_weights(given.run)
    data, _ = data_of_run(open_run(given.run))
    drawn = {"letters": letters(given.fonts)} if given.fonts else {}
    drawn |= {"emoji": emoji(given.emoji)} if given.emoji else {}
    strangers: dict[str, Source] = {
        name: ArraySource(pixels, np.zeros(len(pixels), dtype=np.int64), name) for name, pixels in drawn.items()
    }
    sources = {"held_out": data.holdout, "test": data.test} | strangers
    found = {name: logits_of(net, source) for name, source in sources.items()}
    result: dict[str, Any] = {"network": net.network.name, "images": {n: len(v) for n, v in found.items()}}
    result["top1"] = (found["test"].argmax(1) == torch.from_numpy(data.test.labels)).double().mean().item()
    pooled = {name: features_of(net, source) for name, source in sources.items()}
    ranked: dict[str, Score] = {name: by_logits(compute) for name, compute in SCORES.items()}
    ranked |= feature_scores(net, features_of(net, data.train), data.train.labels)
    for score, compute in ranked.items():
        scores = {name: compute(pooled[name], logits.double()) for name, logits in found.items()}
        least = fit_unknown(scores["held_out"], REFUSED).least
        below = {name: (one < least).double().mean().item() for name, one in scores.items() if name != "held_out"}
        result[score] = {
            "auroc": {name: auroc(scores["test"], scores[name]) for name in drawn},
            "below": {name: [share, *wilson(share, len(found[name]))] for name, share in below.items()},
        }
        print(score, result[score], file=sys.stderr)
    net.unknown = unknown = fit_unknown(SCORES["energy"](found["held_out"].double()), REFUSED)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("onnx", "openvino"):
            form = FORMATS[name]
            graph = graph_of(net, described.classes, None, "uint8")
            runtime = open_runtime(form.write(graph, Path(folder) / form.file))
            assert runtime.described.unknown == unknown
            decided = [
                (unknown.scores(logits_of(runtime, source)) < unknown.least)
                == (unknown.scores(found[name]) < unknown.least)
                for name, source in sources.items()
            ]
            result[name] = {"same": int(torch.cat(decided).sum()), "of": sum(map(len, decided))}
            print(name, result[name], file=sys.stderr)
    print(write_result("strangers", result, given.results))


if __name__ == "__main__":
    main()

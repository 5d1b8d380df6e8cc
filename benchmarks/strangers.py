"""Pictures that are of no class: how well scores tell them from test images, and whether files of runtimes agree.

    compound train efficientnet-mini fashion6k --epochs 10 --seed 0 -o RUN   # three minutes; and --seed 1 -o RUN2
    python -m benchmarks.strangers RUN RUN2 --fonts DIR --emoji icons.json …  # two minutes

letters    26 capitals in each font of a folder of .ttf files, white on black as the garments are
emoji      500 drawings of each npm package @iconify-json/…, grey on black (needs the Python package resvg-py)

Scores are the library's, and others of logits and of features (`benchmarks.distances`). A threshold that refuses 5 % of
the run's held-out images is fitted for each score. Told are AUROC against the test
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.distances import Score, feature_scores, features_of, logit_scores
from benchmarks.environment import RESULTS, write_result
from compound.data import ArraySource, DataSet, Source
from compound.evaluation import wilson
from compound.execution import Execution
from compound.inference import logits_over
from compound.nn import ConvNet, Unknown, fit_unknown, load_weights
from compound.nn.unknown import ENERGY, LIKELIHOOD, MAX_LOGIT
from compound.runtimes import FORMATS, graph_of, open_runtime
from compound.training import open_run
from compound.training.judging import data_of_run
from compound.verbs.calibration import Fitting, fit

SIDE = 28
REFUSED = 0.05
SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


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


def emoji(file: Path, count: int = 500) -> tuple[str, Tensor]:
    """The package's name, and the same of `count` drawings, evenly taken."""
    import resvg_py

    given = json.loads(file.read_text(encoding="utf-8"))
    width, height = given.get("width", 16), given.get("height", 16)
    bodies = [icon["body"] for icon in given["icons"].values()]
    drawn = []
    for body in bodies[:: max(len(bodies) // count, 1)][:count]:
        svg = f'<svg {SPACES} viewBox="0 0 {width} {height}">{body}</svg>'
        picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE))))
        black = Image.new("RGBA", picture.size, "black")
        drawn.append(np.asarray(Image.alpha_composite(black, picture.convert("RGBA")).convert("L")))
    return f"emoji {given['prefix']}", stacked(drawn)


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
    return torch.cat([one.logits for one in logits_over(model, source, execution.damage_log(), execution)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--emoji", type=Path, nargs="*", default=[])
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    drawn = {"letters": letters(given.fonts)} if given.fonts else {}
    drawn |= dict(map(emoji, given.emoji))
    strangers: dict[str, Source] = {
        name: ArraySource(pixels, np.zeros(len(pixels), dtype=np.int64), name) for name, pixels in drawn.items()
    }
    print(write_result("strangers", {"runs": [measured(run, strangers) for run in given.runs]}, given.results))


def measured(place: Path, strangers: dict[str, Source]) -> dict[str, Any]:
    net, described = load_weights(place)
    run = open_run(place)
    data, _ = data_of_run(run)
    sources = {"held_out": data.holdout, "test": data.test} | strangers
    found = {name: logits_of(net, source).double() for name, source in sources.items()}
    fit(net, data, Fitting(unknown=REFUSED), Execution("cpu", workers=0), print)
    assert net.unknown is not None
    assert net.unknown.score == LIKELIHOOD
    result: dict[str, Any] = {
        "network": net.network.name,
        "epochs": run.epochs_done(),
        "seed": run.seed,
        "images": {name: len(one) for name, one in found.items()},
        "top1": (found["test"].argmax(1) == torch.from_numpy(data.test.labels)).double().mean().item(),
        "scores": {},
    }
    pooled = {name: features_of(net, source) for name, source in sources.items()}
    for score, compute in (of_library(net.unknown) | of_others(net, data)).items():
        scores = {name: compute(pooled[name], logits) for name, logits in found.items()}
        least = fit_unknown(scores["held_out"], REFUSED).least
        below = {name: (one < least).double().mean().item() for name, one in scores.items() if name != "held_out"}
        result["scores"][score] = {
            "auroc": {name: auroc(scores["test"], scores[name]) for name in strangers},
            "below": {name: [share, *wilson(share, len(found[name]))] for name, share in below.items()},
        }
        print(score, result["scores"][score], file=sys.stderr)
    return result | {name: decided(net, described.classes, name, sources, found) for name in ("onnx", "openvino")}


def of_library(fitted: Unknown) -> dict[str, Score]:
    """Each score that a threshold may be of."""
    return {
        score: by_logits(replace(fitted, score=score).scores) for score in (LIKELIHOOD, ENERGY, MAX_LOGIT)
    }  # fmt: skip


def of_others(net: ConvNet, data: DataSet) -> dict[str, Score]:
    labels = data.train.labels
    return logit_scores(logits_of(net, data.train).double(), labels) | feature_scores(
        net, features_of(net, data.train), labels
    )


def decided(
    net: ConvNet, classes: tuple[str, ...], name: str, sources: dict[str, Source], found: dict[str, Tensor]
) -> dict[str, int]:
    """Of how many images the file of a runtime decides as PyTorch does, by the threshold that it holds itself."""
    assert net.unknown is not None
    with tempfile.TemporaryDirectory() as folder:
        form = FORMATS[name]
        runtime = open_runtime(form.write(graph_of(net, classes, None, "uint8"), Path(folder) / form.file))
        told = runtime.described.unknown
        assert told == net.unknown
        same = [
            (told.scores(logits_of(runtime, source)) < told.least) == (told.scores(found[part]) < told.least)
            for part, source in sources.items()
        ]
    return {"same": int(torch.cat(same).sum()), "of": sum(map(len, same))}


if __name__ == "__main__":
    main()

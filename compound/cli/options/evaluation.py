"""The options of `compound evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

Calibrate = Annotated[
    bool, typer.Option("--calibrate", help="Fit a temperature on the held-out images and keep it in the weights.")
]
Unknown = Annotated[
    float | None,
    typer.Option(
        help="Choose on held-out images, and keep, when a photo is of no class: refusing wrongly this share, 0.05."
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(help="Choose on held-out images, and keep, sets of classes with the right one so often, 0.9."),
]
Reliability = Annotated[Path | None, typer.Option(help="Draw accuracy by confidence: a .svg, .png or .pdf file.")]
Predictions = Annotated[Path | None, typer.Option(help="Write a CSV file with a row an image.")]
TableFile = Annotated[Path | None, typer.Option(help="Write the table of networks and sets, or of groups, as CSV.")]
Final = Annotated[
    bool, typer.Option("--final", help="The one evaluation of a run that keeps its test images; written into it.")
]
Again = Annotated[bool, typer.Option("--again", help="Look again at test images that were to be looked at once.")]
Layout = Annotated[
    str | None, typer.Option(help="DATA is imagenet, imagenet-real, imagenet-v2, imagenet-a, -r or -sketch.")
]
LabelsFile = Annotated[Path | None, typer.Option(help="The real.json of imagenet-real.")]
Resolutions = Annotated[str | None, typer.Option(help="Test at these too, such as 224,256,288.")]
Recalibrate = Annotated[
    bool, typer.Option("--recalibrate", help="With --resolutions: batch norms re-estimated on training images.")
]
Corruptions = Annotated[
    bool, typer.Option("--corruptions", help="Also under noise, blur, JPEG's and brightness, as in ImageNet-C.")
]
Groups = Annotated[
    bool, typer.Option("--groups", help="Also by size, brightness and folder of the images: which fare worse.")
]
By = Annotated[
    list[str] | None, typer.Option("--group", help="Also by a column of the CSV, or a pattern in names; repeatable.")
]
Shortcuts = Annotated[
    bool, typer.Option("--shortcuts", help="Also where maps are warm: classes known by the border, as by a watermark.")
]

"""`compound data`: what can be known of a data set before a network sees it."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.answers.checked import check_text, left_out_lines
from compound.cli.options.training import Data, Download, ImageChannels, Root
from compound.errors import CompoundError
from compound.verbs import caching
from compound.verbs import check as verb

data = typer.Typer(help="Look through a data set.", no_args_is_help=True)


@data.callback()
def main() -> None:
    """Look through a data set."""


@data.command()
def check(
    data: Data,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet as PNG: a row of images a class.")] = None,
    channels: ImageChannels = None,
    seed: Annotated[int, typer.Option(help="Seed of the parts that are split off.")] = 0,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Count images, and list all that is wrong or unusual: faults, damaged files, same pictures, depths, sizes."""
    from compound.data import DataSpec

    found = verb.check_data(DataSpec(data, channels, seed=seed, root=root, download=download), sheet, say=note)
    answer(json, found.to_json(), check_text(found))
    if count := len(found.faults):
        raise CompoundError(f"training refuses {data}: {count} fault{'s' * (count > 1)} to mend, listed above")


@data.command()
def audit(
    folds: Annotated[
        Path,
        typer.Argument(metavar="FOLDS", help="A run trained with --folds, or an .npz of probe --predictions."),
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The folder to write; default beside FOLDS.")] = None,
    shown: Annotated[int, typer.Option(min=1, help="Pictures of each kind on the page.")] = 50,
    json: Json = False,
) -> None:
    """Rank labels that are doubtful by models that never saw the image: a page, and lists that train reads."""
    from compound.verbs.audit import audit as verb

    done = verb(folds, out, shown=shown, say=note)
    told = done.to_json()
    lines = [
        f"{told['images']:,} images, top-1 {told['top1']:.1%} by models that never saw them; an estimated "
        f"{told['estimated_noise']:.1%} of the labels wrong, too many where models are weak"
    ]
    lines += [f"{count:>6,} {doubt}" for doubt, count in told["doubts"].items()]
    clear = f"relabel.csv with the {told['corrected']:,} wrong labels that are clear, and drop.csv"
    lines.append(f"page {told['page']}; beside it, for compound train --relabel --drop: {clear}")
    answer(json, told, "\n".join(lines))


@data.command()
def cache(
    data: Data,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write; then DATA for every other verb.")],
    size: Annotated[int, typer.Option(min=1, help="Short side in px that larger images are scaled down to.")] = 256,
    channels: ImageChannels = None,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Decode a data set once, into files that training reads by memory map; goes on where it was stopped.

    Run again on a finished cache, it checks every byte and writes what is damaged again. Crops are then taken from the
    smaller images: choose a size of the network's resolution plus its margin, or more.
    """
    from compound.data import DataSpec

    told = caching.cache_data(DataSpec(data, channels, root=root, download=download), out, size, say=note)
    images = sum(told["images"].values())
    damaged = f", {told['damaged']:,} of them damaged" if told["damaged"] else ""
    answer(json, told | {"folder": str(out)}, f"{out}: {images:,} images{damaged}, {told['bytes'] / 1e6:,.1f} MB")


@data.command()
def make(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="letters (from fonts) or emoji (from packages of icons).")
    ],
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE…", help="Folders of fonts; unpacked npm packages @iconify-json/….")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="A new folder; then DATA for every other verb.")],
    size: Annotated[int, typer.Option(min=8, help="Side of a picture in px.")] = 64,
    by: Annotated[
        str | None, typer.Option(help="What stands in one part only: family (letters); emoji or style.")
    ] = None,
    test: Annotated[float, typer.Option(help="About which share of these is for testing.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Which of them.")] = 0,
    json: Json = False,
) -> None:
    """Draw a data set with detail at any resolution, from fonts or emoji that are installed; licences beside it."""
    from compound.verbs.drawn import make_data

    done = make_data(kind, sources, out, size, by=by, test=test, seed=seed)
    lines = [
        f"{out}: {sum(done.train.values()):,} images to train on and {sum(done.test.values()):,} to test by, of "
        f"{len(done.train)} classes",
        *(f"left out: {count:,} {reason}" for reason, count in done.left_out.items()),
        f"licences of all sources: {out / 'sources.csv'}",
    ]
    answer(json, done.to_json(), "\n".join(lines))


@data.command()
def index(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Tar shards: a folder, or e.g. 'DIR/x-{000..009}.tar'.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A folder for the indices; default beside the shards.")
    ] = None,
    json: Json = False,
) -> None:
    """Write down where each image of tar shards lies, so that no training reads through them first."""
    told = caching.index_data(data, out, say=note)
    lines = [f"{told['images']:,} images in {told['shards']:,} shards, {told['bytes'] / 1e6:,.1f} MB"]
    answer(json, told, "\n".join([*lines, *left_out_lines(told["left_out"])]))

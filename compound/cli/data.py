"""`compound data`: what can be known of a data set before a network sees it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from compound.cli.common import Json, answer, note
from compound.cli.training import Data, Download, ImageChannels, Root

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
    """Count images, and find damaged files, unequal classes, sizes, and pictures that stand in two parts."""
    from compound.data import DataSpec
    from compound.data.check import check as look
    from compound.data.check import write_contact_sheet

    images = DataSpec(data, channels, seed=seed, root=root, download=download).open()
    found = look(images)
    lines = [f"{images.name}: {len(images.classes)} classes, {images.channels} channels"]
    lines += left_out_lines(images.left_out)
    for name, part in found["parts"].items():
        lines += part_lines(name, part)
    lines += [f"{'class':<24} {'train':>8} {'holdout':>8} {'test':>8}"]
    for label in found["classes"]:
        counts = [part["per_class"][label] for part in found["parts"].values()]
        lines.append(f"{label:<24} " + " ".join(f"{count:>8,}" for count in counts))
    twins = found["duplicates"]
    lines.append(f"{len(twins)} pictures look the same in two parts" if twins else "no picture stands in two parts")
    lines += [
        f"  {' and '.join(pair['parts'])}: {pair['first']} = {pair['second']}"
        + ("" if pair["same_class"] else ", of another class")
        for pair in twins[:10]
    ]
    if sheet is not None:
        write_contact_sheet(images, sheet)
        found["sheet"] = str(sheet)
        lines.append(f"contact sheet {sheet}")
    answer(json, found, "\n".join(lines))


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
    from compound.data.caching import write_cache
    from compound.data.open import read_tables

    told = write_cache(read_tables(DataSpec(data, channels, root=root, download=download)), out, size, note)
    images = sum(told["images"].values())
    damaged = f", {told['damaged']:,} of them damaged" if told["damaged"] else ""
    answer(json, told | {"folder": str(out)}, f"{out}: {images:,} images{damaged}, {told['bytes'] / 1e6:,.1f} MB")


@data.command()
def index(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Tar shards: a folder, or e.g. 'DIR/x-{000..009}.tar'.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A folder for the indices; default beside the shards.")
    ] = None,
    json: Json = False,
) -> None:
    """Write down where each image of tar shards lies, so that no training reads through them first."""
    from compound.data.shards import write_indices

    told = write_indices(data, out, note)
    lines = [f"{told['images']:,} images in {told['shards']:,} shards, {told['bytes'] / 1e6:,.1f} MB"]
    answer(json, told, "\n".join([*lines, *left_out_lines(told["left_out"])]))


def left_out_lines(left_out: Mapping[str, str]) -> list[str]:
    """A line for each of the first ten."""
    return [f"left out: {what}: {why}" for what, why in list(left_out.items())[:10]]


def part_lines(name: str, part: dict[str, Any]) -> list[str]:
    """A line a part, and one for each damaged image of the first ten."""
    sides = part["sides"]
    size = f", sides {sides['smallest']} to {sides['largest']} px, median {sides['median']}" if sides else ""
    sampled = f" ({part['looked_at']:,} looked at)" if part["looked_at"] < part["images"] else ""
    grey = f", {part['grey_in_colour']:,} grey" if part["grey_in_colour"] else ""
    line = (
        f"{name:>8}: {part['images']:,} images{sampled}{size}{grey}, largest class / smallest {part['imbalance']:.1f}"
    )
    damaged = [f"          damaged: {one['path']}: {one['reason']}" for one in part["damaged"][:10]]
    return [line + (f", {len(part['damaged'])} damaged" if damaged else ""), *damaged]

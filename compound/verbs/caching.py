"""`compound.cache_data` and `compound.index_data`: a data set decoded once, shards read through once."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.verbs.given import Place, Say, heard, silent

if TYPE_CHECKING:
    from compound.data import DataSpec


@heard
def cache_data(data: "DataSpec | Place", out: Place, size: int = 256, *, say: Say = silent) -> dict[str, Any]:
    """Decode a data set into files in `out` that training reads by memory map; goes on where it was stopped.

    Args:
        data: the question that opens the images, or only where they lie.
        out: the folder to write; then the place of the data for every other verb.
        size: short side in px that larger images are scaled down to. Crops are taken from these smaller images, so
            choose a network's resolution plus its margin, or more.
        say: told of what is done meanwhile.

    Returns what `cache.json` says: images of each part, damaged ones, bytes. A finished cache is checked byte by byte,
    and what is damaged, or of images that changed since, is written again.
    """
    from compound.data import DataSpec
    from compound.data.caching import write_cache
    from compound.data.open import read_tables

    spec = data if isinstance(data, DataSpec) else DataSpec(str(data))
    return write_cache(read_tables(spec), Path(out), size, say)


@heard
def index_data(shards: Place, out: Place | None = None, *, say: Say = silent) -> dict[str, Any]:
    """Write down where each image of tar shards lies, so that no training reads through them first.

    Args:
        shards: a folder of tar files, or a pattern such as `DIR/x-{000..009}.tar`.
        out: a folder for the indices; default beside the shards.
        say: told of what is done meanwhile.

    Returns counts of shards, images and bytes, and what was left out with the reason. Raises `DataError` for shards
    that are elsewhere, where `out` is not given.
    """
    from compound.data.shards import write_indices

    return write_indices(str(shards), Path(out) if out is not None else None, say)

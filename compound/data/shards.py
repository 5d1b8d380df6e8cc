"""Tar shards as WebDataset writes them, on this machine or behind any address that fsspec reads (https, s3, gs, …).

An index of every shard says where each image lies, so that images come by position like those of files: in an order
that no number of processes or workers changes, and from the middle of an epoch. It is read from `SHARD.index.json`
beside the shard, or made once and kept.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compound.bounds import bound
from compound.data.errors import DataError
from compound.data.folder import as_parts, numbered
from compound.data.members import Members, read_members
from compound.data.parts import part_in
from compound.data.shard_source import ShardSource, is_local, reach, said, stamp_of
from compound.data.tables import Tables
from compound.files import make_folder, open_regular, read_regular, write_json
from compound.notes import note

SUFFIX = ".tar"
BESIDE = "{}.index.json"
KEPT = "shards"  # where indices are kept that are not beside their shards, below the folder of data sets
BLOCK = 2**22  # bytes that are read at once where an index is made
NAMES = "classes.txt"  # beside the first shard: the names of classes 0, 1, …, a line each


def is_shards(spec: str) -> bool:
    """Whether `spec` is an address, names tar files, or a folder of them."""
    if "://" in spec or spec.startswith("pipe:") or spec.endswith((SUFFIX, f"{SUFFIX}.gz")):
        return not Path(spec).expanduser().is_dir()
    path = Path(spec).expanduser()
    return path.is_dir() and any(path.glob(f"*{SUFFIX}")) and not any(each.is_dir() for each in path.iterdir())


def open_shards(spec: str, channels: int, root: Path) -> Tables:
    """The parts of the shards of `spec`, told apart by train, val or test in their names or their folders' names."""
    shards = expanded(spec)
    indexed = dict(zip(shards, indices(shards, root / KEPT), strict=True))
    parts = divided(shards)
    labels = {part: [label for shard in names for label in indexed[shard].labels] for part, names in parts.items()}
    classes, numbers = numbered({part: [[label] for label in each] for part, each in labels.items()}, spec)
    sources = {}
    for part, names in parts.items():
        members = [indexed[shard] for shard in names]
        places = [(i, *place) for i, one in enumerate(members) for place in zip(one.offsets, one.sizes, strict=True)]
        images = [name for one in members for name in one.names]
        flat = np.array(numbers[part], dtype=np.int64).reshape(-1)
        sources[part] = ShardSource(names, channels, np.array(places, dtype=np.int64), flat, images)
    left = {f"{shard}: {what}": why for shard, one in indexed.items() for what, why in one.left_out.items()}
    return replace(as_parts(named(spec), class_names(shards[0], classes), channels, sources, left), by="name")


def expanded(spec: str) -> list[str]:
    """The shards that `spec` names, in its order: braces are opened, folders listed."""
    from braceexpand import braceexpand

    if spec.startswith("pipe:"):
        raise DataError(f"{spec} is a command, whose output cannot be read from its middle; give the shards' addresses")
    try:
        listed = [os.path.expanduser(one) for one in braceexpand(spec)]
    except ValueError:  # of unbalanced braces
        raise DataError(f"{spec} has a brace without its other; write e.g. shard-{{000..009}}.tar") from None
    shards: list[str] = []
    for one in listed:
        if one.endswith(f"{SUFFIX}.gz"):
            raise DataError(f"{one} is compressed, and its images cannot be read one by one; unpack it with gunzip")
        shards += [one] if one.endswith(SUFFIX) else _below(one)
    twice = next((one for one in shards if shards.count(one) > 1), None) if len(set(shards)) < len(shards) else None
    if twice:
        raise DataError(f"{spec} names {twice} twice; name each shard once")
    return shards


def _below(folder: str) -> list[str]:
    system, path = reach(folder)
    found = sorted(system.glob(f"{path.rstrip('/')}/*{SUFFIX}"))
    if not found:
        raise DataError(f"{folder} has no {SUFFIX} files; give addresses such as {folder}/shard-{{000..009}}{SUFFIX}")
    return [system.unstrip_protocol(one) if "://" in folder else one for one in found]


def divided(shards: list[str]) -> dict[str, list[str]]:
    """The shards of each part. Those of a single part are what is trained on, whatever it is called."""
    parts: dict[str, list[str]] = {}
    for shard in shards:
        *_, folder, name = ["", *shard.split("/")]
        parts.setdefault(part_in(name) or part_in(folder) or "train", []).append(shard)
    if "train" in parts:
        return parts
    if len(parts) > 1:
        raise DataError(f"{shards[0]} and others are to validate and to test with; name shards to train on too")
    return {"train": shards}


def named(spec: str) -> str:
    """What the data is called: its file names up to the first brace, or the folder's name."""
    folder, _, name = spec.rstrip("/").rpartition("/")
    stem = name.partition("{")[0].removesuffix(SUFFIX).rstrip("-_.")
    return stem if stem.strip("0123456789") else folder.rpartition("/")[2].partition("{")[0].rstrip("-_.") or "shards"


def class_names(shard: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The names that stand in `classes.txt` for class numbers, or else the labels as they are."""
    system, path = reach(shard)
    file = f"{path.rpartition('/')[0]}/{NAMES}"
    try:
        data = read_regular(file, bound("COMPOUND_MAX_TABLE")) if is_local(system) else system.cat_file(file)
        lines = data.decode("utf-8").splitlines()
    except OSError as error:
        if isinstance(error, FileNotFoundError) or not is_local(system):
            return classes
        raise DataError(f"cannot read {file}: {error.strerror or error}; give a list of names, or none") from None
    except Exception:  # elsewhere there is none
        return classes
    names = [line.strip() for line in lines if line.strip()]
    if not all(label.isdecimal() and len(label) < 10 and int(label) < len(names) for label in classes):
        raise DataError(f"{file} names {len(names)} classes, and labels are {', '.join(classes[:5])} …; make them fit")
    return tuple(names[int(label)] for label in classes)


def indices(shards: list[str], kept: Path) -> list[Members]:
    """What each shard holds, from its index where that is of the shard as it is now.

    An index that is kept here says of which file it is. One beside a shard comes with it: on this machine it must not
    be older than the shard, elsewhere its size must fit.
    """
    system, _ = reach(shards[0])
    paths = [reach(shard)[1] for shard in shards]
    try:
        with ThreadPoolExecutor(8) as threads:
            stamps = list(threads.map(lambda path: stamp_of(system, path), paths))
    except Exception as error:  # each protocol has its own kinds
        raise DataError(f"cannot read the shards from {shards[0]} on: {said(error)}; check the address") from None
    unsized = [shard for shard, (size, _) in zip(shards, stamps, strict=True) if size is None]
    if unsized:
        raise DataError(f"{unsized[0]}: its server does not say how long it is; take another")
    most = bound("COMPOUND_MAX_INDEX")
    if is_local(system):
        beside = [_beside(path, most) for path in paths]
    else:
        beside = system.cat_ranges([BESIDE.format(path) for path in paths], None, None, on_error="return")
    files = [kept / f"{hashlib.sha256(_absolute(shard).encode()).hexdigest()[:24]}.json" for shard in shards]
    found = [
        _valid(data, size) or _valid(read_regular(file, most) if file.is_file() else None, size, tag)
        for data, file, (size, tag) in zip(beside, files, stamps, strict=True)
    ]
    missing = [number for number, members in enumerate(found) if members is None]
    if missing:
        note(f"{len(missing):,} of {len(shards):,} shards have no index; reading through them once")

    def make(number: int) -> None:
        found[number] = members = make_index(shards[number])
        write_json(make_folder(kept) / files[number].name, members.to_json())

    with ThreadPoolExecutor(8) as threads:  # remote ones wait most of the time
        list(threads.map(make, missing))
    return [members for members in found if members]


def _absolute(shard: str) -> str:
    return shard if "://" in shard else os.path.abspath(shard)


def _beside(shard: str, most: float) -> bytes | None:
    """An index that was written after its shard."""
    index = BESIDE.format(shard)
    try:
        if os.stat(index).st_mtime_ns >= os.stat(shard).st_mtime_ns:
            return read_regular(index, most)
    except OSError:
        pass
    return None


def _valid(data: Any, size: int | None, tag: str | None = None) -> Members | None:
    """The index in `data`, None where there is none, a damaged one or one of another shard."""
    try:
        members = Members.from_json(json.loads(data)) if isinstance(data, bytes) else None
    except (ValueError, RecursionError):
        return None
    fits = members is not None and members.bytes == size and tag in (None, members.stamp)
    return members if fits else None


def make_index(shard: str) -> Members:
    """Read through a shard."""
    system, path = reach(shard)
    try:
        _, tag = stamp_of(system, path)  # before it is read: one that is written meanwhile is read again
        size = system.size(path)
        local = is_local(system)
        opened = (
            open_regular(path, math.inf) if local else system.open(path, "rb", block_size=BLOCK, cache_type="readahead")
        )
        with opened as file:
            return replace(read_members(file, size, shard), stamp=tag)
    except DataError:
        raise
    except Exception as error:  # each protocol has its own kinds
        raise DataError(f"cannot read {shard}: {said(error)}; check the address") from None


def write_indices(spec: str, out: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Make the index of every shard of `spec` anew, beside it or in the folder `out`. Returns counts of all."""
    told: dict[str, Any] = {"shards": 0, "images": 0, "bytes": 0, "left_out": {}}
    for shard in expanded(spec):
        if out is None and "://" in shard:
            raise DataError(f"{shard} is elsewhere; write the indices into a folder with -o, and copy them beside it")
        members = make_index(shard)
        name = BESIDE.format(shard.rpartition("/")[2])
        write_json((make_folder(out) if out else Path(shard).parent) / name, members.to_json())
        told["shards"] += 1
        told["images"] += len(members.names)
        told["bytes"] += members.bytes
        told["left_out"] |= {f"{shard}: {what}": why for what, why in members.left_out.items()}
        say(f"{shard}: {len(members.names):,} images, {members.bytes / 1e6:,.0f} MB")
    return told

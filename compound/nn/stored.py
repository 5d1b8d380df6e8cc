"""The tensors of a weights file, whoever wrote it: nothing is run, nothing is believed that can be checked.

A .safetensors file is checked to be regular and not too long; one of ours also by a digest of its tensors. Any other
file is read with torch's `weights_only`, with one class allowed beside tensors: the `argparse.Namespace` in which
training scripts leave their options.
"""

import argparse
import hashlib
import warnings
from collections.abc import Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from compound.bounds import bound
from compound.files import open_regular
from compound.nn.checkpoints import state_in
from compound.nn.foreign import WeightsError

DIGEST = "digest"  # its name in a file's metadata
MAGIC = b"PK\x03\x04"  # of a zip file, as torch writes


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors. Raises `WeightsError` where they are not what was written."""
    check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{path} is damaged or not a safetensors file: its header and its length do not agree; copy it again"
        ) from error
    if DIGEST in metadata and metadata[DIGEST] != digest(state):
        raise WeightsError(f"{path} is damaged: its tensors are not those it was written with; copy it again")
    return metadata, state


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes of the tensors, in hexadecimal digits."""
    summed = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        summed.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        if flat.numel():
            summed.update(flat.view(torch.uint8).numpy().data)
    return summed.hexdigest()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of a file of `torch.save`, by itself or where training scripts leave it (see `checkpoints.py`)."""
    check_regular(path)
    check_packed(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file could make torch say any number of things
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle fails in as many ways as there are bytes
        raise WeightsError(
            f"{path} is damaged or holds more than tensors, which is never run{_more(path)}; save its state_dict alone"
        ) from error
    state = state_in(loaded, path)
    if not (state and all(isinstance(value, Tensor) for value in state.values())):
        raise WeightsError(f"{path} does not hold a state dict (names to tensors)")
    return state


def check_packed(path: Path) -> None:
    """Raise `WeightsError` where reading a file of `torch.save` could take more memory than it has bytes."""
    length = path.stat().st_size
    if not length:
        return
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        # Of the functions that `weights_only` calls, the one that fills as much memory as a number says.
        if content.find(b"\nbytearray\n") >= 0:
            raise WeightsError(
                f"{path} holds more than tensors, a bytearray, which is never made; save its state_dict alone"
            )
        if content[:4] != MAGIC:
            return
    try:
        with ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return  # torch says that it is damaged
    if unpacked > length:
        raise WeightsError(f"{path} is compressed, {unpacked:,} bytes in {length:,}; save it again with torch.save")


def check_types(given: Mapping[str, Tensor], needed: Mapping[str, Tensor], path: Path) -> None:
    """Raise `WeightsError` where names, shapes or kinds of numbers differ; `needed` may lie on meta."""
    for name in needed.keys() - given.keys() | given.keys() - needed.keys():
        what = "lacks" if name in needed else "has too many: "
        raise WeightsError(f"{path} does not fit the network in its own metadata: it {what} {name[:100]}")
    for name, tensor in given.items():
        if tensor.shape != needed[name].shape:
            sizes = ["×".join(map(str, one.shape)) or "a number" for one in (tensor, needed[name])]
            said = f"{name[:100]} is {sizes[0]}, and {sizes[1]} is needed"
            raise WeightsError(f"{path} does not fit the network in its own metadata: {said}")
        if tensor.is_floating_point() != needed[name].is_floating_point() or tensor.is_complex():
            raise WeightsError(f"{path} is damaged: {name[:100]} has numbers of type {tensor.dtype}; copy it again")


def check_regular(path: Path) -> None:
    try:
        open_regular(path, bound("COMPOUND_MAX_MODEL")).close()
    except OSError as wrong:
        raise WeightsError(f"cannot read {path}: {wrong.strerror or wrong}; give a weights file") from None


def _more(path: Path) -> str:
    """What a file asks for beside tensors, if it can be told; nothing is run to tell it."""
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        return ""
    names = sorted(set(found) - {"argparse.Namespace"})
    return f" ({', '.join(names)[:200]})" if names else ""

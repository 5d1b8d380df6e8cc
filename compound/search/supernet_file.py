"""A trained supernet as a safetensors file that is complete by itself: its metadata holds space and classes."""

import hashlib
import json
from collections.abc import Container
from pathlib import Path

import torch
from safetensors.torch import save_file

from compound.documents import damaged
from compound.errors import CompoundError
from compound.files import write_with
from compound.nn.stored import DIGEST, check_types, digest, read_safetensors
from compound.search.space_file import parse_space
from compound.search.supernet import Supernet

FORMAT = "compound-supernet-1"


def seen_beside(path: Path) -> Path:
    """The list of the images that shared weights were trained on: see `compound.training.seen`."""
    return path.with_suffix(".csv")


def save_supernet(supernet: Supernet, path: Path) -> Path:
    """Write the shared weights."""
    metadata = {
        "format": FORMAT,
        "space": json.dumps(supernet.space.source),
        "classes": str(supernet.network.classes),
        "channels": str(supernet.network.channels),
    }
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in supernet.state_dict().items()}
    metadata[DIGEST] = digest(state)
    return write_with(path, lambda temporary: save_file(state, temporary, metadata))


def load_supernet(path: Path) -> Supernet:
    """The supernet of a file that `save_supernet` wrote."""
    metadata, given = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise CompoundError(f"{path} holds no shared weights; give the shared.safetensors of a search")
    with damaged(path, "let the search write it again", error=CompoundError):
        space = parse_space(json.loads(metadata["space"]), str(path))
        about = {name: int(metadata[name]) for name in ("classes", "channels")}
    with torch.device("meta"):
        needed = Supernet(space.with_(**about)).state_dict()
    names = {older(name, given): name for name in needed}
    state = {names.get(name, name): tensor for name, tensor in given.items()}
    check_types(state, needed, path)
    supernet = Supernet(space.with_(**about))
    supernet.load_state_dict(state)
    return supernet


def older(name: str, given: Container[str]) -> str:
    """What `name` is called in a file whose heads do not tell features and classifier apart."""
    flat = name.replace("/head/features/", "/head/").replace("/head/classifier/", "/head/")
    return flat if flat in given and name not in given else name


def weights_fingerprint(path: Path) -> str:
    """Twelve hex digits of what the file holds; the order in which it holds it differs from writing to writing."""
    summed = hashlib.sha256()
    for name, tensor in sorted(load_supernet(path).state_dict().items()):
        summed.update(name.encode())
        summed.update(tensor.numpy().tobytes())
    return summed.hexdigest()[:12]

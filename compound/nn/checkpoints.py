"""What training scripts leave, and what of it is a network: where its weights stand, and what stands beside them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compound.nn.foreign import WeightsError
from compound.notes import note

# Where training scripts keep weights, in the order of timm's `load_state_dict`: averages first, for they are what was
# evaluated.
PLACES = ("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model", "model_state_dict")
STATES = ("n_averaged", "_extra_state")  # entries of a state dict that count or describe
COUNTS = ("num_batches_tracked", *STATES)  # whole numbers by right
# What a module holds beside its network, by a word of its name; a word may also begin or end with one of LOSSES.
LOSSES = ("loss", "losses", "criterion", "criteria")
METRICS = ("metric", "metrics", "acc", "accuracy", "auroc")
AUXILIARY = ("AuxLogits", "aux1", "aux2")  # classifiers that only training has
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")  # before every name, by what held the network
KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def state_in(loaded: Any, path: Path) -> dict[str, Any]:
    """The state dict in what a checkpoint holds, and a note of where it was taken from, unless it is all there is."""
    if not isinstance(loaded, dict):
        return {}
    found = {str(name): value for name, value in loaded.items() if _is_state(value)}
    known = [place for place in PLACES if place in found]
    if not known and (_is_state(loaded) or not found):
        return {str(name): value for name, value in loaded.items()}
    if not known and len(found) > 1:
        raise WeightsError(f"{path} holds several state dicts, {', '.join(found)[:200]}; save one of them alone")
    taken, *others = known or found
    beside = f", not {', '.join(others)}, which it holds too" if others else ""
    note(f"{path}: the weights under {taken[:100]} are taken{beside}")
    return {str(name): value for name, value in found[taken].items()}


def network_part(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of a network among those of the module that trained it, without what wraps all names of it.

    Losses, metrics and auxiliary classifiers are left out, and so are tensors of the module itself, such as weights of
    classes. A note says which.
    """
    kept = {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in STATES}
    in_layers = any("." in name for name in kept)
    left = [name for name in kept if _beside(name) or (in_layers and "." not in name)]
    if left:
        more = f" and {len(left) - 4} more" if len(left) > 4 else ""
        note(f"{path}: left out, as no part of a network: {', '.join(name[:100] for name in left[:4])}{more}")
    kept = {name: tensor for name, tensor in kept.items() if name not in set(left)}
    while wrapper := next((one for one in WRAPPERS if kept and all(name.startswith(one) for name in kept)), ""):
        kept = {name.removeprefix(wrapper): tensor for name, tensor in kept.items()}
    return kept


def check_numbers(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise `WeightsError` where a tensor is none that weights can be: none is cast to what it is not."""
    length = path.stat().st_size
    for name, tensor in state.items():
        dtype, what = str(tensor.dtype).removeprefix("torch."), ""
        if tensor.layout != torch.strided:
            what = "is sparse; save it with to_dense()"
        elif tensor.is_quantized:
            what = f"is quantized ({dtype}); save it with dequantize()"
        elif tensor.is_meta:
            what = "was saved without its numbers, on the device meta; save the weights once they are loaded"
        elif tensor.dtype not in KINDS and name.rpartition(".")[2] not in COUNTS:
            kinds = "float16, bfloat16, float32 or float64"
            what = f"has numbers of type {dtype}, and weights are {kinds}; save those it was trained with"
        elif tensor.numel() * tensor.itemsize > length:
            what = f"has {tensor.numel():,} numbers, more than the file has room for; save it with contiguous()"
        if what:
            raise WeightsError(f"{path}: the tensor {name[:100]} {what}")


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(one, Tensor) for one in value.values())


def _beside(name: str) -> bool:
    """Whether a tensor belongs to a loss, a metric or an auxiliary classifier, by the parts of its name."""
    parts = name.split(".")[:-1]
    words = [word for part in parts for word in re.split(r"[_\d]+", part.lower())]
    is_loss = any(word.startswith(LOSSES) or word.endswith(LOSSES) for word in words)
    return is_loss or any(word in METRICS for word in words) or any(part in AUXILIARY for part in parts)

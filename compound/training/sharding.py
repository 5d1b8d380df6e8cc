"""Fully sharded training (FSDP; Zhao et al. 2023): of each weight, its gradient, optimiser state and average, every
process holds a share only, and a block's weights are whole in a process while that block computes.

Checkpoints are those of any other training: whole tensors in one file, whatever number of processes goes on with it.
"""

import sys
from collections.abc import Mapping
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from compound.nn import ConvNet, build
from compound.nn.sources import forget_source
from compound.parallel import is_first, size
from compound.training.elsewhere import is_elsewhere, is_parted, put_together


def _loaded(module: str, name: str) -> Any:
    """A class of torch's, for `isinstance`; without an import of its module nothing is of that class, and that import
    takes half a second of every start."""
    return getattr(sys.modules.get(module), name, ())


def _is_divided(value: Any) -> bool:
    return isinstance(value, _loaded("torch.distributed.tensor", "DTensor"))


def shard(model: ConvNet) -> None:
    """Leave a share of every parameter of `model` in this process; block by block, in all processes alike."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = next(model.parameters()).device
    mesh = init_device_mesh(device.type, (size(),))
    model.to(memory_format=torch.contiguous_format)  # what is divided must be; maps stay channels-last
    # Stem and features are blocks themselves: divided layer by layer, they would no longer train as lean chains.
    blocks = [block for name, part in model.stages() for block in (part.children() if "stage" in name else [part])]
    for module in [*blocks, model.classifier, model]:
        if any(True for _ in module.parameters()):
            module.register_forward_hook(_alike)
            fully_shard(module, mesh=mesh, reshard_after_forward=True)


def _alike(module: nn.Module, inputs: Any, outputs: Any) -> None:
    """Torch's hooks hide where a block's input comes from, but not while it is recomputed: so nobody shall know."""
    tree_map(forget_source, outputs)


def is_sharded(model: nn.Module) -> bool:
    return isinstance(model, _loaded("torch.distributed.fsdp", "FSDPModule"))


def share(tensor: Tensor) -> Tensor:
    """What this process holds of `tensor`: its share where it is divided, nothing where another process has it."""
    if is_elsewhere(tensor):
        return torch.empty(0, dtype=tensor.dtype)
    return cast(Any, tensor).to_local() if _is_divided(tensor) else tensor


def whole(values: Any) -> Any:
    """`values`, a tree of dicts and lists, with divided tensors put together in process 0; not so in the others.

    All processes must call it, for the same tensors.
    """

    def together(value: Any) -> Any:
        if not _is_divided(value):
            return value
        full = value.full_tensor()
        return full.cpu() if is_first() else full.new_empty(0)

    return put_together(tree_map(together, values))


def divided(state: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Whole tensors by name, each divided as the one of that name in `like` is, or left to another process."""
    return {name: _as(value, like.get(name)) for name, value in state.items()}


def _as(value: Any, like: Any) -> Any:
    if is_elsewhere(like):
        return like
    if not (_is_divided(like) and isinstance(value, Tensor) and value.shape == like.shape):
        return value
    from torch.distributed.tensor import distribute_tensor

    # Every process has read the whole tensor, so nothing needs to be sent.
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def unsharded(model: ConvNet) -> ConvNet:
    """A whole model in every process."""
    if not (is_sharded(model) or is_parted(model)):
        return model
    plain = build(model.network)
    plain.several, plain.unknown, plain.sets = model.several, model.unknown, model.sets
    state = {n: t.full_tensor() if _is_divided(t) else t for n, t in model.state_dict().items()}
    plain.load_state_dict(put_together(state, everywhere=True))
    for name, norm in model.named_modules():  # the recipe's
        if isinstance(norm, nn.BatchNorm2d):
            cast(nn.BatchNorm2d, plain.get_submodule(name)).momentum = norm.momentum
    return plain


class Sharded(DDPStrategy):
    """Lightning's strategy of several processes, with the network divided among them instead of copied."""

    restore_checkpoint_after_setup = True  # there is nothing divided to load into before

    def configure_ddp(self) -> None:
        shard(cast(ConvNet, self._training().model))

    def _training(self) -> LightningModule:
        assert self.lightning_module is not None
        return self.lightning_module

    def lightning_module_state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = whole(super().lightning_module_state_dict())
        return state

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        module = self._training()
        module.load_state_dict(divided(checkpoint["state_dict"], module.state_dict()), strict=strict)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        state: dict[str, Any] = whole(super().optimizer_state(optimizer))
        return state

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            params = [p for group in optimizer.param_groups for p in group["params"]]
            remembered = {
                number: {name: _as(value, params[number]) for name, value in each.items()}
                for number, each in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": remembered})

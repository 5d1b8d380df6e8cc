"""A training whose network is divided among processes block by block, as Lightning runs it (see `pipeline`)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet
from compound.parallel import World, sent_to_first
from compound.training.balance import Split, split
from compound.training.elsewhere import is_elsewhere, put_together
from compound.training.module import Training
from compound.training.pipeline import Pipeline
from compound.training.recipe import Recipe

A_PROCESS = 4  # micro-batches: GPipe's waiting is then a fifth at most (Section 2.2 there)
LEAST = 4  # images of a micro-batch, which norms see


def in_parts(recipe: Recipe, processes: int) -> Recipe:
    """The recipe with the micro-batches of a pipeline: its own `accumulate`, or else `A_PROCESS` a process."""
    if recipe.accumulate > 1:
        return recipe
    return replace(recipe, accumulate=max(min(A_PROCESS * processes, recipe.batch // LEAST), 1))


def pipeline_split(network: Network, recipe: Recipe, world: World) -> Split:
    """How the network is divided. Raises `UsageError` for what a pipeline cannot do."""
    if world.size == 1:
        raise UsageError("--pipeline divides a network among processes, and here is one; start several with torchrun")
    for wrong, what, why in (
        (recipe.compile in ("always", "graphs"), f"compile {recipe.compile}", "leave one of them out"),
        (bool(recipe.transfer.unfreeze), "--unfreeze", "what learns is settled when the network is divided"),
        (recipe.teacher is not None, "--teacher", "no process has images and answers"),
        (recipe.elastic < 0, "--elastic", "no process has all of the network"),
        (recipe.integers, "--integers", "no process has all of the network"),
        (recipe.optimizer == "lamb", "optimizer lamb", "it scales by the gradients of all processes; take adamw"),
        (recipe.training_memory is not None, "--training-memory", "it counts a whole network; leave it out"),
    ):
        if wrong:
            raise UsageError(f"--pipeline does not go with {what}: {why}")
    return split(network, world.size)


class Pipelined(DDPStrategy):
    """Lightning's strategy of several processes, each of which has a part of the network instead of a copy."""

    restore_checkpoint_after_setup = True  # then it is known which tensors are whose

    def model_to_device(self) -> None:
        module = self._training()
        with without_network(module):
            module.to(self.root_device)  # its metrics, and where Lightning brings batches
        module.pipeline = Pipeline(module.model, self.root_device, prepare=module.maps)

    def configure_ddp(self) -> None:
        """Nobody has the same weights as another, so no gradients are averaged."""

    def _training(self) -> Training:
        return cast(Training, self.lightning_module)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = put_together(dict(super().lightning_module_state_dict()))
        return state

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        own = self._training().state_dict()
        state = {name: own[name] if is_elsewhere(own.get(name)) else t for name, t in checkpoint["state_dict"].items()}
        self._training().load_state_dict(state, strict=strict)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimiser's state of all parameters in process 0; the others' optimiser numbers them alike."""
        state: dict[str, Any] = dict(super().optimizer_state(optimizer))
        own = tree_map(lambda value: value.cpu() if hasattr(value, "cpu") else value, state["state"])
        held = {number: each for process in sent_to_first(own) for number, each in process.items()}
        return state | {"state": dict(sorted(held.items()))}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            params = [p for group in optimizer.param_groups for p in group["params"]]
            own = {number: each for number, each in state["state"].items() if not is_elsewhere(params[number])}
            optimizer.load_state_dict({**state, "state": own})

    def teardown(self) -> None:
        with without_network(self._training()):  # torch moves no tensor that is elsewhere
            super().teardown()


@contextmanager
def without_network(module: Training) -> Iterator[None]:
    """Within it, the module is all but its network."""
    model = module.model
    module.model = cast(ConvNet, nn.Identity())
    try:
        yield
    finally:
        module.model = model

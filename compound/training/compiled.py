"""Training steps as compiled code, by `torch.compile`."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from compound.nn import ConvNet, lean
from compound.nn.lean import plain
from compound.notes import note

VARIANTS = 64  # of one network's code: sizes of images and of parts, and what learns; torch stops after 8


class Compiled:
    """The logits of a network that trains, by compiled code, for parts of a batch of the sizes it is meant for.

    Other sizes, where damaged images left less, go the ordinary way, for each would be compiled anew. Random numbers
    are those of the ordinary step, so that both differ by rounding only. The compiler plans what is kept for the
    backward pass, so the network is not lean meanwhile. What cannot be compiled is said in one sentence; from then on
    all go the ordinary way. With `graphs`, a GPU replays the code as CUDA graphs.
    """

    def __init__(self, model: ConvNet, sizes: Collection[int], graphs: bool = False) -> None:
        self.sizes = frozenset(sizes)
        self.works = True
        plain(model)
        dynamo = torch._dynamo
        dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, VARIANTS)
        self._refusals = dynamo.exc.TorchDynamoException, dynamo.exc.FailOnRecompileLimitHit
        options: dict[str, Any] = {"fallback_random": True, "triton.cudagraphs": graphs}
        try:
            # Whole or not at all: a network that is run in pieces would have run in part when a piece fails.
            self._run = torch.compile(_logits, fullgraph=True, dynamic=False, options=options)
        except RuntimeError as error:  # a Python that torch does not compile for
            self._give_up(model, error)

    def __call__(self, model: ConvNet, images: Tensor) -> Tensor:
        if self.works and len(images) in self.sizes:
            try:
                return self._run(model, images)
            except self._refusals as error:
                self._give_up(model, error)
        return _logits(model, images)

    def _give_up(self, model: ConvNet, error: Exception) -> None:
        self.works = False
        lean(model)
        reason = first_line(getattr(error, "inner_exception", error))
        note(f"warning: training steps cannot be compiled ({reason}) and go on uncompiled")


def _logits(model: ConvNet, images: Tensor) -> Tensor:
    logits: Tensor = model(images)
    return logits


def first_line(error: BaseException) -> str:
    """What `error` says, without the pages that compilers add."""
    return str(error).strip().partition("\n")[0] or type(error).__name__

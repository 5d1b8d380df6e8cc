"""The figures of a network's cost, and what they mean.

Counting convention: multiply-adds (MACs) of convolutions and linear layers for one image; biases, normalisation,
activations, pooling and element-wise joins count none. The paper prints this figure as "FLOPS". Parameters are the
learnable ones. Activations are the outputs of convolutions and linear layers (as in Dollár et al. 2021). Memory is
in bytes.
"""

from dataclasses import dataclass
from typing import Any

from compound.network import Network
from compound.ops import Shape

CONVENTION = (
    "MACs = multiply-adds of convolutions and linear layers for one image (FLOPS in the paper); "
    "norms, activations, pooling and joins are not counted"
)


# Of the memory given to a training, what is planned: convolutions need room to work in, and allocators lose some.
PLANNED = 0.9


def memory_to_give(needed: float) -> float:
    """The least memory to give to a training whose steps take `needed` bytes: the one rule of plans and trainings."""
    return needed / PLANNED


@dataclass(frozen=True)
class Upkeep:
    """What a training holds of every weight, beside itself and its gradient, and in how many bytes its maps are.

    RMSProp with momentum and Adam have two slots, numbers that they remember of a weight, SGD with momentum one.
    """

    slots: int = 2
    ema: bool = True  # a moving average of the weights
    half: bool = False  # maps in two bytes under autocast (bf16), and a copy of the weights alike


PAPERS = Upkeep()  # as the paper trains: RMSProp, an average, fp32


def numbers(shape: Shape) -> int:
    """How many numbers a value of this shape holds."""
    channels, height, width = shape
    return channels * height * width


@dataclass(frozen=True)
class Cost:
    """Counts for one image, of the network as it is deployed: a sum of branches is the convolution they fold into.

    `kept`, `live`, `training` and `step` are numbers (not bytes); see the memory methods.
    """

    params: int = 0
    macs: int = 0
    activations: int = 0
    buffers: int = 0  # running statistics of norms
    kept: int = 0  # numbers that plain autograd keeps for the backward pass
    live: int = 0  # numbers that inference holds at its fullest moment
    training: int = 0  # numbers that plain autograd holds at its fullest moment: what is kept so far, and a block's own
    step: int = 0  # numbers that a step of our training holds at its fullest moment; of a whole network only
    latency: float = 0.0  # seconds on a budget's device; 0 where none is asked for
    # What branches have more in training than the convolutions they are folded into: see `compound.ops.Sum`.
    branch_params: int = 0
    branch_macs: int = 0
    branch_buffers: int = 0
    branch_live: int = 0
    margin: float = 0.0  # by which share of `latency` nine of ten networks are slower at most

    @property
    def training_params(self) -> int:
        """Parameters that learn, those of branches among them."""
        return self.params + self.branch_params

    @property
    def training_macs(self) -> int:
        """Multiply-adds of a forward pass in training."""
        return self.macs + self.branch_macs

    @property
    def training_live(self) -> int:
        """Numbers that a forward pass in training holds at its fullest moment, beside what it keeps."""
        return self.live + self.branch_live

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.params + other.params,
            self.macs + other.macs,
            self.activations + other.activations,
            self.buffers + other.buffers,
            self.kept + other.kept,
            max(self.live, other.live),
            max(self.training, self.kept + other.training),
            max(self.step, other.step),
            self.latency + other.latency,
            self.branch_params + other.branch_params,
            self.branch_macs + other.branch_macs,
            self.branch_buffers + other.branch_buffers,
            max(self.training_live, other.training_live) - max(self.live, other.live),
        )

    def memory(self, batch: int = 1, bytes_each: int = 4) -> int:
        """Bytes of inference: weights, running statistics, and the values alive at the fullest moment."""
        return bytes_each * (self.params + self.buffers + batch * self.live)

    def state_memory(self, slots: int = 2, ema: bool = True, bytes_each: int = 4) -> int:
        """Bytes of training whatever the batch: weights, gradients, `slots` optimiser numbers a weight, and the EMA.

        RMSProp with momentum and Adam have two slots, SGD with momentum one.
        """
        statistics = self.buffers + self.branch_buffers
        return bytes_each * (self.training_params * (2 + slots + ema) + statistics * (1 + ema))

    def training_memory(self, batch: int, upkeep: Upkeep = PAPERS) -> int:
        """Bytes of a training step of `batch` images as `compound train` takes it, with the state.

        It keeps less than plain autograd would: see `compound.nn.lean`. The working space of single operators (a
        convolution's columns) is not in it: what to give is more, by `memory_to_give`.
        """
        state = self.state_memory(upkeep.slots, upkeep.ema)
        return state + upkeep.half * 2 * self.training_params + batch * (2 if upkeep.half else 4) * self.step

    def autograd_memory(self, batch: int, slots: int = 2, ema: bool = True, bytes_each: int = 4) -> int:
        """The same of the plain model in a loop of one's own, or compiled: all that autograd keeps."""
        return self.state_memory(slots, ema, bytes_each) + bytes_each * batch * max(self.kept, self.training)


def cost_fields(network: Network, counted: Cost) -> dict[str, Any]:
    """A network's cost as plain values, under the names that every answer and file uses; memory in bytes."""
    return {
        "name": network.name,
        "resolution": network.resolution,
        "params": counted.params,
        "macs": counted.macs,
        "activations": counted.activations,
        "memory": counted.memory(),
        **({"latency": counted.latency} if counted.latency else {}),
        **training_fields(counted),
    }


def training_fields(counted: Cost) -> dict[str, int]:
    """What is trained, where that is more than what is deployed."""
    if not (counted.branch_params or counted.branch_macs):
        return {}
    return {"training_params": counted.training_params, "training_macs": counted.training_macs}


def training_text(counted: Cost) -> str:
    """The same as a sentence; empty for most networks."""
    if not training_fields(counted):
        return ""
    return (
        f"counted as deployed, with branches folded; {counted.training_params:,} parameters and "
        f"{counted.training_macs:,} MACs are trained"
    )

"""One training of many sizes: networks scaled down share the weights of the largest and learn from its answers.

The sandwich rule (Yu & Huang 2019, arXiv:1903.05134): each step trains the largest network by the labels, and the
smallest and one drawn between by the largest one's answers (in-place distillation). A size is depth, width and
resolution, as the compound rule has them for a φ below 0.

N images, C channels, R the resolution in px
"""

import torch
from torch import Tensor
from torch.func import functional_call
from torchvision.transforms.v2 import functional as V

from compound.data import Preprocessing
from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet, lean
from compound.nn.elastic import sliced, within
from compound.scaling import CompoundRule, scale
from compound.training.losses import distillation_loss
from compound.training.recipe import Recipe

RULE = CompoundRule()
STEPS = 8  # sizes between φ and φ + 1 that are drawn


class Elastic:
    """The sizes of a training from φ = `smallest` to 0; as little a part of its state as a teacher.

    Raises `UsageError` where the smallest is none within the largest.
    """

    def __init__(self, model: ConvNet, smallest: float) -> None:
        self.whole, self.smallest = model, smallest
        self.parts: dict[Network, ConvNet] = {}
        for phi in (smallest, 0):
            dict(sliced(dict(model.state_dict()), self.part(phi)))

    def part(self, phi: float) -> ConvNet:
        """The network of φ without numbers; one for all φ that are the same after rounding."""
        network = sized(self.whole.network, phi)
        if network not in self.parts:
            made = within(network).train()
            lean(made)
            self.parts[network] = made
        return self.parts[network]

    def drawn(self) -> list[float]:
        """The sizes of a step beside the largest, by torch's generator."""
        share = torch.randint(1, max(round(-self.smallest * STEPS), 2), ()).item() / max(
            round(-self.smallest * STEPS), 2
        )
        return [self.smallest, self.smallest * share]

    def logits(self, phi: float, images: Tensor) -> Tensor:
        """(N, K) of images as the largest sees them, uint8 or float 0–1 (N, C, R, R), by the size of φ."""
        part, side = self.part(phi), images.shape[-1]
        smaller = max(round(side * part.network.resolution / self.whole.network.resolution), 1)
        if smaller != side:
            images = V.resize(images, [smaller, smaller], antialias=True)
        x = Preprocessing.of(part.network).normalise(images).contiguous(memory_format=torch.channels_last)
        state = dict(self.whole.named_parameters())
        given = dict(sliced(state | dict(self.whole.named_buffers()), part))
        for name, _ in part.named_buffers():  # a step uses the batch's statistics; those of other sizes are not its own
            given[name] = given[name].clone()
        found: Tensor = functional_call(part, given, x)
        return found

    def loss(self, logits: Tensor, images: Tensor) -> Tensor:
        """The sum over this step's smaller sizes of their distance from the largest one's answers, `logits`."""
        taught = logits.detach()
        losses = [distillation_loss(self.logits(phi, images), taught, 1.0) for phi in self.drawn()]
        return torch.stack(losses).sum()

    def __deepcopy__(self, memo: dict[int, object]) -> "Elastic":
        return self


def sized(network: Network, phi: float) -> Network:
    """The network of a size, by its φ, 0 or less."""
    return scale(network, RULE(phi)) if phi else network


def find_elastic(model: ConvNet, recipe: Recipe) -> Elastic | None:
    """The sizes that the recipe trains beside the network; None where it trains that alone."""
    if not recipe.elastic:
        return None
    if model.several:
        raise UsageError("elastic networks learn from answers of which one is right; leave --elastic out")
    return Elastic(model, recipe.elastic)

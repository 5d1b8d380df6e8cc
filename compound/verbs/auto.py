"""What `--weights auto` takes: the best published weights within a budget, or else what a device trains in its time."""

from typing import TYPE_CHECKING

from compound.budget import Budget
from compound.network import Network
from compound.quantity import short
from compound.verbs.given import Say

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.execution import Execution

# Multiply-adds of the largest network that is taken where nobody set a limit: what trains on some hundred photos within
# minutes on two cores, and on a GPU.
MOST = {"cpu": 1e9, "gpu": 20e9}
# Multiply-adds a second while training, low on purpose: of a core, and of a GPU in single precision.
RATE = {"cpu": 8e9, "gpu": 1e12}
PASSES = 10  # over the images that the minutes should hold at least
LEAST = 100e6  # below it published networks lose accuracy quickly, so fewer passes are the smaller loss


def usual_budget(images: "DataSet", execution: "Execution", minutes: float | None) -> Budget:
    """The limit where none is given: by the device, and with `minutes` by what they hold of it on so many images."""
    import torch

    kind = "cpu" if execution.where.type == "cpu" else "gpu"
    most = MOST[kind]
    if minutes is not None:
        rate = RATE[kind] * (execution.threads or torch.get_num_threads() if kind == "cpu" else 1)
        # A training step costs three times the network's own multiply-adds.
        most = min(most, max(LEAST, 60 * minutes * rate / (3 * PASSES * len(images.train))))
    return Budget(macs=most)


def choose(
    budget: Budget | None, images: "DataSet", execution: "Execution", minutes: float | None, say: Say
) -> tuple[str, Network]:
    """The name of the weights, which is said with size and accuracy before anything is fetched, and their network."""
    from compound.nn import best_published, load_weights
    from compound.nn.hub import published_text

    limit = budget or usual_budget(images, execution, minutes)
    name = best_published(limit, data=images)
    why = "" if budget else f"; none over {short(limit.macs or 0)} MACs without a budget such as --macs 2G"
    say(f"{published_text(name)}{why}")
    return name, load_weights(name)[1].network.for_data(images)

"""What `--weights auto` takes: the best published weights within a budget, or else what a device trains in its time."""

from dataclasses import replace
from typing import TYPE_CHECKING

from compound.budget import Budget
from compound.network import Network
from compound.quantity import short
from compound.verbs.given import Say

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.execution import Execution
    from compound.training import Start

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
    """The name of the weights, which is said with size and accuracy before anything is fetched, and their network at
    the size that its accuracy is of."""
    from compound.nn import best_published
    from compound.nn.hub import network_of

    limit = budget or usual_budget(images, execution, minutes)
    found = best_published(limit, data=images)
    why = "" if budget else f"; none over {short(limit.macs or 0)} MACs without a budget such as --macs 2G"
    say(f"{found.text()}{why}")
    return found.weights, network_of(found.weights).with_(resolution=found.row.pixels).for_data(images)


def named(start: "Start", network: Network, say: Say) -> "Start":
    """`start` with the published weights of `network` in the place of `auto`, which are said."""
    from compound.nn import best_published
    from compound.nn.choice import AUTO

    if start.weights != AUTO:
        return start
    found = best_published(network=start.of or network)
    say(found.text())
    return replace(start, weights=found.weights)

"""Write compound/paper/published.csv: the published weights of the zoo's networks, with their accuracy.

    python scripts/published_table.py results-imagenet.csv

The argument is timm's result table (columns weights, pixels, top1, params_m); torchvision's figures are those of its
own metadata. A name counts where the zoo has it and its parameters are the published ones.
"""

import csv
import sys
from pathlib import Path

from torchvision import models

from compound.cost import cost
from compound.errors import UsageError
from compound.files import write_text
from compound.network import Network
from compound.paper.published import COLUMNS, TABLE
from compound.zoo import ZOO


def known(name: str, params: float, pixels: int) -> Network | None:
    """The zoo's network of that name at its test size; None where there is none of so many parameters (in millions)."""
    try:
        network = ZOO[name].with_(resolution=pixels)
    except UsageError:
        return None
    counted = cost(network)  # of a network that is folded, tables have what is trained or what is deployed
    near = [abs(count / 1e6 - params) < 0.0051 for count in (counted.training_params, counted.params)]
    return network if any(near) else None


def row(weights: str, network: Network, top1: float, source: str) -> list[object]:
    own = ZOO[network.name]
    counted = cost(own.with_(resolution=network.resolution))
    figures = [counted.params, counted.macs, counted.activations, counted.memory()]
    return [weights, own.name, network.resolution, own.resolution, f"{top1 / 100:.5f}", *figures, source]


def main() -> None:
    rows = []
    for given in csv.DictReader(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()):
        arch, pixels = given["weights"].split(".")[0], int(given["pixels"])
        if network := known(arch, float(given["params_m"]), pixels):
            source = "timm results-imagenet (read 2026-11)"
            rows.append(row(f"timm/{given['weights']}", network, float(given["top1"]), source))
    for arch in models.list_models(module=models):
        for entry in models.get_model_weights(arch):
            pixels = entry.transforms().crop_size[0]
            if network := known(arch, entry.meta["num_params"] / 1e6, pixels):
                top1 = entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
                if top1 == top1:  # VGG's features alone classify nothing
                    rows.append(row(f"torchvision/{arch}.{entry.name}", network, top1, "torchvision 0.29 metadata"))
    lines = [",".join(map(str, line)) for line in (COLUMNS, *sorted(rows, key=lambda one: str(one[0])))]
    write_text(TABLE, "\n".join(lines) + "\n")
    print(f"{len(rows)} weights of {len({one[1] for one in rows})} networks")


if __name__ == "__main__":
    main()

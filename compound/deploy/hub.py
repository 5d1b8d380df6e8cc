"""A folder ready for the Hugging Face hub: weights, what they are, and a card with what was measured."""

import json
from pathlib import Path
from typing import Any

from compound.cost import CONVENTION, cost, training_fields
from compound.files import make_folder, write_json, write_text
from compound.nn import ConvNet, describe_model, save_weights

CARD = """---
library_name: compound
pipeline_tag: image-classification
tags:
- image-classification
- {baseline}
metrics:
- accuracy
---

# {name}

A ConvNet of {params:,} parameters and {macs:,} multiply-adds at {resolution} px, for {classes} classes.

```sh
pip install 'compound[train]'
compound predict model.safetensors photo.jpg
```

{measured}
The network, row by row:

```text
{table}
```

{convention}. The preprocessing is in the weights' metadata and in config.json, so that no image is prepared wrongly.
"""


def write_hub_folder(model: ConvNet, classes: tuple[str, ...], out: Path, evaluation: dict[str, Any] | None) -> Path:
    """model.safetensors, config.json and README.md in `out`. `evaluation` is a run's evaluation.json."""
    make_folder(out)
    network = model.network
    counted = cost(network)
    save_weights(model, out / "model.safetensors", classes)
    described = describe_model(model, classes)
    config = {
        "library_name": "compound",
        "architecture": network.name,
        "num_classes": len(classes),
        "label_names": list(classes),
        "params": counted.params,
        "macs": counted.macs,
        **training_fields(counted),
        "preprocessing": json.loads(described["preprocessing"]),
        "network": described["network"],
    }
    write_json(out / "config.json", config)
    card = CARD.format(
        baseline=network.name.split()[0],
        name=network.name,
        params=counted.params,
        macs=counted.macs,
        resolution=network.resolution,
        classes=len(classes),
        measured=measured(evaluation),
        table=network.table(),
        convention=CONVENTION,
    )
    write_text(out / "README.md", card)
    return out


def measured(evaluation: dict[str, Any] | None) -> str:
    """The accuracy that was measured, or that none was."""
    if evaluation is None:
        return "No accuracy was measured for these weights.\n"
    low, high = evaluation["top1_interval"]
    return (
        f"Top-1 {evaluation['top1']:.2%} (95 % interval {low:.2%} to {high:.2%}), top-5 {evaluation['top5']:.2%} "
        f"on {evaluation['images']:,} test images.\n"
    )

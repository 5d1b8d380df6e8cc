"""Parameters and multiply-adds of every name of timm that the zoo has, to the integer.

timm_counts.csv was counted on timm 1.0.31's models on torch's meta device: parameters, and multiply-adds as half of
what FlopCounterMode counts, at the network's own size. `nfnet_f0` is not in it: the zoo's is timm's `dm_nfnet_f0`,
which has a learned gain of one number in each of 12 blocks.
"""

import csv
from pathlib import Path

from compound import ZOO, cost

TABLE = Path(__file__).with_name("timm_counts.csv")


def test_counts_are_those_of_timms_models() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: [int(row[name]) for name in ("pixels", "params", "macs")] for row in csv.DictReader(file)}
    assert len(rows) > 200
    found = {}
    for name in rows:
        counted = cost(ZOO[name])
        found[name] = [ZOO[name].resolution, counted.training_params, counted.training_macs]
    assert found == rows

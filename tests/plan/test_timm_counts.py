"""Parameters and multiply-adds of every name of timm that the zoo has, to the integer.

timm_counts.csv was counted on timm 1.0.31's models on torch's meta device: parameters, and multiply-adds as half of
what FlopCounterMode counts, at the network's own size.
"""

import csv
from pathlib import Path

import pytest

from compound import ZOO, cost

TABLE = Path(__file__).with_name("timm_counts.csv")


@pytest.mark.long
def test_counts_are_those_of_timms_models() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: [int(row[name]) for name in ("pixels", "params", "macs")] for row in csv.DictReader(file)}
    assert len(rows) > 200
    found = {}
    for name in rows:
        counted = cost(ZOO[name])
        found[name] = [ZOO[name].resolution, counted.training_params, counted.training_macs]
    assert found == rows


@pytest.mark.oracle
def test_every_name_of_timm_that_the_zoo_takes_is_in_the_table() -> None:
    """So no near name is taken for another network; names that timm itself calls deprecated are its own affair."""
    known = [name for name in pytest.importorskip("timm").list_models() if name in ZOO]
    with TABLE.open(encoding="utf-8", newline="") as file:
        assert sorted(known) == sorted(row["name"] for row in csv.DictReader(file))

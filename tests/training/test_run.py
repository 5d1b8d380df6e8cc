"""What a run directory remembers, and that those of older versions still open."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from compound import UsageError
from compound.data import DataSpec, open_data
from compound.training import open_run, start_run


def rewritten(path: Path, change) -> None:
    told = yaml.safe_load((path / "run.yaml").read_text())
    change(told["data"])
    (path / "run.yaml").write_text(yaml.safe_dump(told, sort_keys=False))


def test_the_question_of_the_data_is_kept_whole(tmp_path, network, recipe):
    asked = DataSpec("fashion6k", 1, 0.2, 7, Path("pictures"), True, "position")
    data = asked.open()
    assert data.spec == asked
    run = start_run(network, data, recipe, tmp_path / "run", seed=3)
    assert open_run(run.path).spec == run.spec == asked  # the splits' seed is not the run's
    assert open_data("fashion6k").spec == DataSpec("fashion6k", 1, by="position")  # channels as they came out
    assert data.without_holdout().spec == replace(asked, holdout=0)


def test_a_run_of_an_older_version_opens_with_what_was_the_default_then(tmp_path, network, recipe):
    data = DataSpec("fashion6k", seed=3).open()
    run = start_run(network, data, recipe, tmp_path / "run", seed=3).now("training")

    def older(told):
        for name in ("holdout", "split_seed", "root", "download", "split_by"):
            del told[name]
        told["fingerprint"] = data.fingerprint_of_labels()

    rewritten(run.path, older)
    assert open_run(run.path).spec == DataSpec("fashion6k", 1, 0.05, 3, by="position")
    assert start_run(network, data, recipe, run.path, seed=3, resume=True).path == run.path
    with pytest.raises(UsageError, match=r"data.holdout: 0.05 → 0.1"):
        start_run(network, open_data("fashion6k", holdout=0.1, seed=3), recipe, run.path, seed=3, resume=True)


def test_where_images_are_looked_for_may_change(tmp_path, network, recipe):
    data = open_data("fashion6k")
    run = start_run(network, data, recipe, tmp_path / "run").now("training")
    moved = replace(data, asked=replace(data.spec, root=tmp_path, download=True))
    assert start_run(network, moved, recipe, run.path, resume=True).spec == data.spec

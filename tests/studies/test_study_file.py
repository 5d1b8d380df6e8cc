"""study.json: written, read, and refused where it is not one."""

import json

import pytest

from compound.errors import CompoundError, UsageError
from compound.studies import SeedRun, Study, Variant, read_study, write_study

STUDY = Study(
    plan="compound",
    baseline="net",
    data="images",
    ratio=4.0,
    recipe={"name": "small", "epochs": 3},
    environment={"cores": 2},
    command="compound study net images",
    variants=(
        Variant("baseline", "baseline", "", "networks/baseline.yaml", 1, 1, 1, 28, 5, 7, None,
                (SeedRun(0, 0.91, 910, 1000, 0.3, 12.0), SeedRun(1, 0.9, 900, 1000, 0.4, 12.0))),
        Variant("depth 3", "depth", "", "networks/depth-3.yaml", 3, 1, 1, 28, 9, 28, 0.002, ()),
    ),
)  # fmt: skip


def test_a_study_reads_as_it_was_written(tmp_path):
    assert write_study(STUDY, tmp_path) == tmp_path / "study.json"
    assert read_study(tmp_path) == read_study(tmp_path / "study.json") == STUDY
    given = json.loads((tmp_path / "study.json").read_text())
    assert given["format"] == 1
    assert given["variants"][0]["runs"][0] == {
        "seed": 0, "top1": 0.91, "correct": 910, "images": 1000, "loss": 0.3, "seconds": 12.0,
    }  # fmt: skip
    assert STUDY.seeds == 0


def test_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read study .*: No such file"):
        read_study(tmp_path)
    file = write_study(STUDY, tmp_path)
    whole = json.loads(file.read_text())
    file.write_text(file.read_text()[:200])
    with pytest.raises(CompoundError, match="is damaged"):
        read_study(file)
    for change, said in (
        ({"format": 2}, "its format is not 1"),
        ({"ratio": "much"}, "ratio 'much' is not valid"),
        ({"rato": 4}, "there is no field 'rato'; did you mean 'ratio'"),
        ({"variants": [whole["variants"][1] | {"macs": "many"}]}, r"variants.0.macs 'many' is not valid"),
    ):
        file.write_text(json.dumps(whole | change))
        with pytest.raises(UsageError, match=said):
            read_study(file)
    whole["variants"][0]["runs"][0]["top1"] = 0.92
    file.write_text(json.dumps(whole))
    with pytest.raises(CompoundError, match=r"baseline, seed 0: top1 0.92 is not 910 of 1000 images"):
        read_study(file)

"""The five sentences of "Can it be trusted?", and what they rest on."""

import html
import json
import re
import shlex

import pytest
import yaml
from PIL import Image

from compound import UsageError
from compound.reporting import write_run_report
from compound.reporting.run import RunReport
from compound.reporting.typed import Advice

MORE = {
    "calibration_error": 0.123,
    "unknown": {
        "least": 1.5, "refused": 0.05, "images": 300, "score": "energy", "refused_here": 0.065,
        "refused_here_interval": [0.051, 0.082],
    },
    "sets": {
        "coverage": 0.9, "most": 0.8, "images": 300, "covered": 0.9124, "covered_interval": [0.9, 0.92], "mean_size": 1.4,
        "per_class": {
            "ant": {"images": 60, "covered": 0.95, "covered_interval": [0.87, 0.98]},
            "bee": {"images": 40, "covered": 0.8, "covered_interval": [0.65, 0.89]},
        },
    },
    "robustness": [
        {"corruption": "JPEG", "severity": 5, "top1": 0.5, "top1_interval": [0.4, 0.6]},
        {"corruption": "Gaussian noise", "severity": 3, "top1": 0.4321, "top1_interval": [0.4, 0.5]},
    ],
}  # fmt: skip
GROUP = {"by": "brightness", "group": "up to 12%", "images": 40, "top1": 0.5, "top1_interval": [0.35, 0.65], "others": 60,
         "others_top1": 0.9, "difference_interval": [-0.6, -0.2], "compared": 2, "worse": True}  # fmt: skip
AUDIT = "rank,doubt,path,identity,given,proposed,given_probability,proposed_probability\n"


def typed(body):
    """The commands in a body, as a reader copies them."""
    found = re.findall(r'<code class="typed">(.*?)</code>', body)
    return [html.unescape(re.sub("</?span>", "", one)) for one in found]


def told(path, **more):
    file = path / "evaluation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    (section,) = (one for one in RunReport.read(path).report().sections if one.name == "trust")
    return section


def test_what_was_not_measured_is_said_with_the_command(make_run):
    path = make_run()
    body = told(path).body
    assert body.count("<li>") == 5
    assert "It names 90% of the 30 test images rightly" in body
    assert "lies between 55% and 91%" in body
    assert "it takes eel for cat, 2 of 10 times" in body
    place = shlex.quote(str(path))
    for options in ("", " --corruptions", " --unknown 0.05"):
        assert f"compound evaluate {place}{options}" in typed(body)
    assert "--folds 5" in typed(body)
    assert f"compound data audit {place}" in typed(body)


@pytest.mark.parametrize(
    ("images", "ways"),
    [
        ({"train": 300, "holdout": 20}, []),
        ({"train": 77, "holdout": 5}, ["--holdout 20"]),
        ({"train": 55, "holdout": 4}, None),  # a third would not be enough
    ],
)
def test_advice_is_what_can_work_with_the_held_out_images_there_are(make_run, images, ways):
    path = make_run()
    file = path / "run.yaml"
    kept = yaml.safe_load(file.read_text())
    kept["data"]["images"] = images | {"test": 30}
    file.write_text(yaml.safe_dump(kept))
    body = told(path, calibration_error=0.123).body
    for options in ("--calibrate", "--unknown 0.05"):
        assert f"compound evaluate {shlex.quote(str(path))} {options}" in typed(body)
    assert [one for one in typed(body) if one.startswith("--holdout")] == 2 * (ways or [])
    assert body.count("collect more photos") == 2 * (ways is None)
    assert body.count("takes 20 held-out images or more") == 2 * (ways != [])


def test_a_command_is_one_piece_that_can_be_pasted(make_run):
    assert typed(Advice("a & b").evaluate("--final")) == ["compound evaluate 'a & b' --final"]
    assert "<span>--final</span>" in Advice("a & b").evaluate("--final")
    page = write_run_report(make_run()).read_text()
    style = page[page.index("<style>") : page.index("</style>")]
    # A browser breaks a line behind a hyphen wherever text may wrap.
    assert re.search(r"\npre \{[^}]*white-space: pre;", style)
    assert re.search(r"\n\.typed \{[^}]*white-space: nowrap;", style)
    assert re.search(r"\n  \.typed span \{ display: inline-block;", style)


@pytest.mark.long
def test_what_was_measured_is_evidence_below(make_run):
    path = make_run()
    folder = path / "folds" / "audit"
    folder.mkdir(parents=True)
    rows = [f"{i},wrong,<b>{i}.png,0,cat,dog,{0.05 if i == 1 else 0.1},0.9\n" for i in range(1, 13)]
    (folder / "audit.csv").write_text(AUDIT + "".join(rows))
    (folder / "pictures").mkdir()
    for number in (1, 3, 12):  # the second could not be read, the twelfth is not shown
        Image.new("L", (28, 28), number).save(folder / "pictures" / f"{number:02}.png")
    section = told(path, **MORE)
    body = section.body
    assert "Do not take its probabilities as they are: on average they are 12.3 points away" in body
    assert "12 labels look doubtful to models that never saw the picture, 1 clearly wrong; the most" in body
    assert body.count('<img src="data:image/png') == 2
    assert "<span>&lt;b&gt;3.png</span>" in body
    assert 'class="cards" style="--columns:4"' in body
    assert "suffers most from Gaussian noise (severity 3 of 5), under which it names 43% rightly" in body
    assert "as it did of 6.5% of the test images" in body
    doubts, promises, covered, broken = section.tables
    assert [row[:3] for row in covered.rows] == [("bee", 40, 0.8), ("ant", 60, 0.95)]
    assert [row[0] for row in doubts.rows] == [f"<b>{i}.png" for i in range(1, 11)]
    assert "<b>1" not in body
    assert [row[:3] for row in promises.rows] == [
        ("refused wrongly", 0.05, 0.065), ("right class in its set", 0.9, 0.9124)
    ]  # fmt: skip
    assert [row[0] for row in broken.rows] == ["Gaussian noise", "JPEG"]
    assert "can be taken as they are" in told(path, calibration_error=0.02).body


def test_a_run_without_a_test_says_nothing_and_a_damaged_list_is_refused(make_run):
    assert "trust" not in [one.name for one in RunReport.read(make_run(only=("metrics",))).report().sections]
    path = make_run(where="other")
    (path / "folds" / "audit").mkdir(parents=True)
    (path / "folds" / "audit" / "audit.csv").write_text("path,given\na,b\n")
    with pytest.raises(UsageError, match=r"audit\.csv.*lacks a column of path, given, proposed, doubt"):
        RunReport.read(path).report()


@pytest.mark.long
def test_groups_that_are_worse_are_named_first(make_run):
    path = make_run()
    assert f"compound evaluate {shlex.quote(str(path))} --groups" in typed(told(path).body)
    better = GROUP | {"group": "over 12%", "top1": 0.9, "worse": False}
    few = better | {"by": "folder", "group": "shed", "images": 3, "compared": 0, "difference_interval": None}
    section = told(path, groups=[better, few, GROUP])
    assert "worse than on the rest for images of brightness up to 12% (50% of 40 images)." in section.body
    (table,) = (table for table in section.tables if table.name == "groups")
    assert [(row[1], row[-1]) for row in table.rows] == [
        ("up to 12%", "yes"), ("over 12%", "not shown"), ("shed", "too few")
    ]  # fmt: skip
    assert "corrected for 2 comparisons" in table.title
    assert "None of the 2 groups" in told(path, groups=[better]).body


@pytest.mark.long
def test_classes_that_are_known_by_the_border_are_named(make_run):
    path = make_run()
    assert f"compound evaluate {shlex.quote(str(path))} --shortcuts" in typed(told(path).body)
    one = {"class": "cat", "images": 30, "energy": 0.8, "energy_interval": [0.7, 0.9], "area": 0.44, "place": "top left",
           "compared": 2, "shortcut": True}  # fmt: skip
    clean = one | {"class": "eel", "energy": 0.3, "shortcut": False}
    section = told(path, borders=[clean, one])
    assert "It seems to know cat (top left) by the border of the images" in section.body
    (table,) = (table for table in section.tables if table.name == "borders")
    assert [(row[0], row[-1]) for row in table.rows] == [("cat", "yes"), ("eel", "no")]
    assert "Its maps are not warmer at the border" in told(path, borders=[clean]).body

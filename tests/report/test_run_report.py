"""The page of a run: its figures, what it says of missing parts, and that it is safe, whole and the same each time."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from compound import UsageError, cost, load_network, stage_costs
from compound.reporting import write_run_report
from compound.reporting.run import RunReport
from compound.training.run import open_run

HOSTILE = ("<script>alert(1)</script>", "a \"quoted\" & 'mean' name", "$x_$ </td>", "naïve 猫")
VOID = {"meta", "link", "img", "br", "hr"}
MakeRun = Callable[..., Path]


class Page(HTMLParser):
    """The page's text by section, its tags and attributes; raises when a tag is closed that is not open."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.stack: list[str] = []
        self.section = "top"
        self.words: dict[str, list[str]] = {"top": []}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(self.source)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "section":
            self.section = str(given["id"])
            self.words[self.section] = []
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if not {"style", "title", "svg"} & set(self.stack):
            self.words[self.section].append(data)

    def text(self, section: str) -> str:
        return " ".join(" ".join(self.words[section]).split())

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [given for _, given in self.tags if name in (given.get("class") or "").split()]


def page(path: Path) -> Page:
    return Page(write_run_report(path))


@pytest.fixture(scope="module")
def made(whole_run: Path) -> Page:
    return page(whole_run)


def test_returns_the_page_it_wrote(make_run: MakeRun) -> None:
    path = make_run()
    before = set(path.iterdir())
    assert write_run_report(path) == path / "report.html"
    assert set(path.iterdir()) - before == {
        path / name for name in ("report.html", "results.csv", "confusion_matrix.png")
    }


@pytest.mark.long
def test_headline(make_run: MakeRun) -> None:
    path = make_run(classes=[f"class {i}" for i in range(8)])
    counted = cost(load_network(path / "network.yaml").with_(classes=8, channels=1))
    text = page(path).text("top")
    assert f"on beasts Test top-1 {52 / 80:.1%} 95% interval 55.1–91.3% 80 images Test top-5 99.6% of 8 classes" in text
    assert f"Parameters {counted.params / 1e6:.2f}M {counted.params:,} MACs {counted.macs / 1e6:.0f}M" in text
    assert "Training 1.2 min 3 epochs, recipe small" in text


@pytest.mark.long
def test_top5_of_few_classes_is_not_shown(made: Page) -> None:
    assert "top-5" not in made.text("top")


def test_plan_in_words_and_figures(made: Page, whole_run: Path) -> None:
    plan = json.loads((whole_run / "plan.json").read_text())["plan"]
    text = made.text("plan")
    assert re.search(r"efficientnet-b0 \(.*\), scaled by the compound rule, gives .* within 600M MACs and 100 MB", text)
    assert plan["binding"] == "macs"
    assert f"It uses {plan['used']:.1%} of the MACs, the limiting budget" in text
    assert f"φ {plan['phi']:.4g} compound coefficient d {plan['depth']:.4g} depth: layers" in text
    assert "budget at most 600M 100 MB next step up" in text


def test_plan_without_a_budget(make_run: MakeRun) -> None:
    path = make_run()
    given = json.loads((path / "plan.json").read_text())
    (path / "plan.json").write_text(json.dumps(given | {"plan": None}))
    assert "No budget was given, so the baseline efficientnet-b0" in page(path).text("plan")


def test_stage_table_adds_up(made: Page, whole_run: Path) -> None:
    counted = cost(load_network(whole_run / "network.yaml").with_(classes=3, channels=1))
    head = stage_costs(load_network(whole_run / "network.yaml").with_(classes=3, channels=1))["head"]
    assert f"pool, linear 7 × 7 1280 1 {head.params:,} {head.macs:,} {head.macs / counted.macs:.1%}" in made.text(
        "network"
    )
    assert f"total {counted.params:,} {counted.macs:,}" in made.text("network")
    assert "Counted for 3 classes and 1 image channel." in made.text("network")
    network = load_network(whole_run / "network.yaml")
    assert len(made.of_class("share")) == len(network.stages) + 2


def test_best_epoch_and_curves(made: Page) -> None:
    assert "after epoch 2: 77.7%" in made.text("training")
    assert sum(tag == "svg" for tag, _ in made.tags) == 4
    ids = [str(given["id"]) for _, given in made.tags if "id" in given]
    assert len(ids) == len(set(ids))
    for name in re.findall(r"url\(#([^)]*)\)", made.source):
        assert name in ids
    assert "<metadata" not in made.source  # it holds the date
    assert not re.search(r"#01020\d", made.source)  # every stand-in colour became the theme's


@pytest.mark.long
def test_which_weights_are_kept_and_after_how_many_epochs(make_run: MakeRun) -> None:
    path = make_run()
    assert "The weights kept are those of the last epoch, 3." in page(path).text("training")
    run = open_run(path)
    replace(run, recipe=replace(run.recipe, epochs=12, patience=1)).save()
    told = json.loads(run.evaluation.read_text()) | {"chosen": {"epoch": 2, "top1": 0.777, "images": 40}}
    run.evaluation.write_text(json.dumps(told))
    made = page(path)
    assert "Training 1.2 min 3 epochs of 12, recipe small" in made.text("top")
    kept = "The weights kept are those of epoch 2, the best. Training stopped after 3 of 12 epochs, 1 without a better one."
    assert kept in made.text("training")
    told["cautions"] = ["the training loss was 90 in epoch 2, and guessing has 1.1: the rate is too high"]
    better = {"kept": "probe", "probe": 0.8, "fine_tuned": 0.75, "images": 40}
    run.evaluation.write_text(json.dumps(told | {"fine_tuning": better}))
    said = "The probe is kept: of 40 held-out images 80.0% right before fine-tuning and 75.0% after it."
    assert said in page(path).text("training")
    assert "The training loss was 90 in epoch 2, and guessing has 1.1: the rate is too high." in page(path).text("top")


def test_confusion_recall_and_confused_pairs(made: Page) -> None:
    text = made.text("classes")
    assert "cat 10 0 0 dog 0 9 1 eel 2 0 8 Recall cat 100.0% of 10 dog 90.0% of 10 eel 80.0% of 10" in text
    assert "Most confused eel taken for cat : 2 of 10 images (20%) dog taken for eel : 1 of 10 images (10%)" in text
    assert len(made.of_class("diagonal")) == 3


@pytest.mark.long
def test_a_run_of_an_older_version_has_a_matrix(make_run: MakeRun) -> None:
    path = make_run()
    given = json.loads((path / "evaluation.json").read_text())
    new, _ = page(path).text("classes"), given.pop("confusion_pairs")
    matrix = [[10, 0, 0], [0, 9, 1], [2, 0, 8]]
    (path / "evaluation.json").write_text(json.dumps(given | {"confusion": matrix}))
    assert page(path).text("classes") == new


def test_examples_are_limited_and_marked_in_words(made: Page) -> None:
    text = made.text("examples")
    assert text.index("drawn at random") < text.index("confident mistakes")
    assert len(made.of_class("card")) == 12 + 2
    assert text.count("✓ right") == 12
    assert text.count("✗ wrong predicted cat truth dog cat 70% dog 20% eel 10%") == 2
    assert len(made.of_class("tiny")) == 14
    assert "25 images could not be read in the test" in text
    assert "test/<19>.jpg : truncated & broken and 5 more" in text


@pytest.mark.long
def test_large_images_are_made_smaller(make_run: MakeRun) -> None:
    path = make_run(size=700)
    made = page(path)
    assert made.source.count("data:image/jpeg") == 14
    assert not made.of_class("tiny")
    assert len(made.source) < 14 * 130_000 < (path / "samples/00.png").stat().st_size * 14


def test_unreadable_and_foreign_images(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run()
    (path / "samples/00.png").write_bytes(b"no image")
    (path / "samples/01.png").rename(tmp_path / "outside.png")
    (path / "samples/01.png").symlink_to(tmp_path / "outside.png")
    assert page(path).text("examples").count("image not readable") == 2


def test_how_to_make_it_again(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run()
    made = page(path)
    text = made.text("making")
    assert "fingerprint 6f8a0c87a6d7" in text
    assert "seed 7" in text
    assert "label_smoothing 0.1" in text
    for verb in ("repeat", "evaluate", "predict"):
        assert f"compound {verb} {path}" in text
    from compound.training import load_recipe

    recipe = re.search(r"<<'EOF'\n(.*)\nEOF", "".join(made.words["making"]), re.DOTALL)
    assert recipe
    (tmp_path / "recipe.yaml").write_text(recipe[1])
    assert load_recipe(tmp_path / "recipe.yaml") == open_run(path).recipe


@pytest.mark.long
def test_hostile_names_are_escaped(make_run: MakeRun) -> None:
    made = page(make_run(classes=HOSTILE))
    for name in HOSTILE:
        assert " ".join(name.split()) in made.text("classes")
    assert not any(tag == "script" for tag, _ in made.tags)
    assert "<script" not in made.source


def test_hostile_network_name_in_the_drawing(make_run: MakeRun) -> None:
    network = load_network(make_run(only=(), where="first") / "network.yaml").with_(name='"><script>x</script>')
    assert "<script" not in page(make_run(network=network)).source


def test_nothing_is_loaded(made: Page) -> None:
    for tag, given in made.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            value = given.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", made.source)


@pytest.mark.long
def test_same_bytes_twice(make_run: MakeRun) -> None:
    path = make_run()
    first = write_run_report(path).read_bytes()
    assert write_run_report(path).read_bytes() == first


SAID = {
    "plan": ("plan", "This run has no plan"),
    "metrics": ("training", "No epoch is finished yet"),
    "evaluation": ("classes", "No confusion matrix yet"),
    "predictions": ("examples", "No example predictions yet"),
}


@pytest.mark.parametrize("left_out", SAID)
def test_a_missing_part_is_said(make_run: MakeRun, left_out: str) -> None:
    made = page(make_run(only=[part for part in SAID if part != left_out]))
    for part, (section, words) in SAID.items():
        assert (words in made.text(section)) == (part == left_out)


def test_a_run_just_begun(make_run: MakeRun) -> None:
    made = page(make_run(only=(), state="training"))
    assert "not finished: it is training . The command to resume" in made.text("top")
    assert "No test accuracy yet" in made.text("top")
    assert "compound resume " in made.text("making")


def test_no_held_out_images(make_run: MakeRun) -> None:
    path = make_run()
    with (path / "metrics.csv").open() as file:
        rows: list[dict[str, Any]] = [row | {"val_loss": "nan", "val_top1": "nan"} for row in csv.DictReader(file)]
    with (path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert "held-out images were" not in page(path).text("training")


@pytest.mark.long
def test_a_thousand_classes(make_run: MakeRun) -> None:
    made = page(make_run(classes=[f"class {i}" for i in range(1000)]))
    assert not made.of_class("diagonal")
    assert "the largest of the 8 × 8 classes of a cell" in made.text("classes")
    assert "970 classes between" in made.text("classes")
    assert any(tag == "image" for tag, _ in made.tags)
    assert len(made.source) < 1_000_000


def test_damaged_files_are_named(make_run: MakeRun) -> None:
    path = make_run()
    (path / "evaluation.json").write_text('{"images": 3')
    with pytest.raises(UsageError, match=r"evaluation\.json is damaged: .*; delete it"):
        write_run_report(path)


@pytest.mark.parametrize("confusion", [[[1]], [[1, 2, 3]], [[1, 2]] * 3])
def test_confusion_of_other_classes_is_refused(make_run: MakeRun, confusion: list[list[int]]) -> None:
    path = make_run()
    given = json.loads((path / "evaluation.json").read_text())
    del given["confusion_pairs"]
    (path / "evaluation.json").write_text(json.dumps(given | {"confusion": confusion}))
    with pytest.raises(UsageError, match=r"confusion matrix is not 3 × 3"):
        write_run_report(path)
    for pair in ([1, 3, 1], [1, "x", 1], [1, 1], 1, [1, 1, None]):
        (path / "evaluation.json").write_text(json.dumps(given | {"confusion_pairs": [[0, 0, 1], pair]}))
        with pytest.raises(UsageError, match=r"confusion matrix is not 3 × 3"):
            write_run_report(path)


@pytest.mark.long
def test_the_warm_up_is_said_as_it_was(make_run: MakeRun) -> None:
    path = make_run()
    run = open_run(path)
    replace(run, recipe=replace(run.recipe, warmup_epochs=5)).save()
    assert "after 0.6 warm-up epochs." in page(path).text("training")  # a fifth of 3 epochs
    told = json.loads(run.evaluation.read_text()) | {"warmup_epochs": 1.0}  # what the training says of itself
    run.evaluation.write_text(json.dumps(told))
    assert "after 1 warm-up epoch." in page(path).text("training")


def test_a_loss_that_exploded_is_legible(make_run: MakeRun) -> None:
    path = make_run()
    scale = "logarithmic scale"
    assert scale not in made_curve(path)
    text = open_run(path).metrics.read_text()
    open_run(path).metrics.write_text(text.replace("0.91", "nan").replace("0.95", "1e8"))
    assert scale in made_curve(path)
    open_run(path).metrics.write_text(text.replace("0.91", "11.2"))  # as bad as guessing, and no worse
    assert scale not in made_curve(path)


def made_curve(path: Path) -> str:
    return RunReport.read(path).curves()["loss"].inline()


@pytest.mark.long
def test_the_data_is_counted_and_shown(make_run: MakeRun) -> None:
    path = make_run()
    assert "No pictures of the data" in page(path).text("data")
    run = open_run(path)
    replace(run, data=run.data | {"images": {"train": 1234, "holdout": 5, "test": 60}}).save()
    for name, colour in (("data.png", "red"), ("batch.png", "blue")):
        Image.new("RGB", (900, 20), colour).save(path / name)
    made = page(path)
    text = made.text("data")
    assert "1,234 images to train on, 5 held out to choose by, 60 to test, in 3 classes." in text
    assert "Training images of each class" in text
    assert "As augmentation made them" in text
    assert sum(tag == "img" and "augmentation" in str(given["alt"]) for tag, given in made.tags) == 1

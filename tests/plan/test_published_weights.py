"""The table of published weights, and what is best of it within a budget."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from devices import made_up

from compound import ZOO, Budget, BudgetError, UsageError, cost
from compound.latency import call_seconds
from compound.paper.published import best_first, front, published
from compound.verbs.published import draw_published, plan_published, published_text


def test_every_row_is_a_network_of_the_zoo_with_its_counted_cost() -> None:
    assert len({row.network for row in published()}) > 100
    assert len({(row.weights, row.pixels) for row in published()}) == len(published())
    assert all(row.usual == ZOO[row.network].resolution for row in published())
    for row in published()[::7]:
        counted = cost(row.sized())
        figures = (row.params, row.macs, row.activations, row.memory)
        assert figures == (counted.params, counted.macs, counted.activations, counted.memory()), row.weights
        assert row.source.startswith(row.weights.partition("/")[0])
    assert all(0.5 < row.top1 < 0.9 for row in published())


# From timm's results-imagenet table and from the documentation of torchvision's weights.
PRINTED = {
    ("timm/efficientnet_b0.ra4_e3600_r224_in1k", 224): 0.78568,
    ("timm/efficientnet_b1.ra4_e3600_r240_in1k", 240): 0.80404,
    ("torchvision/resnet50.IMAGENET1K_V1", 224): 0.76130,
    ("torchvision/resnet50.IMAGENET1K_V2", 224): 0.80858,
    ("torchvision/efficientnet_b0.IMAGENET1K_V1", 224): 0.77692,
}


@pytest.mark.parametrize("key", PRINTED)
def test_accuracy_is_that_of_the_publisher(key: tuple[str, int]) -> None:
    found = {(row.weights, row.pixels): row.top1 for row in published()}
    assert found[key] == pytest.approx(PRINTED[key], abs=1e-4)


@pytest.mark.long
def test_nothing_beyond_the_budget_is_listed_and_nothing_within_it_is_missed() -> None:
    found = plan_published(Budget(macs=600e6, params=8e6))
    within = [row for row in published() if row.macs <= 600e6 and row.params <= 8e6]
    assert list(found.within) == best_first(within)
    assert found.within[0].top1 == max(row.top1 for row in within)
    best = front(found.within, "macs")
    for row in within:
        assert any(other.macs <= row.macs and other.top1 >= row.top1 for other in best)
    assert [row.top1 for row in best] == sorted(row.top1 for row in best)
    assert best[-1].top1 == found.within[0].top1
    training = plan_published(Budget(training_memory=2e9, batch=32)).within
    assert training
    assert all(cost(row.sized()).training_memory(32) <= 2e9 for row in training)
    with pytest.raises(BudgetError, match=r"^no published weights fit macs 1.00M; raise the budget"):
        plan_published(Budget(macs=1e6))


@pytest.mark.long
def test_by_a_latency_only_what_the_table_of_a_device_has_all_units_of_is_listed() -> None:
    table = made_up()
    limit = 1.01 * call_seconds(ZOO["efficientnet-b0"], table)
    listed = plan_published(Budget(latency=limit, device=table)).within
    assert "torchvision/efficientnet_b0.IMAGENET1K_V1" in {row.weights for row in listed}
    assert all(call_seconds(row.sized(), table) <= limit for row in listed)
    with pytest.raises(BudgetError, match="no published weights fit latency"):
        plan_published(Budget(latency=limit / 100, device=table))


def test_a_baseline_stands_beside_and_other_sizes_are_said() -> None:
    found = plan_published(Budget(macs=600e6), ZOO["resnet-18"])
    assert found.baseline is not None
    assert found.baseline.cost.macs <= 600e6
    text = published_text(found)
    assert "scaled to the same budget and yet to be trained" in text
    other = next(row for row in found.within if row.other_size)
    assert f" {other.pixels}* " in text
    assert max(map(len, text.splitlines())) <= 100
    small = published_text(plan_published(Budget(memory=20e6), ZOO["resnet-18"]))
    assert [line.split()[-1] for line in small.splitlines() if line.startswith("weights ")] == ["memory", "memory"]
    assert text.endswith(f"--weights {found.within[0].weights}")


def test_the_answer_needs_no_torch_and_few_modules() -> None:
    code = (
        "import sys; sys.argv = ['compound', 'plan', '--published', '--macs', '600M', '--json']\n"
        "from compound.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'pandas', 'yaml'} & set(sys.modules)\n"
        "print(sorted(heavy), len(sys.modules), file=sys.stderr)\n"
        "assert 'compound.zoo.resnet' not in sys.modules  # a list of weights needs no family"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value = json.loads(done.stdout)
    assert value["baseline"] is None
    assert value["published"][0]["macs"] <= 600e6
    heavy, modules = done.stderr.split("] ")
    assert heavy == "["
    assert int(modules) < 450


@pytest.mark.parametrize("limits", [{"macs": 600e6}, {"params": 5e6}, {"memory": 20e6}])
def test_accuracy_against_cost_is_drawn(limits: dict[str, float], tmp_path: Path) -> None:
    found = plan_published(Budget(**limits))  # type: ignore[arg-type]
    drawn = draw_published(found, tmp_path / "front.svg").read_text()
    assert drawn.startswith("<?xml")
    assert ("parameters" if "params" in limits else "multiply-adds") in drawn
    with pytest.raises(UsageError, match=r"\.pdf"):
        draw_published(found, tmp_path / "front.pdf")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--picture", "x.svg"), "--picture draws published weights; add --published"),
        ((), "no network given"),
        (("--published", "--out", "x.yaml"), "neither --out nor --fill"),
    ],
)
def test_what_does_not_go_together_is_said(words: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compound", "plan", "--macs", "600M", *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr

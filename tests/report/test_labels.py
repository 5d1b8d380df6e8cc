"""Names and axes of figures: what people read, where it stands, and what an axis shows."""

import re
from itertools import pairwise

import pytest

from compound.reporting.figures import EpochCurve, curves
from compound.reporting.gather import write_run_report
from compound.reporting.labels import room_for, share_limits, spread
from compound.reporting.names import plain, short_name
from compound.reporting.results import columns_of


def test_names_are_short_and_values_plain() -> None:
    assert short_name("efficientnet-b0 d1.2 w1.1 r1.15", 713e6) == "efficientnet-b0, 713M MACs"
    assert short_name("my-net r1.2", 2e9) == "my-net, 2.00G MACs"
    assert short_name("resnet-50", 4e9) == "resnet-50"
    assert plain(["avx2", "fma", True, None]) == "avx2, fma, yes, no"


def test_labels_are_moved_apart_and_no_further() -> None:
    assert spread([100, 0, 50], 10) == [100, 0, 50]
    assert spread([50, 50, 50], 10) == [40, 50, 60]
    found = spread([0, 1, 12, 13, 14], 10)
    assert [round(b - a, 6) for a, b in pairwise(found)] == [10] * 4


def test_an_interval_far_beyond_all_means_is_cut() -> None:
    low, high = share_limits([0.80, 0.82], [(-0.248, 1.8), (0.81, 0.83)])
    assert 0.75 < low < 0.80
    assert 0.82 < high < 0.86
    assert share_limits([0.99, 1.0], [(0.98, 1.0), (0.99, 1.02)])[1] == pytest.approx(1.005)
    low, high = room_for([0.1], [(float("nan"), float("nan"))])  # one seed
    assert low < 0.1 < high


def test_lines_are_named_at_their_ends_and_a_diverged_loss_is_logarithmic() -> None:
    def drawn(values: list[float]) -> str:
        return curves("loss", "Loss", [EpochCurve("held out", [1, 2, 3], values)], percent=False).inline()

    assert ">held out<" in drawn([1.0, 0.9, 0.8])
    assert "legend" not in drawn([1.0, 0.9, 0.8])
    marks = [float(mark) for mark in re.findall(r">([\d.e+]+)<", drawn([1.0, 1e6, float("inf")]))]
    assert max(marks) >= 1e5


def test_grids_of_cards_have_full_rows_where_they_can() -> None:
    assert [columns_of(count) for count in (12, 10, 8, 5)] == [4, 5, 4, 5]


@pytest.mark.long
def test_a_report_leaves_the_figures_under_the_names_of_ultralytics(make_run) -> None:
    run = make_run(["ant", "bee", "cat"])
    write_run_report(run)
    head, *rows = (run / "results.csv").read_text().splitlines()
    assert head == "epoch,train/loss,train/accuracy_top1,val/loss,metrics/accuracy_top1,lr/pg0"
    assert len(rows) == len((run / "metrics.csv").read_text().splitlines()) - 1
    assert (run / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")

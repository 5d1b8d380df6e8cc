"""Figures of the paper: the points are print's accuracies at counted cost, or a study's means."""

import re
from pathlib import Path

import pytest
import torch
from cli.conftest import Cli
from matplotlib.figure import Figure
from report.studies import write_synthetic

from compound import UsageError
from compound.measurement import Measured, Subject, Timing
from compound.reporting.front import FrontPoint, front_plot
from compound.reporting.labels import percents
from compound.reporting.latency_figure import latency_plot
from compound.reporting.paper_figures import paper_figure
from compound.reporting.picture import PAPER, Plot
from compound.reporting.study_figures import study_figure
from compound.scaling import CompoundRule
from compound.zoo.efficientnet import B0


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(monkeypatch, capfd)


def curves(plot: Plot) -> list[dict[str, list[tuple[float, float]]]]:
    """By panel: the points of every line by its label."""
    figure = Figure()
    plot.draw(figure, PAPER)
    found = []
    for axes in figure.axes:
        lines = {}
        for drawn in axes.containers:
            lines[str(drawn.get_label())] = list(zip(*drawn[0].get_data(), strict=True))
        found.append(lines)
    return found


def test_accuracy_over_measured_latency() -> None:
    """Medians of the calls, in seconds, with the ends of their intervals; what print says of accuracy is said so."""
    model = torch.nn.Identity()
    measured = [
        Measured(
            Subject(name, model, 224, 3, 1000, 10, top1=top1, top1_from="paper"), runtime, 1, Timing(calls), 0.0, 1.0
        )
        for name, top1, runtime, calls in (
            ("small", 0.7, "eager", ((0.010, 0.012, 0.011),)),
            ("large", 0.8, "eager", ((0.030,), (0.032,))),
            ("small", 0.7, "openvino", ((0.005,),)),
            ("large", 0.8, "openvino", ((0.016,),)),
            ("unknown", None, "openvino", ((0.001,),)),
        )
    ]
    plot = latency_plot(measured)
    assert curves(plot) == [
        {"eager": [(0.011, 0.7), (0.031, 0.8)], "openvino": [(0.005, 0.7), (0.016, 0.8)]},
    ]
    figure = Figure()
    plot.draw(figure, PAPER)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "top-1 accuracy (as the paper prints it)"
    assert axes.get_xlabel() == "median latency of a call, batch 1"
    assert [one.get_text() for one in axes.texts] == ["small", "large"]  # once, beside the fastest
    bars = [bar.get_segments() for drawn in axes.containers for bar in drawn[2]]
    assert [end[0] for end in bars[0][1]] == pytest.approx([0.030, 0.032])


@pytest.mark.parametrize("spread", [0.002, 0.02, 0.05, 0.6])
def test_a_front_tells_its_accuracies_apart(spread: float) -> None:
    points = [FrontPoint(0.3 + spread * i / 9, 10e6 + 1e5 * i) for i in range(10)]
    plot = front_plot("search", points, points[-1], cost="macs", target=12e6, judged="accuracy")
    marks = re.findall(r">([\d.]+%)<", plot.inline())
    assert len(set(marks)) == len(marks) > 2


def test_figure_1_and_5_have_the_printed_accuracies_at_counted_cost() -> None:
    (first,) = curves(paper_figure(1, [], 2, CompoundRule()))
    # PAPER: parameters of B0 and B7 as torchvision and timm have them; accuracies of Table 2.
    assert first["EfficientNet"][0] == (5_288_548, pytest.approx(0.771))
    assert first["EfficientNet"][7] == (66_347_960, pytest.approx(0.843))
    assert (25_557_032, pytest.approx(0.76)) in first["other ConvNets of Table 2"]
    (fifth,) = curves(paper_figure(5, [], 2, CompoundRule()))
    assert fifth["EfficientNet"][0] == (385_814_752, pytest.approx(0.771))
    assert len(fifth["EfficientNet"]) == 8


def test_figure_8_ends_where_table_7_does() -> None:
    (lines,) = curves(paper_figure(8, [], 2, CompoundRule()))
    assert lines["depth"][-1] == (pytest.approx(1.58e9, rel=0.01), pytest.approx(0.79))
    assert lines["compound"][-1][1] == pytest.approx(0.811)
    assert all(points[0] == (385_814_752, pytest.approx(0.773)) for points in lines.values())


def test_figure_2_is_the_five_ways() -> None:
    drawn = paper_figure(2, [B0], 2, CompoundRule())
    assert [network.resolution for network in drawn.networks] == [224, 224, 224, 448, 296]
    assert drawn.networks[1].stages[0].channels == 2 * B0.stages[0].channels
    assert drawn.networks[2].stages[1].layers == 4 * B0.stages[1].layers


@pytest.mark.long
def test_figure_3_of_a_study_has_a_panel_a_dimension(tmp_path: Path) -> None:
    study = write_synthetic(tmp_path, "single")
    panels = curves(study_figure(study, 3))
    assert len(panels) == 3
    width = next(iter(panels[0].values()))
    expected = sorted(
        (v.macs, sum(r.top1 for r in v.runs) / 5) for v in study.variants if v.dimension in ("baseline", "width")
    )
    assert width == [(macs, pytest.approx(top1)) for macs, top1 in expected]


def test_figure_4_has_a_line_a_setting(tmp_path: Path) -> None:
    (lines,) = curves(study_figure(write_synthetic(tmp_path, "width-on"), 4))
    assert list(lines) == ["d 1, r 1", "d 1, r 1.3", "d 2, r 1", "d 2, r 1.3"]
    assert all(len(points) == 4 for points in lines.values())


def test_figures_that_cannot_be_drawn_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the paper prints no numbers for figure 3: name a study"):
        paper_figure(3, [], 2, CompoundRule())
    study = write_synthetic(tmp_path, "compound")
    with pytest.raises(UsageError, match="has no networks for figure 4; use plan width-on"):
        study_figure(study, 4)


@pytest.mark.long
def test_the_verbs(cli: Cli, tmp_path: Path) -> None:
    write_synthetic(tmp_path / "study", "compound")
    code, _, _ = cli("figure", "8", tmp_path / "study", "-o", tmp_path / "eight.png")
    assert code == 0
    assert (tmp_path / "eight.png").read_bytes().startswith(b"\x89PNG")
    value = cli.json("report", tmp_path / "study", "-o", tmp_path / "page.html", "--files", tmp_path / "files")
    assert value["figures"] == ["study-figure-8", "study-seeds", "study-differences", "study-networks"]
    assert value["tables"] == ["study-variants", "study-comparisons"]
    code, _, err = cli("figure", "2", "-o", tmp_path / "two.pdf")
    assert (code, "end its name in .svg or .png" in err) == (2, True)


@pytest.mark.long
def test_the_same_bytes_twice(tmp_path: Path) -> None:
    plot = study_figure(write_synthetic(tmp_path, "compound"), 8)
    assert plot.files() == plot.files()
    assert plot.inline() == plot.inline()


def test_a_share_is_written_with_the_decimals_it_has():
    written = percents()
    assert [written(share) for share in (0.7, 0.725, 0.75, 0.9995, 0.1 + 0.2)] == [
        "70%",
        "72.5%",
        "75%",
        "99.95%",
        "30%",
    ]

"""The paper's tables computed: every printed row is there, counts are the live models', every deviation has a reason."""

import csv
from importlib.resources import files

import pytest

from compound import UsageError
from compound.paper import TABLES, Figure, table
from compound.paper.tables import ROUNDED, rows

ALL = [line for number in TABLES for line in table(number).lines]


def test_every_printed_row_is_there_as_printed() -> None:
    for number, name in ((1, "table1_efficientnet_b0"), (2, "table2_imagenet"), (3, "table3_scaling_other_networks"),
                         (4, "table4_cpu_latency"), (7, "table7_scaled_b0")):  # fmt: skip
        assert [line.printed for line in table(number).lines] == list(rows(name))


def test_every_deviation_of_more_than_two_percent_has_its_reason() -> None:
    parted = [line for line in ALL if line.params.parts or line.macs.parts]
    assert {line.label for line in parted} > {
        "EfficientNet-B4",
        "EfficientNet-B5",
        "EfficientNet-B7",
        "PolyNet",
        "SENet",
    }
    assert all(line.reasons for line in parted)
    assert not [line.label for line in ALL if line.reasons and line not in parted and line.macs.counted]


def test_every_reason_is_of_a_row_that_deviates() -> None:
    for number in TABLES:
        known = {(r["row"], r["quantity"]) for r in rows("reasons") if r["table"] == str(number)}
        figures = [
            (line.label, name, getattr(line, name)) for line in table(number).lines for name in ("params", "macs")
        ]
        assert known == {(label, name) for label, name, figure in figures if figure.parts and not figure.rounds}


@pytest.mark.parametrize(
    ("row", "params", "macs"),
    [  # live models of torchvision 0.29 and timm 1.0.31 at the size of print, torch's FlopCounterMode
        ("ResNet-50", 25_557_032, 4_089_184_256),
        ("ResNeXt-101", 83_455_272, 31_549_440_000),
        ("NASNet-A", 88_753_150, 23_783_414_658),
        ("PNASNet", 86_057_668, 24_937_395_792),
        ("EfficientNet-B7", 66_347_960, 37_745_884_192),
    ],
)
def test_table_2_counts(row: str, params: int, macs: int) -> None:
    (line,) = [line for line in table(2).lines if line.label == row]
    assert (line.params.counted, line.macs.counted) == (params, macs)


def test_ratios_of_table_2_are_the_printed_ones_where_nothing_deviates() -> None:
    lines, group = {line.label: line for line in table(2).lines}, {}
    for line in lines.values():
        group.setdefault(line.printed["group"], line)
        leader = group[line.printed["group"]]
        for name in ("params", "flops"):
            figures = [one.params if name == "params" else one.macs for one in (line, leader)]
            printed = line.printed[f"{name}_ratio"]
            if printed and not any(figure.parts for figure in figures):
                counted = line.params_ratio if name == "params" else line.macs_ratio
                assert counted == pytest.approx(float(printed), rel=0.06), line.label  # quotients of rounded numbers


def test_table_7_single_dimensions_count_less() -> None:
    counts = {line.label: (line.macs.counted or 0) / 1e9 for line in table(7).lines}
    assert {label: round(count, 2) for label, count in counts.items()} == {
        "baseline": 0.39, "depth": 1.58, "width": 1.45, "resolution": 1.54, "compound": 1.80,
    }  # fmt: skip
    assert 0.12 < 1 - counts["depth"] / counts["compound"] < 1 - counts["width"] / counts["compound"] < 0.195


def test_table_3_cells_exchanged_in_print_are_each_others() -> None:
    lines = {line.label: line for line in table(3).lines}
    one, other = lines["ResNet-50 depth"], lines["ResNet-50 width"]
    for a, b in ((one, other), (other, one)):
        swapped = Figure(a.macs.printed, b.macs.counted).deviation
        assert swapped is not None
        assert abs(swapped) < 0.01


def test_figures_round_as_print_does() -> None:
    assert Figure("0.6B", 568_740_352).rounds
    assert not Figure("37B", 37_745_884_192).rounds
    assert Figure("0.6B", 568_740_352).deviation == pytest.approx(-0.0521, abs=1e-4)
    assert Figure("", 5).deviation is None
    (line,) = [line for line in table(3).lines if line.label == "MobileNetV1 baseline"]
    assert line.reasons == (ROUNDED,)


def test_the_files_are_complete() -> None:
    for file in files("compound.paper").iterdir():
        if file.name.endswith(".csv"):
            with file.open(encoding="utf-8") as text:
                assert all(None not in row and None not in row.values() for row in csv.DictReader(text)), file.name


def test_a_table_without_networks() -> None:
    with pytest.raises(UsageError, match=r"table 6 has no networks to count, it is of .*; use 1, 2, 3, 4, 5, 7"):
        table(6)

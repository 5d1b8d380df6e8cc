"""The verbs that need no torch: zoo, show, scale, plan, as a user runs them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Cli

from compound import (
    ZOO,
    Budget,
    CompoundRule,
    Scaling,
    cost,
    fit_budget,
    load_network,
    parse_network,
    scale,
    stage_costs,
)

COST_FIELDS = {"name", "resolution", "params", "macs", "activations", "memory"}
SCALING_FIELDS = {"phi", "depth", "width", "resolution_factor"}


@pytest.mark.long
def test_zoo_lists_every_network_with_its_cost(cli: Cli) -> None:
    listed = cli.json("zoo")["networks"]
    assert [row["name"] for row in listed] == list(ZOO)
    assert all(COST_FIELDS <= set(row) <= COST_FIELDS | {"training_params", "training_macs"} for row in listed)
    assert {row["name"]: row["params"] for row in listed}["resnet-50"] == 25_557_032
    assert [row["name"] for row in cli.json("zoo", "MobileNet-V3")["networks"]] == [
        "mobilenet-v3-large",
        "mobilenet-v3-large-x0.75",
        "mobilenet-v3-small",
        "mobilenet-v3-small-x0.75",
    ]
    code, out, _ = cli("zoo")
    assert code == 0
    assert out.count("\n") == len(ZOO) + 2
    assert "efficientnet-b0         224    5,288,548      385,814,752" in out


@pytest.mark.parametrize(("by", "rows"), [("stage", 9), ("block", 18), ("operator", 0)])
def test_show_sums_to_the_network(cli: Cli, by: str, rows: int) -> None:
    value = cli.json("show", "efficientnet-b0", "--by", by)
    assert set(value) == COST_FIELDS | {"classes", "channels", "training_memory_batch_32", by + "s", "network"}
    assert (value["params"], value["macs"]) == (5_288_548, 385_814_752)
    lines = value[by + "s"]
    assert len(lines) == rows or rows == 0
    for field in ("params", "macs", "activations"):
        assert sum(line[field] for line in lines) == value[field]
    assert parse_network(value["network"]) == ZOO["efficientnet-b0"]


def test_show_counts_the_asked_classes_and_channels(cli: Cli) -> None:
    value = cli.json("show", "resnet-50", "--classes", 10, "--channels", 1)
    assert value["params"] == cost(ZOO["resnet-50"].with_(classes=10, channels=1)).params
    stages = stage_costs(ZOO["resnet-50"].with_(classes=10, channels=1))
    assert [line["params"] for line in value["stages"]] == [one.params for one in stages.values()]


def test_a_network_file_is_counted_with_its_classes_unless_others_are_asked_for(cli: Cli, tmp_path: Path) -> None:
    ten, file = ZOO["resnet-50"].with_(classes=10, channels=1), tmp_path / "ten.yaml"
    assert cli("scale", "resnet-50", "--width", "1", "--classes", 10, "--channels", 1, "-o", file)[0] == 0
    assert load_network(file) == ten
    value = cli.json("show", file)
    assert (value["params"], value["classes"], value["channels"]) == (cost(ten).params, 10, 1)
    asked = cli.json("show", file, "--classes", 7)
    assert (asked["params"], asked["channels"]) == (cost(ten.with_(classes=7)).params, 1)
    plan = cli.json("plan", file, "--params", cost(ten).params)
    assert (plan["phi"], plan["params"]) == (0, cost(ten).params)


def test_a_weights_file_is_counted_with_its_classes_and_channels(cli: Cli, tmp_path: Path) -> None:
    from compound.nn import build, save_weights

    network = ZOO["mobilenet-v3-small"].with_(classes=3, channels=1, resolution=64)
    file = save_weights(build(network), tmp_path / "w.safetensors", ("a", "b", "c"))
    value = cli.json("show", file)
    assert (value["params"], value["classes"], value["channels"]) == (cost(network).params, 3, 1)
    assert cli.json("scale", file, "--width", 2)["params"] == cost(scale(network, Scaling(width=2))).params
    assert cli.json("plan", file, "--params", cost(network).params)["phi"] == 0
    whole = file.read_bytes()
    for text, said in (
        (whole[:40], "does not say which network it belongs to"),
        (b"\xff" * 40, "its header is too long"),
        (b"\x02" + b"\0" * 7 + b"{}", "does not say which network it belongs to"),
    ):
        file.write_bytes(text)
        code, message = cli.error("show", file)
        assert code == 2
        assert said in message
    code, message = cli.error("show", tmp_path / "none.safetensors")
    assert (code, "No such file or directory; check the path" in message) == (2, True)


def test_show_prints_table_and_convention_and_warns_beside(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("show", "efficientnet-b0")
    assert (code, err) == (0, "")
    assert out.startswith(ZOO["efficientnet-b0"].table())
    assert "MACs = multiply-adds of convolutions and linear layers for one image (FLOPS in the paper)" in out
    (tmp_path / "small.yaml").write_text(cli("show", "efficientnet-b0", "--yaml")[1].replace(": 224", ": 32"))
    code, out, err = cli("show", tmp_path / "small.yaml", "--json")
    assert json.loads(out)["resolution"] == 32
    assert err.startswith("warning: efficientnet-b0: the last map is 1×1 at 32 px")


def test_show_yaml_is_the_network_file(cli: Cli) -> None:
    code, out, err = cli("show", "mobilenetv2_100", "--yaml")
    assert (code, err) == (0, "")
    assert parse_network(out) == ZOO["mobilenet-v2"]


def test_scale_by_phi(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "net.yaml"
    value = cli.json("scale", "efficientnet-b0", "--phi", 1, "--out", out)
    assert set(value) == COST_FIELDS | SCALING_FIELDS
    assert (value["params"], value["resolution"], value["phi"]) == (9_109_994, 258, 1)
    assert (value["depth"], value["width"], value["resolution_factor"]) == (1.2, 1.1, 1.15)
    assert load_network(out) == scale(ZOO["efficientnet-b0"], CompoundRule()(1))
    assert cli.json("show", out)["params"] == 9_109_994


def test_scale_by_factors_and_rules(cli: Cli) -> None:
    assert cli.json("scale", "resnet-50", "--width", 2)["macs"] == 16_116_613_120
    assert cli.json("scale", "resnet-50", "--phi", 2, "--rule", "width")["macs"] == 16_116_613_120
    assert cli.json("scale", "efficientnet-b0", "--phi", 1, "--rule", "1.2,1.1,1.15")["params"] == 9_109_994
    assert cli.json("scale", "efficientnet-b0", "--phi", -1)["params"] < 5_288_548
    code, text, _ = cli("scale", "efficientnet-b0", "--phi", 1)
    assert code == 0
    assert "params 9,109,994 (1.72×), MACs 992,629,472 (2.57× counted, 1.92× by d·w²·r²)" in text


def test_resolutions_are_snapped_where_asked(cli: Cli) -> None:
    value = cli.json("scale", "efficientnet-b0", "--phi", 1, "--snap", 32)
    assert (value["resolution"], value["resolution_factor"]) == (256, 256 / 224)
    assert cli.json("scale", "efficientnet-b0", "--resolution", 0.01, "--snap", 32)["resolution"] == 32
    at = {pixels: cost(ZOO["efficientnet-b0"].with_(resolution=pixels)).macs for pixels in (256, 257, 288)}
    assert at[257] > 1.1 * at[256]
    for limit in ("150M", "500M", "3G"):
        plan = cli.json("plan", "efficientnet-b0", "--macs", limit, "--snap", 32)
        assert plan["resolution"] % 32 == 0
        assert 0.5 * plan["budget"]["macs"] < plan["macs"] <= plan["budget"]["macs"]
    code, message = cli.error("plan", "efficientnet-b0", "--macs", "1G", "--snap", 32, "--fill")
    assert (code, "leave one out" in message) == (2, True)


def test_scale_published_shows_formula_and_print_beside_each_other(cli: Cli) -> None:
    variants = {row["name"]: row for row in cli.json("scale", "efficientnet-b0", "--published")["variants"]}
    assert set(variants) == {*(f"efficientnet-b{i}" for i in range(9)), "efficientnet-l2"}
    b4 = variants["efficientnet-b4"]
    assert b4["published"] == {
        "depth": 1.8,
        "width": 1.4,
        "resolution": 380,
        "params": 19_341_616,
        "macs": 4_393_771_024,
    }
    assert b4["printed"] == {"params": "19M", "flops": "4.2B"}
    assert b4["formula"]["depth"] == pytest.approx(1.2**4)
    assert b4["formula"]["resolution"] == 392
    assert b4["phi_of_equal_macs"] == fit_budget(ZOO["efficientnet-b0"], Budget(macs=4_393_771_024)).phi


def test_plan_finds_the_largest_net(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "net.yaml"
    value = cli.json("plan", "resnet-50", "--macs", "2G", "-o", out)
    assert set(value) == COST_FIELDS | SCALING_FIELDS | {"budget", "binding", "used", "next"}
    assert 1.9e9 < value["macs"] <= 2e9 < value["next"]["macs"]
    assert (value["binding"], value["budget"], value["used"]) == ("macs", {"macs": 2e9}, value["macs"] / 2e9)
    assert set(value["next"]) == COST_FIELDS | {"phi"}
    assert cost(load_network(out)).macs == value["macs"]
    small = cli.json("plan", "efficientnet-b0", "--params", "1M")
    assert 0.9e6 < small["params"] <= 1e6
    assert small["phi"] < 0


def test_plan_in_words(cli: Cli) -> None:
    code, out, err = cli("plan", "efficientnet-b0", "--macs", "1G", "--training-memory", "8GiB", "--batch", 8)
    assert (code, err) == (0, "")
    macs = fit_budget(ZOO["efficientnet-b0"], Budget(macs=1e9)).cost.macs
    assert f"macs: {macs / 1e6:.0f}M of 1.00G ({macs / 1e9:.1%}, limiting)" in out
    assert "training memory: " in out
    assert "the next step up, at " in out


USAGE = [
    (("scale", "efficientnet-b9", "--phi", 1), "error: no network is called 'efficientnet-b9'; did you mean 'efficientnet-b8' or"),
    (("scale", "efficientnet-b0"), "error: give either --phi, or --depth, --width and --resolution factors; e.g. --phi 1"),
    (("scale", "efficientnet-b0", "--phi", 1, "--width", 2), "error: give either --phi, or --depth"),
    (("scale", "efficientnet-b0", "--width", -2), "error: width factor -2.0 is not a positive number; use 1 to leave width alone"),
    (("scale", "efficientnet-b0", "--phi", 1, "--rule", "big"), "error: --rule 'big' is unknown; use compound, fast,"),
    (("scale", "resnet-50", "--published"), "error: resnet-50 has no published variants; use efficientnet-b0 or"),
    (("plan", "resnet-50"), "error: no budget given; use at least one of --macs, --params"),
    (("plan", "resnet-50", "--macs", "many"), "error: --macs 'many' is not a positive quantity; write e.g. 400M, 2G or 8GiB"),
    (("plan", "resnet-50", "--params", "1k"), "error: no resnet-50 fits params 1.00k: its smallest net (8 px) already has params"),
    (("show", "none.yaml"), "error: cannot read network file none.yaml: No such file or directory; check the path"),
    (("zoo", "bert"), "error: no network's name contains 'bert'; `compound zoo` lists all"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), USAGE, ids=[" ".join(map(str, words)) for words, _ in USAGE])
def test_errors_are_one_sentence_and_exit_code_2(cli: Cli, words: tuple[object, ...], sentence: str) -> None:
    code, message = cli.error(*words)
    assert code == 2
    assert message.startswith(sentence)
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("scale", "efficientnet-b0", "--phi", "big"), "--phi"),
        (("show", "efficientnet-b0", "--by", "layer"), "use stage, block or operator"),
        (("show", "efficientnet-b0", "--classes", "0"), "--classes"),
        (("skale", "efficientnet-b0"), "skale"),
        (("show",), "NETWORK"),
    ],
)
def test_what_the_parser_refuses_is_usage_too(cli: Cli, words: tuple[str, ...], named: str) -> None:
    code, message = cli.error(*words)
    assert code == 2
    assert named in message


def test_wrong_network_files_name_the_place(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("stem: {block: conv, channels: 8}\nstages: [{block: mbconv, kernel: 4, layers: 1, channels: 8}]")
    assert cli.error("show", file) == (2, f"error: {file}: stage 1: kernel 4 is even; use 3, 5 or 7\n")


@pytest.mark.parametrize("verb", [("scale", "--phi", 1), ("plan", "--macs", "1G")])
def test_unwritable_out_fails_with_1(cli: Cli, verb: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "no folder" / "net.yaml"
    code, message = cli.error(verb[0], "efficientnet-b0", *verb[1:], "--out", out)
    assert code == 1
    assert message == f"error: cannot write {out}: No such file or directory; choose another place or free it\n"


def test_debug_lets_the_traceback_through(cli: Cli) -> None:
    with pytest.raises(KeyError, match="no network is called 'nothing'"):
        cli("show", "nothing", "--debug")


VERBS = [
    "zoo",
    "show efficientnet-b0",
    "scale efficientnet-b0 --phi 1",
    "plan efficientnet-b0 --macs 1G",
    "show {file}",
]
FORBIDDEN = ("torch", "numpy", "torchvision", "matplotlib", "lightning", "PIL", "optuna")
PROBE = """
import sys
from compound.cli import main
sys.argv = {words!r}
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print([name for name in {forbidden!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS)
def test_planning_imports_no_torch(verb: str, tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("stem: {block: conv, channels: 8}\nstages: [{block: mbconv, layers: 1, channels: 8}]")
    probe = PROBE.format(words=["compound", *verb.format(file=file).split(), "--json"], forbidden=FORBIDDEN)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert json.loads(done.stdout)


def test_python_m_compound_is_the_command() -> None:
    words = [sys.executable, "-m", "compound", "scale", "efficientnet-b0", "--phi", "1", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["params"] == 9_109_994
    assert done.stderr == ""


def test_table_prints_counts_beside_print_and_the_reason_where_they_part(cli: Cli) -> None:
    code, out, err = cli("table", 2)
    assert (code, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.startswith("SENet ")]
    assert line.split() == [
        "SENet",
        "320",
        "146M",
        "115.09M",
        "-21.2%",
        "42B",
        "42.21B",
        "+0.5%",
        "7.7",
        "10",
        "5.95",
        "9.61",
        "[8]",
    ]
    assert "[8] 145.8M is of the network entered in ILSVRC 2017" in out
    value = cli.json("table", 2)
    assert (value["table"], len(value["rows"])) == (2, 24)
    (row,) = [row for row in value["rows"] if row["row"] == "PNASNet"]
    assert row["macs"] == 24_937_395_792
    assert row["macs_deviation"] == pytest.approx(0.084, abs=5e-4)
    assert "its own ratio of 6.0" in row["reason"]


def test_table_as_csv(cli: Cli) -> None:
    code, out, _ = cli("table", 7, "--csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert code == 0
    assert [row["row"] for row in rows] == ["baseline", "depth", "width", "resolution", "compound"]
    assert (rows[0]["params"], rows[0]["macs"], rows[0]["printed_flops"]) == ("5288548", "385814752", "0.4B")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("table", 9), "error: the paper has no table 9; use 1, 2, 3, 4, 5, 7\n"),
        (("table", 2, "--csv", "--json"), "error: --csv and --json exclude each other; give one of them\n"),
    ],
)
def test_table_refuses(cli: Cli, words: tuple[object, ...], sentence: str) -> None:
    code, out, err = cli(*words)
    assert (code, out, err) == (2, "", sentence)

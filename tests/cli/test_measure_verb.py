"""`compound measure`, and budgets in milliseconds on the command line."""

import csv
import json
from pathlib import Path

import pytest

import compound
from compound import UsageError, cost, load_network
from compound.cli.options.training import one_table, which_devices
from compound.measurement import Sampling, Turns
from compound.measurement.printed import table4, top1

TINY = """\
name: tiny
resolution: 32
stem: {block: conv, kernel: 3, channels: 8, stride: 2}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 2, channels: 8, stride: 2}
- {block: mbconv, kernel: 3, expand: 2, se: 0.25, layers: 2, channels: 16, stride: 2}
head: {channels: 16}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.mark.long
def test_networks_are_measured_by_default(cli, tiny) -> None:  # type: ignore[no-untyped-def]
    value = cli.json("measure", tiny, "--runtime", "eager,optimized", "--batch", "1,2", "--runs", "3")
    assert set(value) == {"measured", "table4", "unavailable", "environment"}
    measured = [(one["name"], one["runtime"], one["batch"], one["calls"]) for one in value["measured"]]
    assert measured == [("tiny", runtime, batch, 3) for runtime in ("eager", "optimized") for batch in (1, 2)]
    assert value["environment"]["peak_gflops"] > 0
    assert cli.json("measure", "networks", tiny, "--runs", "1")["measured"][0]["macs"] == cost(load_network(tiny)).macs


@pytest.mark.long
def test_text_csv_and_memory(cli, tiny, tmp_path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = cli("measure", tiny, "--runs", "2", "--csv", tmp_path / "a.csv", "--memory")
    assert code == 0, err
    assert "preparing tiny, channels-last, batch 1" in err
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (row["name"], row["runtime"], row["calls"]) == ("tiny", "channels-last", "2")
    assert float(row["median_low_ms"]) <= float(row["median_ms"]) <= float(row["median_high_ms"])
    assert "inference" in out
    assert "training" in out


@pytest.mark.long
def test_a_picture_of_accuracy_over_latency(cli, tiny, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(top1(), "tiny", 0.771)
    value = cli.json("measure", tiny, "--runs", "1", "-o", tmp_path / "a.svg")
    assert value["measured"][0]["top1"] == pytest.approx(0.771)
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_printed_figures_have_the_names_of_the_zoo() -> None:
    assert top1()["efficientnet-b1"] == pytest.approx(0.791)
    assert [(pair.slow, pair.fast) for pair in table4()] == [
        ("resnet-152", "efficientnet-b1"),
        ("amoebanet-b-6-512", "efficientnet-b7"),
    ]
    for pair in table4():
        assert pair.slow_seconds / pair.fast_seconds == pytest.approx(pair.ratio, abs=0.05)


@pytest.mark.long
def test_from_device_to_plan(cli, tiny, tmp_path) -> None:  # type: ignore[no-untyped-def]
    table = tmp_path / "here.json"
    made = cli.json(
        "measure",
        "device",
        "--family",
        tiny,
        "--samples",
        "8",
        "--seconds",
        "0.2",
        "--runtime",
        "optimized",
        "-o",
        table,
    )
    assert made["units"] == sum(map(len, json.loads(table.read_text())["units"].values()))
    assert made["left_out"]["networks"] == 2
    # not "1s": by a table that a busy machine made, networks of thousands of layers may have to be counted for it
    one = cli.json("plan", tiny, "--latency", "20ms", "--device", table)["latency"]
    limit = 0.9 * one
    plan = cli.json("plan", tiny, "--latency", f"{limit * 1e6:.1f}us", "--device", table, "--fill")
    assert plan["binding"] == "latency"
    assert plan["latency"] * (1 + made["margin"]) <= limit * 1.001
    _, out, _ = cli("plan", tiny, "--latency", f"{limit:.6f}s", "--device", table)
    assert "optimized, 1 thread, batch 1" in out


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("measure", "efficientnet-b0", "--runtime", "tensorrt"), "there is no runtime 'tensorrt'; use optimized, "),
        (("measure", "efficientnet-b0", "--batch", "0"), "--batch '0' is not a list of positive numbers"),
        (
            ("measure", "efficientnet-b0", "-o", "a.gif"),
            "a.gif is no picture that can be written; end its name in .svg or .png",
        ),
        (("measure", "efficientnet-lite0", "-o", "a.png"), "no accuracy is known of efficientnet-lite0"),
        (("measure", "efficient"), "no network is called 'efficient'"),
        (("measure", "device", "--span", "1", "-o", "a.json"), "--span 1.0 leaves no range of sizes"),
        (("measure", "device", "--family", "efficientnet-l2", "-o", "a.json"), "GB memory; use fewer --samples"),
        (
            ("plan", "efficientnet-b0", "--latency", "20", "--device", "a.json"),
            "--latency '20' is not a time; write e.g.",
        ),
        (("plan", "efficientnet-b0", "--latency", "20ms"), "--latency needs --device FILE"),
        (("plan", "efficientnet-b0", "--device", "a.json", "--macs", "1G"), "--device needs --latency"),
        (("plan", "efficientnet-b0", "--latency", "20ms", "--device", "a.json"), "cannot read device table a.json"),
        (("fit", "fashion6k", "--latency", "20ms"), "--latency needs --device FILE"),
        (("fit", "fashion6k", "--device", "cpu", "--device", "cuda"), "give one device to train on"),
    ],
)
def test_what_is_wrong_is_said(cli, tmp_path, monkeypatch, words, said) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    code, err = cli.error(*words)
    assert code == 2
    assert said in err


def test_fit_tells_a_table_from_a_device() -> None:
    assert which_devices(["cuda", "phone.json"]) == ("cuda", (Path("phone.json"),))
    assert which_devices(["a.json", "b.json"]) == ("auto", (Path("a.json"), Path("b.json")))
    assert one_table([]) is None
    assert one_table([Path("a.json")]) == Path("a.json")
    with pytest.raises(UsageError, match="one table at the most"):
        one_table([Path("a.json"), Path("b.json")])


@pytest.mark.long
def test_measure_in_python_has_the_commands_figures(cli, tiny, tmp_path) -> None:  # type: ignore[no-untyped-def]
    answered = cli.json("measure", tiny, "--runtime", "eager", "--batch", "1,2", "--runs", 2, "--memory")
    session = compound.measure(tiny, ["eager"], [1, 2], turns=Turns(2), memory=True)
    found = session.to_json()
    assert set(found) == set(answered)
    assert [set(one) for one in found["measured"]] == [set(one) for one in answered["measured"]]
    assert [one["macs"] for one in found["measured"]] == [one["macs"] for one in answered["measured"]]
    assert [one["inference"]["predicted"] for one in found["memory"]] == [
        one["inference"]["predicted"] for one in answered["memory"]
    ]
    with pytest.raises(UsageError, match="no accuracy is known of tiny"):
        compound.measure(load_network(tiny), picture=tmp_path / "drawn.svg")
    with pytest.raises(UsageError, match="--span 1 leaves no range of sizes"):
        Sampling(span=1)

"""Networks by name, as users of other libraries write them; the quantities people type."""

import subprocess
import sys

import pytest

from compound import ZOO, CompoundRule, FastRule, UsageError, cost
from compound.quantity import limit_text, quantity, short
from compound.zoo import FAMILIES, names

ALIASES = {
    "EfficientNet-B0": "efficientnet-b0",
    "efficientnet_b0": "efficientnet-b0",
    "Efficientnet B7": "efficientnet-b7",
    "efficientnet_lite0": "efficientnet-lite0",
    "resnet-50": "resnet-50",
    "resnet50": "resnet-50",
    "mobilenetv2": "mobilenet-v2",
    "mobilenet_v2": "mobilenet-v2",
    "mobilenetv2_100": "mobilenet-v2",
    "mobilenetv1_100": "mobilenet-v1",
    "mobilenet_v1_0.25": "mobilenet-v1-x0.25",
    "mobilenetv1_025": "mobilenet-v1-x0.25",
    "mobilenetv1_050": "mobilenet-v1-x0.5",
    "mobilenetv1_075": "mobilenet-v1-x0.75",
    "mobilenet_v1_1.0": "mobilenet-v1",
    "NFNet-F0": "nfnet-f0",
    "dm_nfnet_f0": "nfnet-f0",
}


@pytest.mark.parametrize(("given", "name"), ALIASES.items())
def test_names_of_other_libraries(given: str, name: str) -> None:
    assert ZOO[given] is ZOO[name]
    assert ZOO[given].name == name


def test_tf_names_are_the_network_with_tensorflows_padding() -> None:
    network = ZOO["tf_efficientnet_b3"]
    assert (network.name, network.style.padding) == ("efficientnet-b3", "same")
    assert ZOO["efficientnet-b3"].style.padding == "symmetric"
    assert cost(network).params == cost(ZOO["efficientnet-b3"]).params


REGNETS = ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("efficientnet-bo", "no network is called 'efficientnet-bo'; did you mean 'efficientnet-b0' or "),
        ("efficentnet b3", "no network is called 'efficentnet b3'; did you mean 'efficientnet-b3' or "),
        ("resnet-51", "no network is called 'resnet-51'; did you mean 'resnet-50' or "),
        ("mobilenet-v22", "no network is called 'mobilenet-v22'; did you mean 'mobilenet-v2' or "),
        ("xyz", "no network is called 'xyz'; `compound zoo` lists all"),
        (
            "nfnet_f0",
            "the zoo has no 'nfnet_f0': timm's has no learned gains in its blocks; did you mean 'dm_nfnet_f0'",
        ),
        ("nfnet_f1", "no network is called 'nfnet_f1'; did you mean 'nfnet-f0' or "),
    ],
)
def test_unknown_names_get_the_nearest(given: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        ZOO[given]
    assert str(error.value).startswith(sentence)
    assert given not in ZOO
    assert ZOO.get(given) is None


def test_the_zoo_is_a_mapping_of_names_to_networks() -> None:
    assert all(network.name == name for name, network in ZOO.items())
    assert len(ZOO) == len(set(ZOO))
    assert [n.name for family in ZOO.families().values() for n in family] == list(ZOO)


def test_all_regnets_of_torchvision_are_known_by_their_names() -> None:
    """Multiply-adds by which torchvision names them; 1_6gf and 16gf differ in punctuation alone."""
    for kind, size in [("x", s) for s in REGNETS[:-1]] + [("y", s) for s in REGNETS]:
        network = ZOO[f"regnet_{kind}_{size}"]
        named = float(size[:-2].replace("_", ".")) * (1e6 if size.endswith("mf") else 1e9)
        assert cost(network).macs == pytest.approx(named, rel=0.1), (kind, size)
        assert network.name.startswith(f"regnet{kind}-")


def test_no_name_means_two_networks() -> None:
    """So the order in which the families are read does not matter."""
    assert len({name for family in FAMILIES for name in names(family)}) == sum(len(names(f)) for f in FAMILIES)


def test_a_name_is_found_without_reading_the_families_behind_it() -> None:
    code = "import sys; from compound import ZOO; ZOO['resnet-50']; print(*(m for m in sys.modules if '.zoo.' in m))"
    read = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert read.split() == ["compound.zoo.efficientnet", "compound.zoo.mobilenet", "compound.zoo.resnet"]


def test_table_1_is_printed_as_the_paper_prints_it() -> None:
    """Stage, operator, resolution received, channels and layers of Table 1."""
    rows = [line.split() for line in ZOO["efficientnet-b0"].table().splitlines()[2:]]
    received = [row[-4] for row in rows[:-1]] + [rows[-1][-3]]
    assert received == [f"{n}×{n}" for n in (224, 112, 112, 56, 28, 14, 14, 7, 7)]
    assert [row[-3:-1] for row in rows[:-1]] == [
        ["32", "1"], ["16", "1"], ["24", "2"], ["40", "2"], ["80", "3"], ["112", "3"], ["192", "4"], ["320", "1"],
    ]  # fmt: skip
    assert rows[-1][-2:] == ["1280", "1"]
    assert rows[3][:3] == ["stage", "3", "mbconv"]


def test_warnings_tell_when_the_last_map_is_one_position() -> None:
    assert ZOO["efficientnet-b0"].warnings() == []
    (warning,) = ZOO["efficientnet-b0"].with_(resolution=32).warnings()
    assert "the last map is 1×1 at 32 px, so 32-fold striding leaves nothing to pool" in warning


@pytest.mark.parametrize(
    ("text", "number"),
    [("400M", 4e8), ("2G", 2e9), ("2b", 2e9), ("8GiB", 2**33), ("50MB", 5e7), ("1.5k", 1500), ("1e9", 1e9), ("7", 7), ("2 T", 2e12)],
)  # fmt: skip
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["", "many", "-1M", "0", "1..2M", "nan", "4X", "4i"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(UsageError) as error:
        quantity(text, "--macs")
    assert str(error.value) == f"--macs {text!r} is not a positive quantity; write e.g. 400M, 2G or 8GiB"


def test_short_numbers() -> None:
    assert [short(n) for n in (385_814_752, 5_288_548, 19.1e9, 1e12, 950, 1000)] == ["386M", "5.29M", "19.1G", "1.00T", "950", "1.00k"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "limit", "text"),
    [("macs", 100.3e6, 100e6, "100.3M"), ("macs", 99.9996e6, 100e6, "99.9996M"), ("macs", 99.7e6, 100e6, "99.7M"),
     ("macs", 1e8, 1e8, "100M"), ("latency", 0.020004, 0.02, "20.004 ms"), ("params", 100.9e6, None, "101M")],
)  # fmt: skip
def test_a_figure_beside_its_limit_has_the_digits_that_tell_them_apart(name, value, limit, text) -> None:
    assert limit_text(name, value, limit) == text


@pytest.mark.parametrize("factors", [(0.9, 1.1, 1.15), (1.2, float("nan"), 1), (1.2, 1.1, float("inf"))])
def test_coefficients_below_one_are_refused(factors: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="is less than 1; Equation 3 asks for"):
        CompoundRule(*factors)


def test_rules_that_change_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="φ would change nothing"):
        CompoundRule(1, 1, 1)
    with pytest.raises(UsageError, match=r"fast rule weights 0\.5, 0\.8, 0\.1 are not shares of one"):
        FastRule(0.5)

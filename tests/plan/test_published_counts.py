"""Counted parameters and MACs of EfficientNets (Table 2 of Tan & Le 2019) and of others, against figures from outside.

They were counted by other programs (timm, torchvision, the official code), not by the one under test.
"""

import pytest

from compound import ZOO, Cost, cost

# network: parameters, MACs with 1000 classes
EXACT = {
    "efficientnet-b0": (5_288_548, 385_814_752),
    "efficientnet-b1": (7_794_184, 686_802_832),
    "efficientnet-b2": (9_109_994, 993_561_872),
    "efficientnet-b3": (12_233_232, 1_827_141_392),
    "efficientnet-b4": (19_341_616, 4_393_771_024),
    "efficientnet-b5": (30_389_784, 10_266_384_752),
    "efficientnet-b6": (43_040_704, 19_067_593_536),
    "efficientnet-b7": (66_347_960, 37_745_884_192),
    "efficientnet-b8": (87_413_142, 62_597_461_568),
    "efficientnet-l2": (480_309_308, 475_703_653_280),
}
PARAMS = {
    "efficientnet-lite0": 4_652_008,
    "efficientnet-lite1": 5_416_680,
    "efficientnet-lite2": 6_092_072,
    "efficientnet-lite3": 8_197_096,
    "efficientnet-lite4": 13_006_568,
    "mobilenet-v1": 4_231_976,
    "mobilenet-v2": 3_504_872,
    "resnet-18": 11_689_512,
    "resnet-34": 21_797_672,
    "resnet-50": 25_557_032,
    "resnet-101": 44_549_160,
    "resnet-152": 60_192_808,
}
ROUNDED_MACS = {  # network: MACs in units of 1e6
    "mobilenet-v1": 568.7,
    "mobilenet-v2": 300.8,
    "resnet-50": 4089,
    "resnet-152": 11514,
}
# network: resolution, dropout (official `efficientnet_params`)
RESOLUTION_AND_DROPOUT = {
    "efficientnet-b0": (224, 0.2),
    "efficientnet-b1": (240, 0.2),
    "efficientnet-b2": (260, 0.3),
    "efficientnet-b3": (300, 0.3),
    "efficientnet-b4": (380, 0.4),
    "efficientnet-b5": (456, 0.4),
    "efficientnet-b6": (528, 0.5),
    "efficientnet-b7": (600, 0.5),
    "efficientnet-b8": (672, 0.5),
    "efficientnet-l2": (800, 0.5),
    "efficientnet-lite0": (224, 0.2),
    "efficientnet-lite1": (240, 0.2),
    "efficientnet-lite2": (260, 0.3),
    "efficientnet-lite3": (280, 0.3),
    "efficientnet-lite4": (300, 0.3),
}


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs_of_efficientnets(name: str, figures: tuple[int, int]) -> None:
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures


@pytest.mark.parametrize(("name", "params"), PARAMS.items())
def test_params(name: str, params: int) -> None:
    assert cost(ZOO[name]).params == params


@pytest.mark.parametrize(("name", "millions"), ROUNDED_MACS.items())
def test_macs_to_the_printed_digit(name: str, millions: float) -> None:
    digits = 1 if millions < 1000 else 0
    assert round(cost(ZOO[name]).macs / 1e6, digits) == millions


@pytest.mark.parametrize(("name", "fields"), RESOLUTION_AND_DROPOUT.items())
def test_resolution_and_dropout_of_published_variants(name: str, fields: tuple[int, float]) -> None:
    network = ZOO[name]
    assert (network.resolution, network.dropout, network.survival) == (*fields, 0.8)


def test_classes_and_channels_change_head_and_stem_only() -> None:
    b0 = ZOO["efficientnet-b0"]
    ten, thousand = cost(b0.with_(classes=10)), cost(b0)
    assert thousand.params - ten.params == 990 * 1281  # weights and biases of 990 classes
    assert thousand.macs - ten.macs == 990 * 1280
    grey = cost(b0.with_(channels=1))
    assert thousand.params - grey.params == 2 * 9 * 32
    assert thousand.macs - grey.macs == 2 * 9 * 32 * 112 * 112


@pytest.mark.parametrize(
    ("name", "millions"), [("efficientnet-b0", 6.75), ("mobilenet-v2", 6.68), ("resnet-50", 11.11)]
)
def test_activations_as_timms_benchmark_tables_list_them(name: str, millions: float) -> None:
    """Outputs of convolutions and linear layers at 224 px, column `macts`."""
    assert cost(ZOO[name]).activations / 1e6 == pytest.approx(millions, abs=0.01)


def test_norms_have_two_running_statistics_a_channel() -> None:
    # torchvision.models.efficientnet_b0 has 42,016 in running means and variances (num_batches_tracked aside).
    assert cost(ZOO["efficientnet-b0"]).buffers == 42_016
    assert cost(ZOO["resnet-50"]).buffers == 53_120


def test_memory_is_stated_in_bytes() -> None:
    counted = Cost(params=100, macs=1, activations=1, buffers=10, kept=50, live=20, training=70)
    assert counted.memory() == 4 * (100 + 10 + 20)
    assert counted.memory(batch=3, bytes_each=2) == 2 * (100 + 10 + 60)
    # weights, gradients, two slots and EMA; statistics and their EMA; what 8 images keep
    assert counted.autograd_memory(8) == 4 * (5 * 100 + 2 * 10 + 8 * 70)
    assert counted.autograd_memory(8, slots=1, ema=False) == 4 * (3 * 100 + 10 + 8 * 70)

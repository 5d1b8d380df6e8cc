"""The drawing is to scale: boxes are in proportion to resolution and to layers times channels."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import pytest

from compound import ZOO, Network
from compound.reporting.drawing import draw_networks
from compound.reporting.layout import boxes
from compound.zoo.efficientnet import B0

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> list[dict[str, float]]:
    """The stages' rectangles."""
    rects = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    names = ("x", "y", "width", "height")
    return [{name: float(rect.attrib[name]) for name in names} for rect in rects if rect.get("class") == "stage"]


def test_boxes_are_the_papers_table() -> None:
    # Table 1: the resolution each stage receives, its channels and layers.
    assert [box.resolution for box in boxes(B0)] == [224, 112, 112, 56, 28, 14, 14, 7, 7]
    assert [box.channels for box in boxes(B0)] == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    assert [box.layers for box in boxes(B0)] == [1, 1, 2, 2, 3, 3, 4, 1, 1]


@pytest.mark.parametrize("network", [B0, ZOO["resnet-50"], ZOO["mobilenet-v2"]], ids=lambda n: n.name)
def test_one_network_is_in_proportion(network: Network) -> None:
    check(draw_networks([network]), [network])


def test_two_networks_share_their_scales() -> None:
    pair = [B0, ZOO["efficientnet-b4"]]
    check(draw_networks(pair), pair)


def check(svg: str, networks: list[Network]) -> None:
    """One unit of height and one of thickness for all boxes; nothing overlaps."""
    expected = [box for network in networks for box in boxes(network)]
    found = drawn(svg)
    assert len(found) == len(expected)
    last = expected[-1]
    height, thick = found[0]["height"] / expected[0].resolution, found[-1]["width"] / (last.layers * last.channels)
    for box, rect in zip(expected, found, strict=True):
        assert rect["height"] == pytest.approx(height * box.resolution, abs=0.02)
        assert rect["width"] == pytest.approx(thick * box.layers * box.channels, rel=1e-3, abs=0.02)
    for before, after in pairwise(found):
        assert before["x"] + before["width"] < after["x"] or after["x"] < found[1]["x"]  # the next network's stem
    width, tall = (float(word) for word in ElementTree.fromstring(svg).attrib["viewBox"].split()[2:])
    assert found[-1]["x"] + found[-1]["width"] <= width
    assert all(rect["y"] >= 0 and rect["y"] + rect["height"] <= tall for rect in found)


def test_labels_and_colour_come_from_the_page() -> None:
    svg = draw_networks([B0])
    texts = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert texts[:5] == ["efficientnet-b0, 224 px", "224", "stem", "32", "×1"]
    assert 'fill="currentColor"' in svg
    assert "var(--accent" in svg


def test_a_network_of_equal_widths_is_drawn() -> None:
    same = B0.with_(
        stem=replace(B0.stem, channels=16),
        stages=(replace(B0.stages[0], channels=16),),
        head=replace(B0.head, channels=16),
    )
    assert len(drawn(draw_networks([same]))) == 3

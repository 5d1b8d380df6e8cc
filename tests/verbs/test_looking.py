"""What the verbs that only look or prepare give in Python: show, list_networks, published_variants, cache, index."""

import json
import tarfile
from io import BytesIO

import pytest

import compound
from compound.errors import UsageError
from compound.verbs.variants import variants_text
from tests.data.photos import write_pictures


def test_parts_of_a_network_add_up_to_all_of_it():
    for by in ("stage", "block", "operator"):
        shown = compound.show("mobilenet-v2", by)
        assert sum(one.params for _, one in shown.parts) == shown.total.params == compound.cost(shown.network).params
        assert sum(one.macs for _, one in shown.parts) == shown.total.macs
        assert len(shown.to_json()[by + "s"]) == len(shown.parts)
    with pytest.raises(UsageError, match="stage, block or operator"):
        compound.show("mobilenet-v2", "layer")


def test_networks_are_listed_by_part_of_their_names():
    assert set(compound.list_networks()) == set(compound.ZOO)
    assert set(compound.list_networks("MobileNet_V2")) == {name for name in compound.ZOO if "mobilenet-v2" in name}
    with pytest.raises(UsageError, match="no network's name"):
        compound.list_networks("no such net")


def test_published_variants_cost_what_table_2_prints_and_the_formula_misses_some():
    variants = compound.published_variants("efficientnet-b0")
    assert [each.network.name for each in variants[:8]] == [f"efficientnet-b{n}" for n in range(8)]
    for each in variants[:8]:  # Table 2 prints parameters to two digits
        assert each.counted.params / 1e6 == pytest.approx(float(each.printed[0].rstrip("M")), rel=0.03)
        assert compound.cost(compound.scale(compound.ZOO["efficientnet-b0"], each.factors)) == each.formula_counted
    assert max(abs(each.formula_counted.macs / each.counted.macs - 1) for each in variants) > 0.1
    assert len(variants_text(variants).splitlines()) == len(variants) + 3
    with pytest.raises(UsageError, match="no published variants"):
        compound.published_variants("resnet-18")


def test_a_folder_is_decoded_once_and_its_cache_is_a_data_set(tmp_path):
    photos = write_pictures(tmp_path / "photos", a=10, b=10)
    told = compound.cache_data(photos, tmp_path / "cache", 16)
    assert told == json.loads((tmp_path / "cache" / "cache.json").read_text())
    figures = compound.check_data(tmp_path / "cache").figures
    assert sum(part["images"] for part in figures["parts"].values()) == sum(told["images"].values())


def test_shards_are_read_through_once(tmp_path):
    with tarfile.open(tmp_path / "x-0.tar", "w") as tar:
        for name in ("a.png", "a.cls", "b.png", "b.cls"):
            held = (
                next(write_pictures(tmp_path / "photos", a=10, b=10).rglob("*.png")).read_bytes()
                if "png" in name
                else b"1"
            )
            member = tarfile.TarInfo(name)
            member.size = len(held)
            tar.addfile(member, BytesIO(held))
    told = compound.index_data(tmp_path / "x-{0..0}.tar", tmp_path / "indices")
    assert (told["shards"], told["images"]) == (1, 2)
    assert len(list((tmp_path / "indices").iterdir())) == 1

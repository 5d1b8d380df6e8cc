"""A budget of several devices: the network answers in time on each of them."""

import json
from dataclasses import replace

import pytest

from compound import Budget, fit_budget
from compound.errors import UsageError
from compound.latency import DeviceTable, save_table
from compound.verbs.plan import plan_text
from compound.zoo import ZOO
from tests.devices import made_up

B0 = ZOO["efficientnet-b0"]


@pytest.fixture(scope="module")
def laptop() -> DeviceTable:
    return replace(made_up(margin=0.05), environment={"cpu": "a laptop"})


@pytest.fixture(scope="module")
def phone(laptop) -> DeviceTable:
    """Everything takes twice as long there, and predictions are surer."""
    units = {kind: [(a, b, c, 2 * t) for a, b, c, t in timed] for kind, timed in laptop.units.items()}
    return DeviceTable("onnxruntime", 1, 1, 0.0, units, {"cpu": "a phone"})


def test_the_slowest_device_limits(laptop, phone):
    limit = 1.5 * Budget(latency=1.0, device=laptop).cost(B0).latency
    both = fit_budget(B0, Budget(latency=limit, device=[laptop, phone]))
    alone = fit_budget(B0, Budget(latency=limit, device=phone))
    assert both.network == alone.network
    assert both.cost.latency == alone.cost.latency
    assert both.cost.macs < fit_budget(B0, Budget(latency=limit, device=laptop)).cost.macs
    for device in (laptop, phone):
        one = Budget(latency=limit, device=device)
        assert one.admits(one.cost(both.network))
    told = both.to_json()["devices"]
    assert [each["device"] for each in told] == [laptop.name, phone.name]
    assert max(each["latency"] for each in told) == both.cost.latency
    assert "the slowest of" in plan_text(both)
    assert "a phone, onnxruntime, 1 thread, batch 1" in plan_text(both)
    assert "devices" not in alone.to_json()


def test_a_margin_makes_a_device_the_slower_one(laptop):
    sure, unsure = replace(laptop, margin=0.0), replace(laptop, margin=0.5)
    limit = Budget(latency=1.0, device=sure).cost(B0).latency
    found = fit_budget(B0, Budget(latency=limit, device=(sure, unsure)))
    assert found.cost.margin == 0.5
    assert found.cost.latency * 1.5 <= limit


def test_the_command_takes_several(laptop, phone, tmp_path, capsys):
    from compound.cli import run

    files = [str(save_table(one, tmp_path / f"{number}.json")) for number, one in enumerate((laptop, phone))]
    words = ["plan", "efficientnet-b0", "--latency", "30ms", "--device", files[0], "--device", files[1], "--json"]
    assert run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["devices"]) == 2
    assert all(each["latency"] * (1 + each["margin"]) <= 0.03 for each in found["devices"])


def test_no_device_is_none(laptop):
    with pytest.raises(UsageError, match="give a device table too"):
        Budget(latency=0.02, device=[])
    with pytest.raises(UsageError, match="give a latency too"):
        Budget(macs=1e9, device=[laptop])

"""Precision by a race: clear, kept, and pinned where it is asked for. Bits that repeat on a GPU."""

from dataclasses import replace

import pytest
import torch

from compound import CompoundError
from compound.cli.options.training import TrainingOptions
from compound.execution import Execution
from compound.kept import choices_file, keep, kept
from compound.training import precision as precision_room
from compound.training import start_run
from compound.training.precision import find_precision, race
from compound.training.trial import Trial

CPU = Execution("cpu")


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision_room, "has_bf16", lambda where: True)


@pytest.fixture
def timed(monkeypatch):
    """`timed(fp32, bf16)`: what the next races say; races without a time fail."""
    waiting = []

    def say(*times):
        waiting.extend({"fp32": fp32, "bf16": bf16} for fp32, bf16 in times)

    monkeypatch.setattr(precision_room, "race", lambda *_: waiting.pop(0))
    return say


@pytest.mark.parametrize(
    ("bf16", "chosen"), [(0.5, "bf16"), (0.86, "bf16"), (0.88, "fp32"), (0.99, "fp32"), (2.0, "fp32")]
)
def test_bf16_is_taken_where_it_is_clearly_faster(network, data, recipe, timed, bf16, chosen):
    timed((1.0, bf16))
    assert find_precision(network.for_data(data), data, recipe, CPU) == chosen


def test_the_same_question_has_the_same_answer(network, data, recipe, timed, capsys):
    """Whatever a second race would say; another batch or network is another question."""
    network = network.for_data(data)
    timed((1.0, 0.5), (1.0, 1.0), (1.0, 0.5))
    assert find_precision(network, data, recipe, CPU) == "bf16"
    assert "fp32 1000 ms, bf16 500 ms: taken bf16" in capsys.readouterr().err
    again = replace(recipe, epochs=recipe.epochs + 1, minutes=3.0)
    assert find_precision(network, data, again, CPU) == "bf16"
    assert "precision bf16, as was measured here before" in capsys.readouterr().err
    assert find_precision(network, data, replace(recipe, batch=8), CPU) == "fp32"
    assert find_precision(replace(network, resolution=28), data, recipe, CPU) == "bf16"
    choices_file().write_text("[half")
    timed((1.0, 1.0))
    assert find_precision(network, data, recipe, CPU) == "fp32"


def test_answers_are_kept_within_bounds_and_where_nothing_can_be_written_nothing_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("compound.kept.KEPT", 3)
    for number in range(5):
        keep(str(number), "fp32")
    assert list(kept()) == ["2", "3", "4"]
    (tmp_path / "file").touch()
    monkeypatch.setenv("COMPOUND_CACHE", str(tmp_path / "file" / "cache"))
    keep("1", "bf16")
    assert kept() == {}
    for name in ("COMPOUND_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}[0])  # a user without a home, as containers have them
    keep("1", "bf16")
    assert kept() == {}


def test_a_device_without_such_instructions_is_not_asked(network, data, recipe, timed, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(precision_room, "instructions", lambda: ["avx2", "avx512f"])
    monkeypatch.setattr(precision_room, "race", lambda *_: pytest.fail("raced"))
    assert find_precision(network, data, recipe, CPU) == "fp32"
    monkeypatch.setattr(precision_room, "instructions", lambda: ["avx512f", "amx_bf16"])
    assert precision_room.has_bf16(torch.device("cpu"))


def test_both_run_in_turn_on_the_same_batches(network, data, recipe, monkeypatch):
    monkeypatch.setattr(precision_room, "PAIR_SECONDS", 0.0)
    taken = []
    step = precision_room.Trial.step
    monkeypatch.setattr(
        precision_room.Trial, "step", lambda self, batch: (taken.append((self.precision, id(batch))), step(self, batch))
    )
    assert set(race(network.for_data(data), data, recipe, CPU)) == {"fp32", "bf16"}
    assert [kind for kind, _ in taken] == ["fp32", "bf16"] * (len(taken) // 2)
    assert all(one[1] == other[1] for one, other in zip(taken[::2], taken[1::2], strict=True))


@pytest.mark.parametrize(("each", "steps"), [(0.5, 7), (8.0, 2), (30.0, 2)])
def test_long_steps_are_raced_and_timed_by_two(network, data, recipe, monkeypatch, each, steps):
    """Hundreds of large photos a step: seven of each would take minutes, out of those that are given."""
    taken, now = [], [0.0]

    def step(self: Trial, batch: object) -> None:
        taken.append(self.precision)
        now[0] += each

    monkeypatch.setattr("compound.training.trial.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(Trial, "step", step)
    assert race(network.for_data(data), data, recipe, CPU) == {"fp32": each, "bf16": each}
    assert len(taken) == 2 * steps
    taken.clear()
    assert Trial(network.for_data(data), data, recipe, CPU).seconds(2.0) == each
    assert len(taken) == {0.5: 7, 8.0: 3, 30.0: 2}[each]
    taken.clear()
    race(network.for_data(data), data, replace(recipe, minutes=0.5), CPU)  # of which 3 s are for the race
    assert len(taken) == {0.5: 2 * 4, 8.0: 2 * 2, 30.0: 2 * 2}[each]


def test_a_run_is_settled_by_it_and_a_pinned_one_races_nothing(network, data, recipe, timed, tmp_path):
    timed((1.0, 0.5))
    run = start_run(network, data, replace(recipe, precision="auto"), tmp_path / "run", CPU)
    assert run.recipe.precision == "bf16"
    pinned = TrainingOptions(precision="fp32").find_recipe()
    assert start_run(network, data, replace(pinned, batch=8), tmp_path / "pinned", CPU).recipe.precision == "fp32"
    assert TrainingOptions().find_recipe().precision == "auto"


def test_deterministic_algorithms_are_asked_for_and_only_within(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    torch.backends.cudnn.benchmark = True
    try:
        with TrainingOptions(deterministic=True).execution().algorithms():
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.backends.cudnn.benchmark
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = False
    with Execution("cpu").algorithms():
        assert not torch.are_deterministic_algorithms_enabled()


def test_an_operator_without_one_is_named():
    said = "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'."
    asked = Execution("cpu", deterministic=True)
    with (
        pytest.raises(CompoundError, match=r"^put_ has no deterministic algorithm on this device; leave"),
        asked.algorithms(),
    ):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="other"), asked.algorithms():
        raise RuntimeError("other")

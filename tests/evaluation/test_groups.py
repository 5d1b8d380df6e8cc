"""Which groups are called worse: a planted one is, chance is not, and nothing is said of a handful of images."""

import numpy as np
import pytest
import torch
from PIL import Image

from compound.data import ArraySource, FileSource, Preprocessing
from compound.evaluation import evaluate
from compound.evaluation.groups import LEAST, by_groups, compared, folders, sides, thirds
from compound.evaluation.statistics import newcombe
from compound.execution import Execution

HERE = Execution("cpu", workers=0)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((10, 10), (0, 10), (0.6075, 1))],
)
def test_the_interval_of_a_difference_is_newcombes(first, second, wanted):
    """Newcombe 1998, Table II, method 10, contrasts a, b and h."""
    found = newcombe(first[0] / first[1], first[1], second[0] / second[1], second[1])
    assert found == pytest.approx(wanted, abs=6e-5)


def groups_of(rights):
    """Named groups with the numbers of right and all images."""
    names = [name for name, (_, images) in rights.items() for _ in range(images)]
    right = [place < count for count, images in rights.values() for place in range(images)]
    return {group.name: group for group in compared({"light": names}, torch.tensor(right))}


def test_a_group_that_is_worse_is_told_with_its_numbers():
    found = groups_of({"dark": (50, 100), "middle": (90, 100), "bright": (88, 100)})
    assert [name for name, group in found.items() if group.worse] == ["dark"]
    told = found["dark"].to_json()
    assert (told["images"], told["top1"], told["others"], told["others_top1"]) == (100, 0.5, 200, 0.89)
    assert told["compared"] == 3
    low, high = newcombe(0.5, 100, 0.89, 200, 2.3940)  # the 1 - 0.05 / 6 quantile of the normal distribution
    assert told["difference_interval"] == pytest.approx([low, high], abs=1e-4)


def test_nothing_is_claimed_of_few_images():
    found = groups_of({"one": (0, LEAST - 1), "two": (180, 200), "three": (180, 200)})
    assert found["one"].compared == 0
    assert not found["one"].worse
    assert found["one"].to_json()["difference_interval"] is None
    assert found["two"].compared == 2


def test_by_chance_one_evaluation_of_twenty_calls_a_group_worse():
    """Twenty groups that are equally good: uncorrected, a third of evaluations would call one of them worse."""
    rng, kinds = np.random.default_rng(0), {"a": [f"{i % 20}" for i in range(1000)]}
    draws = torch.from_numpy(rng.random((200, 1000)) < 0.8)
    alarms = [any(group.worse for group in compared(kinds, right)) for right in draws]
    assert np.mean(alarms) <= 0.08  # 5 % and two standard errors


def test_thirds_and_folders_have_names_that_tell_what_they_hold():
    assert (
        thirds(np.array([1.0, 2, 3, 4, 5, 6]), "{:.0f} px")
        == ["up to 2 px"] * 2 + ["2 px to 4 px"] * 2 + ["over 4 px"] * 2
    )
    sizes = thirds(np.array([9.0, 9, 5, 5, 5, 5, 1, 1, 1]), "{:.0f} px")  # the most images lie in the middle
    told = [group.name for group in compared({"size": sizes}, torch.ones(9, dtype=torch.bool))]
    assert told == ["up to 1 px", "1 px to 5 px", "over 5 px"]
    assert set(thirds(np.full(5, 28.0), "{:.0f} px")) == {"up to 28 px"}
    assert folders(["test/cat/a/1.png", "test/dog/b/2.png", "test/dog/3.png"], ["cat", "dog"]) == ["a", "b", "."]
    assert set(folders(["cat/1.png", "dog/2.png"], ["cat", "dog"])) == {"."}


def test_images_are_grouped_by_what_they_are(model, tmp_path):
    rng, names, labels = np.random.default_rng(0), [], []
    for number in range(24):
        side, light = 12 + 12 * (number % 2), 20 + 80 * (number % 3)
        place = tmp_path / "abc"[number % 3] / ("shed" if number % 4 else "garden")
        place.mkdir(parents=True, exist_ok=True)
        names.append(place / f"{number}-{'old' if number % 2 else 'new'}.png")
        labels.append(number % 3)
        Image.fromarray(rng.integers(light, light + 20, (side, side), np.uint8)).save(names[-1])
    source = FileSource(names, labels, 1)
    assert sides(source).tolist() == [12.0, 24.0] * 12
    result = evaluate(model, source, ("a", "b", "c"), HERE)
    preprocessing = Preprocessing.of(model.network)
    found = by_groups(result, source, str(tmp_path), ["old|new"], preprocessing, HERE)
    assert {(one.by, one.name): one.images for one in found if one.by != "brightness"} == {
        ("size", "up to 12 px"): 12, ("size", "12 px to 24 px"): 12, ("folder", "shed"): 18, ("folder", "garden"): 6,
        ("old|new", "old"): 12, ("old|new", "new"): 12,
    }  # fmt: skip
    light = {one.name.split("%")[0]: one.images for one in found if one.by == "brightness"}
    assert list(light.values()) == [8, 8, 8]
    assert {round(float(name.split()[-1])) for name in light} == {12, 43}  # 29.5 and 109.5 of 255
    assert {one.compared for one in found if one.name in ("garden", "shed")} == {0}
    assert sum(one.right for one in found if one.by == "size") == result.hits(1).sum()


def test_images_in_memory_have_one_size(model, source):
    result = evaluate(model, source, ("a", "b", "c"), HERE)
    found = by_groups(result, source, "noise", [], Preprocessing.of(model.network), HERE)
    assert {one.by for one in found} == {"brightness"}
    assert isinstance(source, ArraySource)

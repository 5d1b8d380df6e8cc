"""ImageNet's robustness sets as small folders in their true layouts."""

import json

import pytest
import torch
from PIL import Image

from compound import UsageError
from compound.evaluation import LAYOUTS, Evaluation, open_layout
from compound.evaluation.layouts import class_numbers, synsets
from compound.nn.weights import class_names


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def opened(name, folder, classes=None, labels=None):
    return open_layout(name, folder, classes or class_names(1000), 3, labels)


def test_the_synsets_are_those_of_the_usual_order():
    names = class_names(1000)
    assert len(set(synsets())) == 1000
    assert list(synsets()) == sorted(synsets())
    # From the challenge's own list: n01440764 tench, n02123045 tabby, n07920052 espresso, n15075141 toilet tissue.
    for synset, name in (
        ("n01440764", "tench"),
        ("n02123045", "tabby"),
        ("n07920052", "espresso"),
        ("n15075141", "toilet tissue"),
    ):
        assert names[synsets().index(synset)] == name


def test_v2_has_class_numbers_as_folders(tmp_path):
    put(tmp_path, "0/a.jpeg", "10/b.jpeg", "2/c.jpeg", "999/d.jpeg")
    found = opened("imagenet-v2", tmp_path)
    assert found.source.labels.tolist() == [0, 10, 2, 999]  # not their order in the alphabet
    assert found.classes is None
    put(tmp_path, "1000/e.jpeg")
    with pytest.raises(UsageError, match="1000 is not a class number from 0 to 999"):
        opened("imagenet-v2", tmp_path)


@pytest.mark.parametrize(
    ("name", "folders", "other", "lacking"),
    [
        # The numbers are those of the authors' lists (thousand_k_to_200): goldfish 1, tabby 281, great white shark 2;
        # lion 291 and fox squirrel 335, and missile 657. n01440764, tench, is in neither.
        ("imagenet-r", {"n01443537": 1, "n02123045": 281}, 2, 0),
        ("imagenet-a", {"n02129165": 291, "n02356798": 335}, 6, 0),
    ],
)
def test_a_and_r_choose_among_their_200_classes_on_a_part_of_them_too(tmp_path, name, folders, other, lacking):
    """Of seven images one is taken for a class of the set that has no image here: 85.7 % and not 100 %."""
    (one, first), (two, second) = folders.items()
    put(tmp_path, *(f"{one}/{n}.jpg" for n in range(3)), *(f"{two}/{n}.jpg" for n in range(4)))
    (tmp_path / "README.txt").write_text("both sets have one")
    found = opened(name, tmp_path)
    assert found.source.labels.tolist() == [first] * 3 + [second] * 4
    assert len(found.classes) == 200
    assert {first, second, other} < set(found.classes)
    assert lacking not in found.classes
    probabilities = torch.full((7, 1000), 1e-5)
    probabilities[:, lacking] = 0.8  # a class that the set lacks
    probabilities[:3, first], probabilities[3:, second] = 0.05, 0.05
    probabilities[6, other] = 0.1
    whole = Evaluation(class_names(1000), probabilities, torch.from_numpy(found.source.labels), torch.arange(7), [])
    judged = found.judge(whole)
    assert whole.top(1) == 0
    assert judged.top(1) == pytest.approx(6 / 7)
    assert judged.mean_per_class == pytest.approx((1 + 3 / 4) / 2)
    put(tmp_path, "n01440764/tench.jpg")
    with pytest.raises(UsageError, match=rf"n01440764 is not the WordNet id .* and {name} has"):
        opened(name, tmp_path)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["a", "r"])
def test_the_200_classes_are_those_of_timms_lists(name):
    from importlib.resources import files

    from compound.evaluation.layouts import NARROWED, _listed_in

    pytest.importorskip("timm")
    listed = (files("timm.data") / "_info" / f"imagenet_{name}_synsets.txt").read_text().split()
    numbers = (files("timm.data") / "_info" / f"imagenet_{name}_indices.txt").read_text().split()
    ours = _listed_in(NARROWED[f"imagenet-{name}"])
    assert ours == tuple(sorted(listed))
    assert sorted(map(int, numbers)) == [synsets().index(one) for one in ours]


def test_sketch_and_plain_imagenet_choose_among_all(tmp_path):
    put(tmp_path, "n01440764/sketch_0.JPEG", "n15075141/sketch_1.JPEG")
    for name in ("imagenet-sketch", "imagenet"):
        found = opened(name, tmp_path)
        assert found.source.labels.tolist() == [0, 999]
        assert found.classes is None


@pytest.mark.parametrize("nested", ["", "n01440764/"])
def test_real_counts_any_right_label_and_leaves_out_images_without(tmp_path, nested):
    files = [f"{nested}ILSVRC2012_val_{number:08d}.JPEG" for number in (1, 2, 3, 4)]
    put(tmp_path / "val", *files)
    (tmp_path / "real.json").write_text(json.dumps([[5, 9], [], [3], [8, 7]]))
    found = opened("imagenet-real", tmp_path / "val", labels=tmp_path / "real.json")
    assert [path.rsplit("_", 1)[1] for path in (found.source.path(i) for i in range(3))] == [
        "00000001.JPEG", "00000003.JPEG", "00000004.JPEG",
    ]  # fmt: skip
    probabilities = torch.full((3, 1000), 1e-5)
    probabilities[0, 9], probabilities[1, 4], probabilities[1, 3], probabilities[2, 2] = 0.9, 0.6, 0.3, 0.9
    whole = Evaluation(class_names(1000), probabilities, torch.from_numpy(found.source.labels), torch.arange(3), [])
    judged = found.judge(whole)
    assert judged.top(1) == pytest.approx(1 / 3)  # 9 is one of the first image's labels
    assert judged.top(2) == pytest.approx(2 / 3)


def test_a_network_trained_on_synsets(tmp_path):
    put(tmp_path, "n02123045/a.jpg", "n01443537/b.jpg")
    classes = ("n02123045", "n01443537", "n07920052", "n01440764")
    found = opened("imagenet-r", tmp_path, classes)
    assert found.source.labels.tolist() == [1, 0]
    assert found.classes == (0, 1, 2)  # of the set's 200 those that it knows: espresso is one, tench is none
    assert class_numbers(classes)["n07920052"] == 2


def test_what_is_refused(tmp_path):
    put(tmp_path, "cat/a.jpg")
    real = tmp_path / "real.json"
    real.write_text("[[1000]]")
    for words, said in (
        (("imagenet-x", tmp_path), "there is no layout 'imagenet-x'"),
        (("imagenet-a", tmp_path / "none"), "there is no folder"),
        (("imagenet-a", tmp_path), "cat is not the WordNet id"),
        (("imagenet-a", tmp_path, ("cat", "dog")), "need a network of its 1,000 classes"),
        (("imagenet-real", tmp_path), "belongs to the layout imagenet-real, and it needs them"),
        (("imagenet-real", tmp_path, None, real), "class numbers from 0 to 999"),
    ):
        with pytest.raises(UsageError, match=said):
            opened(*words)
    real.write_text("[[1]]")
    with pytest.raises(UsageError, match=r"a.jpg has no label"):
        opened("imagenet-real", tmp_path, None, real)
    assert set(LAYOUTS) == {"imagenet", *(f"imagenet-{one}" for one in ("real", "v2", "a", "r", "sketch"))}


@pytest.mark.oracle
def test_the_synsets_are_timms():
    from importlib.resources import files

    pytest.importorskip("timm")
    assert tuple((files("timm.data") / "_info" / "imagenet_synsets.txt").read_text().split()) == synsets()

"""Predictions and submissions as files."""

import csv
from pathlib import Path

import pytest
import torch

from compound import UsageError
from compound.data import ArraySource
from compound.evaluation import Evaluation, Submission, read_numbers, write_predictions, write_submission


def test_a_row_an_image(tmp_path):
    source = ArraySource(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), [0, 1, 1], "grey")
    probabilities = torch.tensor([[0.75, 0.25], [0.625, 0.375]])
    result = Evaluation(("a, or so", "b"), probabilities, torch.tensor([0, 1]), torch.tensor([0, 2]), [])
    with write_predictions(result, source, tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        [
            "path",
            "label",
            "predicted",
            "confidence",
            "label_probability",
            "class1",
            "probability1",
            "class2",
            "probability2",
        ],
        ["grey[0]", "a, or so", "a, or so", "0.75", "0.75", "a, or so", "0.75", "b", "0.25"],
        ["grey[2]", "b", "a, or so", "0.625", "0.375", "a, or so", "0.625", "b", "0.375"],
    ]


def test_a_row_has_the_five_most_probable_classes_in_order(tmp_path):
    source = ArraySource(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), [6], "grey")
    probabilities = torch.tensor([[0.05, 0.3, 0.1, 0.2, 0.25, 0.04, 0.06]])
    result = Evaluation(tuple("abcdefg"), probabilities, torch.tensor([6]), torch.tensor([0]), [])
    with write_predictions(result, source, tmp_path / "p.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert [row[f"class{rank}"] for rank in range(1, 6)] == ["b", "e", "d", "c", "g"]
    assert [row[f"probability{rank}"] for rank in range(1, 6)] == ["0.3", "0.25", "0.2", "0.1", "0.06"]
    assert "class6" not in row


def test_a_submission_is_in_the_order_of_the_files_with_the_challenges_numbers(tmp_path):
    # The layout of ILSVRC's development kit: WordNet id, number, name; the numbers are not in the ids' order.
    (tmp_path / "map_clsloc.txt").write_text("n02 1 kit_fox\nn01 3 tench\nn03 2 crane\n")
    numbers = read_numbers(tmp_path / "map_clsloc.txt")
    assert numbers == (3, 1, 2)  # of n01, n02, n03
    best = {"test_00000002.JPEG": [2, 0, 1], "test_00000001.JPEG": [1, 2, 0]}
    names = ("tench", "kit fox", "crane")
    told = write_submission(Submission(tmp_path / "s.txt", names, numbers), best).read_text()
    assert told == "1 2 3\n2 3 1\n"
    assert write_submission(Submission(tmp_path / "s.txt", names), best).read_text() == "2 3 1\n3 1 2\n"
    rows = write_submission(Submission(tmp_path / "s.csv", names), best).read_text().splitlines()
    assert rows == [
        "image,class1,class2,class3", "test_00000001.JPEG,kit fox,crane,tench", "test_00000002.JPEG,crane,tench,kit fox"
    ]  # fmt: skip


def test_what_cannot_be_submitted(tmp_path):
    with pytest.raises(UsageError, match=r"ends in .txt"):
        Submission(Path("s.json"), ("a",))
    with pytest.raises(UsageError, match="of 2 classes and the network knows 3"):
        Submission(Path("s.txt"), ("a", "b", "c"), (1, 2))
    (tmp_path / "map.txt").write_text("n01\n")
    with pytest.raises(UsageError, match="give lines of"):
        read_numbers(tmp_path / "map.txt")

"""Numbers that no option means, and arguments of no characters."""

import pytest

from compound.cli import run


@pytest.mark.parametrize("words", ["plan efficientnet-b0 --params ~", "plan efficientnet-b0 --params=", "serve ~",
                                   "train efficientnet-mini fashion6k --out ~", "serve m --token ~"])  # fmt: skip
def test_an_empty_value_is_refused(words: str, capsys) -> None:
    assert run([word.replace("~", "") for word in words.split()]) == 2
    assert "is empty; give it a value, or leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["scale efficientnet-b0 --phi", "predict m x.png --threshold"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_fractions_are_finite(words: str, value: str, capsys) -> None:
    assert run([*words.split()[:-1], f"{words.split()[-1]}={value}"]) == 2
    assert value.lstrip("-") in capsys.readouterr().err

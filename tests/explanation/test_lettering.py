"""Names of classes are plain text in every picture, in a font that has their letters."""

import numpy as np
import pytest
import torch

from compound import lettering
from compound.evaluation import Evaluation
from compound.evaluation.figures import reliability_diagram, save_figure
from compound.explanation.draw import Panel, save_sheet, sheet
from compound.lettering import FIRST, lettered
from compound.notes import heard_by

NAMES = ["$5 bill", r"$\frac$", "a_b^{c", "猫", "😀 and ❤️", "сова", "x\u0301", "100 %", "tab\there"]


@pytest.mark.parametrize(("name", "ending"), list(zip(NAMES, 3 * ("svg", "png", "pdf"), strict=True)))
def test_any_name_is_drawn_without_a_warning(tmp_path, name, ending):
    """Warnings are errors here, those of matplotlib about letters as well."""
    panel = Panel(np.zeros((8, 8, 3), np.float32), f"{name} 73%")
    figure = sheet([[panel, panel]], footer=name)
    assert save_sheet(figure, tmp_path / "x.png").stat().st_size
    result = Evaluation(("a", "b"), torch.tensor([[0.3, 0.7]]), torch.tensor([1]), torch.tensor([0]), [])
    assert save_figure(reliability_diagram(result, f"net on {name}"), tmp_path / f"y.{ending}").stat().st_size


def test_money_and_formulas_stay_as_they_are():
    figure = sheet([[Panel(np.zeros((8, 8, 3), np.float32), r"$\frac$ $5")]])
    assert figure.axes[0].get_title() == r"$\frac$ $5"
    assert not figure.axes[0].title.get_parse_math()


def test_a_letter_of_another_font_takes_it_and_one_of_none_its_number(monkeypatch):
    fonts = {FIRST: frozenset(map(ord, "cat ")), "Cats": frozenset({ord("猫")})}
    monkeypatch.setattr(lettering, "_letters", lambda family: fonts.get(family, frozenset()))
    monkeypatch.setattr(lettering, "_family_of", lambda letter: "Cats" if letter == ord("猫") else None)
    assert lettered("cat") == ("cat", [FIRST])
    assert lettered("cat 猫") == ("cat 猫", [FIRST, "Cats"])
    said: list[str] = []
    with heard_by(said.append):
        assert lettered("犬 \u200dcat") == ("U+72AC cat", [FIRST])
        assert lettered("犬鳥 🐦 ก") == ("U+72ACU+9CE5 U+1F426 U+0E01", [FIRST])
    packages = [text.rpartition(" ")[2] for text in said]  # each once, whatever the letters
    assert packages == ["fonts-noto-cjk", "fonts-symbola", "fonts-noto-core"]


def test_a_font_that_came_after_matplotlib_listed_them_is_taken(monkeypatch):
    from matplotlib import font_manager

    known = font_manager.fontManager.ttflist
    late = next(font for font in known if font.name == "DejaVu Sans Mono")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [font for font in known if font.fname != late.fname])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [late.fname, "/none.ttf"])
    lettering._take_new_fonts.__wrapped__()
    assert late.fname in {font.fname for font in font_manager.fontManager.ttflist}

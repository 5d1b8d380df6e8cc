"""What the process that forks workers imports for them."""

from problems import Hill

from compound import ZOO
from compound.search.coefficients import CoefficientProblem
from compound.search.evaluators.shrunken import Shrunken
from compound.trials import Search
from compound.trials.preload import modules_of, preloaded

MINI = ZOO["efficientnet-mini"]


def test_what_defines_a_search_is_imported_once_for_its_workers(tmp_path):
    search = Search(CoefficientProblem(MINI, Shrunken(Hill())), str(tmp_path / "journal"), trials=2)
    first = preloaded(search, search.storage)
    assert first[:2] == ["compound.spared", "compound.trials.engine"]  # the tests start as the command does
    assert {"compound.search.coefficients", "compound.search.evaluators.shrunken"} <= set(first)
    assert "sqlalchemy.orm" in preloaded(search, "sqlite:///search.db")


def test_modules_of_others_are_left_to_the_workers():
    assert modules_of(Hill()) == []

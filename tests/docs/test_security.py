"""The page of bounds names the bounds that there are."""

from compound.bounds import BOUNDS
from scripts.refresh_bounds import PAGE, refreshed


def test_the_table_of_bounds_is_that_of_the_program() -> None:
    """After a change that is meant: python scripts/refresh_bounds.py."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == refreshed(text)
    assert all(f"`{name}`" in text for name in BOUNDS)

"""`compound.check_data`: what can be known of a data set before a network sees it, and all that is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import CompoundError
from compound.verbs.given import Place, Say, heard, silent

if TYPE_CHECKING:
    from compound.data import DataSpec


@dataclass(frozen=True)
class Checked:
    """`figures` of the data as `compound.data.check` has them, empty where nothing could be opened; `faults`, for each
    of which a training refuses the data; the contact sheet, where one was asked for."""

    figures: Mapping[str, Any]
    faults: tuple[str, ...] = ()
    sheet: Path | None = None

    def to_json(self) -> dict[str, Any]:
        sheet = {"sheet": str(self.sheet)} if self.sheet else {}
        return {**self.figures, "faults": list(self.faults), **sheet}


@heard
def check_data(data: "DataSpec | Place", sheet: Place | None = None, *, say: Say = silent) -> Checked:
    """Look through a data set: counts, sizes, damaged and unusual files, pictures that look the same, and all faults.

    Args:
        data: the question that opens the images, or only where they lie.
        sheet: write a contact sheet here, a PNG file: a row of images a class.
        say: told of what is done meanwhile.

    Nothing that a file or folder may be stops it. Raises `UsageError` only where there is no data at all.
    """
    from compound.data import DataError, DataSpec
    from compound.data.check import check
    from compound.data.errors import listed_faults
    from compound.data.readable import refuse_unreadable
    from compound.data.sheet import write_contact_sheet
    from compound.execution import Execution

    spec = data if isinstance(data, DataSpec) else DataSpec(str(data))
    with listed_faults() as faults:
        try:
            images = spec.open()
        except DataError as error:
            if not faults:
                raise
            return Checked({}, (*faults, str(error)))
        figures = check(images)
    try:
        refuse_unreadable(images, Execution().damaged_limit)
    except CompoundError as error:  # what training says of it
        faults.append(str(error))
    written = write_contact_sheet(images, Path(sheet)) if sheet is not None else None
    return Checked(figures, tuple(faults), written)

"""`compound.audit`: which labels of a data set are doubtful, by what models said of images that they never saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.documents import write_csv
from compound.files import make_folder
from compound.verbs.given import Place, Say, heard, silent

if TYPE_CHECKING:
    from compound.evaluation.audit import Audit, Doubtful

PAGE, EVERY, RELABEL, DROP = "audit.html", "audit.csv", "relabel.csv", "drop.csv"
COLUMNS = ("rank", "doubt", "path", "identity", "given", "proposed", "given_probability", "proposed_probability")


@dataclass(frozen=True)
class Audited:
    """What was found, and the folder of its page and lists."""

    audit: "Audit"
    out: Path

    def to_json(self) -> dict[str, Any]:
        return self.audit.to_json() | {"out": str(self.out), "page": str(self.out / PAGE)}


@heard
def audit(folds: Place, out: Place | None = None, *, shown: int = 50, say: Say = silent) -> Audited:
    """Rank the doubtful labels of a data set, and write a page to look through and lists of corrections.

    Args:
        folds: a run that was trained with folds, or a file of out-of-fold probabilities (`compound.evaluation.folds`).
        out: the folder to write: audit.html, audit.csv with every doubtful image, relabel.csv with those called
            wrong whose proposed class is ten times as probable, and drop.csv, which trainings take as `relabel` and
            `drop`, and the most doubtful pictures for the report; by default `audit`
            beside the probabilities.
        shown: pictures of each kind of doubt on the page.
        say: told of images that are no longer there.

    Raises `UsageError` where there are no such probabilities, or the images are no longer those.
    """
    from compound.evaluation.audit import find_doubts
    from compound.evaluation.folds import find_table, read_folds
    from compound.reporting.audit import write_audit, write_pictures
    from compound.reporting.trust import DOUBTS, PICTURES

    file = find_table(Path(folds))
    found = find_doubts(read_folds(file), say)
    folder = make_folder(Path(out) if out is not None else file.parent / "audit")
    rows = [(n, *_row(one)) for n, one in enumerate(found.doubtful, 1)]
    write_csv(folder / EVERY, COLUMNS, rows)
    write_csv(folder / RELABEL, ("path", "identity", "given", "label"), _relabelled(found.corrected))
    write_csv(folder / DROP, ("path", "identity", "given", "doubt"), _dropped(found))
    write_pictures(found, folder / PICTURES, DOUBTS)
    write_audit(found, folder / PAGE, shown)
    return Audited(found, folder)


def _row(one: "Doubtful") -> tuple[object, ...]:
    chances = (f"{one.given_probability:.4f}", f"{one.proposed_probability:.4f}")
    return one.doubt.value, one.name, f"{one.identity:016x}", one.given, one.proposed, *chances


def _relabelled(wrong: "Sequence[Doubtful]") -> list[tuple[object, ...]]:
    return [(one.name, f"{one.identity:016x}", one.given, one.proposed) for one in wrong]


def _dropped(found: "Audit") -> list[tuple[object, ...]]:
    """Images like no class; and of copies those whose label is the less probable, by their paths alone."""
    strange = [(one.name, f"{one.identity:016x}", one.given, one.doubt.value) for one in found.of("off-topic")]
    copies = [(one.name, "", one.given, one.doubt.value) for one in found.of("duplicate") if not one.kept]
    return [*strange, *copies]

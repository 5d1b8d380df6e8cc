"""`compound.report`: one page of runs, searches and studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.verbs.given import Place, Say, heard, paths, silent

if TYPE_CHECKING:
    from compound.reporting.page import Report


@dataclass(frozen=True)
class Reported:
    """The page at `out`, what is on it, and the folder of its figures and tables."""

    out: Path
    page: "Report"
    files: Path | None = None

    def to_json(self) -> dict[str, Any]:
        sections = self.page.sections
        return {
            "report": str(self.out),
            "title": self.page.title,
            "sections": [section.name for section in sections],
            "figures": [picture.name for section in sections for picture in section.pictures],
            "tables": [table.name for section in sections for table in section.tables],
            "files": str(self.files) if self.files else None,
        }


@heard
def report(
    places: Place | Sequence[Place],
    out: Place = "report.html",
    *,
    files: Place | None = None,
    images: Place | Sequence[Place] = (),
    device: str = "auto",
    say: Say = silent,
) -> Reported:
    """Write one self-contained page of what was run: figures, tables with intervals, and how to repeat it.

    Args:
        places: run directories, searches' and studies' folders.
        out: the page.
        files: a folder for every figure (SVG, PNG) and table (CSV, LaTeX).
        images: photos, to show where all runs look (Figure 7). device: where maps of them are computed.
        say: told what is left out of folders.

    Raises `UsageError` for a place that is none of these.
    """
    from compound.reporting import write_report

    folder = Path(files) if files is not None else None
    return Reported(Path(out), write_report(paths(places), Path(out), folder, paths(images), device), folder)

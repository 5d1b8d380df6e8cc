"""`compound.figure`: a figure of the paper (Tan & Le 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import UsageError
from compound.files import ending
from compound.network import Network
from compound.scaling import Rule
from compound.verbs.given import Place, find_network, find_rule

if TYPE_CHECKING:
    from compound.reporting.picture import Picture


@dataclass(frozen=True)
class PaperFigure:
    """A figure by its number in the paper, and where it is."""

    number: int
    picture: "Picture"
    out: Path

    def to_json(self) -> dict[str, Any]:
        told = {"title": self.picture.title, "caption": self.picture.caption}
        return {"figure": self.number} | told | {"out": str(self.out)}


def figure(
    number: int,
    study: Place | None = None,
    *,
    networks: Network | Place | Sequence[Network | Place] = (),
    phi: float = 2.0,
    rule: Rule | str = "compound",
    out: Place | None = None,
) -> PaperFigure:
    """Draw a figure of the paper, from print and counted cost, or from a study.

    Args:
        number: the paper's. study: the folder of a study that has the networks for it.
        networks: what Figure 2 draws, beside each scaled by `rule` to `phi`; by default EfficientNet-B0.
        out: an .svg or .png; by default figure-N.svg.

    Raises `UsageError` for a figure that the paper prints no numbers for, and for a study without the networks for it.
    """
    from compound.reporting.paper_figures import paper_figure
    from compound.reporting.picture import FILES, write_picture
    from compound.reporting.study_figures import study_figure
    from compound.studies import read_study

    path = Path(out) if out is not None else Path(f"figure-{number}.svg")
    ending(path, FILES, "picture")
    given = [networks] if isinstance(networks, Network | str | PathLike) else list(networks)
    if given and number != 2:
        raise UsageError(f"--network is for figure 2, and figure {number} was asked for; leave it out")
    picture: Picture
    if study is not None and number != 2:
        picture = study_figure(read_study(Path(study)), number)
    elif study is not None:
        raise UsageError("figure 2 is drawn from networks, not from a study; use --network, repeatable")
    else:
        found = [find_network(one) for one in given or ["efficientnet-b0"]]
        picture = paper_figure(number, found, phi, find_rule(rule))
    write_picture(picture, path)
    return PaperFigure(number, picture, path)

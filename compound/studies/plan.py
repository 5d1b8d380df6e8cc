"""A plan of a study: which networks are trained, as data. Nothing here needs torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compound.documents import read_yaml
from compound.errors import UsageError
from compound.mapping import check_names, from_mapping, nearest

FOLDER = Path(__file__).parent / "plans"
GIVEN = "given"
FACTORS = ("depth", "width", "resolution")
Several = float | tuple[float, ...]


@dataclass(frozen=True)
class PlanRow:
    """One or several variants.

    With a `rule` (a name, a rule file, or "given": the study's) a variant is solved for: it costs `ratio ** power`
    times the baseline in terms of `measure`, or, with `phi`, as much as the rule makes of it. Without one, it is the
    baseline (or another `network`) times the factors. A list makes a variant of each value.
    """

    dimension: str
    group: str = ""
    rule: str | None = None
    power: Several = 1.0
    measure: Literal["macs", "latency"] = "macs"
    phi: Several | None = None
    network: str | None = None
    depth: Several = 1.0
    width: Several = 1.0
    resolution: Several = 1.0

    def __post_init__(self) -> None:
        if self.rule is None and self.phi is not None:
            raise UsageError("phi needs a rule; add e.g. rule: given")
        if self.rule is not None and any(values(getattr(self, name)) != (1.0,) for name in FACTORS):
            raise UsageError("a rule leaves no factors to choose; drop depth, width and resolution, or the rule")

    @property
    def solved(self) -> bool:
        """Whether its cost is given and its factors are looked for."""
        return self.rule is not None and self.phi is None


@dataclass(frozen=True)
class StudyPlan:
    """A plan by name; files that its rows name lie relative to `folder`."""

    name: str
    rows: tuple[PlanRow, ...]
    folder: Path


def values(given: Several | None) -> tuple[float, ...]:
    """One value or several, as several."""
    return given if isinstance(given, tuple) else () if given is None else (given,)


def find_plan(name: str) -> StudyPlan:
    """A plan of the package by name, or one of the user's own from a YAML file."""
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if name in known:
        return load_plan(FOLDER / f"{name}.yaml")
    if name.endswith((".yaml", ".yml")):
        return load_plan(Path(name))
    raise UsageError(f"there is no plan {name!r}; {nearest(name, known, 'plans')}, or give a YAML file")


def load_plan(path: Path) -> StudyPlan:
    """Read a plan file; errors name file, row and field."""
    given = read_yaml(path, "check the path", "plan")
    if not isinstance(given, Mapping) or not isinstance(given.get("rows"), list) or not given["rows"]:
        raise UsageError(f"{path}: not a plan; write rows: and a list such as - {{dimension: depth, rule: depth}}")
    check_names(given, ["rows"], str(path), UsageError)
    rows = []
    for number, row in enumerate(given["rows"], 1):
        where = f"{path}: row {number}"
        try:
            rows.append(from_mapping(PlanRow, row, where))
        except UsageError as error:
            raise UsageError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    return StudyPlan(path.stem, tuple(rows), path.parent)

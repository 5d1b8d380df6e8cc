"""What a study found, as values and as the file study.json. Nothing here needs torch."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compound.documents import damage, read_json
from compound.errors import CompoundError, UsageError
from compound.files import write_json
from compound.mapping import from_mapping

FORMAT = 1
FILE = "study.json"
REMEDY = "make it with: compound study (the same command goes on where it was stopped)"


@dataclass(frozen=True)
class SeedRun:
    """One training of a variant, judged by the test images; `loss` in nats, `seconds` of training."""

    seed: int
    top1: float
    correct: int
    images: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Variant:
    """One network of a study. `depth`, `width` and `resolution_factor` are those of its scaling; `resolution` in px.

    `dimension` is what was scaled: baseline, depth, width, resolution, or a rule's name; only variants of one `group`
    are to be compared. `network` is a file beside study.json. `latency` in seconds of one call, where a device's table
    was given.
    """

    name: str
    dimension: str
    group: str
    network: str
    depth: float
    width: float
    resolution_factor: float
    resolution: int
    params: int
    macs: int
    latency: float | None = None
    runs: tuple[SeedRun, ...] = ()

    def top1(self) -> dict[int, float]:
        """Accuracy by seed."""
        return {run.seed: run.top1 for run in self.runs}


@dataclass(frozen=True)
class Study:
    """A study as far as it has come: variants, and the runs of each in the order of their seeds."""

    plan: str
    baseline: str
    data: str
    ratio: float
    recipe: dict[str, Any]
    environment: dict[str, Any]
    command: str
    variants: tuple[Variant, ...]
    classes: int = 1000
    channels: int = 3
    notes: tuple[str, ...] = field(default=())  # what of the plan could not be had

    @property
    def seeds(self) -> int:
        """How many seeds every variant has."""
        return min((len(variant.runs) for variant in self.variants), default=0)


def write_study(study: Study, folder: str | Path) -> Path:
    """Write study.json into `folder`, whole or not at all."""
    return write_json(Path(folder) / FILE, {"format": FORMAT} | asdict(study))


def read_study(path: str | Path) -> Study:
    """The study of a folder, or of its study.json.

    Raises `UsageError` where there is none and `CompoundError` where it is damaged.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    given = read_json(file, REMEDY, "study", CompoundError)
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise UsageError(f"{file} is not a study (its format is not {FORMAT}); give the --out of `compound study`")
    study = from_mapping(Study, {n: v for n, v in given.items() if n != "format"}, f"study {file}")
    for variant in study.variants:
        for run in variant.runs:
            if not 0 <= run.correct <= run.images or abs(run.top1 - run.correct / max(run.images, 1)) > 1e-6:
                wrong = f"{variant.name}, seed {run.seed}: top1 {run.top1} is not {run.correct} of {run.images} images"
                raise damage(file, wrong, REMEDY, "study", CompoundError)
    return study

"""Words that a shell completes: networks, recipes, plans of studies, runs. Nothing here needs torch."""

from collections.abc import Callable, Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[2]
FILES = (".yaml", ".yml", ".safetensors")
MOST_RUNS = 200


def networks(incomplete: str) -> list[str]:
    """Networks of the zoo, network and weights files here, and runs."""
    from compound.zoo import ZOO

    files = sorted(path.name for path in Path().iterdir() if path.suffix in FILES)
    return _begin(incomplete, [*ZOO, *files, *runs("")])


def runs(incomplete: str) -> list[str]:
    """Run directories below runs/."""
    found: list[str] = []
    for path in sorted(Path("runs").glob("*/network.yaml"))[:MOST_RUNS]:
        found.append(str(path.parent))
    return _begin(incomplete, found)


def recipes(incomplete: str) -> list[str]:
    return _begin(incomplete, _stems(PACKAGE / "training" / "recipes"))


def plans(incomplete: str) -> list[str]:
    return _begin(incomplete, _stems(PACKAGE / "studies" / "plans"))


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _begin(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


# By the name of an argument or option.
COMPLETION: dict[str, Callable[[str], list[str]]] = {
    "network": networks,
    "baseline": networks,
    "names": networks,
    "model": networks,
    "models": networks,
    "first": networks,
    "second": networks,
    "recipe": recipes,
    "plan": plans,
    "run": runs,
    "inherit": runs,
    "teacher": runs,
}

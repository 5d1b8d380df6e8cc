"""The lowest versions that pyproject.toml allows, as constraints for pip: `python minimum_versions.py [EXTRA …]`.

Without extras, those of an install without extras; `make minimum` installs them and plans.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lowest(requirement: str) -> str:
    """`typer>=0.12` as `typer==0.12`; raises `ValueError` for a requirement without a lowest version."""
    found = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)(?:,<[\d.]+)?", requirement)
    if found is None:
        raise ValueError(f"pyproject.toml: {requirement!r} has no lowest version; write e.g. NAME>=1.2")
    return f"{found[1]}=={found[2]}"


def constraints(extras: list[str]) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    return [lowest(one) for one in asked if not one.startswith("compound[")]


if __name__ == "__main__":
    print("\n".join(constraints(sys.argv[1:])))

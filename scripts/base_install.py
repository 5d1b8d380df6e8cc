"""What an install without extras does: it plans, its star import works, and a verb that needs torch says so.

Run by the Python of that install, `python base_install.py COMMAND`; `make base` does.
"""

import importlib.util
import subprocess
import sys

PLANS = (
    "scale efficientnet-b0 --phi 1 --json",
    "plan efficientnet-b0 --macs 1G --json",
    "show efficientnet-b0 --json",
    "doctor --json",
    "table 2",
    "zoo",
    "--help",
)


def said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True)


def main() -> None:
    command = sys.argv[1]
    assert importlib.util.find_spec("torch") is None, "torch is installed: this is no base install"
    star = said(
        sys.executable, "-c", "from compound import *; print(cost(scale(ZOO['efficientnet-b0'], CompoundRule()(1))))"
    )
    for words in PLANS:
        done = said(command, *words.split())
        assert done.returncode == 0, f"compound {words}: {done.stderr}"
    assert star.returncode == 0, star.stderr
    refused = said(command, "train", "efficientnet-mini", "fashion6k")
    assert refused.returncode == 1, refused.stderr
    assert "pip install 'compound[train]'" in refused.stderr, refused.stderr
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    print(f"an install without extras plans: {', '.join(words.split()[0] for words in PLANS)}, and the star import")


if __name__ == "__main__":
    main()

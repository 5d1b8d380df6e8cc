"""Write into README and docs what their commands print now, and make the pages that scripts make."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def main() -> None:
    from docs.snippets import PAGES, refreshed

    os.chdir(ROOT)
    os.environ["COLUMNS"] = "80"
    for page in PAGES:
        text = refreshed(page)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            print(page.relative_to(ROOT))
    for script in ("make_verbs", "make_evidence"):
        subprocess.run([sys.executable, f"scripts/{script}.py"], check=True)


if __name__ == "__main__":
    main()

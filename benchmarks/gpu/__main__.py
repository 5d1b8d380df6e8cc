"""All that a GPU is asked, in one go of at most six minutes: `make gpu`.

    python -m benchmarks.gpu [-o FOLDER]       # on any machine with CUDA; needs no network, and timm beside the package
    python -m benchmarks.gpu --rehearse        # the same on a processor and very small: shows that nothing falls over

tests      the tests marked gpu
step       TARGETS row 11: a step of B0 in bf16 against timm compiled
inference  rows 12 and 13: a batch against timm compiled, one image against timm eager
run        50 steps by the command: stopped and resumed, bf16, `--compile`; export, measure

Each section is a process of its own with a limit; one that fails is named with its reason, and the others go on. Writes
gpu.json after every section, and at the end gpu.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.environment import RESULTS, write_result

LIMIT = 360.0  # seconds of all
SHARES = {"tests": 70.0, "step": 140.0, "inference": 70.0, "run": 80.0}  # seconds a section has at most
HERE = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rehearse", action="store_true", help="On the processor, very small: no figure counts.")
    parser.add_argument("--section", choices=SHARES, help="One section alone, printed as JSON.")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.section:
        print(json.dumps(SECTIONS[given.section](given.rehearse)))
        return
    wrong = missing(given.rehearse)
    if wrong:
        sys.exit(wrong)
    begun, sections = time.perf_counter(), dict[str, Any]()
    for name, share in SHARES.items():
        left = LIMIT - (time.perf_counter() - begun)
        sections[name] = section(name, given.rehearse, 1e4 if given.rehearse else min(share, left))
        seconds = time.perf_counter() - begun
        value = {"rehearsed": given.rehearse, "seconds": round(seconds, 1), "sections": sections}
        write_result("gpu", value, given.out)
        print(f"{name}: {sections[name].get('failed', 'done')} ({seconds:.0f} s)", flush=True)
    (given.out / "gpu.md").write_text(page(value), encoding="utf-8")
    print(given.out / "gpu.md")
    if any("failed" in one for one in sections.values()):
        sys.exit(1)


def missing(rehearse: bool) -> str | None:
    """In one sentence, why it cannot begin."""
    import torch

    if not rehearse and not torch.cuda.is_available():
        return "there is no CUDA device here, and nothing was measured; run it where one is, or with --rehearse"
    try:
        import timm  # noqa: F401
    except ImportError:
        return "timm is not installed, and rows 11 to 13 are ratios to it; pip install timm"
    return None


def section(name: str, rehearse: bool, seconds: float) -> dict[str, Any]:
    """What a section says, or why it says nothing."""
    if seconds < 10:
        return {"failed": "no time was left for it"}
    words = [sys.executable, "-m", "benchmarks.gpu", "--section", name, *(["--rehearse"] if rehearse else [])]
    more = {"TORCHDYNAMO_DISABLE": "1", "TRITON_INTERPRET": "1"} if rehearse else {}
    asked = os.environ | more | {"PYTHONPATH": str(HERE)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=HERE, env=asked, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and all that it started
            out, err = process.communicate()
            return said_last(out) | {"failed": f"it took more than {seconds:.0f} s"}
    if process.returncode:
        return {"failed": (err.strip().splitlines() or [f"it ended with {process.returncode}"])[-1]}
    return said_last(out)


def said_last(out: str) -> dict[str, Any]:
    """The last line of JSON; nothing where there is none."""
    for line in reversed(out.splitlines()):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {}


def tests(rehearse: bool) -> dict[str, Any]:
    """Those marked gpu; in a rehearsal they are skipped, and a few of the interpreter's run."""
    what = (
        ["tests/nn/triton_cases.py", "-k", "rmsprop or operators"]
        if rehearse
        else ["tests/nn/test_on_gpu.py", "-m", "gpu"]
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", *what]
    words += ["-o", "filterwarnings=default"]
    done = subprocess.run(words, cwd=HERE, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["nothing was said"]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    found: dict[str, Any] = {"said": lines[-1], "failures": failed}
    return found | ({"failed": lines[-1]} if done.returncode else {})


def step(rehearse: bool) -> dict[str, Any]:
    from benchmarks.gpu.races import REHEARSAL, Size, steps

    return steps(REHEARSAL if rehearse else Size("cuda"))


def inference(rehearse: bool) -> dict[str, Any]:
    from benchmarks.gpu.races import REHEARSAL, Size, calls

    return calls(REHEARSAL if rehearse else replace(Size("cuda"), seconds=50.0, turns=50))


def run(rehearse: bool) -> dict[str, Any]:
    from benchmarks.gpu.runs import runs

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, said in runs("cpu" if rehearse else "cuda", Path(folder), rehearse):
            found[name] = said
            print(json.dumps(found), flush=True)  # what there is if the rest comes too late
    wrong = [f"{name}: {one['failed']}" for name, one in found.items() if "failed" in one]
    return found | ({"failed": "; ".join(wrong)} if wrong else {})


SECTIONS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "tests": tests, "step": step, "inference": inference, "run": run,
}  # fmt: skip


def page(value: dict[str, Any]) -> str:
    """All of it for people."""
    sections, lines = value["sections"], ["# What a GPU says", ""]
    if value["rehearsed"]:
        lines += [
            "This is a rehearsal on a processor: it shows that everything runs, and no figure counts.",
            "",
        ]
    for name, one in sections.items():
        lines += [f"## {name}", ""] + ([f"Failed: {one['failed']}", ""] if "failed" in one else [])
        for title, race in (("", one), ("A batch", one.get("batch")), ("One image", one.get("lone"))):
            lines += table(title, race) if isinstance(race, dict) and "sides" in race else []
        if name == "tests":
            lines += [one.get("said", ""), *one.get("failures", []), ""]
        if name == "run":
            lines += [f"- {what}: {json.dumps(said)}" for what, said in one.items() if what != "failed"] + [""]
    return "\n".join(lines)


def table(title: str, race: dict[str, Any]) -> list[str]:
    lines = [f"{title}: medians of {race['turns']} turns".removeprefix(": "), ""]
    lines.append(f"| side | ms (quartiles) | times {race['reference']} (quartiles) | ready after, s |")
    lines.append("|---|--:|--:|--:|")
    for side, row in race["sides"].items():
        low, high = row["quartiles_ms"]
        ratio = "–"
        if "ratio" in row:
            ratio = f"{row['ratio']:.2f} ({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})"
        lines.append(f"| {side} | {row['ms']:.2f} ({low:.2f} to {high:.2f}) | {ratio} | {row['ready_seconds']:.1f} |")
    return [*lines, *(f"\n{side}: {why}" for side, why in race["failed_sides"].items()), ""]


if __name__ == "__main__":
    main()

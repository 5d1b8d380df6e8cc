"""What strangers send, from a second process: against a server and the verbs. Writes benchmarks/results/attack.json.

python -m benchmarks.attack            126 photos of 49 megapixels, 16 honest clients; exit 1 for a broken promise
python -m benchmarks.attack --quick    a tenth of it
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.attack.files import SLOW, photo_of, write_cases
from benchmarks.attack.server import photos, requests, slow_images
from benchmarks.environment import RESULTS, write_result
from benchmarks.serving.subject import serving, write_images, write_model

# What a verb may take for a file it refuses: processor time, of which torch alone takes several seconds, and memory.
SECONDS, BYTES = 30.0, 3 * 2**30
PATIENCE = 900.0  # by the clock, after which it is ended; a busy machine may give it little of its time
UNTOLD = ("Traceback", "(run again with")  # in what is no sentence of our own


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--network", default="efficientnet-mini")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        value = campaign(Path(folder), given.network, given.quick)
    path = write_result("attack", value, given.results)
    for name, kept in value["kept"].items():
        print(f"{'kept' if kept else 'BROKEN':<7} {name}")
    print(path)
    return 0 if all(value["kept"].values()) else 1


def campaign(folder: Path, network: str, quick: bool) -> dict[str, Any]:
    begun = time.perf_counter()
    model = write_model(folder / "model", network, 0)
    images = [path.read_bytes() for path in write_images(folder / "images", 12, 0)]
    log = folder / "server.log"
    count, pixels = (12, 12.0) if quick else (126, 49.0)
    with serving(model, log) as server:
        value: dict[str, Any] = {"requests": asyncio.run(requests(server.port, images[0]))}
        slow = {name: make() for name, make in SLOW.items()}
        value["slow"] = asyncio.run(slow_images(server, images, slow, 4 if quick else 30))
        value["photos"] = asyncio.run(photos(server, photo_of(pixels), count))
    value["tracebacks"] = log.read_text(errors="replace").count("Traceback")
    place = folder / "files"
    place.mkdir()
    value["verbs"] = {ascii(name)[1:-1]: verb(words, place) for name, words in write_cases(place).items()}
    value["executed"] = (place / "executed").exists()
    value["kept"] = promises(value)
    return value | {"seconds": time.perf_counter() - begun}


def verb(words: list[str], place: Path) -> dict[str, Any]:
    """What `compound` makes of the words: exit code, processor time, memory and what it says."""
    said = place / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "compound", *words], stdout=file, stderr=file, stdin=subprocess.DEVNULL, cwd=place,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )  # fmt: skip
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)  # the figures of this child alone
        timer.cancel()
    process.returncode = code = os.waitstatus_to_exitcode(status)
    text = said.read_text(errors="replace").strip()
    lines = text.splitlines()
    whole = bool(lines) and lines[-1].startswith("error: ") and not any(word in text for word in UNTOLD)
    clean = not any(ord(char) < 32 and char != "\n" for char in text)
    seconds = used.ru_utime + used.ru_stime
    found = {"code": code, "cpu_seconds": seconds, "largest_bytes": 1024 * used.ru_maxrss, "said": text[:300]}
    found["kept"] = code in (1, 2) and whole and clean and len(text) < 5000 and seconds < SECONDS
    print(
        f"{'kept' if found['kept'] else 'BROKEN':<7} compound {ascii(' '.join(words))[1:100]}: {text[-160:]}",
        flush=True,
    )
    return found


def promises(value: dict[str, Any]) -> dict[str, bool]:
    slow, sent = value["slow"], value["photos"]
    return {
        "the slow JPEG is refused in under 100 ms of processor time": slow["refused_cpu_ms"] < 100,
        "p99 of 16 honest clients beside slow images is at most 1.5 times their p99 without": slow["p99_over_p99"]
        <= 1.5,
        "honest answers only": set(slow["statuses"]) == {"200"},
        "photos sent for maps take no more memory than --max-decoding and their bodies": sent["grown"] <= sent["bound"],
        "every photo is answered or told to return": set(sent["statuses"]) <= {"200", "429", "503"},
        "requests of other sites, halves and forms": all(value["requests"].values()),
        "no traceback": value["tracebacks"] == 0,
        "every file is refused with one sentence, in time": all(one["kept"] for one in value["verbs"].values()),
        "no verb takes more than 3 GiB": all(one["largest_bytes"] < BYTES for one in value["verbs"].values()),
        "no code of a file was run": not value["executed"],
    }


if __name__ == "__main__":
    sys.exit(main())

"""The server's campaign, from a second process. Writes benchmarks/results/serving.json; exit 1 for a broken promise.

python -m benchmarks.serving            10,000 requests of 64 clients, overload, 200 slow connections, 20,000 mutated
python -m benchmarks.serving --quick    a fiftieth of it
python -m benchmarks.serving --lone     only this: a lone image and 32 clients against the network itself, 2 minutes
"""

import argparse
import asyncio
import gc
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import RESULTS, write_result
from benchmarks.serving import lone, phases
from benchmarks.serving.subject import Server, offline, serving, write_images, write_model

SHORT_QUEUE = 32  # images; under overload what is admitted is answered soon
SLOW_LIMIT = 10.0  # s


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--network", default="efficientnet-b0")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20, help="of the phases below and above saturation")
    parser.add_argument("--slow", type=int, default=200, help="slow connections")
    parser.add_argument("--fuzz", type=int, default=20_000, help="mutated requests")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lone", action="store_true", help="only a lone image, and clients, against the network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.quick:
        given.requests, given.seconds, given.slow, given.fuzz, given.images = 200, 5, 20, 400, 24
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        if given.lone:
            print(write_result("lone", lone.measure(Path(folder), given.seconds / 2, given.seed), given.results))
            return 0
        value = campaign(Path(folder), given)
    gc.unfreeze()
    path = write_result("serving", value, given.results)
    failed = [name for name, kept in value["kept"].items() if not kept]
    print(path)
    for name in failed:
        print(f"FAILED: {name}", file=sys.stderr)
    return 1 if failed else 0


def campaign(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    model = write_model(folder / "model", given.network, given.seed)
    paths = write_images(folder / "images", given.images, given.seed)
    images, expected = [path.read_bytes() for path in paths], offline(model, paths)
    value: dict[str, Any] = {"network": given.network, "images": len(images), "seed": given.seed}
    gc.freeze()  # a collection that walks through torch's objects would stop this clock for 0.3 s
    with serving(model, folder / "server.log") as server:
        value |= asyncio.run(steady(server, images, expected, given))
    with serving(model, folder / "short.log", "--queue", str(SHORT_QUEUE)) as server:
        rate = 4 * value["load"]["requests_per_second"]
        value["overload"] = show("overload", asyncio.run(
            phases.overload(server.port, images, rate, given.seconds, given.seed)
        ))  # fmt: skip
        value["overload"]["queue"] = SHORT_QUEUE
        value["overload"]["server_counts"] = asyncio.run(phases.own_count(server.port))
    logs = [(folder / name).read_text(errors="replace") for name in ("server.log", "short.log")]
    value["tracebacks"] = [part[-2000:] for log in logs for part in log.split("Traceback")[1:]]
    value["kept"] = kept(value)
    return value


async def steady(
    server: Server, images: list[bytes], expected: list[object], given: argparse.Namespace
) -> dict[str, Any]:
    """The phases of a server that is not asked too much, and its memory."""
    port, value = server.port, {}
    await phases.load(port, images, expected, given.clients, max(given.requests // 10, given.clients), given.seed + 1)
    begun = server.resident()
    value["load"] = show("load", await phases.load(port, images, expected, given.clients, given.requests, given.seed))
    loaded = server.resident()
    rate = value["load"]["requests_per_second"] / 2
    value["below"] = show(
        "below saturation", await phases.below_saturation(port, images, rate, given.seconds, given.seed)
    )
    value["slow"] = show("slow", await phases.slow(port, images, given.slow, SLOW_LIMIT))
    value["fuzz"] = show("fuzz", await phases.fuzz(port, images, given.fuzz, given.seed))
    value["server_counts"] = await phases.own_count(port)
    value["memory"] = show("memory", {
        "after_warm_up_bytes": begun, "after_load_bytes": loaded, "at_the_end_bytes": server.resident(),
    })  # fmt: skip
    return value


def kept(value: dict[str, Any]) -> dict[str, bool]:
    """The promises, and whether they were kept."""
    load, below, over, slow = (value[name] for name in ("load", "below", "overload", "slow"))
    counted = [*value["server_counts"], *over["server_counts"]]
    memory = value["memory"]
    return {
        "every answer is the offline answer": load["statuses"] == {"200": load["requests"]}
        and not load["other_answers"],
        "p99 within 3 x p50 below saturation": below["p99_over_p50"] <= 3,
        "no 5xx but 503, and no traceback": not value["tracebacks"]
        and not any(status.startswith("5") and status != "503" for status in counted),
        "rejected within 100 ms": over["rejected"]["n"] > 0 and over["rejected"]["largest_ms"] < 100,
        "recovered within 2 s": over["recovered_seconds"] < 2,
        "slow connections closed within 10 s": slow["closed_within_limit"] == slow["connections"],
        "honest client served beside slow ones": set(slow["honest"]) == {"200"},
        "answers after nonsense": value["fuzz"]["answers_afterwards"],
        "memory flat": memory["at_the_end_bytes"] <= 1.1 * memory["after_warm_up_bytes"],
    }


def show(name: str, value: dict[str, Any]) -> dict[str, Any]:
    print(f"{name}: {value}", flush=True)
    return value


if __name__ == "__main__":
    sys.exit(main())

"""What a search's evaluation is worth: networks trained in full, and how well their ranking was foreseen."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from compound.cost import cost
from compound.documents import damaged, read_json
from compound.errors import UsageError
from compound.files import stands, write_json
from compound.imports import are_spared, spare_imports
from compound.network import Network
from compound.search.architecture import ArchitectureSearch
from compound.search.evaluators.base import Evaluator
from compound.search.space import Space
from compound.search.validation import agreement
from compound.trials import unheard

DRAWS = 100_000  # of the space, to find the networks in the window


def sample_networks(
    space: Space, problem: ArchitectureSearch, count: int, seed: int
) -> list[tuple[dict[str, Any], Network]]:
    """Different networks of the space in the window of cost, each equally likely."""
    found: dict[str, tuple[dict[str, Any], Network]] = {}
    for _, (parameters, network) in zip(range(DRAWS), space.networks(random.Random(seed)), strict=False):
        if len(found) == count:
            break
        if network.name not in found and problem.admits(network):
            found[network.name] = parameters, network
    if len(found) < count:
        raise UsageError(
            f"{space.name} has only {len(found)} networks in the window of cost; ask for fewer, or widen it"
        )
    return list(found.values())


def validate(
    problem: ArchitectureSearch,
    proxy: Evaluator,
    truth: Evaluator,
    count: int,
    seeds: Sequence[int],
    file: Path,
    say: Callable[[str], None] = print,
    workers: int = 1,
) -> dict[str, Any]:
    """Kendall's τ between `proxy` and the mean of `truth` over `seeds`, with what it rests on; `file` gets all of it.

    The sample is drawn by the first seed. What `file` holds already is not trained again; `workers` processes train.
    """
    known = {row["network"]: row for row in _rows(file)}
    rows: list[dict[str, Any]] = []
    sample = sample_networks(problem.space, problem, count, seeds[0])
    wanted = [network for _, network in sample if len(known.get(network.name, {}).get("true", ())) < len(seeds)]
    found = trained(truth, wanted, seeds, workers)
    for number, (parameters, network) in enumerate(sample, 1):
        row = known.get(network.name, {})
        if network in wanted:
            counted = cost(network)
            row = {
                "network": network.name,
                "parameters": parameters,
                "macs": counted.macs,
                "params": counted.params,
                "true": next(found),
            }
        row |= {"proxy": proxy(network, seeds[0], unheard)}
        rows.append(row)
        shown = ", ".join(f"{value:.2%}" for value in row["true"])
        say(f"{number}/{count}  {network.name}  foreseen {row['proxy']:.2%}, trained in full {shown}")
        write_json(
            file, {"rows": [*rows, *(r for name, r in known.items() if name not in {x["network"] for x in rows})]}
        )
    result = summary(rows) | {"rows": rows}
    write_json(file, result)
    return result


def trained(truth: Evaluator, networks: Sequence[Network], seeds: Sequence[int], workers: int) -> Iterator[list[float]]:
    """Each network's accuracies, in order, by so many processes beside this one (with 1, by this one)."""
    if workers == 1:
        yield from ([truth(network, seed, unheard) for seed in seeds] for network in networks)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent, (are_spared(),)) as pool:
        asked = [[pool.submit(truth, network, seed, unheard) for seed in seeds] for network in networks]
        try:
            yield from ([one.result() for one in each] for each in asked)
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent(spare: bool) -> None:
    """A killed process shall not leave trainings behind that nobody waits for."""
    if spare:
        spare_imports()
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """τ of the proxy and, to compare, of multiply-adds and parameters; and of two seeds of the truth."""
    true = [sum(row["true"]) / len(row["true"]) for row in rows]
    found: dict[str, Any] = {
        name: asdict(agreement([float(row[name]) for row in rows], true)) for name in ("proxy", "macs", "params")
    }
    found["spread"] = {"lowest": min(true), "highest": max(true)}
    if len(rows[0]["true"]) > 1:  # no proxy can agree better than the truth with itself
        first, second = ([row["true"][i] for row in rows] for i in (0, 1))
        found["truth"] = asdict(agreement(first, second))
    return found


def _rows(file: Path) -> list[dict[str, Any]]:
    if not stands(file):
        return []
    remedy = "delete it, or validate again into another file"
    with damaged(file, remedy):
        rows: list[dict[str, Any]] = read_json(file, remedy)["rows"]
    return rows

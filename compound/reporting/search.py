"""The sections of a search: its leaderboard, its surface or front, and what was found."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compound.documents import damaged, read_json, read_yaml
from compound.files import stands
from compound.notation import load_network
from compound.reporting.drawing import Drawing
from compound.reporting.front import FrontPoint, front_plot
from compound.reporting.making import Command
from compound.reporting.page import Part, Section, read_if_there, rendered, section
from compound.reporting.surface import Point, surface_plot
from compound.reporting.table import of_records
from compound.search.findings import intervals, told_of_paper
from compound.trials import RankedTrial
from compound.trials.sharing import COMMAND, without_out

REMEDY = "run the search again"
SETTINGS = ("baseline", "data", "phi", "target", "trainings", "sampler", "seed")
FIRST = ("accuracy", "macs", "params")
SHOWN = 20  # candidates of the leaderboard that the page shows


@dataclass(frozen=True)
class SearchReport:
    """A search's folder. `result` is of a search of coefficients, `plan` of one of architectures."""

    path: Path
    entries: tuple[RankedTrial, ...]
    result: Mapping[str, Any] | None
    found: Mapping[str, Any]
    plan: Mapping[str, Any] | None

    @property
    def complete(self) -> list[RankedTrial]:
        return [entry for entry in self.entries if entry.state == "complete"]

    def sections(self, name: str) -> list[Section]:
        title = f"{self.path.resolve().name}: a search of {'architectures' if self.plan else 'coefficients'}"
        parts = self._architecture(name) if self.plan else self._coefficients(name)
        return [section(name, title, [*parts, self._leaderboard(name), self._repeat()])]

    def _coefficients(self, name: str) -> list[Part]:
        if not self.result or not self.complete:
            return ["The search is not finished: it has no result.json yet."]
        r, found = self.result, self.found
        low, high = r["interval"]
        told = (
            f"{found.get('baseline', 'The baseline')} on {found.get('data', 'the data')}, {found.get('target', '')}: "
            f"α {r['alpha']:.4g}, β {r['beta']:.4g}, γ {r['gamma']:.4g} reached {r['accuracy']:.2%} of the held-out "
            f"images (95 % interval {low:.2%} to {high:.2%}), the best of {len(self.complete)} candidates; "
            f"{r['not_told_apart']} of the others cannot be told from it."
        )
        if "paper" in r:
            sentence = told_of_paper(r["paper"])
            told += f" {sentence[0].upper()}{sentence[1:]}."
        drawn = replace(
            surface_plot(self.points(), f"{name}-surface"),
            caption="Left, each candidate at its β and γ, its α beside it, coloured by accuracy; the ring is the best. "
            "Right, accuracy with its interval: whoever reaches beyond the dotted line cannot be told from the best.",
        )
        step2 = of_records(
            f"{name}-step-2", "STEP 2: the rule at larger φ", r["step2"],
            "Counted cost; the factor is the multiple of the baseline's multiply-adds.",
        )  # fmt: skip
        return [told, drawn, step2]

    def points(self) -> list[Point]:
        """Candidates with their intervals, the best first; an interval that is not known is the accuracy itself."""
        assert self.result
        images = self.result.get("images", 0)
        alone = any(len(entry.fields["accuracies"]) == 1 for entry in self.complete)
        known = {} if alone and not images else intervals(self.complete, images)
        points = []
        for entry in self.complete:
            accuracy = (entry.values or (0.0,))[0]
            ends = known[entry.number].ends if entry.number in known else (accuracy, accuracy)
            factors = (entry.fields["alpha"], entry.fields["beta"], entry.fields["gamma"])
            points.append((*factors, accuracy, *ends))
        return points

    def _architecture(self, name: str) -> list[Part]:
        assert self.plan
        cost, target = self.plan["cost"], float(self.plan["target"])
        if not self.complete:
            return ["No candidate is evaluated yet."]
        points = [FrontPoint(float(e.fields["accuracy"]), float(e.fields[cost])) for e in self.complete]
        file = self.path / "network.yaml"
        network = load_network(file) if file.is_file() else None
        at = next((i for i, e in enumerate(self.complete) if network and e.fields["network"] == network.name), 0)
        judged = f"held-out accuracy, evaluation {self.plan.get('evaluation', 'shared')}"
        plot = front_plot(f"{name}-front", points, points[at], cost=cost, target=target, judged=judged)
        told = "Each dot is a candidate; no other beats those on the front in both; the star was chosen."
        return [replace(plot, caption=told), *([Drawing((network,), f"{name}-network")] if network else [])]

    def _leaderboard(self, name: str) -> Part:
        records = [_record(entry, bool(self.plan)) for entry in self.entries]
        more = f"The first {SHOWN} of {len(records):,}; leaderboard.csv has all." if len(records) > SHOWN else ""
        return of_records(f"{name}-leaderboard", "Leaderboard", records, more, SHOWN)

    def _again(self) -> list[Command]:
        """What repeats the search in another folder; nothing of a search by Python."""
        words = _words(self.path)
        line = shlex.join(["compound", *without_out(words), "--out", f"{self.path}-again"])
        return [Command("Repeat, in another folder", line)] if words else []

    def _repeat(self) -> Part:
        out = shlex.quote(str(self.path))
        if self.plan:
            lines = [Command("How far the ranking is to be trusted", f"compound search validate {out}")]
        else:
            lines = [Command("Scale by what was found", f"compound scale BASELINE --rule {out}/rule.yaml --phi 2")]
        lines += self._again()
        given = self.plan or {key: self.found.get(key) for key in SETTINGS}
        settings = [
            (key.replace("_", " "), f"{value:g}" if isinstance(value, float) else value)
            for key, value in given.items()
            if value is not None
        ]
        return rendered("search_making.html", settings=settings, lines=lines)


def _words(path: Path) -> list[str]:
    """The words that asked for the search, none where its folder does not have them."""
    file = path / COMMAND
    if not stands(file):
        return []
    with damaged(file, REMEDY):
        return [str(word) for word in read_json(file, REMEDY)["arguments"]]


def _record(entry: RankedTrial, of_architectures: bool) -> dict[str, Any]:
    """What a candidate reached and cost before what it is."""
    fields = dict(entry.fields)
    if entry.values and not of_architectures:
        fields["accuracy"] = entry.values[0]
    first = {key: fields.pop(key) for key in FIRST if key in fields}
    record = {"rank": entry.rank, **first, **entry.parameters, **fields} | {"seconds": entry.seconds}
    return record if entry.state == "complete" else record | {"state": entry.state}


def read_search(path: Path) -> SearchReport:
    """A folder of `compound search coefficients` or `architecture`."""
    given = read_json(path / "leaderboard.json", REMEDY)
    with damaged(path / "leaderboard.json", REMEDY):
        entries = tuple(
            RankedTrial(**{**one, "values": tuple(one["values"]) if one["values"] else None}) for one in given
        )
    rule = _yaml(path / "rule.yaml") or {}
    return SearchReport(
        path, entries, read_if_there(path / "result.json"), rule.get("found") or {}, _yaml(path / "search.yaml")
    )


def _yaml(file: Path) -> dict[str, Any] | None:
    if not stands(file):
        return None
    given = read_yaml(file, REMEDY)
    with damaged(file, REMEDY):
        return dict(given)

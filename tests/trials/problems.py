"""A problem without images or torch: a hill over two integers, and everything an evaluation can do wrong."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import IntDistribution

from compound import ZOO
from compound.errors import UsageError
from compound.trials import Candidate, Outcome


@dataclass(frozen=True)
class Hill:
    """−(x − 7)² − (y − 3)² over a square; `trouble` says what happens where x is a certain number."""

    log: Path | None = None
    side: int = 20
    seconds: float = 0.0
    trouble: dict[int, str] = field(default_factory=dict)
    epochs: int = 1
    name: str = "hill"
    directions: tuple[str, ...] = ("maximize",)

    def settings(self) -> dict[str, Any]:
        return {"side": self.side, "training": {"epochs": self.epochs}}

    def distributions(self) -> dict[str, Any]:
        return {axis: IntDistribution(0, self.side - 1) for axis in ("x", "y")}

    def candidate(self, parameters: Any) -> Candidate | None:
        if self.trouble.get(parameters["x"]) == "infeasible":
            raise UsageError("no network there")
        return Candidate(dict(parameters), ZOO["efficientnet-mini"])

    def evaluate(self, candidate: Candidate, seed: int, report: Any) -> Outcome:
        x, y = candidate.parameters["x"], candidate.parameters["y"]
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{x} {y}\n")
        time.sleep(self.seconds)
        trouble = self.trouble.get(x)
        if trouble == "raise":
            raise RuntimeError("this one cannot be trained")
        if trouble == "nan":
            return Outcome((float("nan"),))
        if trouble and "://" in trouble:
            raise RuntimeError(f"{trouble} went away")
        if trouble == "memory":
            raise MemoryError
        if trouble == "exit":
            raise SystemExit(3)
        if trouble == "hang":
            time.sleep(600)
        if trouble == "killed":
            os.kill(os.getpid(), 9)
        value = -((x - 7) ** 2) - (y - 3) ** 2
        for step in range(self.epochs):
            report(step, value)
        return Outcome((value, x)[: len(self.directions)], {"sum": x + y})

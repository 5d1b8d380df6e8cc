"""What a page tells its reader to type: with the run's own name, in one piece, and only what can work."""

import shlex
from dataclasses import dataclass

from markupsafe import Markup

from compound.evaluation.calibration import ENOUGH
from compound.training.run import Run

HELD = max(ENOUGH, 19)  # held-out images that a temperature takes, and that 5 % of can be refused


def typed(line: str) -> Markup:
    """A command within a sentence; a browser does not break it behind its hyphens, and a narrow one between words."""
    words = Markup(" ").join(Markup("<span>{}</span>").format(word) for word in line.split(" "))
    return Markup('<code class="typed">{}</code>').format(words)


@dataclass(frozen=True)
class Advice:
    """For a run at `place`; `held` and `learned` are its held-out and training images, None where that is not known."""

    place: str
    held: int | None = None
    learned: int = 0

    @classmethod
    def of(cls, run: Run) -> "Advice":
        images = run.data.get("images") or {}
        return cls(str(run.path), images.get("holdout"), images.get("train", 0))

    def evaluate(self, options: str = "") -> Markup:
        return typed(f"compound evaluate {shlex.quote(self.place)} {options}".rstrip())

    def audit(self) -> Markup:
        return typed(f"compound data audit {shlex.quote(self.place)}")

    def by_held_out(self, options: str) -> Markup:
        """`evaluate` with `options` that are fitted on held-out images, after what gives enough of these."""
        if self.held is None or self.held >= HELD:
            return self.evaluate(options)
        are = "is" if self.held == 1 else "are"
        lacking = Markup("{}, which takes {} held-out images or more, and there {} {}: ").format(
            self.evaluate(options), HELD, are, self.held
        )
        # No more than a third of all that could be learned, or the network is worse for it.
        if self.held + self.learned < 3 * HELD:
            return lacking + "collect more photos first"
        return lacking + Markup("train with {} first").format(typed(f"--holdout {HELD}"))

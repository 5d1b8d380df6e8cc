"""What `compound data check` says, in lines; the first of each kind, and how many more."""

from collections.abc import Mapping, Sequence
from typing import Any

from compound.terminal import MOST_CLASSES, OF_MORE
from compound.verbs.check import Checked

SHOWN = 10


def check_text(found: Checked) -> str:
    """All lines of the answer."""
    faults = [f"to mend, or training refuses this data: {fault}" for fault in found.faults]
    told = found.figures
    if not told:
        return "\n".join(faults)
    lines = [f"{told['name']}: {len(told['classes'])} classes, {told['channels']} channels", *faults]
    lines += left_out_lines(told["left_out"])
    for name, part in told["parts"].items():
        lines += part_lines(name, part)
    lines += [f"{'class':<24} {'train':>8} {'holdout':>8} {'test':>8}"]
    rows = {label: [part["per_class"][label] for part in told["parts"].values()] for label in told["classes"]}
    fewest = sorted(rows, key=lambda label: sum(rows[label]))[:OF_MORE] if len(rows) > MOST_CLASSES else list(rows)
    lines += [f"{label:<24} " + " ".join(f"{count:>8,}" for count in rows[label]) for label in fewest]
    if len(fewest) < len(rows):
        lines.append(f"  these have the fewest images; and {len(rows) - len(fewest):,} more classes, see --json")
    twins, within = told["duplicates"], told["within"]
    lines += twin_lines("in two parts", twins, "no picture stands in two parts")
    lines += twin_lines("within a part", within, "no picture stands twice in a part")
    if found.sheet:
        lines.append(f"contact sheet {found.sheet}")
    return "\n".join(lines)


def left_out_lines(left_out: Mapping[str, str]) -> list[str]:
    """A line for each of the first ten."""
    return shown([f"left out: {what}: {why}" for what, why in left_out.items()])


def shown(lines: Sequence[str]) -> list[str]:
    """The first, and how many more there are."""
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"  and {more:,} more, see --json"] if more > 0 else [])]


def part_lines(name: str, part: Mapping[str, Any]) -> list[str]:
    """A line a part, and one for each damaged image of the first ten."""
    from compound.data.glance import sides_text  # with all that reads images

    sides = part["sides"]
    size = f", sides {sides_text(sides['smallest'], sides['largest'])} px" if sides else ""
    size += f", median {sides['median']}" if sides and sides["smallest"] != sides["largest"] else ""
    sampled = f" ({part['looked_at']:,} looked at)" if part["looked_at"] < part["images"] else ""
    grey = f", {part['grey_in_colour']:,} grey" if part["grey_in_colour"] else ""
    from compound.data.oddities import oddities_text

    odd = "".join(f", {words}" for words in oddities_text(part["odd"]))
    line = f"{name:>8}: {part['images']:,} images{sampled}{size}{grey}{odd}"
    damaged = [f"          damaged: {one['path']}: {one['reason']}" for one in part["damaged"]]
    line += f", largest class / smallest {part['imbalance']:.1f}"
    return [line + (f", {len(damaged)} damaged" if damaged else ""), *shown(damaged)]


def twin_lines(where: str, pairs: Sequence[Mapping[str, Any]], none: str) -> list[str]:
    """How many pairs of pictures look the same, those under two labels first."""
    if not pairs:
        return [none]
    torn = sum(not pair["same_class"] for pair in pairs)
    some = "1 pair of pictures looks" if len(pairs) == 1 else f"{len(pairs):,} pairs of pictures look"
    lines = [f"{some} the same {where}, {torn:,} of them under two labels"]
    told = [f"  {' and '.join(dict.fromkeys(pair['parts']))}: {pair['first']} = {pair['second']}" for pair in pairs]
    labels = ["" if pair["same_class"] else f", as {' and as '.join(pair['labels'])}" for pair in pairs]
    return lines + shown([line + label for line, label in zip(told, labels, strict=True)])

"""`compound doctor`: the machine, and a network's layers on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.quantity import short
from compound.verbs import doctor as verb
from compound.verbs.given import silent

if TYPE_CHECKING:
    from compound.diagnosis import Machine
    from compound.diagnosis.findings import Diagnosis


def doctor(
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="[NETWORK]", help="Time its layers, too: a name, a network file, a weights file, or a run."
        ),
    ] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Of the images; default that of NETWORK.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images of a training step.")] = 32,
    threads: Annotated[int | None, typer.Option(min=1, help="Default all cores.")] = None,
    json: Json = False,
) -> None:
    """Say what this machine has and can do; with a network, which of its layers are slow or wrong here, and why."""
    found = verb.doctor(
        network, resolution=resolution, batch=batch, threads=threads, say=silent if json else note
    )  # fmt: skip
    text = machine_text(found.machine)
    if found.network:
        text += "\n\n" + network_text(found.network)
    answer(json, found.to_json(), text)


def machine_text(machine: "Machine") -> str:
    """A line for each thing, then what is doubtful."""
    torch = machine.torch
    memory = f"{machine.memory / 2**30:.0f} GiB" if machine.memory else "unknown"
    free = f", {machine.free_memory / 2**30:.0f} GiB free" if machine.free_memory else ""
    lines = [
        ("processor", f"{machine.processor}, {', '.join(machine.instructions) or 'instructions unknown'}"),
        ("cores", f"{machine.cores}" + (f", load {machine.load:.1f}" if machine.load is not None else "")),
        ("memory", memory + free),
        ("system", f"{machine.system}, Python {machine.python}"),
    ]
    if torch:
        gpus = ", ".join(torch["gpus"]) or ("Apple's (mps)" if torch["mps"] else "none")
        lines += [
            ("torch", f"{torch['version']}, {torch['instructions']}, oneDNN {'yes' if torch['onednn'] else 'no'}"),
            (
                "threads",
                f"{torch['threads']}, GOMP_SPINCOUNT {torch['spins'] if torch['spins'] is not None else 'not set'}",
            ),
            ("kernels", torch["kernels"] or "not built"),
            ("GPU", gpus),
        ]
    for extra, packages in machine.packages.items():
        have = [f"{name} {version}" for name, version in packages.items() if version]
        lack = [name for name, version in packages.items() if not version]
        lines.append((f"[{extra}]", ", ".join(have) + (f"; missing {', '.join(lack)}" if lack else "")))
    lines += [("weights", f"{short(size)}B in {folder}") for folder, size in machine.caches.items()]
    width = max(len(name) for name, _ in lines) + 2
    text = [f"{name:<{width}}{value.removeprefix('; ')}" for name, value in lines]
    return "\n".join([*text, *(f"doubt: {one}" for one in machine.doubts())])


def network_text(found: "Diagnosis") -> str:
    """A line a layer: milliseconds and share of the possible rate of each pass, by precision; then what to look at."""
    roof = found.roof
    lines = [
        f"{found.network} at {found.resolution} px, {found.call.batch} images a step, {found.call.threads} "
        f"thread{'s' * (found.call.threads > 1)}: ms of each pass alone, and its share of the possible rate",
        f"(fp32 {roof.flops['fp32'] / 1e9:.0f} and bf16 {roof.flops['bf16'] / 1e9:.0f} GFLOP/s, memory "
        f"{roof.bytes / 1e9:.0f} GB/s, as measured)",
        "",
        f"{'':<44} {'fp32':^35} {'bf16':^35}",
        f"{'layer':<39} {'×':>4} " + " ".join([f"{name:>11}" for name in ("forward", "input", "weight")] * 2),
    ]
    for times in found.layers:
        passes = (f"{one.seconds * 1e3:6.1f} {min(one.possible, 9.99):>4.0%}" for one in times.passes.values())
        lines.append(f"{times.layer.name:<39} {times.layer.count:>4} " + " ".join(passes))
    totals = {precision: found.total(precision) * 1e3 for precision in roof.flops}
    own = {precision: found.total(precision, own=True) * 1e3 for precision in roof.flops}
    lines += [
        "",
        "all of them in a step: "
        + ", ".join(f"{name} {totals[name]:.0f} ms ({own[name]:.0f} ms compound's own way)" for name in totals),
        *found.findings(),
    ]
    return "\n".join(lines)

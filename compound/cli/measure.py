"""`compound measure`: latency on every runtime, memory beside its prediction, and device tables."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from compound.cli.answers import Json, answer, note
from compound.cli.answers.measured import memory_text, session_text
from compound.errors import UsageError
from compound.verbs import measure as verb
from compound.verbs.given import silent

Threads = Annotated[int, typer.Option(min=1, help="Threads of a call.")]
Seed = Annotated[int, typer.Option(help="Seed of images, weights and order.")]
Family = Annotated[
    list[str] | None, typer.Option(help="Networks whose units are timed; may be repeated. Default efficientnet-b0.")
]
SpaceName = Annotated[
    str | None, typer.Option(help="Instead, networks of a space: mnasnet, small, layers, cells, or a YAML file.")
]
Batch = Annotated[int, typer.Option(min=1, help="Images a call.")]
Samples = Annotated[int, typer.Option(min=8, help="Scaled networks that are run, a quarter of them to check.")]
Span = Annotated[float, typer.Option(help="Widths and resolutions from 1/span to span times each family's.")]


class NetworksByDefault(TyperGroup):
    """`compound measure resnet-50` is `compound measure networks resnet-50`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["networks", *args]
        return super().parse_args(ctx, args)


measure = typer.Typer(
    cls=NetworksByDefault,
    no_args_is_help=True,
    help="Measure latency and memory: compound measure NETWORK… or compound measure device -o FILE.",
)


@measure.command()
def networks(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NETWORK…", help="Networks, run directories, timm:NAME or torchvision:NAME."),
    ],
    runtime: Annotated[
        str,
        typer.Option(
            help="One or more of optimized, eager, channels-last, compile, onnxruntime, openvino, executorch; on a "
            "GPU of eager, channels-last, compile, graphs."
        ),
    ] = "channels-last",
    batch: Annotated[str, typer.Option(help="Images a call; several for a sweep, e.g. 1,8,32.")] = "1",
    threads: Threads = 1,
    runs: Annotated[int, typer.Option(min=1, max=1_000_000, help="Timed calls of each.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that the calls are spread over.")] = 5,
    memory: Annotated[bool, typer.Option("--memory", help="Memory of inference and training, too.")] = False,
    device: Annotated[str, typer.Option(help="Where the networks run: cpu, cuda, auto.")] = "cpu",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Draw accuracy over latency: .svg or .png.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a line for each measurement.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Time networks on runtimes, all taking turns (Table 4 of the paper: batch 1, one core, mean of 20)."""
    from compound.measurement import Turns

    session = verb.measure(
        names, list(dict.fromkeys(runtime.split(","))), batch_sizes(batch),
        threads=threads, turns=Turns(runs, rounds, seed), memory=memory, picture=out, device=device,
        say=silent if json else note,
    )  # fmt: skip
    for reason in session.unavailable.values():
        note(f"left out: {reason}")
    text = session_text(session)
    if memory:
        text += "\n" + memory_text(session.memory)
    if csv:
        session.write_table(csv)
        text += f"\nwritten to {csv}"
    if out and session.measured:
        text += f"\ndrawn in {out}"
    answer(json, session.to_json(), text)


@measure.command()
def device(
    out: Annotated[Path, typer.Option("-o", "--out", help="The table to write, e.g. laptop.json.")],
    family: Family = None,
    space: SpaceName = None,
    runtime: Annotated[
        str, typer.Option(help="optimized, eager, channels-last, onnxruntime or openvino: what will run the plan.")
    ] = "channels-last",
    batch: Batch = 1,
    threads: Threads = 1,
    samples: Samples = 48,
    span: Span = 2.0,
    seconds: Annotated[float, typer.Option(help="Time to spend, besides building the networks.")] = 120.0,
    measured: Annotated[
        Path | None, typer.Option(help="Of another machine: the measured.json that a kit's script wrote there.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Time the parts of scaled networks on this device, for `plan`, `fit` and `search` with `--latency`."""
    from compound.latency import save_table
    from compound.measurement import Sampling

    refuse_both(space, family)
    if measured is not None:
        if space or family:
            raise UsageError("--measured has the times of its kit's networks, so it takes neither --space nor --family")
        table = verb.read_kit(measured)
    else:
        table = verb.measure_device(
            family or "efficientnet-b0", runtime, threads=threads, batch=batch,
            sampling=Sampling(samples, span, seconds, seed), space=space, say=silent if json else note,
        )  # fmt: skip
    save_table(table, out)
    checked = table.environment["left_out"]
    value = {
        "out": str(out),
        "runtime": table.runtime,
        "kinds": len(table.units),
        "units": sum(map(len, table.units.values())),
        "margin": table.margin,
        "left_out": checked,
        "environment": table.environment,
    }
    text = (
        f"{value['units']:,} units of {value['kinds']} kinds; {checked['networks']} networks that are not in the table "
        f"are predicted with a median error of {checked['median_error']:.1%}, margin {table.margin:.1%}\n"
        f"written to {out}"
    )
    answer(json, value, text)


@measure.command()
def kit(
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write, which is new or empty.")],
    family: Family = None,
    space: SpaceName = None,
    batch: Batch = 1,
    samples: Samples = 48,
    span: Span = 2.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write what makes a device table of a phone or board: ONNX files, and one script that needs no PyTorch."""
    from compound.measurement import Sampling

    refuse_both(space, family)
    sampling = Sampling(samples, span, seed=seed)
    folder = verb.write_kit(
        out, family or "efficientnet-b0", batch=batch, sampling=sampling, space=space, say=silent if json else note
    )
    files = sorted(folder.iterdir())
    size = sum(file.stat().st_size for file in files)
    text = (
        f"{folder}: {len(files) - 2} networks, {size / 1e6:,.1f} MB\n"
        "next: copy it to the device; there: pip install numpy onnxruntime; python measure_here.py\n"
        "back here: compound measure device --measured measured.json -o TABLE.json"
    )
    answer(json, {"out": str(folder), "networks": len(files) - 2, "bytes": size}, text)


def refuse_both(space: str | None, family: list[str] | None) -> None:
    if space and family:
        raise UsageError("--space and --family are two answers to one question: what is timed; give one")


def batch_sizes(text: str) -> list[int]:
    try:
        sizes = sorted({int(word) for word in text.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1:
        raise UsageError(f"--batch {text!r} is not a list of positive numbers; write e.g. 1 or 1,8,32")
    return sizes

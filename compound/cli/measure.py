"""`compound measure`: latency on every runtime, memory beside its prediction, and device tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from compound.cli.common import Json, answer, note
from compound.cli.measured import memory_text, session_text, write_csv
from compound.errors import UsageError
from compound.files import ending
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.measurement import Subject

Threads = Annotated[int, typer.Option(min=1, help="Threads of a call.")]
Seed = Annotated[int, typer.Option(help="Seed of images, weights and order.")]


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
            help="One or more of optimized, eager, channels-last, compile, onnxruntime, openvino, executorch."
        ),
    ] = "channels-last",
    batch: Annotated[str, typer.Option(help="Images a call; several for a sweep, e.g. 1,8,32.")] = "1",
    threads: Threads = 1,
    runs: Annotated[int, typer.Option(min=1, help="Timed calls of each.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that the calls are spread over.")] = 5,
    memory: Annotated[bool, typer.Option("--memory", help="Memory of inference and training, too.")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Draw accuracy over latency: .svg or .png.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a line for each measurement.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Time networks on runtimes, all taking turns (Table 4 of the paper: batch 1, one core, mean of 20)."""
    from compound.measurement import memory_fields, run_session
    from compound.report.latency_figure import latency_plot
    from compound.report.picture import FILES, write_picture
    from compound.runtimes import find_runtime

    runtimes = list(dict.fromkeys(runtime.split(",")))
    for one in runtimes:
        find_runtime(one)
    sizes = batch_sizes(batch)
    if out:
        ending(out, FILES, "picture")
    subjects = [find_subject(name) for name in dict.fromkeys(names)]
    if out and all(subject.top1 is None for subject in subjects):
        raise UsageError(f"no accuracy is known of {', '.join(names)}; for -o give runs or networks of Table 2")
    session = run_session(
        subjects, runtimes, sizes,
        threads=threads, runs=runs, rounds=rounds, seed=seed,
        say=(lambda _: None) if json else note,
    )  # fmt: skip
    for reason in session.unavailable.values():
        note(f"left out: {reason}")
    value: dict[str, Any] = {
        "measured": [one.fields() for one in session.measured],
        "table4": session.ratios(),
        "unavailable": session.unavailable,
        "environment": session.environment,
    }
    text = session_text(session)
    if memory:
        value["memory"] = [memory_fields(subject, size) for subject in subjects for size in sizes]
        text += "\n" + memory_text(value["memory"])
    if csv:
        write_csv(value["measured"], csv)
        text += f"\nwritten to {csv}"
    if out and session.measured:
        write_picture(latency_plot(session.measured), out)
        text += f"\ndrawn in {out}"
    answer(json, value, text)


@measure.command()
def device(
    out: Annotated[Path, typer.Option("-o", "--out", help="The table to write, e.g. laptop.json.")],
    family: Annotated[
        list[str] | None, typer.Option(help="Networks whose units are timed; may be repeated. Default efficientnet-b0.")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="optimized, eager, channels-last, onnxruntime or openvino: what will run the plan.")
    ] = "channels-last",
    batch: Annotated[int, typer.Option(min=1, help="Images a call.")] = 1,
    threads: Threads = 1,
    samples: Annotated[int, typer.Option(min=8, help="Scaled networks that are run, a quarter of them to check.")] = 48,
    span: Annotated[float, typer.Option(help="Widths and resolutions from 1/span to span times each family's.")] = 2.0,
    seconds: Annotated[float, typer.Option(help="Time to spend, besides building the networks.")] = 120.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Time the parts of scaled networks on this device, for `plan --latency` and `fit --latency`."""
    from compound.latency import save_table
    from compound.measurement import measure_device

    if span <= 1:
        raise UsageError(f"--span {span} leaves no range of sizes; use more than 1, usually 2")
    families = [find_network(name) for name in dict.fromkeys(family or ["efficientnet-b0"])]
    table = measure_device(
        families, runtime,
        threads=threads, batch=batch, samples=samples, span=span, seconds=seconds, seed=seed,
        say=(lambda _: None) if json else note,
    )  # fmt: skip
    save_table(table, out)
    checked = table.environment["left_out"]
    value = {
        "out": str(out),
        "runtime": runtime,
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


def find_subject(name: str) -> "Subject":
    from compound.measurement import LIBRARIES, of_library, of_network, of_run

    if name.partition(":")[0] in LIBRARIES and ":" in name:
        return of_library(name)
    if (Path(name) / "model.safetensors").is_file():
        return of_run(name)
    return of_network(find_network(name))


def batch_sizes(text: str) -> list[int]:
    try:
        sizes = sorted({int(word) for word in text.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1:
        raise UsageError(f"--batch {text!r} is not a list of positive numbers; write e.g. 1 or 1,8,32")
    return sizes

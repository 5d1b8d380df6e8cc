"""`compound serve`: trained networks behind HTTP."""

from typing import Annotated

import typer

from compound.cli.options.execution import Device, Log
from compound.errors import UsageError
from compound.quantity import quantity, seconds


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…",
            help="Runs, .safetensors or exported files, or published names; NAME=MODEL to call one otherwise.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Any but this machine's own needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(envvar="COMPOUND_TOKEN", help="What clients must send, of 16 letters or more."),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="auto: what `compound export --to auto` chose, else torch; torch.")
    ] = "auto",
    queue: Annotated[
        int, typer.Option(min=1, help="Images of a model that may wait; others are told to return.")
    ] = 128,
    wait: Annotated[str, typer.Option(help="How long an image waits at most for others that are being read.")] = "5ms",
    max_body: Annotated[str, typer.Option(help="Bytes of one request.")] = "16MiB",
    max_pixels: Annotated[str, typer.Option(help="Pixels of one decoded image.")] = "50M",
    max_decoding: Annotated[
        str, typer.Option(help="Bytes of memory that all images together may take while they are decoded; others wait.")
    ] = "2GiB",
    receive: Annotated[str, typer.Option(help="Time for a request to arrive, and for an answer to be taken.")] = "8s",
    reload: Annotated[str, typer.Option(help="How often the files are looked at; SIGHUP reads them at once.")] = "2s",
    log: Log = None,
    device: Device = "auto",
) -> None:
    """Serve trained networks: /predict, /explain, a page for people, figures for Prometheus."""
    from compound.serve import Address, Limits, check_address
    from compound.serve import serve as run_server

    if runtime not in ("auto", "torch"):
        raise UsageError(f"--runtime {runtime!r} is unknown; use auto or torch, or serve the exported file itself")
    address = Address(host, port, token or None)
    check_address(address)
    limits = Limits(
        body=int(quantity(max_body, "--max-body")),
        pixels=int(quantity(max_pixels, "--max-pixels")),
        decoding=int(quantity(max_decoding, "--max-decoding")),
        receive=seconds(receive, "--receive"),
    )
    run_server(
        models, address, limits, runtime=runtime, device=device, queue=queue,
        wait=seconds(wait, "--wait"), reload=seconds(reload, "--reload"), log=log,
    )  # fmt: skip

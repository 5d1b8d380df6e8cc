"""The process: where it listens, what ends it, and how."""

import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from compound.deploy.scorelog import ScoreLog
from compound.errors import CompoundError, UsageError
from compound.files import name_of
from compound.serve.app import make_app
from compound.serve.batching import Batcher
from compound.serve.limits import Limits, is_loopback
from compound.serve.metrics import ServerMetrics
from compound.serve.models import ServedModel
from compound.serve.protocol import impatient
from compound.serve.watching import Watcher

LOG = logging.getLogger("uvicorn.error")
DRAIN = 30  # seconds that requests under way have when the server is told to end
SHORTEST_TOKEN = 16  # characters


@dataclass(frozen=True)
class Address:
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None


def check_address(address: Address) -> None:
    """Beyond this machine nobody may ask without a token."""
    if address.token is not None and (len(address.token) < SHORTEST_TOKEN or not address.token.isascii()):
        raise UsageError(f"the token is shorter than {SHORTEST_TOKEN} ASCII characters; make one: openssl rand -hex 16")
    if address.token is None and not is_loopback(address.host):
        raise UsageError(
            f"--host {address.host} can be reached from other machines, and that needs a token: set COMPOUND_TOKEN"
        )


@contextmanager
def listening(address: Address, backlog: int = 1) -> Iterator[list[socket.socket]]:
    """Sockets that listen at the address. Port 0 becomes one that is free, the same for all of them.

    Raises `CompoundError` where nobody can listen there.
    """
    port = address.port
    with ExitStack() as opened:
        sockets = []
        try:
            for family, kind, protocol, _, place in places_of(address):
                one = opened.enter_context(socket.socket(family, kind, protocol))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of connections that are closing
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((place[0], port, *place[2:]))
                one.listen(backlog)
                port = one.getsockname()[1]
                sockets.append(one)
        except OSError as error:
            raise unheard(address, error) from None
        yield sockets


def places_of(address: Address) -> list[tuple[Any, ...]]:
    """Where to listen, each once: a name may be given to an address twice."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys(found))


def unheard(address: Address, error: OSError) -> CompoundError:
    reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
    return CompoundError(
        f"cannot listen on port {address.port} of {address.host}: {reason}; choose another --port or --host"
    )


def name_places(places: list[str]) -> dict[str, str]:
    """Names of the models: what stands before `=`, or the run's or the file's own name."""
    named: dict[str, str] = {}
    for place in places:
        name, sign, path = place.partition("=")
        if not sign or Path(place).exists():
            name, path = name_of(Path(place).resolve()), place
        if name in named:
            raise UsageError(f"{named[name]} and {path} are both called {name}; name one: other-name={path}")
        named[name] = path
    return named


def open_models(
    places: Mapping[str, str], metrics: ServerMetrics, *, runtime: str, device: str, queue: int, wait: float
) -> dict[str, ServedModel]:
    """All models loaded, each with its queue; what does not load is an error now rather than later."""
    models = {}
    for name, place in places.items():
        batcher = Batcher(queue, wait, metrics.batch(name))
        models[name] = ServedModel(name, place, batcher, runtime, device)
        metrics.watch(name, batcher.waiting)
    return models


def serve(
    places: list[str],
    address: Address,
    limits: Limits,
    *,
    runtime: str = "auto",
    device: str = "auto",
    queue: int = 128,
    wait: float = 0.005,
    reload: float = 2.0,
    log: Path | None = None,
) -> None:
    """Answer until SIGTERM or SIGINT, then finish what is under way. SIGHUP reads the files again.

    `log`: a file to which scores are added, see `compound.deploy.scorelog`.
    """
    check_address(address)
    scores = ScoreLog(log) if log is not None else None
    with listening(address):
        pass  # can be had, which is better known before networks are loaded for it
    metrics = ServerMetrics()
    models = open_models(name_places(places), metrics, runtime=runtime, device=device, queue=queue, wait=wait)
    watcher = Watcher(models, reload, metrics)
    app = make_app(models, limits, address.token, metrics, watcher, scores)
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # the client is told, and can say it without end
    signal.signal(signal.SIGHUP, lambda *_: watcher.look_now())
    with listening(address, limits.connections) as sockets:
        host = f"[{address.host}]" if ":" in address.host else address.host
        LOG.info("running on http://%s:%d; Ctrl-C ends it", host, sockets[0].getsockname()[1])
        run(uvicorn.Server(configure(app, address, limits)), sockets)


def run(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    """Let the server answer until it is told to end."""
    for ending in (signal.SIGTERM, signal.SIGINT):  # uvicorn drains, then raises them again for whoever came before
        signal.signal(ending, lambda *_: None)
    gc.collect()
    gc.freeze()  # else the collector once walks through all that torch has made, and for 0.3 s nobody is heard
    try:
        server.run(sockets)
    finally:
        gc.unfreeze()  # else what is never collected is reported as leaked when the process ends


def configure(app: ASGIApp, address: Address, limits: Limits) -> uvicorn.Config:
    """How uvicorn runs the application; it writes its own log lines, but none a request."""
    return uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        http=impatient(limits),
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN,
        backlog=limits.connections,
    )

"""A real PostgreSQL server for one session of tests, and the storages that a search can live in."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


def postgres_binaries() -> Path | None:
    """Where Debian or the PATH has initdb."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def free_port() -> int:
    """Below those that the system gives to any connection, so that it is free again after a restart."""
    for port in range(20_000 + os.getpid() * 7 % 10_000, 32_000):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


class Server:
    """A PostgreSQL server in a folder. It refuses to run as root, so root gives it to `nobody`."""

    def __init__(self, binaries: Path, folder: str) -> None:
        self.binaries, self.folder, self.port = binaries, folder, free_port()
        account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.identity = {"user": account.pw_uid, "group": account.pw_gid} if os.getuid() == 0 else {}
        os.chown(folder, account.pw_uid, account.pw_gid)
        words = [binaries / "initdb", "-D", f"{folder}/data", "-U", "search", "--auth=trust", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **self.identity)
        self.start()

    @property
    def url(self) -> str:
        """The server asks for no password, and takes any."""
        return f"postgresql://search:sesame@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = ["-p", str(self.port), "-k", self.folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        words = [self.binaries / "postgres", "-D", f"{self.folder}/data", *options]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, **self.identity)
        until = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None, Path(self.folder, "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)

    def answers(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(host="127.0.0.1", port=self.port, user="search", dbname="postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """At once: what it was asked and has not answered is lost."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server for all tests of a session."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    # Not below pytest's folder: other sessions clear that away, and `nobody` may not enter it.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        running = Server(binaries, folder)
        yield running
        running.stop()


@pytest.fixture(scope="session")
def postgres(server: Server) -> str:
    return server.url


PROXY = """
import sys
from optuna.storages import run_grpc_proxy_server
from compound.trials.storage import open_storage
run_grpc_proxy_server(open_storage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.fixture
def proxy(tmp_path) -> Iterator[str]:
    """A gRPC proxy of Optuna, in front of a journal."""
    pytest.importorskip("grpc", reason="grpcio is not installed")
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", PROXY, str(tmp_path / "behind.journal"), str(port)]
    process = subprocess.Popen(words, env=environment)
    yield f"grpc://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture(params=["journal", "postgres", pytest.param("grpc", marks=pytest.mark.slow)])
def storage(request, tmp_path) -> str:
    """Where to search: a journal file, a database of its own on the server, or a proxy."""
    if request.param == "journal":
        return str(tmp_path / "search.journal")
    if request.param == "grpc":
        return str(request.getfixturevalue("proxy"))
    from sqlalchemy import create_engine, text

    from compound.trials.storage import with_driver

    url, name = request.getfixturevalue("postgres"), f"db{abs(hash(tmp_path))}"
    engine = create_engine(with_driver(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{url.rpartition('/')[0]}/{name}"

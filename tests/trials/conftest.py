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
from pathlib import Path

import pytest


def postgres_binaries() -> Path | None:
    """Where Debian or the PATH has initdb."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server in a temporary folder; PostgreSQL refuses to run as root, so root gives it to `nobody`."""
    psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    identity = {"user": account.pw_uid, "group": account.pw_gid} if os.getuid() == 0 else {}
    # Not below pytest's folder: other sessions clear that away, and `nobody` may not enter it.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        os.chown(folder, account.pw_uid, account.pw_gid)
        words = [binaries / "initdb", "-D", f"{folder}/data", "-U", "search", "--auth=trust", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **identity)
        port = free_port()
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with open(f"{folder}/log", "wb") as log:
            words = [binaries / "postgres", "-D", f"{folder}/data", *options]
            server = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, **identity)
        until = time.monotonic() + 120
        while True:
            try:
                psycopg2.connect(host="127.0.0.1", port=port, user="search", dbname="postgres").close()
                break
            except psycopg2.OperationalError:
                assert server.poll() is None, Path(folder, "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.1)
        yield f"postgresql://search@127.0.0.1:{port}/postgres"
        server.send_signal(signal.SIGQUIT)  # at once
        server.wait()


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

"""A real PostgreSQL server for one session of tests, and the storages that a search can live in."""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import sys
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
def postgres(tmp_path_factory) -> Iterator[str]:
    """The URL of a server in a temporary folder; PostgreSQL refuses to run as root, so root gives it to `nobody`."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    port = free_port()
    user = "nobody" if os.getuid() == 0 else getpass.getuser()
    if os.getuid() == 0:
        for parent in (folder, *folder.parents[:2]):
            parent.chmod(0o755)
        shutil.chown(folder, user)

    def run(*words: object) -> None:
        identity = {"user": pwd.getpwnam(user).pw_uid, "group": pwd.getpwnam(user).pw_gid} if os.getuid() == 0 else {}
        subprocess.run([*map(str, words)], check=True, capture_output=True, cwd=folder, **identity)

    data = folder / "data"
    run(binaries / "initdb", "-D", data, "-U", "search", "--auth=trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(binaries / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
    yield f"postgresql://search@127.0.0.1:{port}/postgres"
    run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop")


PROXY = """
import sys
from optuna.storages import run_grpc_proxy_server
from compound.search.storage import open_storage
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

    from compound.search.storage import with_driver

    url, name = request.getfixturevalue("postgres"), f"db{abs(hash(tmp_path))}"
    engine = create_engine(with_driver(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{url.rpartition('/')[0]}/{name}"

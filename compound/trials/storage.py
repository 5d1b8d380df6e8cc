"""Where a search lives: a journal file, a PostgreSQL or MySQL database, or a gRPC proxy in front of one."""

import fcntl
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from compound.errors import CompoundError, UsageError
from compound.files import make_folder
from compound.places import near
from compound.trials.problem import Direction

IDENTITY = "search"  # the study's attribute that says which search it is

# user:password@ of a URL, up to its last @, as a password may have one; and ?password=… of those that take it so.
PASSWORD = re.compile(r"(\w://[^/:@]*:).*(?=@)", re.DOTALL)
QUERY_PASSWORD = re.compile(r"([?&]\w*pass\w*=)[^&]*", re.IGNORECASE)

Answer = TypeVar("Answer")

DRIVERS = {  # module and its name in SQLAlchemy, by what a user writes
    "postgresql": {"psycopg": "psycopg", "psycopg2": "psycopg2"},
    "mysql": {"pymysql": "pymysql", "MySQLdb": "mysqldb"},
}


LIBRARIES = {"sqlalchemy", "grpc", *(module for modules in DRIVERS.values() for module in modules)}


class StorageError(CompoundError):
    """The storage cannot be reached, or is not one."""


class JournalLock(JournalFileOpenLock):
    """One writer of a journal at a time, by a lock that the kernel releases when its process dies.

    Optuna's locks are files that a killed process leaves behind; everybody then waits 30 s. A line that a killed
    process or a full disk left unfinished is cut off, because the next one would be appended to it.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.file = journal.with_name(journal.name + ".lock")

    def acquire(self) -> bool:
        self.descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        self._cut_unfinished()
        return True

    def release(self) -> None:
        os.close(self.descriptor)

    def _cut_unfinished(self) -> None:
        size = self.journal.stat().st_size
        with open(self.journal, "rb+") as file:
            if size == 0 or (file.seek(size - 1) and file.read(1) == b"\n"):
                return
            file.seek(0)
            whole = file.read()
            file.truncate(whole.rfind(b"\n") + 1)


def open_storage(where: str) -> BaseStorage:
    """The storage of a path (a journal file), `grpc://HOST:PORT`, or a database URL of SQLAlchemy.

    Raises `StorageError` when it cannot be reached, `UsageError` when it is no storage for several processes.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scheme, _, rest = where.partition("://")
    with reachable(where):
        if not rest:
            path = Path(where)
            make_folder(path.parent)
            return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalLock(path)))
        if scheme == "grpc":
            host, _, port = rest.rstrip("/").partition(":")
            if not (host and port.isdecimal()):
                raise UsageError(f"storage {masked(where)} has no host and port; write grpc://HOST:PORT")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                proxy = GrpcStorageProxy(host=host, port=int(port))
            proxy.wait_server_ready(timeout=10)
            return proxy
        if scheme.startswith("sqlite"):
            raise UsageError(
                f"storage {masked(where)}: SQLite is not made for several processes; "
                "give the path of a journal file, or a postgresql:// or mysql:// URL"
            )
        return database(where)


def database(url: str) -> BaseStorage:
    """The storage in a database, whose tables the first process makes.

    Two that make them at the same instant disturb each other; the one that came later finds them when it looks again.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError

    try:
        make_url(url)
    except (ValueError, ArgumentError):
        raise UsageError(
            f"storage {masked(url)} is no database URL; write e.g. postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
            "with @, : and / of a password as %40, %3A and %2F"
        ) from None
    url = with_driver(url)
    for wait in (0.1, 0.3, 1.0, 3.0):
        try:
            return get_storage(url)
        except (IntegrityError, ProgrammingError, optuna.exceptions.StorageInternalError):
            time.sleep(wait)
    return get_storage(url)


def with_driver(url: str) -> str:
    """A database URL that names a driver that is installed, if it names none itself."""
    scheme, _, rest = url.partition("://")
    if scheme not in DRIVERS:
        return url
    for module, driver in DRIVERS[scheme].items():
        if find_spec(module):
            return f"{scheme}+{driver}://{rest}"
    raise StorageError(
        f"storage {masked(url)} needs a driver, and none is installed; run: pip install {next(iter(DRIVERS[scheme]))}"
    )


@contextmanager
def reachable(where: str) -> Iterator[None]:
    """Turn what storages raise when they are gone into one sentence."""
    try:
        yield
    except CompoundError:
        raise
    except ImportError as error:
        raise StorageError(
            f"storage {masked(where)} needs more packages: {without_password(str(error), where)}"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        if "://" in where:
            raise
        raise UsageError(f"storage {where} is not the journal of a search: {error}; choose another file") from None
    except Exception as error:
        if not of_storage(error):
            raise
        reason = str(error.__cause__ or error).strip().splitlines()
        said = without_password(reason[0], where) if reason else type(error).__name__
        raise StorageError(f"storage {masked(where)} cannot be reached: {said}; is it running?") from None


def of_storage(error: BaseException) -> bool:
    """Whether a storage raised this: the disk, Optuna, or the libraries under it (which are not imported here)."""
    ours = (OSError, StorageError, optuna.exceptions.StorageInternalError)
    return isinstance(error, ours) or type(error).__module__.split(".")[0] in LIBRARIES


class Patience:
    """Calls until the storage answers, for as long as `seconds`: a server that is restarted ends no search.

    `meanwhile` hears of every call that failed, and may raise something of its own. What is called must bear being
    called twice, as a server may do what it was asked and die before it says so.
    """

    def __init__(self, seconds: float, meanwhile: Callable[[Exception], None] = lambda error: None) -> None:
        self.seconds, self.meanwhile = seconds, meanwhile

    def __call__(self, call: Callable[[], Answer]) -> Answer:
        until, wait = time.monotonic() + self.seconds, 0.1
        while True:
            try:
                return call()
            except Exception as error:
                if not of_storage(error) or time.monotonic() > until:
                    raise
                self.meanwhile(error)
                time.sleep(wait)
                wait = min(2 * wait, 1.0)


def masked(where: str) -> str:
    """A storage as it may be shown: `postgresql://user:***@host/db`; a path stays as it is."""
    return QUERY_PASSWORD.sub(r"\1***", PASSWORD.sub(r"\1***", where)) if "://" in where else where


def shown(where: str) -> str:
    """A storage as it is told to whoever started the search: a path from the folder that they are in."""
    return masked(where) if "://" in where else near(where)


def without_password(text: str, where: str) -> str:
    """`text` with the storage `where`, with whatever driver, as it may be shown."""
    rest = where.partition("://")[2]
    return text.replace(rest, masked(where).partition("://")[2]) if rest else text


def join(
    storage: BaseStorage, where: str, name: str, directions: tuple[Direction, ...], identity: Mapping[str, Any]
) -> optuna.Study:
    """The study `name` in the storage, made if it is not there. Raises `UsageError` when it is another search."""
    wanted = json.loads(json.dumps(identity))
    study = optuna.create_study(storage=storage, study_name=name, directions=list(directions), load_if_exists=True)
    found = study.user_attrs.get(IDENTITY)
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(IDENTITY, wanted)
        found = study.user_attrs[IDENTITY]  # another process may have been here at the same instant
    if found != wanted:
        changes = "; ".join(differences(found or {}, wanted)) or "it was not made by this command"
        raise UsageError(
            f"storage {masked(where)} holds another search {name!r}: {changes}; run the same command, or "
            "choose another --storage or --study"
        )
    return study


def differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """Where two nested mappings differ, as phrases."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            yield from differences(there.get(key), here.get(key), f"{name} {key}".strip())
    elif there != here:
        yield f"{name} is {there!r} there and {here!r} here"

"""The store in PostgreSQL: a server of the test's own, in its own folder, reached by a socket file."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from oidcgate.storage.sql import SqlStore
from tests.contracts.record_store import RecordStoreContract

pytestmark = pytest.mark.live

START_SECONDS = 60
OpenStore = Callable[..., SqlStore]


def _program(name: str) -> str | None:
    # Debian keeps them out of PATH.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)]))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The connection string of a running server, trusted by whoever reaches its folder."""
    initdb, postgres = _program("initdb"), _program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed")
    # A short path: a socket's name has room for about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="oidcgate-pg-"))
    # It refuses to run as root.
    user: dict[str, Any] = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
    if user:
        os.chown(folder, 65534, 65534)
    data = folder / "data"
    subprocess.run(
        [
            initdb,
            "--pgdata",
            data,
            "--username",
            "oidcgate",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        **user,
    )
    command: list[str | Path] = [
        postgres,
        "-D",
        data,
        "-k",
        folder,
        "-c",
        "listen_addresses=",
        "-c",
        "fsync=off",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **user)
    address = f"host={folder} user=oidcgate dbname=postgres"
    try:
        _wait_for(address, process)
        yield address
    finally:
        # "Fast": whoever is still connected is cut off.
        process.send_signal(signal.SIGINT)
        process.wait(START_SECONDS)
        shutil.rmtree(folder)


def _wait_for(address: str, process: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)  # nothing announces a server that is ready; the loop is bounded
        else:
            return


@pytest.fixture
def open_store(server: str) -> Iterator[OpenStore]:
    """Opens stores over one empty database, with further parameters for the connection if any."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS oidcgate_record_tags, oidcgate_records")
    folder = server.partition(" ")[0].removeprefix("host=")
    with ExitStack() as opened:

        def open_one(more: str = "") -> SqlStore:
            store = SqlStore(f"postgresql+psycopg://oidcgate@/postgres?host={folder}{more}")
            return opened.enter_context(closing(store))

        yield open_one


@pytest.fixture(autouse=True)
def _same_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    # The generation changes with time as well, since other hosts do not announce their writes.
    monkeypatch.setattr("oidcgate.storage.sql.time.monotonic", lambda: 100.0)


class TestPostgresql(RecordStoreContract):
    @pytest.fixture
    def store(self, open_store: OpenStore) -> RecordStore:
        return open_store()


def test_another_host_sees_a_change_within_two_seconds(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = open_store(), open_store()
    before = here.generation()
    there.put("kind", "key", b"v", expires_at=10)
    monkeypatch.setattr("oidcgate.storage.sql.time.monotonic", lambda: 102.0)
    assert here.generation() != before
    assert here.get("kind", "key", now=0) is not None


def test_a_database_that_may_only_be_read(open_store: OpenStore) -> None:
    open_store().put("kind", "key", b"v", expires_at=10)
    store = open_store("&options=-cdefault_transaction_read_only=on")
    assert store.get("kind", "key", now=0) is not None
    with pytest.raises(StoreUnavailable, match="is read-only") as refused:
        store.put("kind", "key", b"w", expires_at=10)
    assert refused.value.reason is StoreFailure.READ_ONLY


def test_a_row_that_another_holds(open_store: OpenStore, server: str) -> None:
    open_store().put("kind", "key", b"v", expires_at=10)
    store = open_store("&options=-clock_timeout=50")
    with psycopg.connect(server) as holder:
        holder.execute("SELECT * FROM oidcgate_records FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="is locked") as refused:
            store.take("kind", "key", now=0)
        holder.rollback()
    assert refused.value.reason is StoreFailure.LOCKED
    assert store.take("kind", "key", now=0) is not None

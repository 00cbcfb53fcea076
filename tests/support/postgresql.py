"""A PostgreSQL of the tests' own: in its own folder, reached by a socket file, ended by its id."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

START_SECONDS = 60
#: The role that needs a password to come in; every other is trusted, since only the tests reach the folder.
LOCKED_ROLE = "locked"

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "max_connections": "200",
    # Who waits for whom is known, and a deadlock broken, soon.
    "deadlock_timeout": "50ms",
    "log_lock_waits": "on",
}


class Postgresql:
    """One server, running from the start.

    Attributes:
        folder: where its data, its socket and its log are.
    """

    def __init__(self) -> None:
        initdb, postgres = _program("initdb"), _program("postgres")
        if initdb is None or postgres is None:
            pytest.skip("PostgreSQL is not installed")
        # A short path: a socket's name has room for about 100 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="oidcgate-pg-"))
        # It refuses to run as root.
        self._user: dict[str, Any] = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
        if self._user:
            os.chown(self.folder, 65534, 65534)
        data = self.folder / "data"
        options = ["--username", "oidcgate", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        subprocess.run(
            [initdb, "--pgdata", data, *options],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._user,
        )
        rules = data / "pg_hba.conf"
        rules.write_text(f"local all {LOCKED_ROLE} scram-sha-256\nlocal all all trust\n")
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._command = [postgres, "-D", str(data), "-k", str(self.folder), *settings]
        self._log = (self.folder / "log").open("ab")
        self.start()
        with self.connection() as connection:
            connection.execute(f"CREATE ROLE {LOCKED_ROLE} LOGIN PASSWORD 'right-7nQ2'")

    def start(self) -> None:
        """Run it until it takes connections."""
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=self._log, cwd=self.folder, **self._user
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connection().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log_text()
                assert time.monotonic() < deadline, self.log_text()
                time.sleep(0.02)  # nothing announces a server that is ready; the loop is bounded
            else:
                return

    def stop(self) -> None:
        """End it at once; whoever is connected is cut off."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)

    def freeze(self) -> None:
        """It goes on accepting connections, in its kernel's name, and answers nothing."""
        self._frozen = [self._process.pid, *_children(self._process.pid)]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    kill = stop

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Until the block ends it takes connections, in its kernel's name, and answers nothing."""
        postmaster = self._process.pid
        # The postmaster first, so that it makes no more of them.
        os.kill(postmaster, signal.SIGSTOP)
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        family = [postmaster, *map(int, children)]
        try:
            for process in family[1:]:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in family:
                os.kill(process, signal.SIGCONT)

    def end(self) -> None:
        self.stop()
        self._log.close()
        shutil.rmtree(self.folder)

    def log_text(self) -> str:
        """All that it has written so far."""
        return (self.folder / "log").read_text(errors="replace")

    def address(self, database: str = "postgres") -> str:
        """How libpq names a database."""
        return f"host={self.folder} user=oidcgate dbname={database}"

    def url(self, database: str = "postgres", *, login: str = "oidcgate", more: str = "") -> str:
        """How SQLAlchemy names it; `login` is a role, or a role and its password."""
        return f"postgresql+psycopg://{login}@/{database}?host={self.folder}{more}"

    def connection(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A connection of the superuser, without transactions."""
        return psycopg.connect(self.address(database), autocommit=True)

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """A database of its own name until the block ends, a copy of another in which nobody is."""
        name = f"test_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self.connection() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield name
        finally:
            with self.connection() as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _program(name: str) -> str | None:
    # Debian keeps them out of PATH.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)]))

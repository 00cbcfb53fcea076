"""A sidecar of two processes whose known users are in a real PostgreSQL: changed, frozen, thawed."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.oidcgate.serve.sidecars import Configured, app_running, configured
from tests.support.postgresql import Postgresql
from tests.support.servers import ROOT, Server, running

pytestmark = [pytest.mark.live, pytest.mark.slow]

SECONDS = 60
SESSIONS = 20
USERS = """
[users]
source = "sql"
recheck_seconds = 1
timeout_seconds = 1
[users.sql]
url = "{url}"
query = "SELECT login AS user_name, employed AS active FROM people"
"""


@pytest.fixture
def database() -> Iterator[Postgresql]:
    server = Postgresql()
    try:
        with server.connection() as connection:
            connection.execute("CREATE TABLE people (login TEXT, employed BOOLEAN)")
            connection.cursor().executemany(
                "INSERT INTO people VALUES (%s, true)", [(f"Person{number}",) for number in range(SESSIONS)]
            )
        yield server
    finally:
        server.end()


@pytest.fixture
def sidecar(tmp_path: Path, database: Postgresql) -> Iterator[tuple[Configured, Server]]:
    with app_running() as upstream:
        at = configured(tmp_path / "gate", upstream)
        text = at.file.read_text().replace(
            '[users]\nsource = "file:users.toml"\n', USERS.format(url=database.url())
        )
        at.file.write_text(text)
        command = [sys.executable, "-m", "oidcgate", "serve", "--config", at.file]
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        with running(
            command, port=at.port, log=tmp_path / "log", cwd=ROOT, env={"PYTHONPATH": path}
        ) as server:
            yield at, server


def ask(at: Configured, path: str, cookie: str = "") -> tuple[int, bytes]:
    """Status and body; a connection of its own, so that either process may get it."""
    headers = {"Cookie": cookie} if cookie else {}
    request = urllib.request.Request(f"http://127.0.0.1:{at.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def statuses(at: Configured, cookies: list[str]) -> set[int]:
    """What many at once are answered, each several times."""
    with ThreadPoolExecutor(SESSIONS) as pool:
        return {status for status, _ in pool.map(lambda cookie: ask(at, "/page", cookie), cookies * 5)}


@pytest.mark.row("F-08", "G-05")
def test_an_outage_of_the_directory_costs_nobody_their_session(
    sidecar: tuple[Configured, Server], database: Postgresql
) -> None:
    at, server = sidecar
    cookies = [at.cookie(f"Person{number}") for number in range(SESSIONS)]
    assert statuses(at, cookies) == {200}, server.log_text()
    assert ask(at, "/page", at.cookie("Nobody"))[0] == 403

    database.freeze()
    try:
        # Every answer is due again and again meanwhile; one question at a time waits for its second.
        for _ in range(3):
            assert statuses(at, cookies) == {200}, server.log_text()
        assert ask(at, "/.oidcgate/readyz")[0] == 503
    finally:
        database.thaw()

    with database.connection() as connection:
        connection.execute("UPDATE people SET employed = false WHERE login = 'Person0'")
    for _ in range(1000):  # each process hears of it within a second or two
        if {ask(at, "/page", cookies[0])[0] for _ in range(6)} == {403}:
            break
    assert statuses(at, cookies[:1]) == {403}, server.log_text()
    assert statuses(at, cookies[1:]) == {200}, server.log_text()
    for _ in range(1000):  # what it said last holds for a second
        if {ask(at, "/.oidcgate/readyz")[0] for _ in range(6)} == {200}:
            break
    else:
        pytest.fail(server.log_text())
    assert server.log_text().count("answers again") >= 1

"""Signing in with known users of each kind of directory: let in, switched off, and while it is down."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_sign_in import sign_in
from tests.support.postgresql import Postgresql
from tests.support.scim import TOKEN, scim_server
from tests.support.sites import (
    APP,
    Sites,
    make_sites,
)
from tests.support.slapd import BASE, BIND_DN, BIND_PASSWORD, slapd

QUERY = "SELECT login AS user_name, full_name AS display_name, employed AS active FROM people"
TABLE = "CREATE TABLE people (login TEXT, full_name TEXT, employed BOOLEAN)"
FILL = "INSERT INTO people VALUES ('Alice', 'Alice Liddell', true), ('carol', 'Carol King', false)"
LEAVES = "UPDATE people SET employed = false WHERE login = 'Alice'"
STALE_SECONDS = 3600


@dataclass
class Directory:
    """A directory that knows Alice and, switched off, Carol.

    Attributes:
        users: the table `[users]` that names it.
        alice_leaves: switches Alice off.
        down: while it lasts the directory cannot be asked.
    """

    users: Mapping[str, Any]
    alice_leaves: Callable[[], object]
    down: Callable[[], AbstractContextManager[object]]


class People:
    """The function of the configuration, and what it knows."""

    known: dict[str, dict[str, Any]]
    error: Exception | None

    def find(self, name: str) -> dict[str, Any] | None:
        if self.error is not None:
            raise self.error
        return self.known.get(name.lower())


PEOPLE = People()


@contextmanager
def function(_: Path) -> Iterator[Directory]:
    PEOPLE.known = {
        "alice": {"userName": "Alice", "displayName": "Alice Liddell"},
        "carol": {"userName": "carol", "active": False},
    }
    PEOPLE.error = None

    @contextmanager
    def down() -> Iterator[None]:
        PEOPLE.error = RuntimeError("canary-of-the-function")
        yield
        PEOPLE.error = None

    users = {"source": "python:tests.flows.test_directories:PEOPLE.find"}
    yield Directory(users, lambda: PEOPLE.known["alice"].update(active=False), down)


@contextmanager
def sqlite(folder: Path) -> Iterator[Directory]:
    path = folder / "people.db"

    def run(*statements: str) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                db.execute(statement)

    @contextmanager
    def down() -> Iterator[None]:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield
            db.execute("ROLLBACK")

    run(TABLE, FILL)
    table = {"url": f"sqlite:///{path}", "query": QUERY}
    yield Directory({"source": "sql", "sql": table, "timeout_seconds": 0.5}, lambda: run(LEAVES), down)


@contextmanager
def postgresql(_: Path) -> Iterator[Directory]:
    server = Postgresql()
    try:
        with server.connection() as connection:
            connection.execute(TABLE)
            connection.execute(FILL)
            connection.execute("GRANT SELECT ON people TO locked")

        def leaves() -> None:
            with server.connection() as connection:
                connection.execute(LEAVES)

        url = server.url(login="locked:right-7nQ2")
        users = {"source": "sql", "sql": {"url": url, "query": QUERY}, "timeout_seconds": 1}
        yield Directory(users, leaves, lambda: _frozen(server))
    finally:
        server.end()


@contextmanager
def scim(folder: Path) -> Iterator[Directory]:
    alice = {"userName": "Alice", "displayName": "Alice Liddell"}
    with scim_server(folder) as server:
        base_url = server.tenant([alice, {"userName": "carol", "active": False}])
        users = {
            "source": "scim",
            "scim": {"base_url": base_url, "bearer_token": TOKEN},
            "timeout_seconds": 1,
        }
        yield Directory(
            users, lambda: server.change(base_url, "Alice", {"active": False}), lambda: _frozen(server)
        )


@contextmanager
def ldap(folder: Path) -> Iterator[Directory]:
    alice = {"userName": "Alice", "displayName": "Alice Liddell"}
    with slapd(folder / "slapd", [alice, {"userName": "carol", "active": False}]) as server:
        table = {
            "url": f"ldap://127.0.0.1:{server.port}",
            "base": BASE,
            "bind_dn": BIND_DN,
            "bind_password": BIND_PASSWORD,
        }
        users = {"source": "ldap", "ldap": table, "timeout_seconds": 1}
        yield Directory(
            users, lambda: server.change("alice", "nsAccountLock", "TRUE"), lambda: _frozen(server)
        )


@contextmanager
def _frozen(server: Any) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@pytest.fixture(
    params=[
        function,
        sqlite,
        pytest.param(postgresql, marks=pytest.mark.live),
        pytest.param(scim, marks=pytest.mark.live),
        pytest.param(ldap, marks=pytest.mark.live),
    ]
)
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Directory]:
    with request.param(tmp_path) as directory:
        yield directory


@pytest.fixture
def sites(directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Sites]:
    caplog.set_level(logging.DEBUG, "oidcgate")
    sites = make_sites(tmp_path, users={**directory.users, "max_stale_seconds": STALE_SECONDS})
    yield sites
    told = caplog.text + "".join(sites.events)
    assert not [
        secret for secret in (TOKEN, BIND_PASSWORD, "right-7nQ2", "canary-of-the-function") if secret in told
    ]
    close = getattr(getattr(sites.gate.parts.users, "_source", None), "close", None)
    if close is not None:
        close()


@pytest.mark.row("F-07", "F-08", "F-10")
def test_whoever_is_known_comes_in_under_the_directorys_name(sites: Sites) -> None:
    told = sign_in(sites.user_agent(), f"{APP}/deep").response.json()
    assert (told["user_name"], told["remote_user"]) == ("Alice", "Alice")

    page = sign_in(sites.user_agent(), f"{APP}/deep", "mallory")
    assert (page.status, page.main_id) == (403, "page-unknown-user")
    assert [call["PATH_INFO"] for call in sites.app.calls] == ["/deep"]


@pytest.mark.row("F-08")
def test_whoever_is_switched_off_is_out_within_a_minute(sites: Sites, directory: Directory) -> None:
    agent = sites.user_agent()
    sign_in(agent, f"{APP}/")
    directory.alice_leaves()
    sites.clock.now += 60
    page = agent.open(f"{APP}/again")
    assert (page.status, page.main_id) == (403, "page-unknown-user")
    assert len(sites.app.calls) == 1


def test_an_outage_lets_nobody_in_and_signs_nobody_out(sites: Sites, directory: Directory) -> None:
    agent, late = sites.user_agent(), sites.user_agent()
    sign_in(agent, f"{APP}/")
    with directory.down():
        sites.clock.now += STALE_SECONDS
        assert agent.open(f"{APP}/goes-on").response.json()["user_name"] == "Alice"

        page = sign_in(late, f"{APP}/")
        assert page.status == 503
        assert int(page.response.headers["Retry-After"]) > 0

        sites.clock.now += 2
        page = agent.open(f"{APP}/too-old")
        assert page.status == 503
        assert int(page.response.headers["Retry-After"]) > 0
        assert "Set-Cookie" not in page.response.headers
        assert agent.step(f"{APP}/.oidcgate/readyz").json()["directory"] == "unavailable"
    sites.clock.now += 2
    assert agent.step(f"{APP}/.oidcgate/readyz").json()["directory"] == "ok"
    assert agent.open(f"{APP}/back").response.json()["user_name"] == "Alice"
    assert late.open(f"{APP}/").response.json()["user_name"] == "Alice"
    assert [call["PATH_INFO"] for call in sites.app.calls] == ["/", "/goes-on", "/back", "/"]

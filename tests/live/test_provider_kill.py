"""SIGKILL between every two store statements, and at random under load: nothing is usable twice, nothing
acknowledged is lost. On both databases.
"""

import json
import os
import random
import signal
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url
from werkzeug.test import TestResponse

from tests.live.served_provider import ServedProvider
from tests.provider.world import World, copy_database
from tests.support.postgresql import Postgresql

pytestmark = [pytest.mark.live, pytest.mark.slow]

#: More statements than any exchange has.
_MANY = 100


def killed_at(world: World, statement: int, ask: Callable[[str], TestResponse], value: str) -> Any | None:
    """Ask in a child that gets SIGKILL before its store statement of that number, COMMIT counted as
    one.

    Returns:
        The answer, if the child lived to say so: the acknowledgement.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        left = statement

        def touch(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        engine = world.provider.parts.store.engine
        event.listen(engine, "before_cursor_execute", touch)
        event.listen(engine, "commit", touch)
        try:
            os.write(writer, json.dumps(ask(value).get_json()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as said:
        answer = said.read()
    assert os.waitstatus_to_exitcode(status) == (0 if answer else -signal.SIGKILL)
    return json.loads(answer) if answer else None


@pytest.fixture(scope="module")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with tables and a signing key."""
    path = tmp_path_factory.mktemp("provider") / "made.db"
    World.over(path).provider.parts.store.dispose()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.heavy)])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Iterator[str]]:
    """One database after the other, each with tables and a signing key."""
    with ExitStack() as open_ones:
        if request.param == "sqlite":
            made: Path = request.getfixturevalue("made_database")
            yield (f"sqlite:///{copy_database(made, tmp_path / f'{number}.db')}" for number in count())
            return
        server: Postgresql = request.getfixturevalue("postgresql_server")
        template: str = request.getfixturevalue("made_postgresql")
        yield (server.url(open_ones.enter_context(server.database(template))) for _ in count())


def sound(url: str) -> bool:
    """Whether the file is whole. What a killed client leaves in a server is the server's own affair."""
    name = make_url(url).database
    if not url.startswith("sqlite") or name is None:
        return True
    with sqlite3.connect(name) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(verdict == "ok")


def usable(world: World, tokens: dict[str, Any]) -> bool:
    return world.userinfo(tokens["access_token"]).status_code == 200


@pytest.mark.row("E-01", "P-04")
def test_a_code_between_every_two_statements(databases: Iterator[str]) -> None:
    outcomes: list[str] = []
    for statement, database in zip(range(_MANY), databases, strict=False):
        world = World.over(database)
        code = world.code()
        world.provider.parts.store.dispose()

        acknowledged = killed_at(world, statement, world.redeem, code)

        assert sound(database)
        if acknowledged is not None:
            assert usable(world, acknowledged)
        again = world.redeem(code)
        if acknowledged is not None:
            # Used, as it said: trying again ends it.
            assert again.status_code == 400
            assert not usable(world, acknowledged)
            outcomes.append("acknowledged")
        elif again.status_code == 200:
            # Nothing of it had happened. It is good once.
            assert usable(world, again.get_json())
            assert len(world.rows("access_tokens")) == len(world.rows("refresh_tokens")) == 1
            assert world.redeem(code).status_code == 400
            outcomes.append("unused")
        else:
            # It was used, and the answer got lost: what it gave is stopped, and nobody ever saw it.
            (grant,) = world.rows("grants")
            assert grant["revoked_at"] is not None
            outcomes.append("lost")
        world.provider.parts.store.dispose()
        if acknowledged is not None:
            break
    assert outcomes[-1] == "acknowledged"
    assert outcomes.count("unused") == len(outcomes) - 1 - outcomes.count("lost")
    assert outcomes.count("unused") >= 7


@pytest.mark.row("S-13", "P-06", "P-21")
def test_a_refresh_token_between_every_two_statements(databases: Iterator[str]) -> None:
    seen: list[int] = []
    for statement, database in zip(range(_MANY), databases, strict=False):
        world = World.over(database)
        first = world.tokens()
        world.provider.parts.store.dispose()

        acknowledged = killed_at(world, statement, world.refresh, first["refresh_token"])

        assert sound(database)
        # The retry of a client that heard nothing, or of one that heard: the same successor, and it works.
        retried = world.refresh(first["refresh_token"])
        assert retried.status_code == 200
        pair = retried.get_json()
        assert usable(world, pair)
        if acknowledged is not None:
            assert pair["refresh_token"] == acknowledged["refresh_token"]
            assert usable(world, acknowledged)
        assert len(world.rows("refresh_tokens")) == 2
        assert world.refresh(pair["refresh_token"]).status_code == 200
        # And the first one is good for nothing any more.
        assert world.refresh(first["refresh_token"]).status_code == 400
        assert not usable(world, pair)
        seen.append(statement)
        world.provider.parts.store.dispose()
        if acknowledged is not None:
            break
    assert acknowledged is not None
    assert len(seen) >= 8


@pytest.mark.row("E-01", "S-13", "P-04", "P-06")
def test_at_random_under_load(tmp_path: Path, empty_url: str) -> None:
    """Whole servers are killed while clients redeem and refresh; afterwards each client is asked what it was
    told.
    """
    chance = random.Random(20)  # noqa: S311 (how many, nothing secret)
    op = ServedProvider.configured(tmp_path, lifetimes="refresh_grace_seconds = 300", database=empty_url)
    for _ in range(3):
        codes = op.codes(60)
        told: dict[str, dict[str, Any]] = {}
        with op.served(workers=2) as server:
            clients = [threading.Thread(target=_use, args=(op, codes[n::6], told)) for n in range(6)]
            for client in clients:
                client.start()
            # Waits for what was told, not for a time: some are done, some are under way, some have not begun.
            enough = chance.randrange(5, 30)
            deadline = time.monotonic() + 60
            while len(told) < enough:
                assert time.monotonic() < deadline, server.log_text()
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(10)
            for client in clients:
                client.join(60)
        assert sound(empty_url)
        assert enough <= len(told) < len(codes)
        with op.served(workers=2):
            for code in codes:
                _account_for(op, code, told.get(code))


def _use(op: ServedProvider, codes: list[str], told: dict[str, dict[str, Any]]) -> None:
    """A client: redeems each code and refreshes once, noting the last thing it was told."""
    for code in codes:
        answer = op.redeem(code)
        if answer.status != 200:
            return
        told[code] = {"last": dict(answer.body), "tried": None}
        told[code]["tried"] = answer.body["refresh_token"]
        answer = op.refresh(answer.body["refresh_token"])
        if answer.status != 200:
            return
        told[code] = {"last": dict(answer.body), "tried": None}


def _account_for(op: ServedProvider, code: str, told: dict[str, Any] | None) -> None:
    if told is None:
        # Never acknowledged: good once, or used with nobody having seen what it gave.
        assert op.redeem(code).status in (200, 400)
        assert op.redeem(code).status == 400
        return
    last = told["last"]
    assert op.userinfo(last["access_token"]).status == 200
    if told["tried"] is not None:
        # A refresh whose answer got lost: the retry works.
        assert op.refresh(told["tried"]).status == 200
    assert op.redeem(code).status == 400
    assert op.userinfo(last["access_token"]).status == 401

"""What is good once, used by several processes and threads at the same moment, on both databases.

The full size, over real servers and sockets, is `tests/live/test_provider_races.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.provider.processes import race
from tests.provider.store_log import VARIABLE, LoggedStore, at_once, read_log
from tests.provider.world import World

PROCESSES, THREADS = 2, 6
ALL = PROCESSES * THREADS

Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store's log."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store.log"))
    monkeypatch.setattr("provider.build.Store", LoggedStore)
    return tmp_path / "store.log"


def used_at_once(
    url: str, log: Path, use: Callable[[World], TestResponse], **settings: Any
) -> tuple[list[dict[str, Any]], list[Answer]]:
    """What those got who were answered 200, and the other answers; all uses overlapped."""

    def act(world: World) -> Answer:
        answer = use(world)
        return answer.status_code, answer.get_json()

    log.unlink()
    answers: list[Answer] = [
        (status, body) for status, body in race(PROCESSES, THREADS, lambda: World.over(url, **settings), act)
    ]
    assert len(answers) == ALL
    under_way, processes = at_once(read_log(log))
    assert under_way >= THREADS
    assert processes == PROCESSES
    won = [body for status, body in answers if status == 200]
    return won, [answer for answer in answers if answer[0] != 200]


def errors(lost: list[Answer]) -> list[tuple[int, str]]:
    return [(status, body["error"]) for status, body in lost]


@pytest.mark.row("E-01", "P-04")
def test_a_code(url: str, log: Path) -> None:
    world = World.over(url)
    code = world.code()
    won, lost = used_at_once(url, log, lambda world: world.redeem(code))
    assert len(won) == 1
    assert errors(lost) == [(400, "invalid_grant")] * (ALL - 1)
    assert world.userinfo(won[0]["access_token"]).status_code == 401
    assert world.refresh(won[0]["refresh_token"]).status_code == 400
    assert [len(world.rows(table)) for table in ("access_tokens", "refresh_tokens", "grants")] == [1, 1, 1]
    world.provider.parts.store.dispose()


@pytest.mark.row("S-13", "P-06", "P-21", "P-23", "P-25")
def test_a_refresh_token_inside_the_grace(url: str, log: Path) -> None:
    world = World.over(url)
    token = world.tokens()["refresh_token"]
    won, lost = used_at_once(url, log, lambda world: world.refresh(token))
    assert lost == []
    ((successor, access),) = {(body["refresh_token"], body["access_token"]) for body in won}
    assert successor != token
    assert world.userinfo(access).status_code == 200
    assert world.refresh(successor).status_code == 200
    world.provider.parts.store.dispose()


@pytest.mark.row("S-13", "P-06", "P-22")
def test_a_refresh_token_without_a_grace(url: str, log: Path) -> None:
    settings = {"lifetimes": {"refresh_grace_seconds": 0}}
    world = World.over(url, **settings)
    token = world.tokens()["refresh_token"]
    won, lost = used_at_once(url, log, lambda world: world.refresh(token), **settings)
    assert len(won) == 1
    assert errors(lost) == [(400, "invalid_grant")] * (ALL - 1)
    assert world.userinfo(won[0]["access_token"]).status_code == 401
    assert world.refresh(won[0]["refresh_token"]).status_code == 400
    world.provider.parts.store.dispose()

"""SIGKILL at every touch of the database by sign-in, consent, code and sign-out: all of it happened, or
nothing. On both databases.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgresql import Postgresql

pytestmark = [pytest.mark.live, pytest.mark.slow]

Run = list[dict[str, Any]]

# What makes a look at the database the same as before the request, or the same as after it.
STORED = ("live", "noted", "agreed", "finished", "consents", "codes", "grants", "revoked")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.heavy)])
def server(request: pytest.FixtureRequest) -> list[str]:
    """The argument that says which database."""
    if request.param == "sqlite":
        return []
    server: Postgresql = request.getfixturevalue("postgresql_server")
    return [str(server.folder)]


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path, server: list[str]) -> Run:
    """Every attempt of one kind of request, in the order of the touch that killed it."""
    command = [sys.executable, "-m", "tests.live.killed_sign_in", request.param, str(tmp_path), *server]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    attempts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [attempt["status"] for attempt in attempts] == [-9] * (len(attempts) - 1) + [0]
    # At least: the session is read, a grant and a code are written, and that is committed; then it lives.
    assert len(attempts) >= 5, "the hook saw fewer statements than such a request has"
    return attempts


def stored(attempt: dict[str, Any]) -> dict[str, Any]:
    return {name: attempt[name] for name in STORED}


def whole_or_nothing(run: Run) -> dict[str, Any]:
    """No killed attempt left anything but what the first one, killed before it did anything, left."""
    *killed, complete = run
    for attempt in killed:
        assert stored(attempt) == stored(killed[0]), f"touch {attempt['touch']}"
    assert stored(complete) != stored(killed[0])
    return complete


@pytest.mark.row("E-01", "P-11")
@pytest.mark.parametrize("run", ["login"], indirect=True)
def test_login(run: Run) -> None:
    complete = whole_or_nothing(run)
    for attempt in run[:-1]:
        assert attempt["live"] == []
        assert not attempt["old_session_works"]
        # The same form signs in when it is sent again.
        assert "/authorize?interaction=" in attempt["again"]["location"]
    assert complete["live"] == complete["noted"] != []
    assert complete["acknowledged_session_works"]
    # What was not told to the browser is of no use to it: the old cookies hold no session.
    assert not complete["old_session_works"]


@pytest.mark.row("E-25", "P-11")
@pytest.mark.parametrize("run", ["second-login"], indirect=True)
def test_signing_in_again(run: Run) -> None:
    complete = whole_or_nothing(run)
    for attempt in run[:-1]:
        assert attempt["old_session_works"], "the session before was lost without a new one"
        assert "/authorize?interaction=" in attempt["again"]["location"]
    assert len(complete["live"]) == 1
    assert complete["acknowledged_session_works"]
    assert not complete["old_session_works"]


@pytest.mark.row("A-13")
@pytest.mark.parametrize("run", ["consent"], indirect=True)
def test_consent(run: Run) -> None:
    complete = whole_or_nothing(run)
    assert [attempt["consents"] for attempt in run] == [0] * (len(run) - 1) + [1]
    assert complete["agreed"] == [True]
    assert all("/authorize?interaction=" in attempt["again"]["location"] for attempt in run)


@pytest.mark.row("E-01", "P-04")
@pytest.mark.parametrize("run", ["code"], indirect=True)
def test_code(run: Run) -> None:
    """The interaction is finished where its code is written, or neither: one code at most leaves, and it
    works.
    """
    complete = whole_or_nothing(run)
    for attempt in run[:-1]:
        assert (attempt["finished"], attempt["codes"], attempt["grants"]) == (0, 0, 0)
    assert (complete["finished"], complete["codes"], complete["grants"]) == (1, 1, 1)
    assert complete["again"]["main_id"] == "page-error"
    assert [attempt["redeemed"] for attempt in run] == ["sub-alice"] * len(run)


@pytest.mark.row("E-01")
@pytest.mark.parametrize("run", ["silent-code"], indirect=True)
def test_code_for_a_session_that_is_there(run: Run) -> None:
    complete = whole_or_nothing(run)
    assert complete["codes"] == run[0]["codes"] + 1
    assert all(attempt["old_session_works"] for attempt in run)
    assert [attempt["redeemed"] for attempt in run] == ["sub-alice"] * len(run)


@pytest.mark.row("S-19", "P-30")
@pytest.mark.parametrize("run", ["logout"], indirect=True)
def test_logout(run: Run) -> None:
    """Session and tokens end together; a sign-out that was answered stays one."""
    complete = whole_or_nothing(run)
    for attempt in run[:-1]:
        assert attempt["old_session_works"]
        assert attempt["revoked"] == 0
    assert (complete["live"], complete["revoked"], complete["old_session_works"]) == ([], 1, False)
    # Asked again, each of them is signed out and led back.
    assert {attempt["again"]["location"] for attempt in run} == {"https://app.example/bye"}
    assert {attempt["userinfo"] for attempt in run} == {401}

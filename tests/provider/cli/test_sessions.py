"""`oidcgate-provider sessions`: who is signed in, who was not told of a sign-out, and ending both."""

import json

import pytest

from provider.services.logout import BACK_CHANNEL
from provider.store import logout_notices, participants, sessions
from provider.store.engine import Store
from provider.store.sessions import BrowserSession
from tests.provider.cli.shell import TOML, Shell, columns
from tests.provider.world import ALICE

FAR = 4_000_000_000
WITH_LOGOUT = TOML.replace(
    "[[users]]", 'backchannel_logout_uri = "https://app.example/out"\n[[users]]'
).replace('user_name = "alice"', f'user_name = "alice"\nuser_id = "{ALICE}"')


@pytest.fixture
def store(shell: Shell) -> Store:
    """With three sessions, two of them Alice's, and one that is over by its own time."""
    shell.config.write_text(WITH_LOGOUT)
    made = Store(f"sqlite:///{shell.folder / 'provider.db'}")
    with made.begin() as conn:
        for number, user_id, seen_at in (
            (1, ALICE, FAR),
            (2, ALICE, FAR),
            (3, "stranger", FAR),
            (4, ALICE, 1),
        ):
            session = BrowserSession(
                f"{number:064}", f"sid-{number}", user_id, 1_700_000_000, "", ("pwd",), 0, seen_at, FAR
            )
            sessions.add(conn, "default", session)
            participants.take_part(conn, "default", session.sid, "app", FAR)
    return made


def notices(store: Store) -> tuple[int, int, int]:
    with store.begin() as conn:
        logout_notices.write_due(conn, "default", BACK_CHANNEL, ["app"], 1_700_000_000, sessions=9)
        return logout_notices.count(conn, "default")


def test_sessions_are_listed_with_their_applications(shell: Shell, store: Store) -> None:
    lines = columns(shell.run("sessions", "list"))
    assert [(line[0], line[1], line[4]) for line in lines] == [
        ("sid-1", "alice", "app"),
        ("sid-2", "alice", "app"),
        ("sid-3", "stranger", "app"),
    ]
    assert lines[0][2].startswith("2023-11-14")
    assert [line[0] for line in columns(shell.run("sessions", "list", "--user", "Alice"))] == [
        "sid-1",
        "sid-2",
    ]
    assert [line[0] for line in columns(shell.run("sessions", "list", "--user", "stranger", "--sub"))] == [
        "sid-3"
    ]
    assert "there is no user 'bob'" in shell.run("sessions", "list", "--user", "bob", code=1).stderr


@pytest.mark.parametrize(
    ("options", "left"),
    [
        pytest.param(["--sid", "sid-2"], ["sid-1", "sid-3"], id="one"),
        pytest.param(["--user", "alice"], ["sid-3"], id="person"),
        pytest.param(["--user", "stranger", "--sub"], ["sid-1", "sid-2"], id="sub"),
        pytest.param(["--everybody"], [], id="everybody"),
    ],
)
@pytest.mark.row("P-33")
def test_what_is_revoked_ends_and_is_told_of(
    shell: Shell, store: Store, options: list[str], left: list[str]
) -> None:
    result = shell.run("sessions", "revoke", *options)
    assert [line[0] for line in columns(shell.run("sessions", "list"))] == left
    events = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    ended = {event["sid"] for event in events if event["event"] == "provider.logged_out"}
    assert ended >= {"sid-1", "sid-2", "sid-3"} - set(left)
    assert result.stdout == f"sessions that ended: {len(ended)}\n"
    assert notices(store) == (0, len(ended), 0)


@pytest.mark.parametrize(
    "options", [[], ["--sid", "x", "--user", "alice"], ["--everybody", "--user", "alice"]]
)
def test_revoke_has_to_be_told_what(shell: Shell, options: list[str]) -> None:
    assert (
        "name one of --sid, --user and --everybody"
        in shell.run("sessions", "revoke", *options, code=2).output
    )


def test_a_session_that_is_not_there_is_an_error(shell: Shell, store: Store) -> None:
    assert "there is no session sid-9" in shell.run("sessions", "revoke", "--sid", "sid-9", code=1).stderr
    shell.run("sessions", "revoke", "--sid", "sid-1")
    assert "there is no session sid-1" in shell.run("sessions", "revoke", "--sid", "sid-1", code=1).stderr


def test_notices_that_wait_and_that_failed_and_their_retry(shell: Shell, store: Store) -> None:
    shell.run("sessions", "revoke", "--user", "alice")
    result = shell.run("sessions", "notices")
    assert result.stdout == ""
    assert "nobody was told yet: 3; notices that wait: 0; that failed: 0" in result.stderr
    assert notices(store) == (0, 3, 0)
    with store.begin() as conn:
        first, second, _ = logout_notices.lease(conn, "default", "app", FAR, until=FAR, limit=9)
        logout_notices.settle_later(conn, "default", [(second, "timeout: no answer", FAR)])
        logout_notices.settle_failed(conn, "default", [(first, "status 400")], 1_700_000_060)

    waiting = columns(shell.run("sessions", "notices"))
    assert len(waiting) == 2
    assert ["app", second.sid, "timeout: no answer"] in [[line[0], line[1], line[5]] for line in waiting]
    (failed,) = columns(shell.run("sessions", "notices", "--failed"))
    assert [failed[0], failed[1], failed[3], failed[5]] == ["app", first.sid, "1", "status 400"]
    assert columns(shell.run("sessions", "notices", "--failed", "--client", "other")) == []

    assert shell.run("sessions", "retry", "--client", "other").stdout == "notices that are sent again: 0\n"
    assert shell.run("sessions", "retry").stdout == "notices that are sent again: 1\n"
    assert columns(shell.run("sessions", "notices", "--failed")) == []


@pytest.mark.row("P-33")
@pytest.mark.parametrize("command", ["disable", "password"])
def test_what_locks_a_person_out_is_told_of(shell: Shell, store: Store, command: str) -> None:
    shell.run("user", "add", "bea", "--no-password")
    (bea,) = [line for line in columns(shell.run("user", "list")) if line[0] == "bea"]
    with store.begin() as conn:
        session = BrowserSession("b" * 64, "sid-b", bea[3], 0, "", ("pwd",), 0, FAR, FAR)
        sessions.add(conn, "default", session)
        participants.take_part(conn, "default", "sid-b", "app", FAR)
    options = ["--password-stdin"] if command == "password" else []
    shell.run("user", command, "bea", *options, stdin="a better password\n")
    assert notices(store) == (0, 1, 0)

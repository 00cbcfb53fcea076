"""What is good once, used by several processes and threads at the same moment, on both databases.

The full size, over real servers and sockets, is `tests/live/test_provider_races.py`.
"""

import os
from collections.abc import Callable
from threading import get_native_id
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection
from werkzeug.test import TestResponse

from oidcgate.slowing import Rule
from provider.services.keyring import RotationPending
from provider.services.throttle import Scope, take_attempt
from provider.store import assertions, device_codes, grants, interactions, sessions, totp
from provider.store.device_codes import DeviceCode
from provider.store.engine import Store
from provider.store.grants import CodeRow, GrantRow, RefreshTokenRow
from provider.store.interactions import UNCLAIMED, Interaction
from provider.store.sessions import BrowserSession
from tests.provider.asserting import claims, client, key, presenting, public, sign
from tests.provider.meeting import Meeting
from tests.provider.processes import race
from tests.provider.registering import GOOD, initial_token, register, registering
from tests.provider.world import REDIRECT_URI, VERIFIER, World

PROCESSES, THREADS = 2, 6
ALL = PROCESSES * THREADS

T = TypeVar("T")

Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Meeting:
    """Of all threads of all processes, before the first transaction of each."""
    meeting = Meeting(ALL)
    monkeypatch.setattr(Store, "begin", meeting.held_up(Store.begin))
    return meeting


def all_at_once(meeting: Meeting, prepare: Callable[[], T], act: Callable[[T], Any]) -> list[Any]:
    """What `act` said to each; all of them wanted their first transaction at the same moment."""

    def expected(prepared: T) -> Any:
        with meeting.expects():
            return act(prepared)

    said = race(PROCESSES, THREADS, prepare, expected)
    assert len(said) == ALL
    return said


def used_at_once(
    url: str, meeting: Meeting, use: Callable[[World], TestResponse], **settings: Any
) -> tuple[list[dict[str, Any]], list[Answer]]:
    """What those got who were answered 200, and the other answers."""

    def act(world: World) -> Answer:
        answer = use(world)
        return answer.status_code, answer.get_json()

    answers: list[Answer] = [
        (status, body) for status, body in all_at_once(meeting, lambda: World.over(url, **settings), act)
    ]
    won = [body for status, body in answers if status in (200, 201)]
    return won, [answer for answer in answers if answer[0] not in (200, 201)]


def errors(lost: list[Answer]) -> list[tuple[int, str]]:
    return [(status, body["error"]) for status, body in lost]


@pytest.mark.row("E-23")
def test_an_initial_access_token(url: str, meeting: Meeting) -> None:
    world = registering(url)
    token = initial_token(world, uses=1)
    won, lost = used_at_once(
        url, meeting, lambda world: register(world, token=token), registration={"enabled": True}
    )
    assert len(won) == len(world.rows("clients")) == 1
    assert errors(lost) == [(401, "invalid_token")] * (ALL - 1)
    world.provider.parts.store.dispose()


@pytest.mark.row("E-23")
def test_the_last_place_for_a_client(url: str, meeting: Meeting) -> None:
    world = registering(url)
    policy = {"enabled": True, "insecure_open_registration": True, "max_clients": 1}
    won, lost = used_at_once(
        url, meeting, lambda world: world.browser().post("/register", json=GOOD), registration=policy
    )
    assert len(won) == len(world.rows("clients")) == 1
    assert errors(lost) == [(503, "temporarily_unavailable")] * (ALL - 1)
    world.provider.parts.store.dispose()


@pytest.mark.row("E-01", "P-04")
def test_a_code(url: str, meeting: Meeting) -> None:
    world = World.over(url)
    code = world.code()
    won, lost = used_at_once(url, meeting, lambda world: world.redeem(code))
    assert len(won) == 1
    assert errors(lost) == [(400, "invalid_grant")] * (ALL - 1)
    assert world.userinfo(won[0]["access_token"]).status_code == 401
    assert world.refresh(won[0]["refresh_token"]).status_code == 400
    assert [len(world.rows(table)) for table in ("access_tokens", "refresh_tokens", "grants")] == [1, 1, 1]
    world.provider.parts.store.dispose()


@pytest.mark.row("S-13", "P-06", "P-21", "P-23", "P-25")
def test_a_refresh_token_inside_the_grace(url: str, meeting: Meeting) -> None:
    world = World.over(url)
    token = world.tokens()["refresh_token"]
    won, lost = used_at_once(url, meeting, lambda world: world.refresh(token))
    assert lost == []
    ((successor, access),) = {(body["refresh_token"], body["access_token"]) for body in won}
    assert successor != token
    assert world.userinfo(access).status_code == 200
    assert world.refresh(successor).status_code == 200
    world.provider.parts.store.dispose()


@pytest.mark.row("S-13", "P-06", "P-22")
def test_a_refresh_token_without_a_grace(url: str, meeting: Meeting) -> None:
    settings = {"lifetimes": {"refresh_grace_seconds": 0}}
    world = World.over(url, **settings)
    token = world.tokens()["refresh_token"]
    won, lost = used_at_once(url, meeting, lambda world: world.refresh(token), **settings)
    assert len(won) == 1
    assert errors(lost) == [(400, "invalid_grant")] * (ALL - 1)
    assert world.userinfo(won[0]["access_token"]).status_code == 401
    assert world.refresh(won[0]["refresh_token"]).status_code == 400
    world.provider.parts.store.dispose()


@pytest.mark.row("P-07")
def test_a_client_assertion(url: str, meeting: Meeting) -> None:
    keys = public(key("RSA"))
    clients = [client(client_secret=None, auth_method="private_key_jwt", jwks=keys)]
    world = World.over(url, clients=clients)
    code, assertion = world.code(), sign(claims(world), key("RSA"), "RS256")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
    form |= {"code_verifier": VERIFIER, **presenting(assertion)}
    won, lost = used_at_once(url, meeting, lambda world: world.token(form, auth=None), clients=clients)
    assert len(won) == 1
    # Each of the others was refused before it came to the code, whose second use would have ended the tokens.
    assert errors(lost) == [(401, "invalid_client")] * (ALL - 1)
    assert world.userinfo(won[0]["access_token"]).status_code == 200
    assert len(world.rows("assertions")) == 1
    world.provider.parts.store.dispose()


def test_devices_that_start_at_once_keep_to_the_limit_and_have_codes_of_their_own(
    url: str, meeting: Meeting
) -> None:
    tv = {"client_id": "tv", "auth_method": "none", "flows": ["device_code"]}
    settings = {"clients": [tv], "throttle": {"devices_per_client": 5}}
    World.over(url, **settings).provider.parts.store.dispose()
    form = {"client_id": "tv", "scope": "openid"}
    won, lost = used_at_once(
        url, meeting, lambda world: world.post("/device_authorization", form), **settings
    )
    assert len(won) == 5
    assert len({body["user_code"] for body in won}) == 5
    assert errors(lost) == [(400, "slow_down")] * (ALL - 5)


def race_over_the_store(url: str, meeting: Meeting, act: Callable[[Connection], Any]) -> list[Any]:
    """What `act` said in each transaction."""

    def run(store: Store) -> Any:
        with store.begin() as conn:
            return act(conn)

    return all_at_once(meeting, lambda: Store(url), run)


ONCE: dict[str, Callable[[Connection], bool]] = {
    "code": lambda conn: grants.consume_code(conn, "default", "c", 5),
    "refresh-token": lambda conn: grants.consume_refresh_token(conn, "default", "r", 5, "sealed"),
    "interaction": lambda conn: interactions.finish(conn, "default", "i", 5),
    "unclaimed-interaction": lambda conn: interactions.claim(conn, "default", "i", str(get_native_id())),
    "session": lambda conn: sessions.end(conn, "default", "s", 5),
    "grant": lambda conn: grants.revoke_grant(conn, "default", "g", 5, "test"),
    "code-of-an-authenticator": lambda conn: totp.accept(conn, "default", "u", 7, "sealed"),
    "answer-to-a-device": lambda conn: device_codes.decide(conn, "default", "d", str(get_native_id()), 5),
    "code-of-a-device": lambda conn: device_codes.consume(conn, "default", "a", 5),
    "assertion": lambda conn: assertions.use_assertion(conn, "default", "a", 9),
    "new-authenticator": lambda conn: totp.add(conn, "default", totp.Totp("new", "sealed", 1, 1)),
}


@pytest.fixture
def stored(url: str) -> str:
    """A database with one of each that is good once."""
    store = Store(url)
    with store.begin() as conn:
        grants.insert_grant(conn, "default", GrantRow("g", "app", "u", "sid", (), 0, "", (), 0, 9))
        grants.insert_code(conn, "default", CodeRow("c", "g", "app", "", None, None, 9))
        grants.insert_refresh_token(conn, "default", RefreshTokenRow("r", "g", None, (), 0, 9))
        interactions.add(conn, "default", Interaction("i", UNCLAIMED, "app", "", {}, {}, 0, 9, None))
        sessions.add(conn, "default", BrowserSession("s", "sid", "u", 0, "", (), 0, 0, 9))
        totp.add(conn, "default", totp.Totp("u", "sealed", 6, 1))
        for name in ("d", "a"):
            row = DeviceCode(name, f"typed-{name}", "app", (), None, 5, 0, 9)
            device_codes.add(conn, "default", row)
        device_codes.decide(conn, "default", "a", "g", 5)
    store.dispose()
    return url


@pytest.mark.row("P-04", "P-06")
@pytest.mark.parametrize("thing", ONCE)
def test_what_is_good_once_is_had_by_one(stored: str, meeting: Meeting, thing: str) -> None:
    assert sorted(race_over_the_store(stored, meeting, ONCE[thing])) == [False] * (ALL - 1) + [True]


def test_hosts_that_start_at_once_make_one_set_of_tables_and_one_key(empty_url: str) -> None:
    def start(_: None) -> list[str]:
        world = World.over(empty_url)
        return [row["kid"] for row in world.rows("keys")]

    # A host starts once in a process, and Alembic keeps what it works on in one place for all threads.
    hosts = 2 * PROCESSES
    kids = race(hosts, 1, lambda: None, start)
    assert len(kids) == hosts
    assert len({kid for (kid,) in kids}) == 1


@pytest.mark.row("A-13", "C-13")
def test_consents_of_one_person_at_once_are_all_kept(url: str, meeting: Meeting) -> None:
    def agree(world: World) -> str:
        parts, client_id = world.provider.parts, f"client-{os.getpid()}-{get_native_id()}"
        scopes = frozenset({"openid"})
        with parts.store.begin() as conn:
            parts.consents.remember(conn, world.realm, "sub", client_id, scopes, scopes, world.now)
        return client_id

    World.over(url).provider.parts.store.dispose()
    agreed = all_at_once(meeting, lambda: World.over(url), agree)
    world = World.over(url)
    with world.provider.parts.store.read() as conn:
        kept = world.provider.parts.consents.of(conn, world.realm, "sub").consents
    assert sorted(entry.client_id for entry in kept) == sorted(agreed)
    assert len(kept) == ALL
    world.provider.parts.store.dispose()


@pytest.mark.row("P-25")
def test_rotations_at_once_are_one_and_the_others_are_told(url: str) -> None:
    def rotate(world: World) -> str:
        keys, store = world.provider.parts.keys, world.provider.parts.store
        try:
            return keys.rotate(store, world.realm, "RS256", world.now).state
        except RotationPending:
            return "pending"

    said = race(PROCESSES, 2, lambda: World.over(url), rotate)
    assert sorted(said) == ["next", *["pending"] * (PROCESSES * 2 - 1)]
    world = World.over(url)
    assert sorted(row["state"] for row in world.rows("keys")) == ["current", "next"]
    world.provider.parts.store.dispose()


def test_as_many_guesses_at_once_are_as_many_failures(url: str, meeting: Meeting) -> None:
    """Of a name that nobody tried before: there is no counter yet that could be locked."""
    rule = Rule(free=4, first_delay_seconds=60, longest_delay_seconds=60, forget_seconds=3600)
    scopes = [Scope(key, rule, own=True) for key in ("pair:a", "account:a", "network:n")]
    said = race_over_the_store(url, meeting, lambda conn: take_attempt(conn, "default", scopes, 1000))
    # Four are free, the fifth is charged and begins the wait, and the others are told of it.
    assert sorted(said) == [0] * 5 + [60] * (ALL - 5)

"""Ended rows go: each kind so long after its end, a few at a time, without anybody waiting for it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import insert

from oidcgate.slowing import Counter
from provider.services.housekeeping import INTERVAL_SECONDS, Housekeeping
from provider.store import throttle
from provider.store.engine import Store
from provider.store.grants import AccessTokenRow, GrantRow, insert_access_token, insert_grant, revoke_grant
from provider.store.interactions import Interaction
from provider.store.schema import browser_sessions, interactions, metadata, session_clients
from tests.provider.world import World, error_of
from tests.support.postgresql import Postgresql

HOUR, DAY = 3600, 86_400
SWEPT = (
    "interactions",
    "browser_sessions",
    "session_clients",
    "logout_notices",
    "throttle",
    "codes",
    "device_codes",
    "access_tokens",
    "refresh_tokens",
    "grants",
    "assertions",
    "revoked_tokens",
    "initial_tokens",
)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    made = World.over(url)
    yield made
    made.provider.parts.store.dispose()


def counts(world: World) -> dict[str, int]:
    return {table: len(world.rows(table)) for table in SWEPT}


def sweep(world: World) -> int:
    return world.provider.parts.housekeeping.sweep(world.now)


def add_interactions(world: World, count: int) -> None:
    with world.provider.parts.store.begin() as conn:
        for number in range(count):
            row = Interaction(f"hash-{number}", "", "app", "", {}, {}, 0, world.now, None)
            conn.execute(insert(interactions).values(realm_id="default", **vars(row)))


def test_each_kind_goes_when_it_is_of_no_use_any_more(world: World) -> None:
    tokens = world.tokens()
    one_each = {**dict.fromkeys(SWEPT, 0), "codes": 1, "access_tokens": 1, "refresh_tokens": 1, "grants": 1}
    assert counts(world) == one_each

    world.clock.move(HOUR + 299)
    assert sweep(world) == 0
    assert world.userinfo(tokens["access_token"]).status_code == 200  # it has ended, and the skew has not

    world.clock.move(INTERVAL_SECONDS)
    assert sweep(world) == 1
    assert counts(world) == {**one_each, "access_tokens": 0}
    assert error_of(world.userinfo(tokens["access_token"])) == (401, "invalid_token")

    world.clock.move(DAY)
    assert sweep(world) == 1
    assert counts(world) == {**one_each, "access_tokens": 0, "codes": 0}
    assert world.refresh(tokens["refresh_token"]).status_code == 200

    world.clock.move(29 * DAY)
    assert sweep(world) == 3  # both refresh tokens, and the access token
    assert counts(world) == {**dict.fromkeys(SWEPT, 0), "grants": 1}
    world.clock.move(DAY)
    assert sweep(world) == 1
    assert counts(world) == dict.fromkeys(SWEPT, 0)


def test_a_code_that_ended_is_still_known_when_it_comes_again(world: World) -> None:
    code = world.code()
    tokens = world.redeem(code).get_json()
    world.clock.move(DAY)
    sweep(world)
    assert error_of(world.redeem(code)) == (400, "invalid_grant")
    assert error_of(world.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    (grant,) = world.rows("grants")
    assert grant["revoke_reason"] == "code_reused"


def test_a_grant_stays_as_long_as_a_token_hangs_on_it(url: str) -> None:
    world = World.over(url, lifetimes={"access_token_hours": 100.0, "refresh_token_hours": 1.0})
    tokens = world.tokens()
    world.clock.move(90 * HOUR)
    sweep(world)
    assert world.userinfo(tokens["access_token"]).status_code == 200
    world.clock.move(11 * HOUR)
    sweep(world)
    assert world.rows("grants") == []
    world.provider.parts.store.dispose()


def test_a_counter_stays_while_it_is_waited_on_or_not_forgotten(world: World) -> None:
    now = world.now
    with world.provider.parts.store.begin() as conn:
        throttle.write(conn, "default", "old", Counter(1, now - HOUR, 0))
        throttle.write(conn, "default", "waiting", Counter(9, now - 9 * HOUR, now + DAY))
        throttle.write(conn, "default", "young", Counter(1, now + 61, 0))
    world.clock.move(INTERVAL_SECONDS)
    assert sweep(world) == 1
    assert {row["scope_key"] for row in world.rows("throttle")} == {"waiting", "young"}


def test_rows_that_have_to_stay_hide_no_others(world: World) -> None:
    """A whole batch of them ended before the one that may go, in each table of that kind."""
    parts, now = world.provider.parts, world.now
    with parts.store.begin() as conn:
        for number in range(6):
            stays = number < 5
            ended = now - 9 * DAY + number
            throttle.write(conn, "default", f"k{number}", Counter(9, ended, now + DAY if stays else 0))
            insert_grant(conn, "default", GrantRow(f"g{number}", "app", "u", "s", (), 0, "", (), 0, ended))
            session = {
                "realm_id": "default",
                "sid": f"s{number}",
                "session_hash": f"h{number}",
                "user_id": "u",
                "auth_time": 0,
                "acr": "",
                "amr": [],
                "created_at": 0,
                "seen_at": 0,
                "expires_at": ended,
            }
            conn.execute(insert(browser_sessions).values(**session, ended_at=ended if stays else None))
            taking = {"realm_id": "default", "sid": f"s{number}", "client_id": "app", "expires_at": ended}
            conn.execute(insert(session_clients).values(**taking))
            if stays:
                token = AccessTokenRow(f"t{number}", f"g{number}", "app", (), None, 0, now + DAY)
                insert_access_token(conn, "default", token)
    keeper = Housekeeping(parts.store, parts.realms, parts.housekeeping.unused, due_at=0, batch=2)
    rounds = 0
    while keeper.is_due(now) and rounds < 9:
        keeper.sweep(now)
        rounds += 1
    assert rounds < 9, "it ends, though rows stay"
    assert {row["scope_key"] for row in world.rows("throttle")} == {f"k{n}" for n in range(5)}
    assert {row["grant_id"] for row in world.rows("grants")} == {f"g{n}" for n in range(5)}
    for table in ("browser_sessions", "session_clients"):
        assert {row["sid"] for row in world.rows(table)} == {f"s{n}" for n in range(5)}, table


def test_other_realms_keep_theirs_until_their_own_turn(url: str) -> None:
    world = World.over(url, realms=[{"name": "two"}])
    parts = world.provider.parts
    grant = GrantRow("g", "app", "u", "s", (), 0, "", (), 0, expires_at=1)
    with parts.store.begin() as conn:
        for realm in ("default", "two", "gone"):
            insert_grant(conn, realm, grant)
            revoke_grant(conn, realm, "g", 1, "test")
    Housekeeping(parts.store, parts.realms[:1], parts.housekeeping.unused, due_at=0).sweep(world.now)
    assert {row["realm_id"] for row in world.rows("grants")} == {"two", "gone"}
    Housekeeping(parts.store, parts.realms, parts.housekeeping.unused, due_at=0).sweep(world.now)
    assert {row["realm_id"] for row in world.rows("grants")} == {"gone"}
    parts.store.dispose()


def test_a_batch_is_bounded_and_the_rest_goes_with_the_next_requests(world: World) -> None:
    parts = world.provider.parts
    keeper = Housekeeping(parts.store, parts.realms, parts.housekeeping.unused, due_at=0, batch=4)
    add_interactions(world, 9)
    world.clock.move(1)
    left = []
    while keeper.is_due(world.now):
        keeper.sweep(world.now)
        left.append(len(world.rows("interactions")))
    assert left == [5, 1, 0]
    assert not keeper.is_due(world.now + INTERVAL_SECONDS - 1)
    assert keeper.is_due(world.now + INTERVAL_SECONDS)


@pytest.mark.live
def test_a_row_that_somebody_else_is_changing_is_left_and_not_waited_for(
    postgresql_server: Postgresql, made_postgresql: str
) -> None:
    """In SQLite a transaction that writes is alone."""
    with postgresql_server.database(made_postgresql) as name:
        leave_what_is_being_changed(postgresql_server.url(name))


def leave_what_is_being_changed(url: str) -> None:
    world = World.over(url)
    parts = world.provider.parts
    add_interactions(world, 3)
    world.clock.move(INTERVAL_SECONDS)
    other = Store(url)
    with other.begin() as conn:
        conn.execute(
            interactions.update().where(interactions.c.id_hash == "hash-1").values(finished_at=world.now)
        )
        assert sweep(world) == 2
    assert [row["id_hash"] for row in world.rows("interactions")] == ["hash-1"]
    other.dispose()
    parts.store.dispose()


def test_a_server_sweeps_after_it_has_answered(world: World) -> None:
    add_interactions(world, 3)
    world.clock.move(INTERVAL_SECONDS - 1)
    world.browser().get("/healthz").close()
    assert len(world.rows("interactions")) == 3
    world.clock.move(1)
    response = world.browser().get("/healthz")
    assert response.status_code == 200
    assert len(world.rows("interactions")) == 3
    response.close()
    assert world.rows("interactions") == []


def test_a_database_in_trouble_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts = world.provider.parts
    add_interactions(world, 1)
    nowhere = Store("sqlite:////nowhere/x.db")
    keeper = Housekeeping(nowhere, parts.realms, parts.housekeeping.unused, due_at=0)
    with caplog.at_level("INFO", "provider"):
        assert keeper.sweep(world.now) == 0
    assert "ended rows were not deleted" in caplog.text
    assert not keeper.is_due(world.now + 1)


def test_every_table_that_has_an_end_is_swept() -> None:
    """What has `expires_at` grows with every request; a new table of that kind has to be swept as well."""
    ending = {table.name for table in metadata.tables.values() if "expires_at" in table.c}
    assert ending <= set(SWEPT)

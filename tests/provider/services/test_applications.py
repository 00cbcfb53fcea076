"""The applications of one person: joined from consents and tokens, and taken away."""

import threading
from collections.abc import Iterator

import pytest

from provider.services.applications import Application, joined
from provider.services.consent_record import Consent
from provider.store.person_tokens import Given, Held
from tests.provider.databases import one_after_the_other
from tests.provider.world import ALICE, World


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """A provider over each of the databases."""
    made = World.over(url)
    yield made
    made.provider.parts.store.dispose()


@pytest.mark.row("E-26", "A-28")
def test_what_is_known_of_each_is_joined() -> None:
    found = joined(
        {"b": "beta", "c": "Alpha", "a": "beta", "d": "gamma"},
        {"b": Consent("b", ("email", "openid"), 5), "d": Consent("d", ("openid",), 7)},
        {"c": Given("c", ("openid",), 3), "a": Given("a", (), 4)},
        {"b": Held("b", 2, 90), "c": Held("c", 1, 80)},
    )
    assert found == (
        Application("c", "Alpha", ("openid",), False, 3, 1, 80),
        Application("a", "beta", (), False, 4, 0, None),
        Application("b", "beta", ("email", "openid"), True, 5, 2, 90),
        Application("d", "gamma", ("openid",), True, 7, 0, None),
    )


@pytest.mark.row("E-26", "A-28")
def test_everything_is_taken_from_every_application(world: World) -> None:
    parts, realm = world.provider.parts, world.realm
    tokens = [world.tokens(), world.tokens(scope=("openid",))]
    world.code(user_id="somebody")
    with parts.store.begin() as conn:
        agreed = frozenset({"openid"})
        for client_id in ("app", "gone"):
            parts.consents.remember(conn, realm, ALICE, client_id, agreed, agreed, world.now)
        before = parts.applications.of(conn, realm, ALICE, world.now)
        assert [(one.client_id, one.name, one.tokens) for one in before] == [
            ("gone", "gone", 0),
            ("app", "The app", 3),
        ]
        events = parts.applications.revoke_all(conn, realm, ALICE, world.now, by="operator")
    assert {(event.client_id, event.grants, event.by) for event in events} == {
        ("app", 2, "operator"),
        ("gone", 0, "operator"),
    }
    with parts.store.begin() as conn:
        assert parts.applications.of(conn, realm, ALICE, world.now) == ()
        assert parts.applications.revoke_all(conn, realm, ALICE, world.now, by="person") == ()
        assert parts.applications.revoke(conn, realm, ALICE, "app", world.now, by="person") is None
    assert {world.userinfo(one["access_token"]).status_code for one in tokens} == {401}
    stopped = {(row["user_id"], row["revoke_reason"]) for row in world.rows("grants")}
    assert stopped == {(ALICE, "consent_withdrawn"), ("somebody", None)}


@pytest.mark.row("E-26", "P-04")
def test_a_refresh_against_a_revocation(world: World) -> None:
    """Whichever is first: nothing is good afterwards that came of the grant."""
    parts, realm = world.provider.parts, world.realm
    first = world.tokens()["refresh_token"]
    answers = []
    ready = threading.Barrier(2)

    def refresh() -> None:
        ready.wait(30)
        answers.append(world.refresh(first))

    def revoke() -> None:
        ready.wait(30)
        with parts.store.begin() as conn:
            parts.applications.revoke(conn, realm, ALICE, "app", world.now, by="person")

    threads = [threading.Thread(target=act) for act in (refresh, revoke)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (answer,) = answers
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        given = answer.get_json()
        assert world.userinfo(given["access_token"]).status_code == 401
        assert world.refresh(given["refresh_token"]).status_code == 400
    with parts.store.read() as conn:
        assert parts.applications.of(conn, realm, ALICE, world.now) == ()


@pytest.mark.row("E-26", "P-28")
def test_two_tabs_take_the_same_away(world: World) -> None:
    parts, realm = world.provider.parts, world.realm
    world.tokens()
    said = one_after_the_other(
        parts.store,
        lambda conn: parts.applications.revoke(conn, realm, ALICE, "app", world.now, by="person"),
        lambda conn: parts.applications.revoke(conn, realm, ALICE, "app", world.now, by="person"),
    )
    assert [event is not None for event in said] == [True, False]

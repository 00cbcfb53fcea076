"""A password that is changed, or whose owner is switched off, while it is checked, opens nothing any more.

Whoever changes it means to shut out those who know the old one, and they may be trying at that moment.
"""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from argon2 import PasswordHasher
from werkzeug.test import TestResponse

from provider.endpoints.login import Login
from provider.factors.password import Busy, PasswordFactor, PasswordVerdict
from provider.store.users import User
from tests.provider.databases import made_postgresql, url
from tests.provider.endpoints.apis import as_client, world_with_apis
from tests.provider.sign_in.place import Browser, authorize_url
from tests.provider.world import CHALLENGE, REDIRECT_URI, World

__all__ = ["made_postgresql", "url"]

OLD = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """A provider with one person in its database, whose hash is older than today's cost."""
    made = world_with_apis(url)
    parts = made.provider.parts
    with parts.store.begin() as conn:
        parts.users.add(conn, made.realm, "carol", OLD.hash("old"), {}, made.now)
    yield made
    parts.store.dispose()


def factor_of(world: World) -> PasswordFactor:
    (login,) = (route.endpoint for route in world.provider.parts.routes if route.path == "/login")
    assert isinstance(login, Login)
    return login.attempts.factor


def meanwhile(world: World, change: Callable[[], None]) -> Any:
    """Whatever is checked is checked as it was before the change."""
    factor = factor_of(world)
    factor._hasher = QUICK
    check = factor.check

    def slowly(user: User | None, password: str) -> PasswordVerdict:
        verdict = check(user, password)
        change()
        return verdict

    return patch.object(factor, "check", slowly)


def hash_of_carol(world: World) -> str | None:
    parts = world.provider.parts
    with parts.store.read() as conn:
        return parts.users.known(conn, world.realm, "carol").password_hash


def change_password(world: World) -> Callable[[], None]:
    def change() -> None:
        parts = world.provider.parts
        with parts.store.begin() as conn:
            parts.users.set_password_hash(conn, world.realm, "carol", QUICK.hash("new"), world.now)

    return change


def switch_off(world: World) -> Callable[[], None]:
    def change() -> None:
        parts = world.provider.parts
        with parts.store.begin() as conn:
            parts.users.set_active(conn, world.realm, "carol", False, world.now)

    return change


def renew_hash(world: World) -> Callable[[], None]:
    """As another sign-in with the same password does, each time."""

    def change() -> None:
        parts = world.provider.parts
        with parts.store.begin() as conn:
            parts.users.set_password_hash(conn, world.realm, "carol", QUICK.hash("old"), world.now)

    return change


def once(change: Callable[[], None]) -> Callable[[], None]:
    left = [change]
    return lambda: left.pop()() if left else None


CHANGES = [pytest.param(change_password, id="password"), pytest.param(switch_off, id="switched-off")]


def tokens(world: World, password: str = "old") -> TestResponse:
    form = {"grant_type": "password", "username": "carol", "password": password}
    return as_client(world, "till", "/token", **form, scope="openid offline_access")


@pytest.mark.row("P-12", "P-06")
@pytest.mark.parametrize("changed", CHANGES)
def test_the_grant_gives_nothing(world: World, changed: Callable[[World], Callable[[], None]]) -> None:
    before = len(world.events)
    with meanwhile(world, changed(world)):
        answer = tokens(world)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert world.rows("grants") == []
    assert '"reason":"changed_meanwhile"' in "".join(world.events[before:])


@pytest.mark.row("P-12", "P-06")
@pytest.mark.parametrize("changed", CHANGES)
def test_the_page_makes_no_session(world: World, changed: Callable[[World], Callable[[], None]]) -> None:
    browser = Browser(world.provider, "203.0.113.7")
    challenge = {"code_challenge": CHALLENGE, "redirect_uri": REDIRECT_URI}
    page = browser.go(authorize_url("app", scope="openid", **challenge))
    with meanwhile(world, changed(world)):
        page = browser.submit(page, username="carol", password="old")
    assert (page.status, page.main_id) == (403, "page-login")
    assert browser.session_cookie is None
    assert world.rows("browser_sessions") == []


@pytest.mark.row("P-06")
def test_a_hash_of_todays_cost_does_not_bring_the_old_password_back(world: World) -> None:
    with meanwhile(world, change_password(world)):
        tokens(world)
    kept = hash_of_carol(world)
    assert kept is not None
    assert QUICK.verify(kept, "new")
    assert tokens(world, "new").status_code == 200


@pytest.mark.row("P-06")
def test_without_a_change_the_hash_is_renewed(world: World) -> None:
    with meanwhile(world, lambda: None):
        assert tokens(world).status_code == 200
    kept = hash_of_carol(world)
    assert kept is not None
    assert not QUICK.check_needs_rehash(kept)


@pytest.mark.row("P-06")
def test_of_two_right_sign_ins_that_renew_the_hash_none_is_called_wrong(world: World) -> None:
    with meanwhile(world, once(renew_hash(world))):
        assert tokens(world).status_code == 200
    with meanwhile(world, once(renew_hash(world))):
        browser = Browser(world.provider, "203.0.113.7")
        challenge = {"code_challenge": CHALLENGE, "redirect_uri": REDIRECT_URI}
        page = browser.go(authorize_url("app", scope="openid", **challenge))
        assert browser.submit(page, username="carol", password="old").status != 403
    assert browser.session_cookie is not None
    assert [row["failures"] for row in world.rows("throttle")] == [0]
    assert "login_failed" not in "".join(world.events)


@pytest.mark.row("P-06")
def test_a_hash_that_never_stands_still_is_looked_at_once_more_and_refused(world: World) -> None:
    checks = []

    def change() -> None:
        checks.append(None)
        renew_hash(world)()

    with meanwhile(world, change):
        assert tokens(world).status_code == 400
    assert len(checks) == 2


@pytest.mark.row("P-06")
def test_without_a_free_slot_it_is_not_looked_at_again(world: World) -> None:
    factor = factor_of(world)
    factor._hasher = QUICK
    parts = world.provider.parts
    with parts.store.read() as conn:
        carol = parts.users.known(conn, world.realm, "carol")
    verdict = factor.check(carol, "old")
    renew_hash(world)()
    with patch.object(factor, "check", side_effect=[verdict, Busy]) as check:
        answer = tokens(world)
    assert check.call_count == 2
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")

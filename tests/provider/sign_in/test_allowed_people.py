"""Applications for some people only: a sign-in that ends without a code, and tokens that end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oidcgate.settings import Secret
from tests.provider.sign_in.place import CALLBACK, World, client, settings_document

Make = Callable[..., World]
CLIENTS = [
    client("trusted", trusted=True),
    client("for-alice", trusted=True, allowed_users=["ALICE"]),
    client("for-staff", trusted=True, allowed_groups=["staff", "admins"]),
    client("for-both", trusted=True, allowed_users=["bob"], allowed_groups=["staff"]),
    client("asked", allowed_users=["bob"]),
]


def people(*staff: str) -> list[dict[str, Any]]:
    return [
        {**user, "groups": ["others", *(["staff"] if user["user_name"] in staff else [])]}
        for user in settings_document()["users"]
    ]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    worlds: list[World] = []

    def made(**changes: Any) -> World:
        worlds.append(World.make(tmp_path, **{"clients": CLIENTS, "users": people("Bob"), **changes}))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


@pytest.fixture
def world(make: Make) -> World:
    return make()


@pytest.mark.row("E-27", "F-16")
@pytest.mark.parametrize(
    ("client_id", "name", "allowed"),
    [
        pytest.param("trusted", "alice", True, id="for-everybody"),
        pytest.param("for-alice", "alice", True, id="named-in-any-spelling"),
        pytest.param("for-alice", "Bob", False, id="not-named"),
        pytest.param("for-staff", "Bob", True, id="member"),
        pytest.param("for-staff", "alice", False, id="not-a-member"),
        pytest.param("for-both", "Bob", True, id="named-or-member"),
        pytest.param("for-both", "alice", False, id="neither"),
    ],
)
def test_who_may_use_it(world: World, client_id: str, name: str, allowed: bool) -> None:
    browser = world.browser()
    page = browser.authorize(client_id)
    # Everybody sees the same sign-in page: whom an application is for is said to nobody before.
    assert page.main_id == "page-login"
    page = browser.sign_in(page, name)
    silent = browser.authorize(client_id, prompt="none")
    for answer in (page.answer, silent.answer):
        assert ("code" in answer) is allowed
        assert answer.get("error") == (None if allowed else "access_denied")
        assert answer["state"] == "state-1"
    # They are signed in all the same, for other applications.
    assert browser.authorize("trusted", prompt="none").answer["code"]


@pytest.mark.row("E-27", "F-16")
def test_consent_is_not_asked_of_whom_it_is_not_for(world: World) -> None:
    assert world.browser().signed_in("asked", "alice").answer["error"] == "access_denied"
    assert world.browser().signed_in("asked", "Bob").main_id == "page-consent"


@pytest.mark.row("E-27")
def test_tokens_end_with_the_membership(make: Make) -> None:
    before = make()
    browser = before.browser()
    tokens = before.tokens(browser.signed_in("for-staff", "Bob", scope="openid offline_access"), "for-staff")
    code = browser.authorize("for-staff", prompt="none")
    world = make(users=people())
    assert world.userinfo_status(tokens["access_token"]) == 401
    answer = world.refresh(tokens["refresh_token"], "for-staff")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    with pytest.raises(AssertionError, match="invalid_grant"):
        world.tokens(code, "for-staff")


@pytest.mark.row("E-27")
def test_a_client_of_the_database_folds_names_as_one_of_the_file(world: World) -> None:
    parts = world.provider.parts
    wanted = {
        "client_id": "later", "redirect_uris": [CALLBACK], "trusted": True, "allowed_users": ["ＡLICE"]
    }  # fmt: skip
    with parts.store.begin() as conn:
        made = parts.clients.add(conn, parts.realms[0], wanted, world.now)
    assert isinstance(made.secret, Secret)
    assert world.browser().signed_in("later", "alice").answer["code"]
    assert world.browser().signed_in("later", "Bob").answer["error"] == "access_denied"

"""Signing in for an organization: by name, by choice, silently; what tokens say, and when it ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.services.people import People
from tests.provider.sign_in.place import ISSUER, Browser, Page, World, claims, client, settings_document

ORGANIZATIONS = [
    {"org_id": "acme", "name": "Acme <b>&</b> Co"},
    {"org_id": "globex", "name": "Globex"},
    {"org_id": "initech"},
]
CLIENTS = [
    client("trusted", trusted=True),
    client("app"),
    client("without", trusted=True, organizations=False),
    client("for-bob", trusted=True, allowed_users=["bob"]),
]
Make = Callable[..., World]


def people(**organizations: list[str]) -> list[dict[str, Any]]:
    """The usual people, each in these organizations."""
    return [
        {**user, "organizations": organizations.get(user["user_name"].lower(), [])}
        for user in settings_document()["users"]
    ]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a provider; again over the same database, with other people."""
    worlds: list[World] = []

    def made(**changes: Any) -> World:
        defaults = {
            "clients": CLIENTS,
            "organizations": ORGANIZATIONS,
            "users": people(alice=["globex", "acme"], bob=["initech"]),
        }
        worlds.append(World.make(tmp_path, **{**defaults, **changes}))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


@pytest.fixture
def world(make: Make) -> World:
    return make()


def told(world: World, page: Page, client_id: str = "trusted") -> tuple[Any, Any]:
    token = claims(world.tokens(page, client_id)["id_token"])
    return token.get("org_id"), token.get("org_name")


@pytest.mark.row("E-18")
@pytest.mark.parametrize(
    ("name", "org_id", "expected"),
    [
        pytest.param("alice", "globex", ("globex", "Globex"), id="member"),
        pytest.param("alice", "acme", ("acme", "Acme <b>&</b> Co"), id="member-of-another"),
        pytest.param("Bob", "initech", ("initech", "initech"), id="without-a-name"),
        pytest.param("Bob", None, ("initech", "initech"), id="one-silently"),
        pytest.param("alice", "initech", None, id="not-a-member"),
        pytest.param("alice", "nothing-we-know", None, id="unknown"),
        pytest.param("alice", "ACME", None, id="other-case"),
    ],
)
def test_asked_for(world: World, name: str, org_id: str | None, expected: tuple[str, str] | None) -> None:
    browser = world.browser()
    page = browser.authorize("trusted", org_id=org_id)
    # Before the sign-in nobody is told who belongs where.
    assert page.main_id == "page-login"
    page = browser.sign_in(page, name)
    silent = browser.authorize("trusted", org_id=org_id, prompt="none")
    if expected is None:
        assert page.answer["error"] == silent.answer["error"] == "access_denied"
        assert "code" not in page.answer
    else:
        assert told(world, page) == told(world, silent) == expected


@pytest.mark.row("E-18")
@pytest.mark.parametrize("chosen", ["acme", "globex"])
def test_chosen_after_the_sign_in(world: World, chosen: str) -> None:
    browser = world.browser()
    page = browser.signed_in()
    assert (page.status, page.main_id) == (200, "page-organization")
    assert "Acme &lt;b&gt;&amp;&lt;/b&gt; Co" in page.text
    assert "<script" not in page.text
    assert [page.text.count(f'name="org_id" value="{org_id}"') for org_id in ("acme", "globex")] == [1, 1]
    assert "initech" not in page.text
    assert told(world, browser.submit(page, org_id=chosen))[0] == chosen


@pytest.mark.row("E-18")
def test_prompt_none_does_not_choose(world: World) -> None:
    browser = world.browser()
    browser.submit(browser.signed_in(), org_id="acme")
    assert browser.authorize("trusted", prompt="none").answer["error"] == "interaction_required"


@pytest.mark.row("E-18")
def test_whoever_belongs_to_none_signs_in_for_none(make: Make) -> None:
    world = make(users=people())
    browser = world.browser()
    assert told(world, browser.signed_in()) == (None, None)
    assert browser.authorize("trusted", org_id="acme").answer["error"] == "access_denied"


@pytest.mark.row("E-18")
def test_a_client_without_organizations(world: World) -> None:
    browser = world.browser()
    assert told(world, browser.signed_in("without"), "without") == (None, None)
    assert browser.authorize("without", org_id="acme").answer["error"] == "invalid_request"


@pytest.mark.row("E-18")
def test_a_realm_without_organizations(make: Make) -> None:
    world = make(organizations=[], users=people())
    browser = world.browser()
    assert told(world, browser.signed_in()) == (None, None)
    assert browser.authorize("trusted", org_id="acme").answer["error"] == "access_denied"


@pytest.mark.row("E-18", "E-27")
def test_who_may_not_use_the_client_chooses_nothing(world: World) -> None:
    assert world.browser().signed_in("for-bob").answer["error"] == "access_denied"


@pytest.mark.row("E-18")
def test_the_choice_comes_before_consent_and_stays(world: World) -> None:
    browser = world.browser()
    page = browser.submit(browser.signed_in("app"), org_id="globex")
    assert page.main_id == "page-consent"
    assert told(world, browser.submit(page, decision="allow"), "app")[0] == "globex"


def signed_in_for(world: World, browser: Browser, org_id: str) -> dict[str, Any]:
    page = browser.signed_in(scope="openid offline_access", org_id=org_id)
    return world.tokens(page)


@pytest.mark.row("E-18")
def test_the_choice_stays_on_refresh_until_the_membership_ends(make: Make) -> None:
    world = make(access_token_format="jwt")
    tokens = signed_in_for(world, world.browser(), "globex")
    assert claims(tokens["access_token"])["org_id"] == "globex"
    assert claims(tokens["access_token"])["org_name"] == "Globex"
    again = world.refresh(tokens["refresh_token"]).get_json()
    assert claims(again["id_token"])["org_id"] == "globex"
    assert claims(again["access_token"])["org_id"] == "globex"
    assert world.userinfo_status(again["access_token"]) == 200
    left = make(users=people(alice=["acme"]), access_token_format="jwt")
    answer = left.refresh(again["refresh_token"])
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert left.userinfo_status(again["access_token"]) == 401
    back = make()
    assert back.refresh(again["refresh_token"]).status_code == 200


@pytest.mark.row("E-18")
def test_a_code_is_worth_nothing_once_the_membership_ended(make: Make) -> None:
    page = make().browser().signed_in(org_id="globex")
    left = make(users=people(alice=["acme"]))
    with pytest.raises(AssertionError, match="invalid_grant"):
        left.tokens(page)


@pytest.mark.row("E-18")
def test_a_client_that_lost_the_setting_is_told_no_organization(make: Make) -> None:
    tokens = signed_in_for(make(), make().browser(), "globex")
    changed = make(clients=[client("trusted", trusted=True, organizations=False)])
    again = changed.refresh(tokens["refresh_token"]).get_json()
    assert "org_id" not in claims(again["id_token"])


@pytest.mark.row("E-18", "P-11")
def test_what_is_not_shown_cannot_be_chosen(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in()
    for org_id in ("initech", "", "nothing"):
        assert browser.submit(page, org_id=org_id).main_id == "page-error"
    for token in ("", "x", page.hidden["csrf"][:-2] + "AA"):
        again = browser.go(page.action, {**page.hidden, "csrf": token, "org_id": "acme"})
        assert (again.status, again.main_id, "open too long" in again.text) == (
            400,
            "page-organization",
            True,
        )
    repeated = (
        "&".join(f"{name}={value}" for name, value in page.hidden.items()) + "&org_id=acme&org_id=globex"
    )
    assert browser.go(page.action, repeated).main_id == "page-error"
    assert told(world, browser.submit(page, org_id="acme"))[0] == "acme"


@pytest.mark.row("E-18", "P-10")
def test_a_choice_is_of_the_person_who_made_it(make: Make) -> None:
    world = make(users=people(alice=["acme", "globex"], bob=["acme", "globex"]))
    browser = world.browser()
    page = browser.signed_in("app")
    browser.submit(page, org_id="acme")
    # Bob signs in with another tab; this request is now about him.
    browser.submit(browser.signed_in("trusted", "Bob", prompt="login"), org_id="globex")
    resumed = browser.go(f"{ISSUER}/authorize?interaction={page.hidden['interaction']}")
    assert (resumed.main_id, ">Bob<" in resumed.text) == ("page-organization", True)


@pytest.mark.row("E-18")
def test_unknown_organizations_of_the_database_are_nobodys(world: World) -> None:
    parts = world.provider.parts
    with parts.store.read() as conn:
        people = People(parts.users, parts.audit)
        user = people.find_by_name(conn, parts.realms[0], "alice")
    assert user is not None
    assert user.attributes["organizations"] == ["globex", "acme"]


@pytest.mark.row("E-18")
@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        pytest.param("organizations", ["acme", "globex"], id="all-ids"),
        pytest.param("organization_names", ["Acme <b>&</b> Co", "Globex"], id="all-names"),
    ],
)
def test_all_of_them_as_a_claim(make: Make, claim: str, expected: list[str]) -> None:
    world = make(claims=[{"name": "orgs", "property": claim}])
    page = world.browser().signed_in(org_id="acme")
    assert claims(world.tokens(page)["id_token"])["orgs"] == expected

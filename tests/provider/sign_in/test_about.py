"""What applications say of themselves, where it is read; and what stands in for what a request leaves out."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.provider.registering import manage, registered, registering
from tests.provider.sign_in.place import ISSUER, Browser, Page, World, claims, client

LOGO = "https://cdn.example:8443/logo.png?size=2&of=app"
SAID = {
    "client_uri": "https://app.example/",
    "logo_uri": LOGO,
    "policy_uri": "https://app.example/privacy#people",
    "tos_uri": "https://app.example/terms",
}
CLIENTS = [client("app", **SAID), client("silent"), client("trusted", trusted=True, **SAID)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path, clients=CLIENTS)


@pytest.fixture
def browser(world: World) -> Browser:
    return world.browser()


def links(page: Page) -> dict[str, str]:
    return dict(re.findall(r'<a id="client-([a-z]+)" href="([^"]*)"', page.text))


def images(page: Page) -> str:
    return page.response.headers["Content-Security-Policy"].partition("img-src ")[2].partition(";")[0]


@pytest.mark.row("P-03")
def test_oidcc_registration_logo_policy_and_tos_uri_on_the_pages(browser: Browser) -> None:
    login = browser.authorize("app", scope="openid profile")
    consent = browser.sign_in(login)
    account = browser.authorize("app", prompt="select_account")
    for page, main_id in ((login, "page-login"), (consent, "page-consent"), (account, "page-account")):
        assert page.main_id == main_id
        assert links(page) == {
            "home": SAID["client_uri"], "policy": SAID["policy_uri"], "terms": SAID["tos_uri"]
        }  # fmt: skip
        assert f'src="{LOGO.replace("&", "&amp;")}" alt=""' in page.text
        assert images(page) == "data: https://cdn.example:8443"


def test_a_wrong_password_shows_it_too(browser: Browser) -> None:
    page = browser.sign_in(browser.authorize("app"), password="wrong")
    assert "client-logo" in page.text
    assert images(page) == "data: https://cdn.example:8443"


def test_who_says_nothing_is_shown_by_name_alone(browser: Browser) -> None:
    login = browser.authorize("silent", scope="openid profile")
    consent = browser.sign_in(login)
    for page in (login, consent, browser.authorize("silent", prompt="select_account")):
        assert (links(page), images(page), "<img" in page.text) == ({}, "data:", False)


def test_other_pages_load_no_image(browser: Browser) -> None:
    browser.signed_in("trusted")
    page = browser.go(f"{ISSUER}/end_session?client_id=trusted")
    assert (page.main_id, images(page), LOGO in page.text) == ("page-logout", "data:", False)


AGED = [
    client("trusted", trusted=True, default_max_age=100),
    client("zero", trusted=True, default_max_age=0),
    client("other", trusted=True, redirect_uris=["https://other.example/cb"]),
]


@pytest.mark.parametrize(
    ("client_id", "max_age", "error"),
    [
        pytest.param("trusted", None, "login_required", id="default"),
        pytest.param("trusted", "1000", None, id="the-request-is-milder"),
        pytest.param("other", None, None, id="no-default"),
        pytest.param("zero", None, "login_required", id="at-once"),
    ],
)
def test_default_max_age_is_that_of_requests_which_say_none(
    tmp_path: Path, client_id: str, max_age: str | None, error: str | None
) -> None:
    world = World.make(tmp_path, clients=AGED)
    browser = world.browser()
    browser.signed_in("trusted")
    assert "code" in browser.authorize("trusted", prompt="none").answer
    world.sleep(101)
    answer = browser.authorize(client_id, prompt="none", max_age=max_age).answer
    assert answer.get("error") == error
    # Asked anew, the sign-in is fresh, and every ID token says when it was.
    page = browser.authorize(client_id, prompt="login")
    tokens = world.tokens(browser.sign_in(page), client_id)
    assert claims(tokens["id_token"])["auth_time"] == world.now


@pytest.mark.parametrize(
    ("parameters", "page"),
    [
        pytest.param({}, "page-enrol", id="default"),
        pytest.param({"acr_values": "knowledge"}, None, id="the-request-wishes-otherwise"),
        pytest.param(
            {"claims": json.dumps({"id_token": {"acr": {"values": ["knowledge"]}}})}, None, id="its-claims-do"
        ),
    ],
)
def test_default_acr_values_are_those_of_requests_which_say_none(
    tmp_path: Path, parameters: dict[str, str], page: str | None
) -> None:
    world = World.make(
        tmp_path,
        clients=[client("trusted", trusted=True, default_acr_values=["mfa"])],
        second_factor={"mode": "acr", "enrol_at_sign_in": True},
    )
    answer = world.browser().signed_in("trusted", **parameters)
    assert answer.main_id == page


def test_discovery_names_the_pages_about_the_realm(tmp_path: Path) -> None:
    def document(**changes: Any) -> dict[str, Any]:
        browser = World.make(tmp_path, **changes).browser()
        return dict(json.loads(browser.step(f"{ISSUER}/.well-known/openid-configuration").text))

    names = ("op_policy_uri", "op_tos_uri", "service_documentation")
    assert not set(names) & document().keys()
    information = {
        "policy_uri": "https://id.example/policy",
        "tos_uri": "https://id.example/terms#apps",
        "documentation": "https://docs.example/",
    }
    told = document(information=information)
    assert [told[name] for name in names] == list(information.values())


@pytest.mark.row("E-23")
def test_oidcc_3rd_party_init_login(database: Path) -> None:
    world = registering(database)
    uri = "https://new.example/begin"
    said = {
        **SAID, "initiate_login_uri": uri, "contacts": ["ops@new.example"], "default_max_age": 0,
        "require_auth_time": True, "default_acr_values": ["phr"],
    }  # fmt: skip
    told = registered(world, **said)
    read = manage(world, "GET", told).get_json()
    assert {name: read[name] for name in said} == said
    left_out = {"client_id": told["client_id"], "redirect_uris": told["redirect_uris"]}
    assert not set(said) & manage(world, "PUT", told, left_out).get_json().keys()


@pytest.mark.row("E-23", "P-03")
@pytest.mark.parametrize("uri", ["http://new.example/begin", "http://localhost/begin", "javascript:alert(1)"])
def test_oidcc_3rd_party_init_login_nohttps(database: Path, uri: str) -> None:
    world = registering(database, insecure_allow_http_loopback=True)
    told = registered(world)
    changed = {"client_id": told["client_id"], "redirect_uris": told["redirect_uris"]}
    response = manage(world, "PUT", told, {**changed, "initiate_login_uri": uri})
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_client_metadata")

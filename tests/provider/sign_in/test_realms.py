"""Two realms in one process: all that one gives is refused by the other, although names and ids are the same.

Both have the same client with the same secret and the same person with the same password and `sub`, so that
nothing but the realm tells them apart.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import select, update
from werkzeug.test import Client as WSGIClient
from werkzeug.test import TestResponse

from provider.store import schema
from tests.provider.sign_in.place import (
    CALLBACK,
    CLIENT_SECRET,
    ISSUER,
    VERIFIER,
    Browser,
    Page,
    World,
    authorize_url,
    claims,
    client,
    filled_in,
    settings_document,
)

#: What each realm is called in the tests, and where it is.
ISSUERS = {"one": ISSUER, "two": f"{ISSUER}/r/second"}
API = "https://api-{}.example"
BOTH_WAYS = [pytest.param("one", "two", id="one-to-two"), pytest.param("two", "one", id="two-to-one")]
both_ways = pytest.mark.parametrize(("home", "abroad"), BOTH_WAYS)


def realm_document(name: str) -> dict[str, Any]:
    """What one realm holds."""
    flows = ["authorization_code", "refresh_token", "client_credentials", "introspection", "revocation"]
    return {
        "clients": [
            client("trusted", trusted=True, scopes=["*"], flows=flows),
            client("app", scopes=["*"]),
            client(f"only-{name}", trusted=True),
        ],
        "users": [
            *settings_document()["users"][:1],
            {"user_name": f"only-{name}", "password_hash": settings_document()["users"][1]["password_hash"]},
        ],
        "scopes": [{"value": f"scope-{name}"}, {"value": f"api-{name}"}],
        "properties": [{"name": "shoe"}],
        "claims": [{"name": f"claim-{name}", "property": "user_name"}],
        "resources": [{"audience": API.format(name), "scopes": [f"api-{name}"]}],
        "organizations": [{"org_id": f"org-{name}"}],
    }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    second = {"name": "second", "display_name": "Second", **realm_document("two")}
    world = World.make(tmp_path, **realm_document("one"), realms=[second])
    yield world
    world.close()


def url_in(realm: str, client_id: str = "trusted", **changes: str | None) -> str:
    return authorize_url(client_id, **changes).replace(ISSUER, ISSUERS[realm], 1)


def signed_in(browser: Browser, realm: str, client_id: str = "trusted", **changes: str | None) -> Page:
    return browser.sign_in(browser.go(url_in(realm, client_id, **changes)))


def post(world: World, realm: str, path: str, client_id: str = "trusted", **form: str) -> TestResponse:
    basic = base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()
    url = ISSUERS[realm].removeprefix(ISSUER) + path
    headers = {"Authorization": f"Basic {basic}"}
    return WSGIClient(world.provider).post(url, data=form, headers=headers, base_url=ISSUER)


def redeem(world: World, realm: str, page: Page) -> TestResponse:
    form = {"code": page.answer["code"], "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return post(world, realm, "/token", grant_type="authorization_code", **form)


def tokens_of(world: World, realm: str, **changes: str | None) -> dict[str, Any]:
    page = signed_in(world.browser(), realm, **{"scope": "openid offline_access", **changes})
    response = redeem(world, realm, page)
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def get(world: World, realm: str, path: str, token: str | None = None) -> TestResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = ISSUERS[realm].removeprefix(ISSUER) + path
    return WSGIClient(world.provider).get(url, headers=headers, base_url=ISSUER)


def discovery(world: World, realm: str) -> dict[str, Any]:
    return dict(get(world, realm, "/.well-known/openid-configuration").get_json())


def keys_of(world: World, realm: str) -> KeySet:
    return KeySet.import_key_set(get(world, realm, "/jwks").get_json())


@pytest.mark.row("S-27")
@both_ways
def test_each_has_names_of_its_own(world: World, home: str, abroad: str) -> None:
    here = discovery(world, home)
    assert here["issuer"] == ISSUERS[home]
    urls = [value for name, value in here.items() if name.endswith(("_endpoint", "jwks_uri"))]
    assert all(url.startswith(f"{ISSUERS[home]}/") for url in urls)
    assert not {f"scope-{abroad}", f"api-{abroad}"} & set(here["scopes_supported"])
    assert f"claim-{home}" in here["claims_supported"]
    assert f"claim-{abroad}" not in here["claims_supported"]
    browser = world.browser()
    signed_in(browser, home)
    # A scope that only the other has is unknown; its API and its organization lead nowhere.
    silent = {"prompt": "none"}
    assert browser.go(url_in(home, scope=f"scope-{abroad}", **silent)).answer["error"] == "invalid_scope"
    page = browser.go(url_in(home, resource=API.format(abroad), **silent))
    assert page.answer["error"] == "invalid_target"
    page = browser.go(url_in(home, org_id=f"org-{abroad}", **silent))
    assert page.answer["error"] == "access_denied"
    assert browser.go(url_in(home, f"only-{abroad}")).main_id == "page-error"
    other = world.browser()
    page = other.go(url_in(home))
    assert other.submit(page, username=f"only-{abroad}", password="demo-bob").status == 403


@pytest.mark.row("S-26", "S-27")
@both_ways
def test_keys(world: World, home: str, abroad: str) -> None:
    tokens = tokens_of(world, home, resource=API.format(home))
    for token in (tokens["id_token"], tokens["access_token"]):
        decoded = jwt.decode(token, keys_of(world, home), algorithms=["RS256"])
        assert decoded.claims["iss"] == ISSUERS[home]
        with pytest.raises((JoseError, ValueError)):
            jwt.decode(token, keys_of(world, abroad), algorithms=["RS256"])
    assert claims(tokens["access_token"])["aud"] == API.format(home)


@pytest.mark.row("S-27")
@both_ways
def test_a_code(world: World, home: str, abroad: str) -> None:
    page = signed_in(world.browser(), home)
    assert page.answer["iss"] == ISSUERS[home]
    refused = redeem(world, abroad, page)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")
    # Trying it there has not used it up.
    assert redeem(world, home, page).status_code == 200


@pytest.mark.row("S-27")
@both_ways
def test_an_access_token(world: World, home: str, abroad: str) -> None:
    token = tokens_of(world, home)["access_token"]
    assert get(world, abroad, "/userinfo", token).status_code == 401
    assert post(world, abroad, "/introspect", token=token).get_json() == {"active": False}
    assert post(world, abroad, "/revoke", token=token).status_code == 200
    assert get(world, home, "/userinfo", token).status_code == 200
    assert post(world, home, "/introspect", token=token).get_json()["active"] is True


@pytest.mark.row("S-27")
@both_ways
@pytest.mark.parametrize("behind_it", ["a-person", "the-client"])
def test_a_jwt(world: World, home: str, abroad: str, behind_it: str) -> None:
    api = API.format(home)
    if behind_it == "a-person":
        token = tokens_of(world, home, resource=api)["access_token"]
    else:
        form = {"grant_type": "client_credentials", "resource": api}
        token = post(world, home, "/token", **form).get_json()["access_token"]
    assert post(world, home, "/introspect", token=token).get_json()["active"] is True
    assert post(world, abroad, "/introspect", token=token).get_json() == {"active": False}


@pytest.mark.row("S-27")
@both_ways
def test_a_refresh_token(world: World, home: str, abroad: str) -> None:
    token = tokens_of(world, home)["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    refused = post(world, abroad, "/token", **form)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")
    assert post(world, home, "/token", **form).status_code == 200


@pytest.mark.row("S-27", "P-11")
@both_ways
def test_a_session_and_its_cookie(world: World, home: str, abroad: str) -> None:
    browser = world.browser()
    signed_in(browser, home)
    before = browser.cookies()
    assert browser.go(url_in(abroad, prompt="none")).answer["error"] == "login_required"
    signed_in(browser, abroad)
    after = browser.cookies()
    assert len(after) == 4
    assert before.items() <= after.items()
    # Sent under the name that the other realm reads, a session is nobody's.
    names = [[name for name in cookies if "browser" not in name] for cookies in (before, after)]
    (own,) = names[0]
    (other,) = set(names[1]) - {own}
    thief = world.browser()
    thief.client.set_cookie(other, before[own], domain="id.example")
    assert thief.go(url_in(abroad, prompt="none")).answer["error"] == "login_required"


@pytest.mark.row("S-27", "P-10", "P-11")
@both_ways
def test_an_interaction_and_its_form(world: World, home: str, abroad: str) -> None:
    browser = world.browser()
    here, there = browser.go(url_in(home)), browser.go(url_in(abroad))
    entered = {"username": "alice", "password": "demo-alice"}
    assert browser.go(there.action, filled_in(here, **entered)).main_id == "page-error"
    crossed = {**filled_in(there, **entered), "csrf": here.hidden["csrf"]}
    assert (page := browser.go(there.action, crossed)).status == 400
    assert page.main_id == "page-login"
    assert browser.session_cookie is None
    assert browser.sign_in(here).answer["iss"] == ISSUERS[home]


@pytest.mark.row("S-27")
@both_ways
def test_a_csrf_token_does_not_fit_even_when_the_rows_are_moved(world: World, home: str, abroad: str) -> None:
    """Somebody who can write the database moves the stored request; the form is still of the other realm."""
    browser = world.browser()
    here, there = browser.go(url_in(home)), browser.go(url_in(abroad))
    ids = {"one": "default", "two": "second"}
    with world.provider.parts.store.begin() as conn:
        conn.execute(
            update(schema.interactions)
            .where(schema.interactions.c.realm_id == ids[home])
            .values(realm_id=ids[abroad])
        )
    names = {name: value for name, value in browser.cookies().items() if "browser" in name}
    assert len(names) == 2
    page = browser.go(there.action, filled_in(here, username="alice", password="demo-alice"))
    assert page.main_id == "page-error"


@pytest.mark.row("S-27", "A-13")
@both_ways
def test_consent(world: World, home: str, abroad: str) -> None:
    browser = world.browser()
    page = signed_in(browser, home, "app")
    assert page.main_id == "page-consent"
    assert browser.submit(page, decision="allow").answer["code"]
    assert browser.go(url_in(home, "app", prompt="none")).answer["code"]
    page = signed_in(browser, abroad, "app")
    assert page.main_id == "page-consent"
    ids = {"one": "default", "two": "second"}
    with world.provider.parts.store.begin() as conn:
        # Even copied by somebody who can write the database it is not read there.
        conn.execute(update(schema.user_attributes).values(realm_id=ids[abroad]))
        assert len(conn.execute(select(schema.user_attributes)).all()) == 1
    assert browser.go(url_in(abroad, "app", prompt="none")).answer["error"] == "consent_required"


@pytest.mark.row("S-27", "C-2")
@both_ways
def test_an_id_token_hint(world: World, home: str, abroad: str) -> None:
    hint = tokens_of(world, home)["id_token"]
    browser = world.browser()
    signed_in(browser, abroad)
    page = browser.go(url_in(abroad, prompt="none", id_token_hint=hint))
    assert page.answer["error"] == "invalid_request"
    # Nor does it end the session there without asking.
    leave = f"{ISSUERS[abroad]}/end_session?id_token_hint={hint}"
    assert browser.go(leave).main_id == "page-logout"
    assert browser.go(url_in(abroad, prompt="none")).answer["code"]


@pytest.mark.row("S-27")
@both_ways
def test_a_client_of_the_database(world: World, home: str, abroad: str) -> None:
    parts = world.provider.parts
    realms = dict(zip(("one", "two"), parts.realms, strict=True))
    wanted = {
        "client_id": "added",
        "redirect_uris": [CALLBACK],
        "flows": ["authorization_code", "introspection"],
    }
    with parts.store.begin() as conn:
        made = parts.clients.add(conn, realms[home], wanted, world.now)
        person = parts.users.add(conn, realms[home], "added", None, {}, world.now)
        assert parts.clients.find(conn, realms[abroad], "added") is None
        assert parts.users.find(conn, realms[abroad], person.user_id) is None
        assert parts.users.find_by_name(conn, realms[abroad], "added") is None
        assert parts.users.find_by_name(conn, realms[home], "ADDED") == person
    assert world.browser().go(url_in(abroad, "added")).main_id == "page-error"
    assert world.browser().go(url_in(home, "added")).main_id == "page-login"
    assert made.secret is not None
    basic = base64.b64encode(f"added:{made.secret.reveal()}".encode()).decode()
    for realm, status in ((home, 200), (abroad, 401)):
        url = ISSUERS[realm].removeprefix(ISSUER) + "/introspect"
        answer = WSGIClient(world.provider).post(
            url, data={"token": "x"}, headers={"Authorization": f"Basic {basic}"}, base_url=ISSUER
        )
        assert answer.status_code == status


@pytest.mark.row("S-27")
@both_ways
def test_switching_a_person_off_is_for_one_realm(world: World, home: str, abroad: str) -> None:
    parts = world.provider.parts
    realms = dict(zip(("one", "two"), parts.realms, strict=True))
    hashed = settings_document()["users"][1]["password_hash"]
    with parts.store.begin() as conn:
        for realm in realms.values():
            parts.users.add(conn, realm, "twin", hashed, {}, world.now)
    browsers = {name: world.browser() for name in realms}
    for name, browser in browsers.items():
        page = browser.go(url_in(name))
        assert browser.submit(page, username="twin", password="demo-bob").answer["code"]
    with parts.store.begin() as conn:
        parts.users.set_active(conn, realms[home], "twin", False, world.now)
    assert browsers[home].go(url_in(home, prompt="none")).answer["error"] == "login_required"
    assert browsers[abroad].go(url_in(abroad, prompt="none")).answer["code"]


@pytest.mark.row("S-27", "S-54")
def test_a_realm_may_hold_everything_a_provider_has(tmp_path: Path) -> None:
    """Its own lifetimes, consent, second factor, formats and algorithms; the other realm has none of it."""
    second = {
        "name": "second",
        **realm_document("two"),
        "audience": "https://second.example",
        "access_token_format": "jwt",
        "lifetimes": {"access_token_hours": 0.5, "session_hours": 0.5},
        "consent": {"auto_accept": True},
        "throttle": {"account_failures": 1},
        "second_factor": {"mode": "acr", "enrol_at_sign_in": True},
        "signing_algorithm": "ES256",
        "insecure_oauth_implicit": True,
    }
    world = World.make(tmp_path, **realm_document("one"), realms=[second])
    try:
        tokens = {name: tokens_of(world, name) for name in ISSUERS}
        assert [tokens[name]["expires_in"] for name in ISSUERS] == [3600, 1800]
        assert claims(tokens["two"]["access_token"])["aud"] == "https://second.example"
        assert "." not in tokens["one"]["access_token"]
        heads = [token["id_token"].partition(".")[0] for token in tokens.values()]
        algorithms = [json.loads(base64.urlsafe_b64decode(head + "==="))["alg"] for head in heads]
        assert algorithms == ["RS256", "ES256"]
        assert ["token" in discovery(world, name)["response_types_supported"] for name in ISSUERS] == [
            False,
            True,
        ]
        assert ["mfa" in discovery(world, name)["acr_values_supported"] for name in ISSUERS] == [False, True]
        assert signed_in(world.browser(), "one", "app").main_id == "page-consent"
        assert signed_in(world.browser(), "two", "app").answer["code"]
    finally:
        world.close()

"""What others left out for years, or got wrong at one place of many: held here for every place at once."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from oidcgate.protocol.token import DEVICE_CODE
from tests.provider.sign_in.place import (
    BYE,
    CALLBACK,
    CLIENT_SECRET,
    ISSUER,
    VERIFIER,
    World,
    authorize_url,
    claims,
    client,
)

API, OTHER_API = "https://api.example", "https://stock.example"
FLOWS = [
    "authorization_code",
    "refresh_token",
    "password",
    "client_credentials",
    "device_code",
    "implicit",
    "hybrid",
]
SCOPE = "openid read offline_access"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A client that may use every grant, and two APIs; a third is not for it."""
    made = World.make(
        tmp_path_factory.mktemp("pitfalls"),
        clients=[
            client("trusted", trusted=True, flows=FLOWS, scopes=["*"]),
            client("other", flows=["password"]),
        ],
        scopes=[{"value": "read"}],
        resources=[
            {"audience": API, "scopes": ["read"]},
            {"audience": OTHER_API, "scopes": ["read"]},
            {"audience": "https://closed.example", "scopes": ["read"], "clients": ["other"]},
        ],
    )
    yield made
    made.close()


def post(world: World, path: str, **form: str) -> TestResponse:
    return world.browser().client.post(path, data=form, auth=("trusted", CLIENT_SECRET), base_url=ISSUER)


def by_code(world: World, resource: str) -> Any:
    page = world.browser().signed_in(scope=SCOPE, resource=resource)
    if "code" not in page.answer:
        return page.answer
    form = {"code": page.answer["code"], "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return post(world, "/token", grant_type="authorization_code", **form).get_json()


def by_refresh(world: World, resource: str) -> Any:
    refresh_token = by_code(world, API)["refresh_token"]
    form = {"refresh_token": refresh_token, "resource": resource}
    return post(world, "/token", grant_type="refresh_token", **form).get_json()


def by_password(world: World, resource: str) -> Any:
    form = {"username": "alice", "password": "demo-alice", "scope": SCOPE, "resource": resource}
    return post(world, "/token", grant_type="password", **form).get_json()


def by_itself(world: World, resource: str) -> Any:
    form = {"scope": "read", "resource": resource}
    return post(world, "/token", grant_type="client_credentials", **form).get_json()


def by_device(world: World, resource: str) -> Any:
    started = post(world, "/device_authorization", scope=SCOPE, resource=resource).get_json()
    if "device_code" not in started:
        return started
    browser = world.browser()
    page = browser.submit(browser.go(started["verification_uri"]), user_code=started["user_code"])
    browser.sign_in(browser.submit(page, decision="allow"))
    return post(world, "/token", grant_type=DEVICE_CODE, device_code=started["device_code"]).get_json()


def by_fragment(world: World, resource: str) -> Any:
    return (
        world.browser()
        .signed_in(scope="openid read", resource=resource, response_type="id_token token")
        .answer
    )


def by_hybrid(world: World, resource: str) -> Any:
    return (
        world.browser().signed_in(scope="openid read", resource=resource, response_type="code token").answer
    )


GRANTS = [by_code, by_refresh, by_password, by_itself, by_device, by_fragment, by_hybrid]


@pytest.mark.row("P-34", "E-12", "S-55")
@pytest.mark.parametrize("grant", GRANTS, ids=lambda grant: grant.__name__.removeprefix("by_"))
def test_every_grant_gives_tokens_for_the_api_that_was_named(
    world: World, grant: Callable[[World, str], Any]
) -> None:
    said = claims(grant(world, API)["access_token"])
    assert (said["aud"], said["scope"], said["client_id"]) == (API, "read", "trusted")
    # Not for one that nobody knows, and not for one that is open to others.
    for wrong in ("https://nobody.example", "https://closed.example"):
        if grant in (by_fragment, by_hybrid, by_code):
            page = world.browser().authorize("trusted", resource=wrong, scope="openid read")
            assert page.answer["error"] == "invalid_target"
        else:
            assert grant(world, wrong)["error"] == "invalid_target"


@pytest.mark.row("P-34")
def test_a_grant_for_one_api_is_none_for_another(world: World) -> None:
    assert by_refresh(world, OTHER_API)["error"] == "invalid_target"
    code = world.browser().signed_in(scope=SCOPE, resource=API).answer["code"]
    form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, "resource": OTHER_API}
    assert (
        post(world, "/token", grant_type="authorization_code", **form).get_json()["error"] == "invalid_target"
    )


@pytest.mark.row("P-29", "P-36")
def test_one_sign_in_for_every_application_until_the_sign_out(world: World) -> None:
    document = world.browser().client.get("/.well-known/openid-configuration", base_url=ISSUER).get_json()
    assert document["end_session_endpoint"] == f"{ISSUER}/end_session"
    browser = world.browser()
    tokens = world.tokens(browser.signed_in())
    # Another request is answered without a page; a page comes where it is asked for.
    assert "code" in browser.authorize("trusted", prompt="none").answer
    assert browser.authorize("trusted", prompt="login").main_id == "page-login"
    assert browser.authorize("trusted", prompt="select_account").main_id == "page-account"
    hint = f"id_token_hint={tokens['id_token']}&post_logout_redirect_uri={BYE}"
    url = f"{document['end_session_endpoint']}?{hint}"
    assert browser.go(url).location == BYE
    assert browser.authorize("trusted", prompt="none").answer["error"] == "login_required"


# Where Authlib's server core is wrong or silent (each is a line of the list that the provider was built by).


def test_a_nonce_may_come_again(world: World) -> None:
    """To remember nonces is the client's duty: a second request with the same one is no attack on us."""
    browser = world.browser()
    assert "code" in browser.signed_in(nonce="same").answer
    assert "code" in browser.authorize("trusted", nonce="same").answer


@pytest.mark.parametrize("response_type", ["code", "id_token token", "code id_token", "code id_token token"])
def test_errors_and_answers_are_posted_with_the_issuer_and_nothing_altered(
    world: World, response_type: str
) -> None:
    state = "a b+c%20d&é=ü\"'<\U0001f600>"
    asked = {"response_type": response_type, "response_mode": "form_post", "state": state}
    browser = world.browser()
    refused = browser.authorize("trusted", prompt="none", **asked)
    browser.signed_in()
    for page, member in ((refused, "error"), (browser.authorize("trusted", **asked), "iss")):
        assert page.main_id == "page-form-post"
        assert (page.answer["state"], page.answer["iss"]) == (state, ISSUER)
        assert member in page.answer
        assert "onload" not in page.text


def test_the_time_of_the_sign_in_is_the_sign_ins(world: World) -> None:
    browser = world.browser()
    first = claims(world.tokens(browser.signed_in(max_age="1000"))["id_token"])
    world.sleep(50)
    again = claims(world.tokens(browser.authorize("trusted", prompt="none", max_age="1000"))["id_token"])
    assert again["auth_time"] == first["auth_time"] == again["iat"] - 50


def test_a_hint_for_several_clients_says_which_one_by_client_id(world: World) -> None:
    """`aud` may be a list; the client that asks has to be in it, and the issuer has to be this one."""
    browser = world.browser()
    tokens = world.tokens(browser.signed_in())
    parts = world.provider.parts
    said = claims(tokens["id_token"])
    with parts.store.begin() as conn:
        signer = parts.keys.signer(conn, parts.realms[0], "RS256", world.now)
    listed = signer.sign({**said, "aud": ["trusted", "other"], "azp": "trusted"})
    foreign = signer.sign({**said, "iss": "https://elsewhere.example"})
    for hint, client_id in ((foreign, "trusted"), (listed, "nobody")):
        url = authorize_url(client_id, id_token_hint=hint, post_logout_redirect_uri=BYE)
        page = browser.go(url.replace("/authorize?", "/end_session?"))
        assert (page.main_id, page.location) == ("page-logout", None)
    url = authorize_url("trusted", id_token_hint=listed, post_logout_redirect_uri=BYE, state=None)
    page = browser.go(url.replace("/authorize?", "/end_session?"))
    assert page.location == BYE


def test_an_unknown_method_of_pkce_means_no_code(world: World) -> None:
    """A missing method would mean `plain`, which proves nothing; what is not S256 is refused."""
    browser = world.browser()
    browser.signed_in()
    for method in (None, "plain", "S512", "s256"):
        page = browser.authorize("trusted", code_challenge_method=method)
        assert page.answer["error"] == "invalid_request", json.dumps(page.answer)

"""Pairwise subjects, wherever a `sub` is said or comes back: clients of two sectors."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.provider.sign_in.place import BYE, CALLBACK, ISSUER, VERIFIER, Browser, World, claims, client
from tests.provider.sign_in.test_device_flow import approve
from tests.provider.sign_in.test_end_session import asks, end_session_url

API = "https://orders.example"
PAIRWISE = {"subject_type": "pairwise", "trusted": True}
CLIENTS = [
    client("trusted", **PAIRWISE, flows=["authorization_code", "refresh_token", "introspection", "implicit"],
           scopes=["*"]),
    client("sister", **PAIRWISE),
    client("other", **PAIRWISE, redirect_uris=["https://other.example/cb"]),
    client("open", trusted=True),
    client("asking", flows=["introspection"], redirect_uris=[]),
    client("device", subject_type="pairwise", redirect_uris=[], flows=["device_code"],
           sector_identifier_uri="https://app.example/sector.json"),
]  # fmt: skip
CHANGES = {
    "clients": CLIENTS,
    "subjects": {"types": ["public", "pairwise"]},
    "resources": [{"audience": API, "scopes": ["orders.read"]}],
    "scopes": [{"value": "orders.read"}],
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path, **CHANGES)


@pytest.fixture
def browser(world: World) -> Browser:
    return world.browser()


def sub_at(world: World, browser: Browser, client_id: str, **changes: str) -> str:
    """The `sub` in the ID token of a client for whoever is signed in."""
    said = claims(world.tokens(browser.authorize(client_id, **changes), client_id)["id_token"])
    return str(said["sub"])


def introspected(world: World, by: str, token: str) -> dict[str, Any]:
    return dict(world.post_token({"token": token}, by, "/introspect").get_json())


def userinfo(world: World, token: str) -> dict[str, Any]:
    response = world.browser().step(f"{ISSUER}/userinfo", headers={"Authorization": f"Bearer {token}"})
    return dict(json.loads(response.text))


@pytest.mark.row("E-08", "S-20")
def test_each_sector_sees_its_own_and_everything_it_is_told_agrees(world: World, browser: Browser) -> None:
    tokens = world.tokens(browser.signed_in("trusted", scope="openid offline_access"))
    sub = claims(tokens["id_token"])["sub"]
    assert sub not in ("sub-alice", sub_at(world, browser, "other"))
    assert sub == sub_at(world, browser, "sister")
    assert sub_at(world, browser, "open") == "sub-alice"
    assert userinfo(world, tokens["access_token"])["sub"] == sub
    for by in ("trusted", "asking"):
        said = introspected(world, by, tokens["access_token"])
        assert (said["sub"], said.get("username")) == (sub, None)
    said = introspected(world, "trusted", tokens["refresh_token"])
    assert (said["sub"], said.get("username")) == (sub, None)
    refreshed = world.refresh(tokens["refresh_token"]).get_json()
    assert claims(refreshed["id_token"])["sub"] == sub
    assert userinfo(world, refreshed["access_token"])["sub"] == sub
    implicit = browser.authorize("trusted", response_type="id_token token", code_challenge=None,
                                 code_challenge_method=None).answer  # fmt: skip
    assert claims(implicit["id_token"])["sub"] == sub


@pytest.mark.row("E-09")
def test_an_api_reads_the_sub_that_the_client_knows(world: World, browser: Browser) -> None:
    page = browser.signed_in("trusted", scope="openid orders.read", resource=API)
    tokens = world.tokens(page)
    assert claims(tokens["access_token"])["sub"] == claims(tokens["id_token"])["sub"]
    assert introspected(world, "asking", tokens["access_token"])["sub"] == claims(tokens["id_token"])["sub"]


def test_signed_userinfo_names_its_key_and_the_person_as_the_client_knows_them(tmp_path: Path) -> None:
    signed = [client("trusted", **PAIRWISE, userinfo_signed_response_alg="RS256")]
    world = World.make(tmp_path, **{**CHANGES, "clients": signed})
    tokens = world.tokens(world.browser().signed_in("trusted"))
    response = world.browser().step(
        f"{ISSUER}/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    keys = json.loads(world.browser().step(f"{ISSUER}/jwks").text)["keys"]
    assert jwt.get_unverified_header(response.text)["kid"] == keys[0]["kid"]
    key = jwt.PyJWK(keys[0]).key
    said = jwt.decode(response.text, key, ["RS256"], issuer=ISSUER, audience="trusted")
    assert said["sub"] == claims(tokens["id_token"])["sub"] != "sub-alice"


def test_another_person_has_another(world: World, browser: Browser) -> None:
    alice = claims(world.tokens(browser.signed_in("trusted"))["id_token"])["sub"]
    bob = claims(world.tokens(world.browser().signed_in("trusted", "Bob"))["id_token"])["sub"]
    assert alice != bob


def test_hints_are_compared_with_what_the_client_was_told(world: World, browser: Browser) -> None:
    hint = world.tokens(browser.signed_in("trusted"))["id_token"]
    assert "code" in browser.authorize("trusted", prompt="none", id_token_hint=hint).answer
    elsewhere = world.browser()
    elsewhere.signed_in("trusted", "Bob")
    answer = elsewhere.authorize("trusted", prompt="none", id_token_hint=hint).answer
    assert answer["error"] == "login_required"


@pytest.mark.parametrize("place", ["id_token", "userinfo"])
def test_a_named_sub_is_the_one_of_the_client_and_no_way_to_try_out_others(
    world: World, browser: Browser, place: str
) -> None:
    browser.signed_in("trusted")
    own, foreign = sub_at(world, browser, "trusted"), sub_at(world, browser, "other")

    def asked(sub: str) -> dict[str, str]:
        wanted = json.dumps({place: {"sub": {"value": sub}}})
        return browser.authorize("trusted", prompt="none", claims=wanted).answer

    assert "code" in asked(own)
    for sub in ("sub-alice", foreign, own[:-1], own.lower()):
        assert asked(sub)["error"] == "login_required", sub


def test_a_hint_from_when_the_client_was_public_names_nobody(tmp_path: Path) -> None:
    public = World.make(tmp_path, **{**CHANGES, "clients": [client("trusted", trusted=True)]})
    browser = public.browser()
    hint = public.tokens(browser.signed_in("trusted"))["id_token"]
    assert claims(hint)["sub"] == "sub-alice"
    public.close()
    browser.client.application = World.make(tmp_path, **CHANGES).provider
    answer = browser.authorize("trusted", prompt="none", id_token_hint=hint).answer
    assert answer["error"] == "login_required"
    assert "code" in browser.authorize("trusted", prompt="none").answer
    # Signing out asks, and then works.
    assert asks(browser.go(end_session_url(id_token_hint=hint)))


ELSEWHERE = "https://bank.example/cb"


@pytest.mark.row("P-13")
@pytest.mark.parametrize(
    ("before", "after", "still_good"),
    [
        pytest.param({}, PAIRWISE, False, id="public-to-pairwise"),
        pytest.param(PAIRWISE, {}, False, id="pairwise-to-public"),
        pytest.param(PAIRWISE, {**PAIRWISE, "redirect_uris": [ELSEWHERE]}, False, id="to-another-host"),
        pytest.param(
            PAIRWISE,
            {**PAIRWISE, "sector_identifier_uri": "https://bank.example/sector.json"},
            False,
            id="to-a-named-sector",
        ),
        pytest.param(
            PAIRWISE,
            {**PAIRWISE, "redirect_uris": ["https://app.example/cb", "https://app.example/other"]},
            True,
            id="same-sector",
        ),
        pytest.param({}, {"redirect_uris": ["https://app.example/cb", ELSEWHERE]}, True, id="public"),
    ],
)
def test_what_was_given_in_one_sector_names_nobody_in_another(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], still_good: bool
) -> None:
    flows = ["authorization_code", "refresh_token", "introspection"]

    def started(**changes: Any) -> World:
        clients = [client("trusted", **{"trusted": True, "flows": flows, **changes})]
        return World.make(tmp_path, **{**CHANGES, "clients": clients})

    first = started(**before)
    browser = first.browser()
    tokens = first.tokens(browser.signed_in("trusted", scope="openid offline_access"))
    code = browser.authorize("trusted").answer["code"]
    first.close()
    world = started(**after)
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER
    }  # fmt: skip
    status = 200 if still_good else 400
    assert world.userinfo_status(tokens["access_token"]) == (200 if still_good else 401)
    assert introspected(world, "trusted", tokens["refresh_token"])["active"] is still_good
    assert world.post_token(form).status_code == status
    assert world.refresh(tokens["refresh_token"]).status_code == status


@pytest.mark.row("S-19")
def test_signing_out_with_the_hint_of_a_pairwise_client_asks_nobody(world: World, browser: Browser) -> None:
    hint = world.tokens(browser.signed_in("trusted"))["id_token"]
    page = browser.go(end_session_url(id_token_hint=hint, post_logout_redirect_uri=BYE))
    assert (page.status, page.location) == (303, BYE)
    assert browser.session_cookie is None


def test_a_device_has_the_sub_of_its_sector(world: World, browser: Browser) -> None:
    browser.signed_in("trusted")
    own = sub_at(world, browser, "trusted")
    begun = world.post_token({"scope": "openid"}, "device", "/device_authorization").get_json()
    approve(browser, begun)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun["device_code"],
    }
    tokens = world.post_token(form, "device").get_json()
    assert claims(tokens["id_token"])["sub"] == own


def test_discovery_names_the_subject_types_of_the_realm(world: World) -> None:
    document = json.loads(world.browser().step(f"{ISSUER}/.well-known/openid-configuration").text)
    assert document["subject_types_supported"] == ["public", "pairwise"]

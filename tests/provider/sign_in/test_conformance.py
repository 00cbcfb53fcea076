"""The modules of the basic plan that the interactive half decides, in process and with a clock that is moved.

Over HTTPS, from outside: `tests.conformance`.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.provider.sign_in.place import (
    CALLBACK,
    ISSUER,
    START,
    Page,
    World,
    authorize_url,
    claims,
    client,
)


def id_token(world: World, page: Page, client_id: str = "trusted") -> dict[str, Any]:
    return claims(world.tokens(page, client_id)["id_token"])


@pytest.mark.row("E-01", "E-25", "A-09", "F-13", "F-14", "S-01")
def test_oidcc_server(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    assert page.main_id == "page-consent"
    page = browser.submit(page, decision="allow")
    assert page.location is not None
    assert page.location.startswith(f"{CALLBACK}?")
    # A code and nothing that is a token.
    assert page.answer.keys() == {"code", "state", "iss"}
    assert page.answer["state"] == "state-1"
    token = id_token(world, page, "app")
    assert (token["iss"], token["aud"], token["sub"], token["nonce"]) == (
        ISSUER,
        "app",
        "sub-alice",
        "nonce-1",
    )
    assert (token["auth_time"], token["acr"], token["amr"]) == (START, "knowledge", ["pwd"])
    assert token["sid"]


@pytest.mark.row("E-01")
def test_oidcc_response_type_missing(world: World) -> None:
    answer = world.browser().authorize("trusted", response_type=None).answer
    assert answer["error"] == "invalid_request"


@pytest.mark.row("E-25")
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(world: World) -> None:
    assert "nonce" not in id_token(world, world.browser().signed_in("trusted", nonce=None))


@pytest.mark.row("E-25")
def test_oidcc_alternate_happy_flow(world: World) -> None:
    query = authorize_url("trusted", scope="profile openid").partition("?")[2]
    turned = "&".join(reversed(query.split("&")))
    browser = world.browser()
    assert browser.sign_in(browser.go(f"{ISSUER}/authorize?{turned}")).answer["code"]


@pytest.mark.row("E-25")
@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"display": "page"}, id="oidcc-display-page"),
        pytest.param({"display": "popup"}, id="oidcc-display-popup"),
        pytest.param({"extra": "foobar"}, id="oidcc-ensure-request-with-unknown-parameter-succeeds"),
        pytest.param({"ui_locales": "de en"}, id="oidcc-ui-locales"),
        pytest.param({"claims_locales": "de en"}, id="oidcc-claims-locales"),
        pytest.param({"acr_values": "knowledge"}, id="oidcc-ensure-request-with-acr-values-succeeds"),
        pytest.param({"login_hint": "alice"}, id="oidcc-login-hint"),
        pytest.param({"interaction": "x"}, id="a-parameter-named-as-one-of-ours"),
    ],
)
def test_harmless_parameters(world: World, extra: dict[str, Any]) -> None:
    assert id_token(world, world.browser().signed_in("trusted", **extra))["acr"] == "knowledge"


@pytest.mark.row("E-25")
def test_oidcc_prompt_login(world: World) -> None:
    browser = world.browser()
    first = id_token(world, browser.signed_in())
    world.sleep(2)
    page = browser.authorize("trusted", prompt="login")
    assert page.main_id == "page-login"
    assert page.username == "alice"
    second = id_token(world, browser.sign_in(page))
    assert second["auth_time"] == first["auth_time"] + 2
    assert second["sub"] == first["sub"]
    assert second["sid"] == first["sid"]


@pytest.mark.row("E-25")
def test_oidcc_prompt_none_not_logged_in(world: World) -> None:
    page = world.browser().authorize("trusted", prompt="none")
    assert page.answer["error"] == "login_required"
    assert "code" not in page.answer


@pytest.mark.row("E-25")
def test_oidcc_prompt_none_logged_in(world: World) -> None:
    browser = world.browser()
    first = id_token(world, browser.signed_in())
    world.sleep(500)
    page = browser.step(authorize_url("trusted", prompt="none"))
    second = id_token(world, page)
    assert (second["sub"], second["auth_time"], second["sid"]) == (
        first["sub"],
        first["auth_time"],
        first["sid"],
    )


@pytest.mark.row("E-25", "A-13")
def test_prompt_none_without_consent(world: World) -> None:
    browser = world.browser()
    browser.signed_in("trusted")
    assert browser.authorize("app", prompt="none").answer["error"] == "consent_required"


@pytest.mark.row("E-25")
def test_oidcc_max_age_1(world: World) -> None:
    browser = world.browser()
    first = id_token(world, browser.signed_in())
    world.sleep(1)
    page = browser.authorize("trusted", max_age="1")
    assert page.main_id == "page-login"
    assert id_token(world, browser.sign_in(page))["auth_time"] == first["auth_time"] + 1


@pytest.mark.row("E-25")
def test_oidcc_max_age_10000(world: World) -> None:
    browser = world.browser()
    first = id_token(world, browser.signed_in())
    world.sleep(100)
    page = browser.step(authorize_url("trusted", max_age="10000"))
    assert id_token(world, page)["auth_time"] == first["auth_time"]


@pytest.mark.row("E-25")
def test_max_age_0_asks_once_and_then_answers(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", max_age="0")
    assert page.main_id == "page-login"
    assert browser.sign_in(page).answer["code"]


@pytest.mark.row("E-25")
def test_max_age_with_prompt_none(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    world.sleep(60)
    assert browser.authorize("trusted", max_age="30", prompt="none").answer["error"] == "login_required"


@pytest.mark.row("E-25")
def test_prompt_select_account_lets_another_person_in(world: World) -> None:
    browser = world.browser()
    first = id_token(world, browser.signed_in())
    page = browser.authorize("trusted", prompt="select_account")
    assert page.main_id == "page-account"
    page = browser.submit(page, decision="other")
    assert page.username == ""
    second = id_token(world, browser.sign_in(page, "Bob"))
    assert second["sub"] == "sub-bob"
    assert second["sid"] != first["sid"]


@pytest.mark.row("E-25", "E-21")
def test_oidcc_id_token_hint(world: World) -> None:
    browser = world.browser()
    tokens = world.tokens(browser.signed_in())
    page = browser.step(authorize_url("trusted", prompt="none", id_token_hint=tokens["id_token"]))
    assert id_token(world, page)["sub"] == claims(tokens["id_token"])["sub"]


@pytest.mark.row("E-25")
def test_id_token_hint_long_expired_and_of_a_retired_key(world: World) -> None:
    hint = world.tokens(world.browser().signed_in())["id_token"]
    parts = world.provider.parts
    for _ in range(2):
        parts.keys.rotate(parts.store, parts.realms[0], "RS256", world.now, at_once=True)
        world.sleep(40 * 86_400)
    browser = world.browser()
    browser.signed_in()
    assert browser.authorize("trusted", prompt="none", id_token_hint=hint).answer["code"]


@pytest.mark.row("E-25")
def test_id_token_hint_of_another_person(world: World) -> None:
    hint = world.tokens(world.browser().signed_in(name="Bob"))["id_token"]
    browser = world.browser()
    browser.signed_in()
    assert browser.authorize("trusted", prompt="none", id_token_hint=hint).answer["error"] == "login_required"
    page = browser.authorize("trusted", id_token_hint=hint)
    assert page.main_id == "page-login"
    assert browser.sign_in(page, "alice").answer["error"] == "login_required"
    page = browser.authorize("trusted", id_token_hint=hint)
    assert browser.sign_in(page, "Bob").answer["code"]


@pytest.mark.row("E-25", "P-10")
@pytest.mark.parametrize("forgery", ["other-client", "other-realm", "altered", "alg-none", "access-token"])
def test_id_token_hint_that_is_not_ours_for_this_client(world: World, tmp_path: Path, forgery: str) -> None:
    browser = world.browser()
    tokens = world.tokens(browser.signed_in())
    hint = str(tokens["id_token"])
    if forgery == "other-client":
        hint = world.tokens(browser.authorize("other"), "other")["id_token"]
    elif forgery == "other-realm":
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        elsewhere = World.make(folder, issuer="https://id.example/sub")
        parts = elsewhere.provider.parts
        with parts.store.begin() as conn:
            signer = parts.keys.signer(conn, parts.realms[0], "RS256", world.now)
        hint = signer.sign(claims(hint) | {"iss": "https://id.example/sub"})
        elsewhere.close()
    elif forgery == "altered":
        head, payload, signature = hint.split(".")
        hint = f"{head}.{payload}.{'A' * len(signature)}"
    elif forgery == "alg-none":
        hint = f"eyJhbGciOiJub25lIn0.{hint.split('.')[1]}."
    else:
        hint = tokens["access_token"]
    page = browser.authorize("trusted", prompt="none", id_token_hint=hint)
    assert page.answer["error"] == "invalid_request"


@pytest.mark.row("P-01")
def test_oidcc_ensure_registered_redirect_uri(world: World) -> None:
    page = world.browser().authorize("app", redirect_uri="https://app.example/other")
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)


@pytest.mark.row("S-14", "E-25")
def test_oidcc_ensure_post_request_succeeds(world: World) -> None:
    browser = world.browser()
    page = browser.go(f"{ISSUER}/authorize", authorize_url("trusted").partition("?")[2])
    assert browser.sign_in(page).answer["code"]


@pytest.mark.row("S-14")
def test_a_post_is_answered_before_any_session_is_read_and_by_a_get_with_it(world: World) -> None:
    """From another site the POST comes without our cookies, and the GET it is answered with brings them."""
    browser = world.browser()
    browser.signed_in()
    before = browser.cookies()
    elsewhere = world.browser()
    page = elsewhere.step(f"{ISSUER}/authorize", authorize_url("trusted", prompt="none").partition("?")[2])
    assert page.status == 303
    assert page.location is not None
    assert re.fullmatch(rf"{ISSUER}/authorize\?interaction=[\w-]{{43}}", page.location)
    assert not elsewhere.cookies()
    answered = browser.step(page.location)
    assert answered.answer["code"]
    assert browser.cookies() == before
    again = browser.step(page.location)
    assert (again.status, again.main_id) == (400, "page-error")


@pytest.mark.row("S-14", "P-10")
def test_a_stored_post_belongs_to_the_first_browser_that_asks(world: World) -> None:
    page = world.browser().step(f"{ISSUER}/authorize", authorize_url("trusted").partition("?")[2])
    assert page.location is not None
    first, second = world.browser(), world.browser()
    assert first.go(page.location).main_id == "page-login"
    assert second.go(page.location).main_id == "page-error"
    assert first.sign_in(first.go(page.location)).answer["code"]


@pytest.mark.row("E-25")
def test_oidcc_request_uri_unsigned_and_unsigned_request_object_are_rejected_as_unsupported(
    world: World,
) -> None:
    for name in ("request", "request_uri"):
        answer = world.browser().authorize("trusted", **{name: "https://app.example/x"}).answer
        assert answer["error"] == f"{name}_not_supported"


@pytest.mark.row("S-35", "A-09")
def test_auto_accept_shows_no_consent_page(tmp_path: Path) -> None:
    world = World.make(tmp_path, consent={"auto_accept": True}, clients=[client("app")])
    assert world.tokens(world.browser().signed_in("app"), "app")["scope"] == "openid profile"
    world.close()


@pytest.mark.row("P-27")
def test_a_revoked_grant_does_not_break_the_next_authorization(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in(scope="openid offline_access")
    tokens = world.tokens(page)
    with pytest.raises(AssertionError, match="invalid_grant"):
        world.tokens(page)  # a second use revokes the grant
    assert world.refresh(tokens["refresh_token"]).status_code == 400
    again = world.tokens(browser.step(authorize_url("trusted", prompt="none")))
    assert world.userinfo_status(again["access_token"]) == 200


@pytest.mark.row("S-23", "E-01")
def test_a_deep_request_survives_sign_in_and_consent(world: World) -> None:
    state = "/deep/link?a=1&b=%2F#end"
    browser = world.browser()
    page = browser.authorize(
        "app", state=state, redirect_uri=f"{CALLBACK}?kept=1", response_mode="form_post", nonce="n+ü"
    )
    page = browser.submit(browser.sign_in(page), decision="allow")
    assert (page.main_id, page.action) == ("page-form-post", f"{CALLBACK}?kept=1")
    assert page.answer["state"] == state
    tokens = world.tokens(page, "app", f"{CALLBACK}?kept=1")
    assert claims(tokens["id_token"])["nonce"] == "n+ü"

"""The implicit flow: tokens from the authorization endpoint, for clients that prove nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provider.sign_in.front_channel import (
    ACCESS,
    ALWAYS,
    API,
    front_world,
    half_hash,
    nowhere_else,
    sent_in,
    verified,
)
from tests.provider.sign_in.place import CALLBACK, ISSUER, Browser, Page, World, authorize_url

ID_TOKEN = {"id_token"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A provider that has switched on all of it."""
    made = front_world(tmp_path, insecure_oauth_implicit=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider as it comes; what is refused changes nothing, so one is enough."""
    made = front_world(tmp_path_factory.mktemp("strict"))
    yield made
    made.close()


def implicit(browser: Browser, response_type: str, client_id: str = "spa", **changes: str | None) -> Page:
    """Ask as such a client does: without a challenge, for which there is no code."""
    bare = {"code_challenge": None, "code_challenge_method": None}
    return browser.authorize(client_id, **{**bare, "response_type": response_type, **changes})


def signed_in(world: World, response_type: str, client_id: str = "spa", **changes: str | None) -> Page:
    browser = world.browser()
    return browser.sign_in(implicit(browser, response_type, client_id, **changes))


@pytest.mark.row("E-02", "S-04", "S-05", "S-10", "E-25")
@pytest.mark.parametrize("mode", [None, "fragment", "form_post"])
@pytest.mark.parametrize("client_id", ["spa", "erp"])
@pytest.mark.parametrize(
    ("response_type", "given"),
    [
        pytest.param("id_token", ID_TOKEN, id="id_token"),
        pytest.param("id_token token", ID_TOKEN | ACCESS, id="id_token-token"),
        pytest.param("token id_token", ID_TOKEN | ACCESS, id="token-id_token"),
        pytest.param("token", ACCESS, id="token"),
    ],
)
def test_each_type_answers_exactly_its_parameters(
    world: World,
    caplog: pytest.LogCaptureFixture,
    response_type: str,
    given: set[str],
    client_id: str,
    mode: str | None,
) -> None:
    caplog.set_level("DEBUG")
    page = signed_in(world, response_type, client_id, response_mode=mode)
    assert sent_in(page) == (mode or "fragment")
    answer = page.answer
    assert answer.keys() == given | ALWAYS
    assert (answer["state"], answer["iss"]) == ("state-1", ISSUER)
    if "access_token" in given:
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", "3600")
        assert answer["scope"] == "openid profile"
        assert world.userinfo_status(answer["access_token"]) == 200
    secrets = {name: answer[name] for name in given & {"access_token", "id_token"}}
    nowhere_else(world, page, secrets, caplog)
    (event,) = world.events("tokens_issued")
    assert (event["grant_type"], event["client_id"]) == ("implicit", client_id)


@pytest.mark.row("E-02", "S-05", "P-14")
@pytest.mark.parametrize("audience", [pytest.param(None, id="opaque"), pytest.param(API, id="jwt")])
def test_at_hash_binds_the_access_token(world: World, audience: str | None) -> None:
    answer = signed_in(world, "id_token token", scope="openid", audience=audience).answer
    header, claims = verified(world, answer["id_token"])
    assert header["alg"] == "RS256"
    assert claims["at_hash"] == half_hash(answer["access_token"])
    assert "c_hash" not in claims
    if audience is not None:
        header, claims = verified(world, answer["access_token"])
        assert (header["typ"], claims["aud"]) == ("at+jwt", API)


@pytest.mark.row("E-02", "S-05")
def test_an_id_token_alone_has_no_hashes(world: World) -> None:
    _, claims = verified(world, signed_in(world, "id_token").answer["id_token"])
    assert (claims["nonce"], claims["aud"], claims["sub"]) == ("nonce-1", "spa", "sub-alice")
    assert not {"at_hash", "c_hash"} & claims.keys()


ABOUT = {"name", "email", "email_verified"}


@pytest.mark.row("E-02", "S-04")
@pytest.mark.parametrize(
    ("response_type", "scope", "found"),
    [
        pytest.param("id_token", "openid profile email", ABOUT, id="alone"),
        pytest.param("id_token", "openid email", {"email", "email_verified"}, id="alone-of-its-scopes-only"),
        pytest.param("id_token", "openid", set(), id="alone-of-openid-only"),
        pytest.param("id_token token", "openid profile email", set(), id="with-an-access-token"),
    ],
)
def test_claims_of_scopes_are_in_the_id_token_when_there_is_no_userinfo(
    world: World, response_type: str, scope: str, found: set[str]
) -> None:
    _, claims = verified(world, signed_in(world, response_type, scope=scope).answer["id_token"])
    assert ABOUT & claims.keys() == found


@pytest.mark.row("S-05", "E-02")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token", "token"])
def test_there_is_no_refresh_token_whatever_is_asked_for(world: World, response_type: str) -> None:
    answer = signed_in(world, response_type, "both", scope="openid offline_access").answer
    assert "refresh_token" not in answer
    assert answer.get("scope", "openid") == "openid"
    with world.provider.parts.store.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM refresh_tokens").scalar() == 0


@pytest.mark.row("E-02", "E-25")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token"])
@pytest.mark.parametrize("mode", [None, "form_post"])
def test_an_id_token_needs_a_nonce(world: World, response_type: str, mode: str | None) -> None:
    page = implicit(world.browser(), response_type, nonce=None, response_mode=mode)
    assert sent_in(page) == (mode or "fragment")
    assert page.answer["error"] == "invalid_request"
    assert "nonce" in page.answer["error_description"]


@pytest.mark.row("S-10", "C-5")
def test_an_access_token_alone_needs_neither_nonce_nor_openid(world: World) -> None:
    answer = signed_in(world, "token", scope="profile", nonce=None).answer
    assert answer.keys() == ACCESS | ALWAYS
    # It says nothing about the person: that takes openid.
    assert world.userinfo_status(answer["access_token"]) == 403


@pytest.mark.row("E-03", "S-10", "C-5")
@pytest.mark.parametrize("client_id", ["spa", "both", "code"])
def test_an_access_token_alone_needs_the_switch_of_the_provider(strict: World, client_id: str) -> None:
    page = implicit(strict.browser(), "token", client_id)
    assert sent_in(page) == "fragment"
    assert page.answer["error"] == "unsupported_response_type"


@pytest.mark.row("S-10", "C-5", "S-50")
def test_an_access_token_alone_needs_the_flow_of_the_client(world: World) -> None:
    page = implicit(world.browser(), "token", "code")
    assert sent_in(page) == "fragment"
    assert page.answer["error"] == "unauthorized_client"


@pytest.mark.row("E-02", "S-04")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token"])
def test_an_id_token_needs_openid(strict: World, response_type: str) -> None:
    """Refused to the registered URI; where that is not known, on a page (P-02)."""
    page = implicit(strict.browser(), response_type, scope="profile")
    assert (sent_in(page), page.answer["error"]) == ("fragment", "invalid_scope")


@pytest.mark.row("S-04", "P-01", "P-02")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token", "token", "x", None])
@pytest.mark.parametrize("mode", [None, "fragment", "form_post", "query"])
def test_an_unregistered_uri_is_a_page_whatever_else_is_wrong(
    strict: World, response_type: str | None, mode: str | None
) -> None:
    url = authorize_url(
        "spa",
        redirect_uri="https://evil.test/cb",
        response_type=response_type,
        response_mode=mode,
        scope="profile",
        nonce=None,
        prompt="none",
    )
    page = strict.browser().go(url)
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)
    assert "evil.test" not in page.text


@pytest.mark.row("S-04", "E-25")
@pytest.mark.parametrize("prompt", [None, "none"])
@pytest.mark.parametrize("response_type", ["id_token", "id_token token", "token", "token id_token"])
def test_tokens_are_never_for_the_query_and_neither_is_the_refusal(
    world: World, response_type: str, prompt: str | None
) -> None:
    browser = world.browser()
    browser.sign_in(implicit(browser, "id_token"))
    page = implicit(browser, response_type, response_mode="query", prompt=prompt)
    assert sent_in(page) == "fragment"
    assert page.answer.keys() == {"error", "error_description"} | ALWAYS
    assert page.answer["error"] == "invalid_request"


@pytest.mark.row("E-25", "E-02", "P-02")
@pytest.mark.parametrize("mode", [None, "form_post"])
@pytest.mark.parametrize("response_type", ["id_token", "id_token token", "token"])
def test_prompt_none_answers_the_same_way(world: World, response_type: str, mode: str | None) -> None:
    browser = world.browser()
    refused = implicit(browser, response_type, prompt="none", response_mode=mode)
    assert sent_in(refused) == (mode or "fragment")
    assert refused.answer["error"] == "login_required"
    browser.sign_in(implicit(browser, response_type))
    given = implicit(browser, response_type, prompt="none", response_mode=mode)
    assert sent_in(given) == (mode or "fragment")
    assert "error" not in given.answer


@pytest.mark.row("E-25", "S-23")
@pytest.mark.parametrize("mode", [None, "form_post"])
def test_a_refusal_of_the_person_is_answered_the_same_way(world: World, mode: str | None) -> None:
    browser = world.browser()
    state = "/deep?a=1&b=%2F#end"
    page = implicit(browser, "id_token token", "asked", response_mode=mode, state=state)
    page = browser.sign_in(page)
    assert page.main_id == "page-consent"
    page = browser.submit(page, decision="deny")
    assert sent_in(page) == (mode or "fragment")
    assert (page.answer["error"], page.answer["state"]) == ("access_denied", state)


@pytest.mark.row("S-23", "E-02")
def test_a_request_survives_sign_in_and_consent(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(implicit(browser, "id_token token", "asked", state="/deep?a=1#end"))
    page = browser.submit(page, decision="allow")
    assert page.location is not None
    assert page.location.startswith(f"{CALLBACK}#")
    assert page.answer["state"] == "/deep?a=1#end"
    assert world.userinfo_status(page.answer["access_token"]) == 200

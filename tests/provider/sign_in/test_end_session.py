"""Signing out: the modules of the rp-initiated-logout plan by name, and what else may arrive there."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from oidcgate.jose.jwt import sign
from oidcgate.jose.keys import generate_key, thumbprint_kid
from tests.provider.sign_in.place import (
    BYE,
    ISSUER,
    Browser,
    Page,
    World,
    authorize_url,
    claims,
    client,
)

REDIRECTS = [
    line
    for line in (Path(__file__).parents[2] / "data" / "redirects.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("# ")
]


def end_session_url(**values: str | None) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"{ISSUER}/end_session?{urlencode(given)}" if given else f"{ISSUER}/end_session"


def is_signed_in(browser: Browser) -> bool:
    answer = browser.step(authorize_url("trusted", prompt="none")).answer
    assert answer.get("error", "login_required") == "login_required"
    return "code" in answer


def asks(page: Page) -> bool:
    assert page.location is None
    return (page.status, page.main_id) == (200, "page-logout")


def says_signed_out(page: Page) -> bool:
    assert page.location is None
    return (page.status, page.main_id) == (200, "page-logged-out")


@pytest.fixture
def browser(world: World) -> Browser:
    return world.browser()


@pytest.fixture
def tokens(world: World, browser: Browser) -> dict[str, Any]:
    """Alice signed in for the client `trusted`."""
    return world.tokens(browser.signed_in(scope="openid offline_access"))


@pytest.mark.row("S-19")
@pytest.mark.parametrize("method", ["get", "post"])
def test_oidcc_rp_initiated_logout(browser: Browser, tokens: dict[str, Any], method: str) -> None:
    before = browser.session_cookie
    url = end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state="a b&c")
    page = browser.go(url) if method == "get" else browser.go(f"{ISSUER}/end_session", url.partition("?")[2])
    assert (page.status, page.location) == (303, f"{BYE}?state=a+b%26c")
    assert page.response.headers["Cache-Control"] == "no-store"
    assert before is not None
    assert browser.session_cookie is None
    assert not is_signed_in(browser)


@pytest.mark.row("S-19")
def test_the_session_is_dead_and_not_only_its_cookie(
    world: World, browser: Browser, tokens: dict[str, Any]
) -> None:
    kept = browser.cookies()
    browser.go(end_session_url(id_token_hint=tokens["id_token"]))
    other = world.browser()
    for name, value in kept.items():
        other.client.set_cookie(name, value, domain="id.example")
    assert not is_signed_in(other)


NEAR = [
    "https://app.example/other",
    f"{BYE}/",
    f"{BYE}?",
    f"{BYE}#x",
    f"{BYE}?kept=2",
    "https://app.example:443/bye",
    "https://app.example@evil.test/bye",
    "http://app.example/bye",
    "https://app.example/cb",
    "javascript:alert(1)",
]


@pytest.mark.row("S-19", "P-01")
@pytest.mark.parametrize("uri", NEAR)
def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(
    world: World, browser: Browser, tokens: dict[str, Any], uri: str
) -> None:
    page = browser.go(
        end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=uri, state="s")
    )
    assert asks(page)
    assert is_signed_in(browser)
    assert uri in world.events("logout_not_returned")[0]["detail"]
    assert says_signed_out(browser.submit(page))
    assert not is_signed_in(browser)


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_modified_id_token_hint(browser: Browser, tokens: dict[str, Any]) -> None:
    payload = tokens["id_token"].split(".")[1]
    for hint in (f"eyJhbGciOiJub25lIn0.{payload}.", f"eyJhbGciOiJub25lIn0.{payload}", "x"):
        page = browser.go(end_session_url(id_token_hint=hint, post_logout_redirect_uri=BYE, state="s"))
        assert asks(page)
        assert is_signed_in(browser)
    assert says_signed_out(browser.submit(page))


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_no_id_token_hint(browser: Browser, tokens: dict[str, Any]) -> None:
    page = browser.go(end_session_url(post_logout_redirect_uri=BYE, state="s"))
    assert asks(page)
    assert is_signed_in(browser)
    assert says_signed_out(browser.submit(page))


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_no_params(browser: Browser, tokens: dict[str, Any]) -> None:
    page = browser.go(end_session_url())
    assert asks(page)
    assert "alice" in page.text
    assert says_signed_out(browser.submit(page))
    assert not is_signed_in(browser)


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(
    browser: Browser, tokens: dict[str, Any]
) -> None:
    assert says_signed_out(browser.go(end_session_url(id_token_hint=tokens["id_token"])))
    assert not is_signed_in(browser)


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_no_state(browser: Browser, tokens: dict[str, Any]) -> None:
    page = browser.go(end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE))
    assert page.location == BYE


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_only_state(browser: Browser, tokens: dict[str, Any]) -> None:
    page = browser.go(end_session_url(state="s"))
    assert asks(page)
    assert says_signed_out(browser.submit(page))


@pytest.mark.row("S-19", "P-01")
def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(
    browser: Browser, tokens: dict[str, Any]
) -> None:
    page = browser.go(
        end_session_url(
            id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{BYE}?foo=bar", state="s"
        )
    )
    assert asks(page)


@pytest.mark.row("S-19")
def test_oidcc_rp_initiated_logout_bad_id_token_hint(browser: Browser, tokens: dict[str, Any]) -> None:
    key = generate_key("RS256")
    hint = sign(claims(tokens["id_token"]), key, "RS256", kid=thumbprint_kid(key))
    page = browser.go(
        end_session_url(id_token_hint=hint, client_id="trusted", post_logout_redirect_uri=BYE, state="s")
    )
    assert asks(page)
    assert says_signed_out(browser.submit(page))


@pytest.mark.row("S-19")
def test_a_query_of_the_registered_uri_is_kept(world: World, browser: Browser) -> None:
    page = browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    hint = world.tokens(page, "app")["id_token"]
    page = browser.go(
        end_session_url(id_token_hint=hint, post_logout_redirect_uri=f"{BYE}?kept=1", state="s")
    )
    assert page.location == f"{BYE}?kept=1&state=s"


@pytest.mark.row("S-19")
def test_client_id_without_a_hint_asks_and_then_leads_back(
    world: World, browser: Browser, tokens: object
) -> None:
    page = browser.go(end_session_url(client_id="trusted", post_logout_redirect_uri=BYE, state="s"))
    assert asks(page)
    assert "The trusted app" in page.text
    assert "form-action 'self' https:" in page.response.headers["Content-Security-Policy"]
    assert browser.submit(page).location == f"{BYE}?state=s"
    assert world.events("logged_out")[0]["client_id"] == "trusted"


@pytest.mark.row("S-19")
@pytest.mark.parametrize("client_id", ["app", "nobody", "off", ""])
def test_a_client_id_that_is_not_the_hints_is_not_believed(
    browser: Browser, tokens: dict[str, Any], client_id: str
) -> None:
    url = end_session_url(
        id_token_hint=tokens["id_token"], client_id=client_id, post_logout_redirect_uri=BYE, state="s"
    )
    page = browser.go(url)
    if client_id == "":  # empty counts as absent
        assert page.location == f"{BYE}?state=s"
        return
    assert asks(page)
    assert is_signed_in(browser)
    assert says_signed_out(browser.submit(page))


@pytest.mark.row("S-19", "P-30")
def test_a_hint_of_another_persons_session_asks(world: World, browser: Browser) -> None:
    """A leaked ID token is no licence to sign somebody out."""
    leaked = world.tokens(world.browser().signed_in(name="Bob"))["id_token"]
    browser.signed_in()
    page = browser.go(end_session_url(id_token_hint=leaked, post_logout_redirect_uri=BYE, state="s"))
    assert asks(page)
    assert is_signed_in(browser)


@pytest.mark.row("P-30")
def test_a_hint_of_the_same_persons_other_session_asks(world: World, browser: Browser) -> None:
    other = world.tokens(world.browser().signed_in())["id_token"]
    browser.signed_in()
    page = browser.go(end_session_url(id_token_hint=other, post_logout_redirect_uri=BYE, state="s"))
    assert asks(page)
    assert is_signed_in(browser)
    assert browser.submit(page).location == f"{BYE}?state=s"


@pytest.mark.row("P-30")
def test_an_access_token_or_a_logout_token_is_no_hint(
    world: World, browser: Browser, tokens: dict[str, Any]
) -> None:
    parts = world.provider.parts
    fields = claims(tokens["id_token"])
    with parts.store.begin() as conn:
        signer = parts.keys.signer(conn, parts.realms[0], "RS256", world.now)
    logout_token = signer.sign({**fields, "events": {}})
    foreign = signer.sign({**fields, "iss": "https://evil.test"})
    headless = signer.sign({**fields, "aud": [1]})
    for hint in (tokens["access_token"], logout_token, foreign, headless):
        assert asks(browser.go(end_session_url(id_token_hint=hint)))
        assert is_signed_in(browser)


@pytest.mark.row("S-19")
def test_an_expired_hint_and_one_of_a_retired_key_are_good(
    world: World, browser: Browser, tokens: dict[str, Any]
) -> None:
    parts = world.provider.parts
    world.sleep(7 * 3600)
    parts.keys.rotate(parts.store, parts.realms[0], "RS256", world.now, at_once=True)
    page = browser.go(end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE))
    assert page.location == BYE


@pytest.mark.row("S-19")
def test_without_a_session_a_good_hint_leads_back_and_nothing_else_does(
    world: World, browser: Browser, tokens: dict[str, Any]
) -> None:
    stranger = world.browser()
    page = stranger.go(
        end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state="s")
    )
    assert page.location == f"{BYE}?state=s"
    assert is_signed_in(browser)
    for url in (
        end_session_url(),
        end_session_url(client_id="trusted", post_logout_redirect_uri=BYE),
        end_session_url(id_token_hint="x", post_logout_redirect_uri=BYE),
        end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri="https://evil.test"),
    ):
        assert says_signed_out(stranger.go(url))


@pytest.mark.row("P-30", "S-19")
def test_only_the_asking_clients_tokens_of_this_session_are_revoked(world: World, browser: Browser) -> None:
    scope = "openid offline_access"
    mine = world.tokens(browser.signed_in("trusted", scope=scope))
    others = world.tokens(browser.authorize("other", scope=scope), "other")
    elsewhere = world.tokens(world.browser().signed_in("trusted", scope=scope))
    browser.go(end_session_url(id_token_hint=mine["id_token"]))
    assert world.refresh(mine["refresh_token"]).status_code == 400
    assert world.userinfo_status(mine["access_token"]) == 401
    assert world.refresh(others["refresh_token"], "other").status_code == 200
    assert world.userinfo_status(others["access_token"]) == 200
    assert world.refresh(elsewhere["refresh_token"]).status_code == 200


@pytest.mark.row("P-30")
def test_signing_out_without_a_client_revokes_no_tokens(
    world: World, browser: Browser, tokens: dict[str, Any]
) -> None:
    assert says_signed_out(browser.submit(browser.go(end_session_url())))
    assert world.userinfo_status(tokens["access_token"]) == 200


@pytest.mark.row("P-11")
@pytest.mark.parametrize("token", ["", "x", None])
def test_the_form_needs_its_token(browser: Browser, tokens: dict[str, Any], token: str | None) -> None:
    page = browser.go(end_session_url())
    fields = {**page.hidden, "csrf": token}
    again = browser.go(page.action, {name: value for name, value in fields.items() if value is not None})
    assert (again.status, again.main_id) == (400, "page-logout")
    assert is_signed_in(browser)
    assert says_signed_out(browser.submit(again))


@pytest.mark.row("P-11")
def test_the_form_of_another_browser_or_session_is_not_taken(world: World, browser: Browser) -> None:
    browser.signed_in()
    stranger = world.browser()
    stranger.signed_in(name="Bob")
    page = stranger.go(end_session_url())
    assert browser.submit(page).main_id == "page-error"
    mine = browser.go(end_session_url())
    browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
    again = browser.submit(mine)
    assert (again.status, again.main_id) == (400, "page-logout")
    assert "Bob" in again.text
    assert is_signed_in(browser)


def test_the_form_sent_twice(browser: Browser, tokens: dict[str, Any]) -> None:
    page = browser.go(end_session_url())
    assert says_signed_out(browser.submit(page))
    again = browser.submit(page)
    assert (again.status, again.main_id, again.location) == (400, "page-error", None)


def test_the_form_after_the_session_ended_otherwise(browser: Browser, tokens: dict[str, Any]) -> None:
    page = browser.go(end_session_url(client_id="trusted", post_logout_redirect_uri=BYE))
    browser.go(end_session_url(id_token_hint=tokens["id_token"]))
    assert browser.submit(page).location == BYE


@pytest.mark.row("S-19")
@pytest.mark.parametrize(
    "name",
    ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales", "x"],
)
@pytest.mark.parametrize("value", ["repeated", "oversized", "control"])
def test_each_parameter_repeated_oversized_or_with_control_characters(
    browser: Browser, tokens: dict[str, Any], name: str, value: str
) -> None:
    good = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "client_id": "trusted"}.get(
        name, "x"
    )
    query = {"repeated": [good, good], "oversized": ["x" * 17_000], "control": ["a\x01b"]}[value]
    url = f"{ISSUER}/end_session?{urlencode([(name, one) for one in query])}"
    for page in (browser.go(url), browser.go(f"{ISSUER}/end_session", url.partition("?")[2])):
        assert (page.status, page.main_id, page.location) == (400, "page-error", None)
    assert is_signed_in(browser)


@pytest.mark.row("S-19", "P-01")
@pytest.mark.parametrize("signed_in", [True, False])
def test_no_line_of_the_redirect_list_is_followed(world: World, signed_in: bool) -> None:
    browser = world.browser()
    hint = world.tokens(browser.signed_in())["id_token"]
    asked_by = browser if signed_in else world.browser()
    for uri in REDIRECTS:
        for extra in ({"id_token_hint": hint}, {"client_id": "trusted"}):
            page = asked_by.go(end_session_url(post_logout_redirect_uri=uri, **extra))
            assert page.location is None, uri
            assert page.main_id in ("page-logout", "page-logged-out", "page-error")
    assert is_signed_in(browser)


def test_a_client_that_is_switched_off_is_not_led_back_to(tmp_path: Path) -> None:
    world = World.make(tmp_path)
    browser = world.browser()
    hint = world.tokens(browser.signed_in())["id_token"]
    world.close()
    changed = World.make(tmp_path, clients=[client("trusted", enabled=False), client("app", trusted=True)])
    browser.client.application = changed.provider
    assert asks(browser.go(end_session_url(id_token_hint=hint, post_logout_redirect_uri=BYE)))
    changed.close()


@pytest.mark.row("S-19")
def test_signing_out_while_a_sign_in_is_open_asks_for_the_password_again(
    browser: Browser, world: World
) -> None:
    browser.signed_in()
    consent = browser.authorize("app")
    assert consent.main_id == "page-consent"
    browser.submit(browser.go(end_session_url()))
    assert browser.submit(consent, decision="allow").main_id == "page-login"


@pytest.mark.row("S-19", "S-20", "S-21")
def test_what_introspection_and_revocation_say_after_a_sign_out(tmp_path: Path) -> None:
    flows = ["authorization_code", "refresh_token", "introspection", "revocation"]
    clients = [client("trusted", trusted=True, flows=flows), client("app", trusted=True, flows=flows)]
    world = World.make(tmp_path, clients=clients)
    browser = world.browser()
    scope = "openid offline_access"
    mine = world.tokens(browser.signed_in(scope=scope))
    others = world.tokens(browser.authorize("app", scope=scope), "app")

    def active(tokens: dict[str, Any], client_id: str) -> list[bool]:
        return [
            world.post_token({"token": tokens[kind]}, client_id, "/introspect").get_json()["active"]
            for kind in ("access_token", "refresh_token")
        ]

    assert active(mine, "trusted") == active(others, "app") == [True, True]
    assert says_signed_out(browser.go(end_session_url(id_token_hint=mine["id_token"])))

    assert active(mine, "trusted") == [False, False]
    assert active(others, "app") == [True, True]
    for kind in ("access_token", "refresh_token"):
        assert world.post_token({"token": mine[kind]}, "trusted", "/revoke").status_code == 200
    assert world.post_token({"token": others["refresh_token"]}, "app", "/revoke").status_code == 200
    assert active(others, "app") == [False, False]
    world.close()

"""The second factor at sign-in: who is asked for a code, what it is worth, what the client is told of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from sqlalchemy import select

from oidcgate.web.sealing import KeyRing
from provider.factors.totp import TotpSecrets
from provider.store import schema
from tests.provider.sign_in.place import (
    ISSUER,
    SECRET,
    Page,
    World,
    authorize_url,
    claims,
    client,
    settings_document,
)

MAY_ENROL = {"mode": "acr", "enrol_at_sign_in": True}
ASKED_MFA = {"acr_values": "mfa"}
ESSENTIAL_MFA = {"claims": json.dumps({"id_token": {"acr": {"essential": True, "values": ["mfa"]}}})}
SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"

CLIENTS = [
    client("trusted", trusted=True),
    client("strict", trusted=True, second_factor="required"),
    client("lax", trusted=True, second_factor="off"),
    client("saml", trusted=True, acr_profile="entrust-saml"),
    client("entra", trusted=True, acr_profile="eam"),
    client("app"),
]

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a provider; again over the same database with other settings."""
    worlds: list[World] = []

    def made(clients: list[dict[str, Any]] = CLIENTS, **second_factor: Any) -> World:
        world = World.make(tmp_path, clients=clients, second_factor={**MAY_ENROL, **second_factor})
        if worlds:
            world.time[0] = worlds[-1].time[0]
        worlds.append(world)
        return world

    yield made
    for world in worlds:
        world.close()


@pytest.fixture
def world(make: Make) -> World:
    return make()


def secret_on(page: Page) -> str:
    """The key that an enrolment page shows, as a person would type it."""
    assert page.main_id == "page-enrol", (page.status, page.main_id, page.location)
    return page.text.partition('id="secret">')[2].partition("<")[0].replace(" ", "")


def code(world: World, secret: str, later_seconds: int = 0) -> str:
    return pyotp.TOTP(secret).at(world.now + later_seconds)


def enrolled(world: World, name: str = "alice") -> str:
    """Set up an authenticator for a person; returns its secret. Its next code is good half a minute later."""
    browser = world.browser()
    page = browser.signed_in("trusted", name, **ESSENTIAL_MFA)
    secret = secret_on(page)
    assert browser.submit(page, otp=code(world, secret)).answer["code"]
    world.sleep(30)
    return secret


def told(world: World, page: Page, client_id: str = "trusted") -> tuple[str, list[str]]:
    """`acr` and `amr` of the ID token that an answer leads to."""
    token = claims(world.tokens(page, client_id)["id_token"])
    return token["acr"], token["amr"]


def sealed_rows(world: World) -> list[Any]:
    with world.provider.parts.store.read() as conn:
        return list(conn.execute(select(schema.totp)).all())


# Setting one up


@pytest.mark.row("E-28", "E-06")
def test_setting_one_up_counts_at_once_and_is_told(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in(**ESSENTIAL_MFA)
    secret = secret_on(page)
    assert (page.status, "otpauth://totp/id.example:alice" in page.text) == (200, True)
    page = browser.submit(page, otp=code(world, secret))
    assert told(world, page) == ("mfa", ["pwd", "otp", "mfa"])
    (event,) = world.events("factor_enrolled")
    assert (event["user_id"], event["factor"], event["client_id"]) == ("sub-alice", "totp", "trusted")


@pytest.mark.row("E-28")
def test_nothing_counts_before_a_right_code(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in(**ESSENTIAL_MFA)
    for wrong in ("000000", "", "abcdef"):
        page = browser.submit(page, otp=wrong)
        assert (page.status, page.main_id) == (403, "page-enrol")
        assert 'aria-invalid="true"' in page.text
    assert sealed_rows(world) == []
    assert world.events("factor_enrolled") == []
    # Another client that asks for nothing is told of the password alone.
    assert told(world, browser.authorize("trusted")) == ("knowledge", ["pwd"])


def test_the_page_shows_the_same_secret_until_it_counts_and_another_one_to_others(world: World) -> None:
    browser, other = world.browser(), world.browser()
    page = browser.signed_in(**ESSENTIAL_MFA)
    secret = secret_on(page)
    assert secret_on(browser.go(page.url)) == secret
    assert secret_on(browser.submit(page, otp="000000")) == secret
    assert secret_on(other.signed_in(name="Bob", **ESSENTIAL_MFA)) != secret
    # Another person in the same browser and sign-in starts with a secret of their own.
    again = browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
    assert again.answer["code"]
    page = browser.go(page.url)
    assert secret_on(page) != secret
    assert "Bob" in page.text


def test_the_form_of_one_person_is_not_taken_from_another(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in(**ESSENTIAL_MFA)
    secret = secret_on(page)
    browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
    page = browser.submit(page, otp=code(world, secret))
    assert (page.status, page.main_id) == (400, "page-enrol")
    assert sealed_rows(world) == []


@pytest.mark.row("P-15")
def test_the_secret_is_at_rest_only_sealed_and_in_no_log(world: World) -> None:
    secret = enrolled(world)
    world.provider.parts.store.dispose()
    database = Path(world.provider.parts.settings.database.removeprefix("sqlite:///"))
    for file in database.parent.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert secret not in "".join(world.lines)


def test_in_two_tabs_the_first_one_counts(world: World) -> None:
    browser = world.browser()
    one = browser.signed_in(**ESSENTIAL_MFA)
    two = browser.authorize("trusted", **ESSENTIAL_MFA)
    assert secret_on(one) != secret_on(two)
    assert browser.submit(one, otp=code(world, secret_on(one))).answer["code"]
    # The session is strong enough by now: the other tab goes on.
    assert browser.submit(two, otp=code(world, secret_on(two))).answer["code"]
    assert len(sealed_rows(world)) == 1


def test_a_wish_may_be_declined_and_is_offered_again_next_time(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in(**ASKED_MFA)
    assert 'id="skip"' in page.text
    page = browser.submit(page, decision="skip")
    assert told(world, page) == ("knowledge", ["pwd"])
    assert browser.authorize("trusted", **ASKED_MFA).main_id == "page-enrol"
    assert sealed_rows(world) == []


@pytest.mark.parametrize("asked", [("trusted", ESSENTIAL_MFA), ("strict", {})])
def test_what_is_demanded_cannot_be_declined(world: World, asked: tuple[str, dict[str, str]]) -> None:
    browser = world.browser()
    page = browser.signed_in(asked[0], **asked[1])
    assert 'id="skip"' not in page.text
    page = browser.submit(page, decision="skip")
    assert (page.status, page.main_id) == (403, "page-enrol")


@pytest.mark.row("E-28")
def test_where_it_is_not_allowed_nobody_sets_one_up(make: Make) -> None:
    world = make(enrol_at_sign_in=False)
    browser = world.browser()
    assert told(world, browser.signed_in(**ASKED_MFA)) == ("knowledge", ["pwd"])
    assert (
        browser.authorize("trusted", **ESSENTIAL_MFA).answer["error"] == "unmet_authentication_requirements"
    )
    assert browser.authorize("strict", prompt="none").answer["error"] == "access_denied"


@pytest.mark.row("E-28")
def test_a_dead_end_is_told_to_the_person_and_then_to_the_application(make: Make) -> None:
    world = make(enrol_at_sign_in=False)
    browser = world.browser()
    page = browser.signed_in("strict")
    assert (page.status, page.main_id) == (200, "page-no-second-factor")
    again = browser.go(page.action, {**page.hidden, "csrf": "x"})
    assert (again.status, again.main_id) == (400, "page-no-second-factor")
    assert browser.submit(page).answer["error"] == "access_denied"
    # Allowed meanwhile: the page leads to where one is set up.
    page = browser.authorize("strict")
    browser.client.application = make().provider
    assert browser.go(page.url).main_id == "page-enrol"


# Being asked for a code


@pytest.mark.row("E-06", "E-28")
@pytest.mark.parametrize(
    ("client_id", "asked", "acr", "amr"),
    [
        pytest.param("trusted", {}, "knowledge", ["pwd"], id="nothing"), pytest.param("trusted", ASKED_MFA,
        "mfa", ["pwd", "otp", "mfa"], id="wish"), pytest.param("trusted", ESSENTIAL_MFA, "mfa", ["pwd", "otp",
        "mfa"], id="essential"), pytest.param("trusted", {"acr_values": "possession"}, "possession", ["pwd",
        "otp", "mfa"], id="preferred"), pytest.param("trusted", {"acr_values": "knowledge mfa"}, "knowledge",
        ["pwd"], id="first-is-enough"), pytest.param("trusted", {"acr_values": "gold"}, "knowledge", ["pwd"],
        id="unknown"), pytest.param("trusted", {"amr_values": "otp"}, "mfa", ["pwd", "otp", "mfa"],
        id="amr-values"), pytest.param("trusted", {"amr_values": "face"}, "knowledge", ["pwd"],
        id="amr-unknown"), pytest.param("strict", {}, "mfa", ["pwd", "otp", "mfa"], id="client-requires"),
        pytest.param("lax", ASKED_MFA, "knowledge", ["pwd"], id="client-has-none"), pytest.param("saml", {},
        f"{SAML}Password", ["pwd"], id="saml-nothing"), pytest.param("saml", {"acr_values":
        f"{SAML}TimeSyncToken"}, f"{SAML}TimeSyncToken", ["swk"], id="saml"), pytest.param("entra",
        {"acr_values": "possessionorinherence"}, "possessionorinherence", ["otp"], id="eam"),
    ],
)  # fmt: skip
def test_what_the_client_is_told(
    world: World, client_id: str, asked: dict[str, str], acr: str, amr: list[str]
) -> None:
    secret = enrolled(world)
    browser = world.browser()
    page = browser.signed_in(client_id, **asked)
    if amr not in (["pwd"],):
        assert (page.status, page.main_id) == (200, "page-otp")
        page = browser.submit(page, otp=code(world, secret))
    assert told(world, page, client_id) == (acr, amr)


@pytest.mark.row("E-16")
def test_methods_asked_for_by_name_are_prompted(world: World) -> None:
    enrolled(world)
    assert world.browser().signed_in(amr_values="pwd otp").main_id == "page-otp"
    assert world.browser().signed_in(name="Bob", amr_values="sms").answer["code"]


@pytest.mark.row("E-28")
def test_required_by_the_realm_asks_everybody_every_client(make: Make) -> None:
    secret = enrolled(make())
    world = make(mode="required")
    browser = world.browser()
    page = browser.signed_in()
    assert page.main_id == "page-otp"
    page = browser.submit(page, otp=code(world, secret))
    assert told(world, page) == ("mfa", ["pwd", "otp", "mfa"])
    # Once in a session: the next client needs no code.
    assert told(world, browser.authorize("saml"), "saml") == (f"{SAML}TimeSyncToken", ["swk"])
    # Nobody gets by with the password alone, by whatever way.
    stranger = world.browser()
    page = stranger.signed_in()
    assert stranger.authorize("trusted", prompt="none").answer["error"] == "interaction_required"
    interaction = page.hidden["interaction"]
    assert stranger.go(f"{ISSUER}/authorize?interaction={interaction}").main_id == "page-otp"
    assert stranger.go(f"{ISSUER}/consent?interaction={interaction}").main_id == "page-otp"
    assert stranger.go(f"{ISSUER}/login?interaction={interaction}").main_id == "page-otp"
    assert stranger.go(f"{ISSUER}/login/enrol?interaction={interaction}").main_id == "page-otp"


@pytest.mark.row("E-06", "E-15")
def test_a_session_with_a_password_is_made_stronger_without_it(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    first = claims(world.tokens(browser.signed_in())["id_token"])
    before = browser.session_cookie
    world.sleep(100)
    page = browser.authorize("trusted", **ASKED_MFA)
    assert page.main_id == "page-otp"
    page = browser.submit(page, otp=code(world, secret))
    token = claims(world.tokens(page)["id_token"])
    assert (token["acr"], token["amr"]) == ("mfa", ["pwd", "otp", "mfa"])
    # The same sign-in, so that sessions at applications go on; the time is that of the password.
    assert (token["sid"], token["auth_time"]) == (first["sid"], first["auth_time"])
    assert browser.session_cookie != before
    thief = world.browser()
    thief.client.set_cookie(
        next(n for n in browser.cookies() if "browser" not in n), before, domain="id.example"
    )
    assert thief.authorize("trusted", prompt="none").answer["error"] == "login_required"


def test_a_stronger_session_ends_when_it_would_have_ended(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    browser.signed_in()
    for _ in range(3):
        world.sleep(7 * 3600)
        browser.authorize("trusted")
    page = browser.authorize("trusted", **ASKED_MFA)
    assert browser.submit(page, otp=code(world, secret)).answer["code"]
    world.sleep(3 * 3600 + 1)
    assert browser.authorize("trusted", prompt="none").answer["error"] == "login_required"


def test_a_code_does_not_make_an_old_password_fresh(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    browser.signed_in()
    world.sleep(600)
    browser.submit(browser.authorize("trusted", **ASKED_MFA), otp=code(world, secret))
    assert browser.authorize("trusted", max_age="300").main_id == "page-login"


def test_a_new_password_alone_is_not_two_factors(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    browser.submit(browser.signed_in(**ASKED_MFA), otp=code(world, secret))
    page = browser.sign_in(browser.authorize("trusted", prompt="login"))
    assert told(world, page) == ("knowledge", ["pwd"])
    assert browser.authorize("trusted", **ASKED_MFA).main_id == "page-otp"


@pytest.mark.row("E-15")
@pytest.mark.parametrize(
    ("asked", "error"),
    [
        pytest.param(ASKED_MFA, "interaction_required", id="wish-that-a-code-would-meet"),
        pytest.param(ESSENTIAL_MFA, "interaction_required", id="essential-that-a-code-would-meet"),
        pytest.param({"acr_values": "mfa knowledge"}, None, id="another-wish-is-met"),
        pytest.param({"acr_values": "gold"}, None, id="unknown-wish"),
        pytest.param(
            {"claims": '{"id_token":{"acr":{"essential":true,"value":"gold"}}}'},
            "unmet_authentication_requirements",
            id="essential-unknown",
        ),
    ],
)
def test_prompt_none_never_asks(world: World, asked: dict[str, str], error: str | None) -> None:
    enrolled(world)
    browser = world.browser()
    browser.signed_in()
    assert browser.authorize("trusted", prompt="none", **asked).answer.get("error") == error


@pytest.mark.row("E-15")
@pytest.mark.parametrize(
    ("mode", "asked", "acr"),
    [
        pytest.param("acr", ASKED_MFA, "knowledge", id="wish"),
        pytest.param("off", ASKED_MFA, "knowledge", id="off-wish"),
        pytest.param("acr", ESSENTIAL_MFA, None, id="essential"),
        pytest.param("off", ESSENTIAL_MFA, None, id="off-essential"),
    ],
)
@pytest.mark.parametrize("silent", [False, True])
def test_an_acr_out_of_reach(
    make: Make, mode: str, asked: dict[str, str], acr: str | None, silent: bool
) -> None:
    """A wish is answered with what is true; what is essential is never answered with less."""
    world = make([client("trusted", trusted=True)], mode=mode, enrol_at_sign_in=False)
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="none" if silent else None, **asked)
    if acr is None:
        assert page.answer["error"] == "unmet_authentication_requirements"
        assert "code" not in page.answer
    else:
        assert told(world, page)[0] == acr


@pytest.mark.row("E-15")
@pytest.mark.parametrize("broken", ["{", "[]", '{"id_token":{"acr":{"values":"mfa"}}}', '{"a":1,"a":2}'])
def test_claims_that_cannot_be_read_are_refused(world: World, broken: str) -> None:
    assert world.browser().authorize("trusted", claims=broken).answer["error"] == "invalid_request"
    assert world.browser().authorize("trusted", claims='{"userinfo":{"x":null}}').main_id == "page-login"


def test_claims_go_before_acr_values(world: World) -> None:
    enrolled(world)
    wish = json.dumps({"id_token": {"acr": {"values": ["knowledge"]}}})
    assert told(world, world.browser().signed_in(acr_values="mfa", claims=wish)) == ("knowledge", ["pwd"])


@pytest.mark.row("E-06")
def test_a_refreshed_id_token_says_the_same(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    page = browser.signed_in(scope="openid offline_access", **ASKED_MFA)
    tokens = world.tokens(browser.submit(page, otp=code(world, secret)))
    again = claims(world.refresh(tokens["refresh_token"]).get_json()["id_token"])
    assert (again["acr"], again["amr"]) == ("mfa", ["pwd", "otp", "mfa"])


def test_consent_is_asked_after_the_code(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    page = browser.signed_in("app", **ASKED_MFA)
    assert page.main_id == "page-otp"
    page = browser.submit(page, otp=code(world, secret))
    assert page.main_id == "page-consent"
    assert told(world, browser.submit(page, decision="allow"), "app")[0] == "mfa"


# Codes that are not taken


@pytest.mark.row("P-04")
def test_a_code_is_good_once_and_so_is_each_one_before_it(world: World) -> None:
    secret = enrolled(world)
    used = code(world, secret)
    one = world.browser()
    assert one.submit(one.signed_in(**ASKED_MFA), otp=used).answer["code"]
    two = world.browser()
    page = two.signed_in(**ASKED_MFA)
    for replayed in (used, code(world, secret, -30)):
        page = two.submit(page, otp=replayed)
        assert (page.status, page.main_id) == (403, "page-otp")
        assert "used already" in page.text
    assert [event["user_id"] for event in world.events("factor_replayed")] == ["sub-alice"] * 2
    world.sleep(30)
    assert two.submit(page, otp=code(world, secret)).answer["code"]


def test_the_code_that_set_it_up_is_used_up(world: World) -> None:
    secret = enrolled(world)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    page = browser.submit(page, otp=code(world, secret, -30))
    assert (page.status, len(world.events("factor_replayed"))) == (403, 1)


@pytest.mark.parametrize(
    ("drift", "late", "status"), [(1, -60, 403), (1, 30, 303), (1, 60, 403), (0, 30, 403), (3, 90, 303)]
)
def test_the_clock_may_be_off_as_far_as_configured(make: Make, drift: int, late: int, status: int) -> None:
    secret = enrolled(make())
    world = make(drift_steps=drift)
    world.sleep(300)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    page = browser.step(page.action, {**page.hidden, "otp": code(world, secret, late)})
    assert page.status == status


@pytest.mark.parametrize("wrong", ["", "12345", "1234567", "abcdef", "１２３４５６", "0" * 5000, "\0"])
def test_wrong_codes_are_refused_in_one_way(world: World, wrong: str) -> None:
    enrolled(world)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    page = browser.submit(page, otp=wrong)
    assert (page.status, page.main_id) == (403, "page-otp")
    (event,) = world.events("factor_failed")
    assert (event["reason"], event["user_id"], event["factor"]) == ("wrong_code", "sub-alice", "totp")


def test_the_code_of_another_person_is_wrong(world: World) -> None:
    secrets = [enrolled(world, name) for name in ("alice", "Bob")]
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    assert browser.submit(page, otp=code(world, secrets[1])).status == 403


@pytest.mark.row("P-12")
def test_guesses_are_slowed_and_a_new_password_does_not_help(world: World) -> None:
    secret = enrolled(world)
    guesser = world.browser("198.51.100.9")
    page = guesser.signed_in(**ASKED_MFA)
    for _ in range(6):
        page = guesser.submit(page, otp="000000")
        assert page.status == 403
    for number in range(3):
        # From elsewhere and with the password typed anew it is the same wait.
        other = world.browser(f"192.0.2.{number}")
        page = other.signed_in(**ASKED_MFA)
        page = other.submit(page, otp=code(world, secret))
        assert (page.status, page.main_id) == (429, "page-otp")
        assert page.response.headers["Retry-After"] == "2"
    assert {event["wait_seconds"] for event in world.events("factor_slowed")} == {2}
    world.sleep(2)
    assert other.submit(page, otp=code(world, secret)).answer["code"]
    # A right code resets the counter.
    world.sleep(30)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    for _ in range(5):
        assert browser.submit(page, otp="000000").status == 403


def test_a_try_is_charged_before_it_is_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    enrolled(world)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)

    def broken(*_: object) -> int:
        raise RuntimeError

    monkeypatch.setattr("provider.endpoints.otp.matching_step", broken)
    assert browser.submit(page, otp="123456").status == 500
    with world.provider.parts.store.read() as conn:
        keys = [row.scope_key for row in conn.execute(select(schema.throttle)).all()]
    assert any(key.startswith("code:") for key in keys)


def test_a_stranger_cannot_slow_the_code(world: World) -> None:
    secret = enrolled(world)
    for _ in range(30):
        page = (browser := world.browser("198.51.100.9")).authorize("trusted")
        browser.submit(page, username="alice", password="wrong")
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    assert browser.submit(page, otp=code(world, secret)).answer["code"]


@pytest.mark.row("P-11")
def test_the_form_needs_its_token(world: World) -> None:
    secret = enrolled(world)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    for token in ("", "x", page.hidden["csrf"][:-2] + "AA"):
        again = browser.go(page.action, {**page.hidden, "csrf": token, "otp": code(world, secret)})
        assert (again.status, again.main_id) == (400, "page-otp")
    assert browser.submit(page, otp=code(world, secret)).answer["code"]


@pytest.mark.row("P-10")
def test_the_pages_belong_to_one_browser_and_one_request(world: World) -> None:
    enrolled(world)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    stranger = world.browser()
    for path in ("otp", "enrol", "no-second-factor"):
        for identifier in (page.hidden["interaction"], "nothing"):
            url = f"{ISSUER}/login/{path}?interaction={identifier}"
            assert stranger.go(url).main_id == "page-error"
        assert stranger.go(f"{ISSUER}/login/{path}").main_id == "page-error"
    # Without a session the page leads to the sign-in.
    browser.client.delete_cookie(
        next(n for n in browser.cookies() if "browser" not in n), domain="id.example"
    )
    assert browser.go(page.url).main_id == "page-login"


def test_the_page_leads_on_when_nothing_is_to_be_asked(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in("app")
    assert page.main_id == "page-consent"
    interaction = page.hidden["interaction"]
    for path in ("otp", "enrol", "no-second-factor"):
        assert browser.go(f"{ISSUER}/login/{path}?interaction={interaction}").main_id == "page-consent"


def test_a_secret_that_does_not_open_is_said_and_reported(world: World) -> None:
    enrolled(world)
    with world.provider.parts.store.begin() as conn:
        conn.execute(schema.totp.update().values(sealed_secret="of another time"))
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    page = browser.submit(page, otp="123456")
    assert (page.status, page.main_id) == (503, "page-otp")
    assert "no fault of yours" in page.text
    assert [event["reason"] for event in world.events("factor_failed")] == ["unreadable"]


def test_taken_away_while_the_page_was_open(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    page = browser.signed_in(**ASKED_MFA)
    with world.provider.parts.store.begin() as conn:
        conn.execute(schema.totp.delete())
    assert browser.submit(page, otp=code(world, secret)).main_id == "page-enrol"


@pytest.mark.row("P-12")
def test_an_operator_takes_it_away(world: World) -> None:
    secret = enrolled(world)
    browser = world.browser()
    page = browser.signed_in(**ASKED_MFA)
    tokens = world.tokens(browser.submit(page, otp=code(world, secret)))
    parts = world.provider.parts
    with parts.store.begin() as conn:
        assert parts.users.remove_second_factor(conn, parts.realms[0], "sub-alice", world.now)
    assert world.userinfo_status(tokens["access_token"]) == 401
    assert browser.authorize("trusted", prompt="none").answer["error"] == "login_required"
    again = enrolled(world)
    assert again != secret


def test_realms_do_not_share_authenticators(tmp_path: Path) -> None:
    """Nor does one with the same people: the same `sub` is another person there."""
    document = settings_document()
    second = {
        "name": "second",
        "second_factor": MAY_ENROL,
        "clients": [client("trusted", trusted=True)],
        "users": document["users"],
    }
    world = World.make(tmp_path, clients=CLIENTS, second_factor=MAY_ENROL, realms=[second])
    try:
        enrolled(world)
        there = authorize_url("trusted", **ESSENTIAL_MFA).replace(ISSUER, f"{ISSUER}/r/second")
        browser = world.browser()
        assert browser.sign_in(browser.go(there)).main_id == "page-enrol"
        with world.provider.parts.store.begin() as conn:
            # Even copied by somebody who can write the database it does not open there.
            conn.execute(schema.totp.update().values(realm_id="second"))
        page = browser.go(there)
        assert page.main_id == "page-otp"
        assert browser.submit(page, otp="123456").status == 503
    finally:
        world.close()


def test_a_code_seals_the_secret_under_the_newest_key(tmp_path: Path) -> None:
    settings = {"clients": CLIENTS, "second_factor": MAY_ENROL}
    world = World.make(tmp_path, **settings)
    secret = enrolled(world)
    world.close()
    newest = "n3w-Secret-that-is-in-use-today-9876543210"
    later = World.make(tmp_path, **settings, secret=f"{newest}\n{SECRET}")
    later.time[0] = world.time[0]
    alone = TotpSecrets(KeyRing([newest]))
    realm = later.provider.parts.realms[0]
    try:
        (before,) = sealed_rows(later)
        page = (browser := later.browser()).signed_in(**ASKED_MFA)
        assert browser.submit(page, otp=code(later, secret)).answer["code"]
        (after,) = sealed_rows(later)
    finally:
        later.close()
    assert alone.open(realm, "sub-alice", before.sealed_secret) is None
    assert alone.open(realm, "sub-alice", after.sealed_secret) == secret


@pytest.mark.row("E-15")
def test_discovery_says_what_the_realm_can_reach(make: Make) -> None:
    def supported(world: World) -> set[str]:
        url = f"{ISSUER}/.well-known/openid-configuration"
        return set(world.browser().step(url).response.get_json()["acr_values_supported"])

    only_passwords = supported(make([client("trusted")], mode="off"))
    assert {"knowledge", f"{SAML}Password"} <= only_passwords
    assert only_passwords.isdisjoint({"mfa", "possession", f"{SAML}TimeSyncToken"})
    assert supported(make()) > only_passwords | {"mfa", "possession", f"{SAML}TimeSyncToken"}


def test_a_wrong_code_can_be_corrected_and_the_page_gives_nothing_away(world: World) -> None:
    secret = enrolled(world)
    page = (browser := world.browser()).signed_in(**ASKED_MFA)
    page = browser.submit(page, otp="000000")
    assert secret not in page.text
    assert code(world, secret) not in page.text
    assert browser.submit(page, otp=code(world, secret)).answer["code"]

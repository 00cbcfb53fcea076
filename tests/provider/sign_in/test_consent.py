"""The consent page: when it is asked, for what, and what an answer is worth."""

import html
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from provider.store import schema
from tests.provider.sign_in.place import CALLBACK, World, authorize_url, client


def remembered(world: World) -> bool:
    """Whether the database holds anybody's consent."""
    with world.provider.parts.store.read() as conn:
        return bool(conn.execute(select(schema.user_attributes)).all())


@pytest.mark.row("A-09", "A-13")
def test_asked_once_and_then_only_for_what_is_new(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid profile"))
    assert (page.status, page.main_id) == (200, "page-consent")
    assert "The app app" in page.text
    assert "alice" in page.text
    assert "app.example" in page.text
    assert page.text.count("<li>") == 2
    assert browser.submit(page, decision="allow").answer["code"]
    assert browser.step(authorize_url("app", scope="openid profile")).answer["code"]
    assert browser.step(authorize_url("app", scope="openid")).answer["code"]
    page = browser.authorize("app", scope="openid profile email offline_access")
    assert page.main_id == "page-consent"
    assert page.text.count("<li>") == 2
    assert browser.submit(page, decision="allow").answer["code"]
    assert browser.authorize("app", scope="openid email", prompt="none").answer["code"]


@pytest.mark.row("A-13")
def test_consent_is_per_person_and_client(world: World) -> None:
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    page = browser.sign_in(browser.authorize("app", prompt="login"), "Bob")
    assert page.main_id == "page-consent"
    assert "Bob" in page.text


@pytest.mark.row("A-09", "A-13", "P-31")
def test_a_trusted_client_is_never_asked_for(world: World) -> None:
    assert world.browser().signed_in("trusted", prompt="consent").answer["code"]


@pytest.mark.row("A-09")
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_no_goes_back_to_the_client_and_is_not_remembered(world: World, mode: str) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", response_mode=mode))
    answer = browser.submit(page, decision="deny")
    assert answer.answer["error"] == "access_denied"
    assert answer.answer["state"] == "state-1"
    assert (answer.location or answer.action).startswith(CALLBACK)
    assert browser.authorize("app").main_id == "page-consent"
    assert world.events("consent_answered")[0]["allowed"] is False


@pytest.mark.row("A-13", "E-25")
def test_prompt_consent_asks_again_for_everything_and_no_keeps_the_earlier_yes(world: World) -> None:
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    page = browser.authorize("app", prompt="consent")
    assert page.main_id == "page-consent"
    assert page.boxes == ["profile"]
    assert browser.submit(page, decision="deny").answer["error"] == "access_denied"
    assert browser.authorize("app", prompt="none").answer["code"]
    assert browser.submit(browser.authorize("app", prompt="consent"), decision="allow").answer["code"]


@pytest.mark.row("A-09", "A-13")
def test_what_is_unchecked_is_not_granted_and_asked_again(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid profile email phone offline_access"))
    assert page.boxes == ["profile", "email", "phone", "offline_access"]
    answer = browser.submit(page, uncheck=["email", "offline_access"], decision="allow")
    tokens = world.tokens(answer, "app")
    assert tokens["scope"] == "openid profile phone"
    assert "refresh_token" not in tokens
    assert world.events("consent_answered")[0] == {
        **world.events("consent_answered")[0],
        "scopes": ["openid", "profile", "email", "phone", "offline_access"],
        "agreed": ["openid", "profile", "phone"],
        "allowed": True,
    }
    assert browser.authorize("app", scope="openid profile phone", prompt="none").answer["code"]
    silent = browser.authorize("app", scope="openid profile email", prompt="none")
    assert silent.answer["error"] == "consent_required"
    page = browser.authorize("app", scope="openid profile email")
    assert page.boxes == ["email"]
    assert world.tokens(browser.submit(page, decision="allow"), "app")["scope"] == "openid profile email"


@pytest.mark.row("A-13")
def test_openid_cannot_be_left_out(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid email"))
    tokens = world.tokens(browser.submit(page, uncheck=page.boxes, decision="allow"), "app")
    assert tokens["scope"] == "openid"
    assert tokens["id_token"]


@pytest.mark.row("A-13")
def test_no_to_everything_is_no_whatever_is_checked(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid email"))
    assert browser.submit(page, decision="deny").answer["error"] == "access_denied"
    assert browser.authorize("app", scope="openid email", prompt="none").answer["error"] == "consent_required"


@pytest.mark.row("P-10")
@pytest.mark.parametrize("scope", ["email", "groups", "admin", "", "profile email"])
def test_a_scope_that_was_not_shown_cannot_be_agreed_to(world: World, scope: str) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid profile"))
    answer = browser.go(page.action, {**page.hidden, "scope": ["profile", scope], "decision": "allow"})
    assert (answer.status, answer.main_id) == (400, "page-error")
    assert not remembered(world)


@pytest.mark.row("P-11")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"csrf": ""}, id="csrf-empty"),
        pytest.param({"csrf": "x"}, id="csrf-wrong"),
        pytest.param({"csrf": None}, id="csrf-missing"),
    ],
)
def test_an_answer_without_its_token_is_no_answer(world: World, change: dict[str, str | None]) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    fields = {**page.hidden, "decision": "allow", **change}
    again = browser.go(page.action, {name: value for name, value in fields.items() if value is not None})
    assert (again.status, again.main_id) == (400, "page-consent")
    assert not remembered(world)
    assert browser.submit(again, decision="allow").answer["code"]


@pytest.mark.parametrize("decision", ["", "maybe", "ALLOW", None])
def test_an_answer_that_is_neither_yes_nor_no(world: World, decision: str | None) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    fields = page.hidden if decision is None else {**page.hidden, "decision": decision}
    answer = browser.go(page.action, fields)
    assert (answer.status, answer.main_id) == (400, "page-error")
    assert not remembered(world)


@pytest.mark.parametrize("name", ["interaction", "csrf", "decision"])
def test_a_repeated_field_is_refused(world: World, name: str) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    fields = {**page.hidden, "decision": "allow"}
    body = "&".join(f"{field}={value}" for field, value in [*fields.items(), (name, fields[name])])
    assert browser.go(page.action, body).main_id == "page-error"


@pytest.mark.row("P-10")
def test_a_page_shown_to_one_person_is_not_answered_by_another(world: World) -> None:
    """Bob signs in in another tab while alice's consent page is open: her form agrees to nothing for him."""
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
    again = browser.submit(page, decision="allow")
    assert (again.status, again.main_id) == (400, "page-consent")
    assert "Bob" in again.text
    assert not remembered(world)


@pytest.mark.row("P-10")
def test_what_is_agreed_to_is_what_was_shown(world: World) -> None:
    """A consent withdrawn while the page for one more scope is open does not make that page agree to all."""
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    page = browser.authorize("app", scope="openid profile email")
    with world.provider.parts.store.begin() as conn:
        conn.execute(schema.user_attributes.delete())
    again = browser.submit(page, decision="allow")
    assert (again.status, again.main_id) == (400, "page-consent")
    assert again.text.count("<li>") == 3


@pytest.mark.row("P-10")
def test_consent_cannot_be_skipped_or_given_before_signing_in(world: World) -> None:
    browser = world.browser()
    login = browser.authorize("app")
    interaction = login.hidden["interaction"]
    base = login.url.partition("/login")[0]
    assert browser.go(f"{base}/consent?interaction={interaction}").main_id == "page-login"
    forged = browser.go(f"{base}/consent", {**login.hidden, "decision": "allow"})
    assert forged.main_id == "page-login"
    consent = browser.sign_in(login)
    skipped = browser.go(f"{base}/authorize?interaction={interaction}")
    assert skipped.main_id == "page-consent"
    assert browser.submit(consent, decision="allow").answer["code"]


def test_an_answer_sent_twice_is_over(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    assert browser.submit(page, decision="allow").answer["code"]
    again = browser.submit(page, decision="deny")
    assert (again.status, again.main_id) == (400, "page-error")


def test_hostile_names_are_text(world: World) -> None:
    evil = "</strong><script>alert(1)</script>"
    parts = world.provider.parts
    configured = dict(parts.clients.configured["default"])
    configured["app"] = replace(configured["app"], name=evil)
    parts.clients.configured["default"] = configured
    browser = world.browser()
    login = browser.authorize("app")
    consent = browser.sign_in(login)
    assert "<script>alert" not in login.text + consent.text
    assert "&lt;script&gt;" in consent.text


@pytest.mark.row("A-13", "E-25")
def test_asked_again_and_left_out_is_forgotten(world: World) -> None:
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    page = browser.authorize("app", prompt="consent")
    tokens = world.tokens(browser.submit(page, uncheck=["profile"], decision="allow"), "app")
    assert tokens["scope"] == "openid"
    assert browser.authorize("app", prompt="none").answer["error"] == "consent_required"
    assert browser.authorize("app", scope="openid", prompt="none").answer["code"]


def withdraw(world: World, client_id: str) -> None:
    parts = world.provider.parts
    with parts.store.begin() as conn:
        parts.consents.withdraw(conn, parts.realms[0], "sub-alice", client_id, world.now, by="person")


@pytest.mark.row("A-14", "C-13")
def test_withdrawn_is_asked_again_and_its_tokens_are_over(world: World) -> None:
    browser = world.browser()
    asked = {"scope": "openid profile offline_access"}
    page = browser.sign_in(browser.authorize("app", **asked))
    mine = world.tokens(browser.submit(page, decision="allow"), "app")
    other = world.tokens(browser.authorize("trusted", **asked))
    answered = browser.authorize("app", **asked)
    assert answered.answer["code"]
    withdraw(world, "app")
    assert world.userinfo_status(mine["access_token"]) == 401
    assert world.refresh(mine["refresh_token"], "app").get_json()["error"] == "invalid_grant"
    with pytest.raises(AssertionError, match="invalid_grant"):
        world.tokens(answered, "app")
    assert world.userinfo_status(other["access_token"]) == 200
    assert browser.authorize("app", prompt="none").answer["error"] == "consent_required"
    page = browser.authorize("app", **asked)
    assert page.main_id == "page-consent"
    assert page.boxes == ["profile", "offline_access"]
    assert world.tokens(browser.submit(page, decision="allow"), "app")["refresh_token"]


@pytest.mark.row("S-36")
def test_a_restart_keeps_consents(world: World, tmp_path: Path) -> None:
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    world.close()
    again = World.make(tmp_path)
    same = again.browser()
    assert same.sign_in(same.authorize("app")).answer["code"]
    again.close()


@pytest.mark.row("S-36")
def test_asked_each_time_where_nothing_is_stored(tmp_path: Path) -> None:
    world = World.make(tmp_path, consent={"store": False})
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    for _ in range(2):
        assert page.main_id == "page-consent"
        answer = browser.submit(page, uncheck=["profile"], decision="allow")
        assert world.tokens(answer, "app")["scope"] == "openid"
        page = browser.authorize("app")
    assert not remembered(world)
    assert browser.authorize("app", prompt="none").answer["error"] == "consent_required"
    world.close()


@pytest.mark.row("S-40", "C-7")
def test_a_full_attribute_keeps_nobody_from_signing_in(tmp_path: Path) -> None:
    properties = [{"name": "consents", "writable": True, "max_length": 20}]
    world = World.make(tmp_path, properties=properties)
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app"))
    for count in (1, 2):
        assert page.main_id == "page-consent"
        answer = browser.submit(page, decision="allow")
        assert world.tokens(answer, "app")["scope"] == "openid profile"
        told = world.events("consent_not_stored")
        assert len(told) == count
        assert (told[-1]["attribute"], told[-1]["client_id"], told[-1]["max_bytes"]) == (
            "consents",
            "app",
            20,
        )
        page = browser.authorize("app")
    world.close()


@pytest.mark.row("S-36", "P-10")
def test_a_consent_that_was_altered_is_asked_for_again(world: World) -> None:
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    table = schema.user_attributes
    with world.provider.parts.store.begin() as conn:
        value = conn.execute(select(table.c.value)).scalar_one()
        conn.execute(table.update().values(value=value[:-1] + ("A" if value[-1] != "A" else "B")))
    page = browser.authorize("app")
    assert page.main_id == "page-consent"
    assert {event["user_id"] for event in world.events("consent_unreadable")} == {"sub-alice"}
    assert browser.submit(page, decision="allow").answer["code"]
    seen = len(world.events("consent_unreadable"))
    assert browser.authorize("app", prompt="none").answer["code"]
    assert len(world.events("consent_unreadable")) == seen


@pytest.mark.row("P-10")
def test_one_scope_of_many_repeated_boxes_counts_once(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid profile email"))
    sent = {**page.hidden, "scope": ["email", "email", "openid"], "decision": "allow"}
    assert world.tokens(browser.go(page.action, sent), "app")["scope"] == "openid email"


@pytest.mark.row("A-09")
def test_hostile_texts_of_scopes_are_text(tmp_path: Path) -> None:
    evil = "\"'><script>alert(1)</script>{{ 7*7 }}"
    value = "view:'*$()"
    scopes = [{"value": value, "display_name": f"name {evil}", "description": f"says {evil}"}]
    clients = [client("app", scopes=["openid", value], flows=["authorization_code"])]
    world = World.make(tmp_path, scopes=scopes, clients=clients)
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope=f"openid {value}"))
    assert page.boxes == [value]
    assert "<script>alert" not in page.text
    for text in (f"name {evil}", f"says {evil}"):
        assert text in html.unescape(page.text)
    assert world.tokens(browser.submit(page, decision="allow"), "app")["scope"] == f"openid {value}"
    world.close()

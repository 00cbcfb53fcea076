"""The device flow from the first request to the tokens: who may say yes, once, and what a device is told.

On both databases; the parameters of the endpoint are in `tests/provider/endpoints/test_device_authorization`.
"""

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from werkzeug.test import Client as WSGIClient
from werkzeug.test import TestResponse

from oidcgate.protocol.token import DEVICE_CODE
from provider.store.schema import metadata
from tests.provider.databases import BOTH
from tests.provider.sign_in.place import (
    CLIENT_SECRET,
    ISSUER,
    Browser,
    Page,
    World,
    claims,
    client,
    settings_document,
)
from tests.provider.world import error_of
from tests.support.postgresql import Postgresql

CLIENTS = [
    client("tv", auth_method="none", flows=["device_code", "refresh_token"], redirect_uris=[]),
    client("kiosk", trusted=True, flows=["device_code"], redirect_uris=[]),
    client("desk", trusted=True, flows=["device_code"], allowed_users=["Bob"], redirect_uris=[]),
    client("strict", trusted=True, flows=["device_code"], second_factor="required", redirect_uris=[]),
    client("app"),
    client("trusted", trusted=True),
]
SCOPE = "openid profile offline_access"
PENDING = (400, "authorization_pending")


SETTINGS: dict[str, Any] = {"clients": CLIENTS, "second_factor": {"mode": "acr"}}


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[World]:
    """A provider whose clients have devices."""
    made = World.make(tmp_path, **SETTINGS)
    yield made
    made.close()


@pytest.fixture(scope="session")
def made_for_devices(postgresql_server: Postgresql) -> Iterator[str]:
    """A database of PostgreSQL with tables and a signing key that others are copied from."""
    with postgresql_server.database() as name:
        World.over(postgresql_server.url(name), **SETTINGS).close()
        yield name


@pytest.fixture(params=BOTH)
def everywhere(request: pytest.FixtureRequest) -> Iterator[World]:
    """The same over each database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("devices")
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.database(request.getfixturevalue("made_for_devices")) as name:
        made = World.over(server.url(name), **SETTINGS)
        yield made
        made.close()


def post(world: World, path: str, form: dict[str, str], client_id: str) -> TestResponse:
    """A request of a device."""
    headers = {}
    if client_id == "tv":
        form = {**form, "client_id": client_id}
    else:
        basic = base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
    return WSGIClient(world.provider).post(path, data=form, headers=headers, base_url=ISSUER)


def start(world: World, client_id: str = "tv", scope: str = SCOPE) -> dict[str, Any]:
    response = post(world, "/device_authorization", {"scope": scope}, client_id)
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def poll(world: World, started: dict[str, Any], client_id: str = "tv", **changes: str) -> TestResponse:
    form = {"grant_type": DEVICE_CODE, "device_code": started["device_code"], **changes}
    return post(world, "/token", form, client_id)


def told(world: World, started: dict[str, Any], client_id: str = "tv") -> tuple[int, str]:
    """What a device is told that asks in time."""
    world.sleep(60)
    return error_of(poll(world, started, client_id))


def type_code(browser: Browser, started: dict[str, Any]) -> Page:
    """Open the short address and type the code."""
    page = browser.go(started["verification_uri"])
    assert (page.status, page.main_id) == (200, "page-device")
    return browser.submit(page, user_code=started["user_code"])


def confirm(browser: Browser, started: dict[str, Any]) -> Page:
    page = type_code(browser, started)
    assert (page.status, page.main_id) == (200, "page-device-confirm"), page.text
    return browser.submit(page, decision="allow")


def approve(browser: Browser, started: dict[str, Any], name: str = "alice") -> Page:
    """All the way: type, confirm, sign in, agree."""
    page = confirm(browser, started)
    if page.main_id == "page-login":
        page = browser.sign_in(page, name)
    return browser.submit(page, decision="allow") if page.main_id == "page-consent" else page


def rows(world: World, table: str = "device_codes") -> list[dict[str, Any]]:
    with world.provider.parts.store.read() as conn:
        return [dict(row) for row in conn.execute(metadata.tables[table].select()).mappings()]


def done(page: Page) -> None:
    assert (page.status, page.main_id) == (200, "page-device-done"), (page.status, page.main_id, page.text)


@pytest.mark.row("S-50", "P-10")
def test_a_device_gets_what_the_person_allowed(everywhere: World) -> None:
    started = start(everywhere)
    assert started.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert (started["expires_in"], started["interval"]) == (600, 5)
    assert started["verification_uri"] == f"{ISSUER}/device"
    assert error_of(poll(everywhere, started)) == PENDING

    browser = everywhere.browser()
    page = confirm(browser, started)
    page = browser.sign_in(page)
    assert page.main_id == "page-consent"
    assert "The tv app" in page.text
    assert "gets your answer by itself" in page.text
    assert told(everywhere, started) == PENDING
    signed_in_at = everywhere.now - 60
    page = browser.submit(page, uncheck=["profile"], decision="allow")
    done(page)
    assert "go back to your device" in page.text
    assert page.response.headers["Cache-Control"] == "no-store"

    everywhere.sleep(60)
    answer = poll(everywhere, started)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.get_json()
    assert tokens["scope"] == "openid offline_access"
    id_token = claims(tokens["id_token"])
    assert (id_token["sub"], id_token["aud"], id_token["auth_time"]) == ("sub-alice", "tv", signed_in_at)
    assert (id_token["acr"], id_token["amr"]) == ("knowledge", ["pwd"])
    assert "nonce" not in id_token
    (grant,) = rows(everywhere, "grants")
    (session,) = rows(everywhere, "browser_sessions")
    assert id_token["sid"] == grant["sid"] == session["sid"]
    assert everywhere.userinfo_status(tokens["access_token"]) == 200
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert post(everywhere, "/token", form, "tv").status_code == 200
    assert everywhere.events("device_started")[0]["client_id"] == "tv"
    (approved,) = everywhere.events("device_approved")
    assert (approved["user_id"], approved["scope"]) == ("sub-alice", ["openid", "offline_access"])
    assert approved["grant_id"] == grant["grant_id"]
    assert everywhere.events("tokens_issued")[0]["grant_type"] == DEVICE_CODE


@pytest.mark.row("P-10")
def test_neither_code_is_in_the_log_and_the_devices_is_not_in_the_database(devices: World) -> None:
    started = start(devices)
    done(approve(devices.browser(), started))
    poll(devices, started)
    shown = started["user_code"]
    log = "\n".join(devices.lines)
    assert started["device_code"] not in log
    assert shown not in log
    assert shown.replace("-", "") not in log
    for table in metadata.tables:
        assert started["device_code"] not in repr(rows(devices, table)), table


@pytest.mark.row("P-10")
def test_a_link_with_the_code_only_fills_it_in(devices: World) -> None:
    started = start(devices, "kiosk")
    browser = devices.browser()
    done(approve(browser, start(devices, "kiosk")))  # signed in, and the client is trusted
    page = browser.go(started["verification_uri_complete"])
    assert (page.status, page.main_id) == (200, "page-device")
    assert f'value="{started["user_code"]}"' in page.text
    assert "<script" not in page.text
    page = browser.submit(page, user_code=started["user_code"])
    assert page.main_id == "page-device-confirm"
    for shown in ("The kiosk app", started["user_code"], "alice", "Go on only if you started this yourself"):
        assert shown in page.text
    assert told(devices, started, "kiosk") == PENDING
    done(browser.submit(page, decision="allow"))
    assert poll(devices, started, "kiosk").status_code == 200


@pytest.mark.row("P-10")
@pytest.mark.parametrize(
    "path",
    [
        "/authorize",
        "/login",
        "/login/account",
        "/login/organization",
        "/login/otp",
        "/login/enrol",
        "/login/no-second-factor",
        "/consent",
        "/device/confirm",
    ],
)
def test_no_page_goes_on_before_the_person_said_that_they_mean_it(devices: World, path: str) -> None:
    browser = devices.browser()
    done(approve(browser, start(devices, "kiosk")))
    started = start(devices, "kiosk")
    page = type_code(browser, started)
    identifier = page.hidden["interaction"]
    assert browser.go(f"{ISSUER}{path}?interaction={identifier}").main_id == "page-device-confirm"
    assert told(devices, started, "kiosk") == PENDING


@pytest.mark.row("P-10", "P-11")
@pytest.mark.parametrize("path", ["/authorize", "/login", "/consent", "/device/confirm"])
def test_what_was_typed_belongs_to_the_browser_it_was_typed_in(devices: World, path: str) -> None:
    started = start(devices)
    page = type_code(devices.browser(), started)
    stranger = devices.browser("198.51.100.9")
    done(approve(stranger, start(devices), "Bob"))
    address = f"{ISSUER}{path}?interaction={page.hidden['interaction']}"
    assert stranger.go(address).main_id == "page-error"
    assert (
        stranger.go(address.partition("?")[0], {**page.hidden, "decision": "allow"}).main_id == "page-error"
    )
    assert told(devices, started) == PENDING


@pytest.mark.row("P-10")
def test_of_two_people_who_typed_one_code_the_first_has_it(everywhere: World) -> None:
    started = start(everywhere)
    alice, bob = everywhere.browser(), everywhere.browser("198.51.100.9")
    of_alice = alice.sign_in(confirm(alice, started))
    of_bob = bob.sign_in(confirm(bob, started), "Bob")
    assert of_alice.main_id == of_bob.main_id == "page-consent"
    done(bob.submit(of_bob, decision="allow"))
    late = alice.submit(of_alice, decision="allow")
    assert (late.status, late.main_id) == (400, "page-error")
    assert "used already" in late.text
    assert claims(poll(everywhere, started).get_json()["id_token"])["sub"] == "sub-bob"
    assert [row["user_id"] for row in rows(everywhere, "grants")] == ["sub-bob"]


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each returned; all began together."""
    together = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        together.wait(30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.mark.row("P-04", "P-10")
def test_of_two_people_who_say_yes_at_once_one_has_it(everywhere: World) -> None:
    started = start(everywhere)
    alice, bob = everywhere.browser(), everywhere.browser("198.51.100.9")
    of_alice = alice.sign_in(confirm(alice, started))
    of_bob = bob.sign_in(confirm(bob, started), "Bob")
    pages = at_once(
        lambda: alice.submit(of_alice, decision="allow"), lambda: bob.submit(of_bob, decision="allow")
    )
    assert sorted(page.main_id for page in pages) == ["page-device-done", "page-error"]
    first = "sub-alice" if pages[0].main_id == "page-device-done" else "sub-bob"
    assert claims(poll(everywhere, started).get_json()["id_token"])["sub"] == first
    assert [row["user_id"] for row in rows(everywhere, "grants")] == [first]
    assert [event["user_id"] for event in everywhere.events("device_approved")] == [first]


@pytest.mark.row("P-04", "P-10")
def test_of_yes_and_no_at_once_one_counts(everywhere: World) -> None:
    started = start(everywhere)
    alice, bob = everywhere.browser(), everywhere.browser("198.51.100.9")
    of_alice = alice.sign_in(confirm(alice, started))
    of_bob = type_code(bob, started)
    pages = at_once(
        lambda: alice.submit(of_alice, decision="allow"), lambda: bob.submit(of_bob, decision="deny")
    )
    assert sorted(page.main_id for page in pages) == ["page-device-done", "page-error"]
    answer = poll(everywhere, started)
    if pages[0].main_id == "page-device-done":
        assert answer.status_code == 200
    else:
        assert error_of(answer) == (400, "access_denied")
        assert rows(everywhere, "grants") == []


@pytest.mark.row("P-04")
def test_of_two_that_ask_at_once_one_gets_tokens_and_they_are_stopped(everywhere: World) -> None:
    started = start(everywhere)
    done(approve(everywhere.browser(), started))
    answers = at_once(*[lambda: poll(everywhere, started)] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    (won,) = (answer.get_json() for answer in answers if answer.status_code == 200)
    assert {error_of(answer)[1] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    assert everywhere.userinfo_status(won["access_token"]) == 401
    assert [len(rows(everywhere, table)) for table in ("access_tokens", "refresh_tokens")] == [1, 1]


def test_of_two_that_ask_too_early_at_once_each_is_slowed_by_its_own(everywhere: World) -> None:
    started = start(everywhere)
    answers = at_once(*[lambda: poll(everywhere, started)] * 4)
    told_each = sorted(answer.get_json()["error"] for answer in answers)
    assert told_each == ["authorization_pending", "slow_down", "slow_down", "slow_down"]
    assert everywhere.events("request_refused") == []
    assert rows(everywhere)[0]["interval_seconds"] == 20


@pytest.mark.row("P-10")
def test_whoever_typed_it_while_signed_in_is_who_it_is_for(devices: World) -> None:
    """Another account that signs in in the same browser meanwhile does not get the device."""
    browser = devices.browser()
    browser.signed_in()
    started = start(devices)
    page = confirm(browser, started)
    assert page.main_id == "page-consent"
    browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
    page = browser.submit(page, decision="allow")
    assert page.main_id == "page-login"
    assert told(devices, started) == PENDING
    page = browser.sign_in(page, "Bob")
    done(page)
    assert "Nothing was allowed" in page.text
    assert told(devices, started) == (400, "access_denied")
    assert "sub-bob" not in [row["user_id"] for row in rows(devices, "grants") if row["client_id"] == "tv"]


@pytest.mark.row("P-10")
def test_the_confirmation_is_of_the_account_that_the_page_showed(devices: World) -> None:
    browser = devices.browser()
    browser.signed_in()
    page = type_code(browser, start(devices))
    browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
    page = browser.submit(page, decision="allow")
    assert (page.status, page.main_id) == (400, "page-device-confirm")
    assert "Bob" in page.text


@pytest.mark.row("A-09")
@pytest.mark.parametrize("where", ["confirm", "consent"])
def test_no_is_told_to_the_device(everywhere: World, where: str) -> None:
    started = start(everywhere)
    browser = everywhere.browser()
    page = type_code(browser, started)
    if where == "consent":
        page = browser.sign_in(browser.submit(page, decision="allow"))
    page = browser.submit(page, decision="deny")
    done(page)
    assert "got no access" in page.text
    assert told(everywhere, started) == (400, "access_denied")
    assert told(everywhere, started) == (400, "access_denied")
    assert rows(everywhere, "grants") == []
    (denied,) = everywhere.events("device_denied")
    assert denied["user_id"] == ("sub-alice" if where == "consent" else None)


@pytest.mark.row("E-27")
def test_a_person_who_may_not_use_the_application_cannot_connect_a_device(devices: World) -> None:
    started = start(devices, "desk")
    page = approve(devices.browser(), started)
    done(page)
    assert "may not use" in page.text
    assert told(devices, started, "desk") == (400, "access_denied")
    again = start(devices, "desk")
    done(approve(devices.browser(), again, "Bob"))
    assert poll(devices, again, "desk").status_code == 200


@pytest.mark.row("E-28")
def test_a_second_factor_is_asked_for_as_in_any_sign_in(devices: World) -> None:
    started = start(devices, "strict")
    browser = devices.browser()
    page = browser.sign_in(confirm(browser, started))
    assert page.main_id == "page-no-second-factor"
    page = browser.submit(page)
    done(page)
    assert "may not use" in page.text
    assert told(devices, started, "strict") == (400, "access_denied")


@pytest.mark.row("E-18", "P-10")
def test_the_organization_is_chosen_and_is_in_the_token(tmp_path: Path) -> None:
    users = [
        {**user, "organizations": ["acme", "globex"]}
        for user in settings_document()["users"]
        if user["user_name"] == "alice"
    ]
    organizations = [{"org_id": "acme"}, {"org_id": "globex"}]
    world = World.make(tmp_path, **SETTINGS, organizations=organizations, users=users)
    started = start(world, "kiosk")
    browser = world.browser()
    page = browser.sign_in(confirm(browser, started))
    assert page.main_id == "page-organization"
    assert told(world, started, "kiosk") == PENDING
    done(browser.submit(page, org_id="globex"))
    assert claims(poll(world, started, "kiosk").get_json()["id_token"])["org_id"] == "globex"
    world.close()


def test_the_policy_of_no_page_lets_a_form_lead_elsewhere(devices: World) -> None:
    browser = devices.browser()
    started = start(devices)
    pages = [browser.go(started["verification_uri"]), type_code(browser, started)]
    pages.append(browser.submit(pages[-1], decision="allow"))
    pages.append(browser.sign_in(pages[-1]))
    assert [page.main_id for page in pages][1:] == ["page-device-confirm", "page-login", "page-consent"]
    for page in pages:
        assert "form-action 'self'" in page.response.headers["Content-Security-Policy"]
        assert "form-action 'self' " not in page.response.headers["Content-Security-Policy"]


@pytest.mark.row("P-04")
def test_a_second_use_stops_what_the_first_one_gave(everywhere: World) -> None:
    started = start(everywhere)
    done(approve(everywhere.browser(), started))
    tokens = poll(everywhere, started).get_json()
    assert error_of(poll(everywhere, started)) == (400, "invalid_grant")
    assert everywhere.userinfo_status(tokens["access_token"]) == 401
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert error_of(post(everywhere, "/token", form, "tv")) == (400, "invalid_grant")
    assert [row["revoke_reason"] for row in rows(everywhere, "grants")] == ["device_code_reused"]
    assert everywhere.events("code_reused")[0]["client_id"] == "tv"


@pytest.mark.row("P-04")
def test_a_second_use_is_seen_for_a_day_after_the_end(devices: World) -> None:
    started = start(devices)
    done(approve(devices.browser(), started))
    tokens = poll(devices, started).get_json()
    devices.sleep(86_400)
    devices.provider.parts.housekeeping.sweep(devices.now)
    assert error_of(poll(devices, started)) == (400, "invalid_grant")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert error_of(post(devices, "/token", form, "tv")) == (400, "invalid_grant")
    devices.sleep(700)
    devices.provider.parts.housekeeping.sweep(devices.now)
    assert rows(devices) == []


@pytest.mark.row("P-04")
def test_another_client_can_neither_use_nor_disturb_it(devices: World) -> None:
    started = start(devices)
    assert error_of(poll(devices, started)) == PENDING
    assert error_of(poll(devices, started, "kiosk")) == (400, "invalid_grant")
    done(approve(devices.browser(), started))
    assert error_of(poll(devices, started, "kiosk")) == (400, "invalid_grant")
    assert poll(devices, started).status_code == 200


def test_a_device_that_asks_too_often_has_to_wait_longer(everywhere: World) -> None:
    started = start(everywhere)
    assert error_of(poll(everywhere, started)) == PENDING  # the first time at once
    everywhere.sleep(5)
    assert error_of(poll(everywhere, started)) == PENDING
    everywhere.sleep(4)
    assert error_of(poll(everywhere, started)) == (400, "slow_down")
    everywhere.sleep(9)
    assert error_of(poll(everywhere, started)) == (400, "slow_down")  # ten seconds by now, then fifteen
    everywhere.sleep(14)
    answer = poll(everywhere, started)
    assert answer.get_json() == {"error": "slow_down", "error_description": "Ask every 20 seconds."}
    everywhere.sleep(20)
    assert error_of(poll(everywhere, started)) == PENDING
    assert rows(everywhere)[0]["interval_seconds"] == 20


def test_what_was_approved_is_given_however_early_the_device_asks(devices: World) -> None:
    started = start(devices)
    assert error_of(poll(devices, started)) == PENDING
    done(approve(devices.browser(), started))
    assert poll(devices, started).status_code == 200


@pytest.mark.parametrize("answered", [False, True])
def test_a_code_ends_for_the_device_and_the_person(devices: World, answered: bool) -> None:
    started = start(devices)
    if answered:
        done(approve(devices.browser(), started))
    devices.sleep(599)
    waiting = confirm(devices.browser(), started) if not answered else None
    devices.sleep(1)
    assert error_of(poll(devices, started)) == (400, "expired_token")
    browser = devices.browser()
    page = type_code(browser, started)
    assert (page.status, page.main_id) == (403, "page-device")
    assert waiting is None or waiting.main_id == "page-login"


def test_a_yes_that_comes_too_late_is_none(everywhere: World) -> None:
    started = start(everywhere)
    browser = everywhere.browser()
    page = confirm(browser, started)
    everywhere.sleep(600)
    page = browser.sign_in(page)
    late = browser.submit(page, decision="allow")
    assert (late.status, late.main_id) == (400, "page-error")
    assert "took too long" in late.text
    assert error_of(poll(everywhere, started)) == (400, "expired_token")
    assert rows(everywhere, "grants") == []


def without_person(world: World) -> World:
    users = [{"user_name": "alice", "user_id": "sub-alice", "active": False}]
    return World.over(world_url(world), **SETTINGS, users=users)


def without_client(world: World) -> World:
    clients = [{**entry, "enabled": entry["client_id"] != "kiosk"} for entry in CLIENTS]
    return World.over(world_url(world), **{**SETTINGS, "clients": clients})


def without_flow(world: World) -> World:
    changed = client("kiosk", trusted=True, flows=["authorization_code"])
    return World.over(world_url(world), clients=[changed])


def without_access(world: World) -> World:
    changed = client("kiosk", flows=["device_code"], redirect_uris=[], allowed_users=["Bob"])
    return World.over(world_url(world), clients=[changed])


def without_scopes(world: World) -> World:
    changed = client("kiosk", trusted=True, flows=["device_code"], redirect_uris=[], scopes=["email"])
    return World.over(world_url(world), clients=[changed])


def world_url(world: World) -> str:
    return world.provider.parts.settings.database


@pytest.mark.row("P-12")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(without_person, (400, "invalid_grant"), id="person-inactive"),
        pytest.param(without_access, (400, "invalid_grant"), id="person-not-allowed-any-more"),
        pytest.param(without_scopes, (400, "invalid_grant"), id="nothing-left-of-the-scope"),
        pytest.param(without_client, (401, "invalid_client"), id="client-disabled"),
        pytest.param(without_flow, (400, "unauthorized_client"), id="flow-taken-away"),
    ],
)
def test_between_yes_and_the_tokens_everything_is_judged_anew(
    devices: World, change: Any, expected: tuple[int, str]
) -> None:
    started = start(devices, "kiosk")
    done(approve(devices.browser(), started))
    changed: World = change(devices)
    assert error_of(poll(changed, started, "kiosk")) == expected
    changed.close()
    assert rows(devices, "access_tokens") == []
    assert poll(devices, started, "kiosk").status_code == 200  # nothing was used up


@pytest.mark.row("P-12", "S-52")
def test_a_scope_that_the_client_lost_meanwhile_is_not_given(devices: World) -> None:
    started = start(devices, "kiosk", "openid profile")
    done(approve(devices.browser(), started))
    restricted = client(
        "kiosk", trusted=True, flows=["device_code"], redirect_uris=[], restricted_scopes=["profile"]
    )
    changed = World.over(world_url(devices), clients=[restricted])
    assert poll(changed, started, "kiosk").get_json()["scope"] == "openid"
    changed.close()


@pytest.mark.row("P-12", "A-14")
def test_consent_that_was_withdrawn_meanwhile_gives_nothing(devices: World) -> None:
    started = start(devices)
    done(approve(devices.browser(), started))
    parts = devices.provider.parts
    with parts.store.begin() as conn:
        assert parts.consents.withdraw(conn, parts.realms[0], "sub-alice", "tv", devices.now, by="person")
    assert error_of(poll(devices, started)) == (400, "invalid_grant")
    assert rows(devices, "access_tokens") == []


def test_a_session_that_was_signed_out_of_gives_the_asking_client_nothing(devices: World) -> None:
    started = start(devices)
    browser = devices.browser()
    done(approve(browser, started))
    with devices.provider.parts.store.begin() as conn:
        (grant,) = rows(devices, "grants")
        conn.execute(
            metadata.tables["grants"].update().values(revoked_at=devices.now, revoke_reason="logout")
        )
        assert grant["revoked_at"] is None
    assert error_of(poll(devices, started)) == (400, "invalid_grant")


@pytest.mark.row("P-10")
@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("", id="empty"),
        pytest.param("AAAA-AAAA", id="letters-that-no-code-has"),
        pytest.param("BCDF-GHJ", id="too-short"),
        pytest.param("X" * 5000, id="oversized"),
        pytest.param("' OR 1=1 --", id="sql"),
        pytest.param("<b>BCDF</b>", id="markup"),
        pytest.param("BCDF\0GHJK", id="nul"),
    ],
)
def test_a_wrong_code_finds_nothing_and_says_no_more(devices: World, typed: str) -> None:
    start(devices)
    browser = devices.browser()
    page = browser.submit(browser.go(f"{ISSUER}/device"), user_code=typed)
    assert (page.status, page.main_id) == (403, "page-device")
    assert "No device waits for that code" in page.text
    assert "<b>BCDF" not in page.text
    assert len(devices.events("device_code_unknown")) == 1


@pytest.mark.row("P-10")
def test_letters_count_in_any_case_and_dashes_do_not(devices: World) -> None:
    started = start(devices)
    browser = devices.browser()
    page = browser.go(f"{ISSUER}/device")
    typed = " ".join(started["user_code"].lower().replace("-", ""))
    assert browser.submit(page, user_code=typed).main_id == "page-device-confirm"


@pytest.mark.row("P-10")
def test_codes_of_another_realm_are_not_known_here(tmp_path: Path) -> None:
    other = {"name": "second", "clients": [client("tv", auth_method="none", flows=["device_code"])]}
    world = World.make(tmp_path, **SETTINGS, realms=[other])
    form = {"client_id": "tv", "scope": "openid"}
    started = WSGIClient(world.provider).post("/r/second/device_authorization", data=form, base_url=ISSUER)
    assert started.status_code == 200
    assert (
        type_code(world.browser(), {**started.get_json(), "verification_uri": f"{ISSUER}/device"}).status
        == 403
    )
    assert error_of(poll(world, started.get_json())) == (400, "invalid_grant")
    world.close()


@pytest.mark.row("P-10")
def test_guesses_are_slowed_by_network_and_a_right_code_buys_none(tmp_path: Path) -> None:
    world = World.make(tmp_path, **SETTINGS, throttle={"network_failures": 3})
    browser, other = world.browser(), world.browser("198.51.100.9")

    def guess(text: str = "BCDF-GHJK") -> Page:
        return browser.submit(browser.go(f"{ISSUER}/device"), user_code=text)

    for _ in range(9):  # right ones are not counted
        assert guess(start(world)["user_code"]).main_id == "page-device-confirm"
    assert [guess().status for _ in range(2)] == [403] * 2
    for _ in range(9):  # right ones, which may be of a client of the guesser's own, forgive nothing
        assert guess(start(world)["user_code"]).main_id == "page-device-confirm"
    assert [guess().status for _ in range(2)] == [403] * 2
    slowed = guess(start(world)["user_code"])
    assert (slowed.status, slowed.main_id) == (429, "page-device")
    assert int(slowed.response.headers["Retry-After"]) == 2
    assert world.events("device_code_slowed")[0]["wait_seconds"] == 2
    assert type_code(other, start(world)).main_id == "page-device-confirm"
    world.sleep(2)
    assert guess(start(world)["user_code"]).main_id == "page-device-confirm"
    for _ in range(20):
        world.sleep(61)
        guess()
    assert int(guess().response.headers["Retry-After"]) == 60
    world.close()


@pytest.mark.row("P-11")
@pytest.mark.parametrize("change", [{"csrf": ""}, {"csrf": "x" * 80}], ids=["none", "made-up"])
def test_each_form_is_taken_only_from_the_page_that_was_shown_here(
    devices: World, change: dict[str, str]
) -> None:
    started = start(devices)
    browser = devices.browser()
    page = browser.go(f"{ISSUER}/device")
    refused = browser.submit(page, user_code=started["user_code"], **change)
    assert (refused.status, refused.main_id) == (400, "page-device")
    page = type_code(browser, started)
    refused = browser.submit(page, decision="allow", **change)
    assert (refused.status, refused.main_id) == (400, "page-device-confirm")
    assert told(devices, started) == PENDING


@pytest.mark.row("P-11")
def test_a_form_of_another_browser_is_not_taken(devices: World) -> None:
    started = start(devices)
    page = devices.browser().go(f"{ISSUER}/device")
    other = devices.browser()
    other.go(f"{ISSUER}/device")
    refused = other.submit(page, user_code=started["user_code"])
    assert (refused.status, refused.main_id) == (400, "page-device")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("/device", "user_code=A&user_code=B", id="code-twice"),
        pytest.param("/device/confirm", "interaction=a&interaction=b", id="interaction-twice"),
        pytest.param("/device/confirm", "", id="no-interaction"),
        pytest.param("/device/confirm", "interaction=" + "x" * 3000, id="oversized"),
    ],
)
def test_what_our_pages_do_not_send_is_a_page_error(devices: World, path: str, query: str) -> None:
    page = devices.browser().go(f"{ISSUER}{path}?{query}")
    assert (page.status, page.main_id) == (400, "page-error")


def test_a_decision_that_the_page_does_not_offer(devices: World) -> None:
    started = start(devices)
    browser = devices.browser()
    page = browser.submit(type_code(browser, started), decision="perhaps")
    assert (page.status, page.main_id) == (400, "page-error")
    assert told(devices, started) == PENDING


@pytest.mark.row("P-10")
def test_a_request_of_an_application_never_becomes_a_devices(devices: World) -> None:
    """What a stored request is stands beside its parameters, which are the client's."""
    started = start(devices)
    browser = devices.browser()
    page = browser.authorize("app", user_code=started["user_code"], kind="device")
    assert page.main_id == "page-login"
    identifier = page.hidden["interaction"]
    assert browser.go(f"{ISSUER}/device/confirm?interaction={identifier}").main_id == "page-error"
    assert browser.submit(browser.sign_in(page), decision="allow").answer["code"]
    assert told(devices, started) == PENDING


@pytest.mark.row("P-10")
def test_the_back_button_leads_nowhere_when_it_is_done(devices: World) -> None:
    started = start(devices)
    browser = devices.browser()
    page = type_code(browser, started)
    identifier = page.hidden["interaction"]
    done(browser.submit(browser.sign_in(browser.submit(page, decision="allow")), decision="allow"))
    for path in ("/authorize", "/device/confirm", "/consent"):
        assert browser.go(f"{ISSUER}{path}?interaction={identifier}").main_id == "page-error"
    assert browser.submit(page, decision="deny").main_id == "page-error"
    assert poll(devices, started).status_code == 200

"""The sign-in page: what it believes and says, and what a person with two tabs and a back button can do."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from provider.factors.password import PasswordFactor
from provider.store import schema
from tests.provider.sign_in.place import ISSUER, QUICK, Page, World, authorize_url, claims, client


def without_tokens(page: Page) -> str:
    """The page but for what is new in each: two pages that differ in nothing else say the same."""
    text = page.text
    for value in page.hidden.values():
        text = text.replace(value, "…")
    return text


@pytest.mark.row("E-13")
@pytest.mark.parametrize("hint", ["alice", "nobody", "gone", 'x"><script>alert(1)</script>', "a" * 300])
def test_login_hint_fills_in_the_name_whoever_it_is(world: World, hint: str) -> None:
    page = world.browser().authorize("trusted", login_hint=hint)
    assert (page.status, page.main_id) == (200, "page-login")
    assert page.username == hint[:255]
    assert "<script>alert" not in page.text


@pytest.mark.row("E-13")
def test_the_page_for_a_known_hint_is_that_for_an_unknown_one(world: World) -> None:
    one, other = (world.browser().authorize("trusted", login_hint=hint) for hint in ("alice", "mabel"))
    assert without_tokens(one).replace("alice", "mabel") == without_tokens(other)


@pytest.mark.row("E-13")
def test_another_person_than_the_hint_may_sign_in(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("trusted", login_hint="alice"), "Bob")
    assert claims(world.tokens(page)["id_token"])["sub"] == "sub-bob"


@pytest.mark.parametrize("name", ["alice", "ALICE", "Alice ", " aLiCe", "ａlice"])
def test_a_name_is_found_in_any_spelling(world: World, name: str) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("trusted"), name, "demo-alice")
    assert claims(world.tokens(page)["id_token"])["sub"] == "sub-alice"


WRONG = [
    pytest.param("alice", "wrong", "wrong_password", id="wrong-password"),
    pytest.param("alice", "demo-bob", "wrong_password", id="password-of-another"),
    pytest.param("alice", "", "wrong_password", id="no-password"),
    pytest.param("alice", "x" * 2000, "wrong_password", id="long-password"),
    pytest.param("alice", "demo-alice\0", "wrong_password", id="nul"),
    pytest.param("nobody", "demo-alice", "unknown_user", id="unknown-user"),
    pytest.param("", "demo-alice", "unknown_user", id="no-name"),
    pytest.param("x" * 5000, "demo-alice", "unknown_user", id="long-name"),
    pytest.param("a\0b", "x", "unknown_user", id="nul-in-name"),
    pytest.param("keyless", "", "no_password", id="user-without-password"),
    pytest.param("keyless", "x", "no_password", id="user-without-password-guessed"),
    pytest.param("gone", "demo-gone", "inactive", id="inactive-with-the-right-password"),
    pytest.param("gone", "wrong", "wrong_password", id="inactive-with-a-wrong-one"),
]


@pytest.mark.parametrize(("name", "password", "reason"), WRONG)
def test_every_wrong_answer_looks_the_same(world: World, name: str, password: str, reason: str) -> None:
    browser = world.browser()
    page = browser.authorize("trusted")
    page = browser.submit(page, username=name, password=password)
    assert (page.status, page.main_id) == (403, "page-login")
    assert browser.session_cookie is None
    assert "demo-" not in page.text
    (event,) = world.events("login_failed")
    assert event["reason"] == reason
    other = world.browser()
    reference = other.submit(other.authorize("trusted"), username="reference", password="x")
    filled = re.compile(r'(name="username"[^>]*value=")[^"]*(")')
    # The field for the name keeps what was typed; nothing else differs, but where the cursor stands for an
    # empty one.
    said = [re.sub(r" autofocus", "", filled.sub(r"\1\2", without_tokens(p))) for p in (page, reference)]
    assert said[0] == said[1]


def test_a_wrong_answer_can_be_corrected_and_the_name_stays(world: World) -> None:
    browser = world.browser()
    page = browser.submit(browser.authorize("trusted"), username="alice", password="wrong")
    assert page.username == "alice"
    assert browser.sign_in(page).answer["code"]


class CountingHasher(PasswordHasher):
    """Counts how often argon2 really ran, and with what cost."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.costs: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.costs.append(str(hash).split("$")[3])
        return super().verify(hash, password)


@pytest.mark.parametrize(("name", "password"), [(p.values[0], p.values[1]) for p in WRONG])
def test_every_try_costs_one_argon2_of_the_same_cost(world: World, name: str, password: str) -> None:
    """Time would tell who exists, else."""
    hasher = CountingHasher()
    with world.provider.parts.store.read() as conn:
        user = world.provider.parts.users.find_by_name(conn, world.provider.parts.realms[0], name)
    assert PasswordFactor(hasher).check(user, password).user is None
    assert hasher.costs == ["m=8,t=1,p=1"]


@pytest.mark.row("P-11")
def test_each_login_makes_a_new_session_and_kills_the_one_before(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    first = browser.session_cookie
    page = browser.sign_in(browser.authorize("trusted", prompt="login"))
    assert page.answer["code"]
    second = browser.session_cookie
    assert first is not None
    assert second is not None
    assert first != second
    thief = world.browser()
    name = next(name for name in browser.cookies() if "browser" not in name)
    thief.client.set_cookie(name, first, domain="id.example")
    assert thief.authorize("trusted", prompt="none").answer["error"] == "login_required"
    thief.client.set_cookie(name, second, domain="id.example")
    assert thief.authorize("trusted", prompt="none").answer["code"]


@pytest.mark.row("P-11")
def test_a_planted_session_cookie_is_not_taken_over(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    name = next(name for name in browser.cookies() if "browser" not in name)
    victim = world.browser()
    victim.client.set_cookie(name, "A" * 43, domain="id.example")
    victim.signed_in()
    assert victim.session_cookie not in (None, "A" * 43)


@pytest.mark.row("P-11")
def test_cookies_are_host_bound_http_only_lax_and_of_this_issuer(world: World) -> None:
    browser = world.browser()
    page = browser.step(authorize_url("trusted"))
    (browser_cookie,) = page.response.headers.getlist("Set-Cookie")
    assert re.fullmatch(
        r"__Host-oidcprovider-browser-[0-9a-f]{16}=[\w-]{43}; Path=/; Max-Age=34560000; "
        r"HttpOnly; Secure; SameSite=Lax",
        browser_cookie,
    )
    assert page.location is not None
    form = browser.step(page.location)
    page = browser.step(form.action, {**form.hidden, "username": "alice", "password": "demo-alice"})
    (session_cookie,) = page.response.headers.getlist("Set-Cookie")
    assert re.fullmatch(
        r"__Host-oidcprovider-[0-9a-f]{16}=[\w-]{43}; Path=/; HttpOnly; Secure; SameSite=Lax", session_cookie
    )
    with world.provider.parts.store.read() as conn:
        stored = conn.execute(select(schema.browser_sessions)).one()
    assert not set(browser.cookies().values()) & {str(field) for field in stored}


@pytest.mark.row("P-28", "S-23")
def test_several_tabs_at_once(world: World) -> None:
    browser = world.browser()
    one = browser.authorize("trusted", state="one")
    two = browser.authorize("app", state="two")
    three = browser.authorize("trusted", state="three")
    assert browser.sign_in(one).answer["state"] == "one"
    consent = browser.sign_in(two, "Bob")  # the form of tab two is still good, for whoever fills it in
    assert browser.submit(consent, decision="allow").answer["state"] == "two"
    # Tab three is only reloaded: somebody is signed in by now.
    assert browser.go(three.url).answer["state"] == "three"


@pytest.mark.row("P-10", "P-11")
def test_an_interaction_is_worth_nothing_in_another_browser(world: World) -> None:
    owner, thief = world.browser(), world.browser()
    page = owner.authorize("trusted")
    thief.authorize("trusted")
    for other in (thief, world.browser()):
        assert other.go(page.url).main_id == "page-error"
        assert other.submit(page, username="alice", password="demo-alice").main_id == "page-error"
        assert (
            other.go(f"{ISSUER}/authorize?interaction={page.hidden['interaction']}").main_id == "page-error"
        )
        assert other.session_cookie is None
    assert owner.sign_in(page).answer["code"]


@pytest.mark.row("P-11")
@pytest.mark.parametrize(
    "token", ["", "x", "missing", "of-another-tab", "of-the-consent-form", "too-old", "repeated"]
)
def test_a_form_without_its_csrf_token_signs_nobody_in(world: World, token: str) -> None:
    browser = world.browser()
    page, other = browser.authorize("trusted"), browser.authorize("trusted")
    fields = {**page.hidden, "username": "alice", "password": "demo-alice", "csrf": token}
    if token == "missing":
        del fields["csrf"]
    elif token == "of-another-tab":
        fields["csrf"] = other.hidden["csrf"]
    elif token == "of-the-consent-form":
        third = world.browser()
        fields["csrf"] = third.sign_in(third.authorize("app")).hidden["csrf"]
    elif token == "too-old":
        fields["csrf"] = page.hidden["csrf"]
        world.sleep(1799)
        page = browser.authorize("trusted")
        fields["interaction"] = page.hidden["interaction"]
    if token == "repeated":
        body = "&".join(f"{name}={value}" for name, value in fields.items()) + f"&csrf={page.hidden['csrf']}"
        answer = browser.go(page.action, body)
        assert (answer.status, answer.main_id) == (400, "page-error")
    else:
        answer = browser.go(page.action, fields)
        assert (answer.status, answer.main_id) == (400, "page-login")
        assert "demo-alice" not in answer.text
    assert browser.session_cookie is None
    assert not [event for event in world.events("login_succeeded") if event["client_id"] == "trusted"]


@pytest.mark.row("S-23")
@pytest.mark.parametrize("path", ["/login", "/consent", "/authorize", "/end_session"])
@pytest.mark.parametrize("identifier", ["", "x", "A" * 43, "%00", "x" * 5000])
def test_an_interaction_that_is_not_there(world: World, path: str, identifier: str) -> None:
    browser = world.browser()
    browser.authorize("trusted")
    page = browser.go(f"{ISSUER}{path}?interaction={identifier}")
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)


@pytest.mark.parametrize("name", ["interaction", "csrf", "username", "password"])
def test_a_repeated_field_of_the_form_is_refused(world: World, name: str) -> None:
    browser = world.browser()
    page = browser.authorize("trusted")
    fields = {**page.hidden, "username": "alice", "password": "demo-alice"}
    body = "&".join(f"{field}={value}" for field, value in [*fields.items(), (name, fields[name])])
    answer = browser.go(page.action, body)
    assert (answer.status, answer.main_id) == (400, "page-error")
    assert browser.session_cookie is None


@pytest.mark.row("P-10", "S-23")
def test_what_is_finished_leads_nowhere_again(world: World) -> None:
    """The back button, a reload, the form sent twice: a page, no second code, no session from it."""
    browser = world.browser()
    form = browser.authorize("trusted")
    answer = browser.sign_in(form)
    assert answer.answer["code"]
    resume = f"{ISSUER}/authorize?interaction={form.hidden['interaction']}"
    before = browser.session_cookie
    for page in (
        browser.go(resume),
        browser.go(form.url),
        browser.submit(form, username="Bob", password="demo-bob"),
    ):
        assert (page.status, page.main_id, page.location) == (400, "page-error", None)
    assert browser.session_cookie == before
    assert len(world.events("login_succeeded")) == 1


def test_an_interaction_expires(world: World) -> None:
    browser = world.browser()
    form = browser.authorize("trusted")
    world.sleep(1800)
    page = browser.submit(form, username="alice", password="demo-alice")
    assert (page.status, page.main_id) == (400, "page-error")
    assert browser.session_cookie is None


@pytest.mark.row("E-01")
def test_a_client_that_is_switched_off_meanwhile_gets_nothing(tmp_path: Path) -> None:
    world = World.make(tmp_path)
    browser = world.browser()
    form = browser.authorize("trusted")
    world.close()
    changed = World.make(tmp_path, clients=[client("trusted", trusted=True, enabled=False)])
    browser.client.application = changed.provider
    page = browser.submit(form, username="alice", password="demo-alice")
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)
    changed.close()


@pytest.mark.row("P-12")
def test_a_person_who_is_switched_off_is_not_signed_in_any_more(tmp_path: Path) -> None:
    world = World.make(tmp_path)
    browser = world.browser()
    browser.signed_in()
    world.close()
    off = {"user_name": "alice", "user_id": "sub-alice", "password_hash": QUICK.hash("x"), "active": False}
    changed = World.make(tmp_path, users=[off])
    browser.client.application = changed.provider
    assert browser.authorize("trusted", prompt="none").answer["error"] == "login_required"
    assert browser.authorize("trusted").main_id == "page-login"
    changed.close()


@pytest.mark.parametrize(
    ("settings", "pauses", "alive"),
    [
        pytest.param({"session_idle_minutes": 10}, [599], True, id="idle-not-reached"),
        pytest.param({"session_idle_minutes": 10}, [600], False, id="idle-reached"),
        pytest.param({"session_idle_minutes": 10}, [599, 599, 599], True, id="use-keeps-it-alive"),
        pytest.param(
            {"session_idle_minutes": 1440, "session_hours": 1}, [3599], True, id="absolute-not-reached"
        ),
        pytest.param(
            {"session_idle_minutes": 1440, "session_hours": 1}, [1800, 1800], False, id="absolute-reached"
        ),
    ],
)
def test_lifetimes(tmp_path: Path, settings: dict[str, Any], pauses: list[int], alive: bool) -> None:
    world = World.make(tmp_path, lifetimes=settings)
    browser = world.browser()
    browser.signed_in()
    for pause in pauses:
        world.sleep(pause)
        answer = browser.authorize("trusted", prompt="none").answer
    assert ("code" in answer) is alive
    world.close()


def test_realms_do_not_share_sessions_or_interactions(tmp_path: Path) -> None:
    second = {"name": "second", "clients": [client("trusted", trusted=True)]}
    world = World.make(tmp_path, realms=[second])
    browser = world.browser()
    browser.signed_in()
    url = authorize_url("trusted", prompt="none").replace("/authorize", "/r/second/authorize")
    assert browser.step(url).answer["error"] == "login_required"
    form = browser.go(url.replace("prompt=none", "x=1"))
    assert form.main_id == "page-login"
    assert form.action == f"{ISSUER}/r/second/login"
    crossed = browser.go(f"{ISSUER}/login?interaction={form.hidden['interaction']}")
    assert crossed.main_id == "page-error"
    # The same person does not exist there.
    assert browser.submit(form, username="alice", password="demo-alice").status == 403
    assert len(set(browser.cookies())) == 3
    world.close()


def test_tries_are_slowed_and_a_right_password_clears(world: World) -> None:
    browser = world.browser()
    page = browser.authorize("trusted")
    for _ in range(6):
        page = browser.submit(page, username="alice", password="wrong")
        assert page.status == 403
    page = browser.submit(page, username="ALICE", password="demo-alice")
    assert (page.status, page.main_id) == (429, "page-login")
    assert page.response.headers["Retry-After"] == "2"
    assert browser.session_cookie is None
    assert world.events("login_slowed")[0]["wait_seconds"] == 2
    world.sleep(2)
    page = browser.submit(page, username="alice", password="demo-alice")
    assert page.answer["code"]
    page = browser.authorize("trusted", prompt="login")
    for _ in range(5):
        page = browser.submit(page, username="alice", password="wrong")
        assert page.status == 403


def test_guessing_elsewhere_does_not_slow_the_owner(world: World) -> None:
    guesser = world.browser("198.51.100.9")
    page = guesser.authorize("trusted")
    for _ in range(20):
        page = guesser.submit(page, username="alice", password="wrong")
    assert page.status == 429
    assert world.browser("203.0.113.7").signed_in().answer["code"]


def test_a_name_that_nobody_has_is_slowed_in_the_same_way(world: World) -> None:
    pages = []
    for name in ("alice", "nobody"):
        browser = world.browser("198.51.100.9" if name == "alice" else "192.0.2.1")
        page = browser.authorize("trusted")
        for _ in range(7):
            page = browser.submit(page, username=name, password="wrong")
        pages.append(
            (page.status, page.response.headers["Retry-After"], without_tokens(page).replace(name, "…"))
        )
    assert pages[0] == pages[1]


def test_one_network_is_slowed_over_all_names(tmp_path: Path) -> None:
    world = World.make(tmp_path, throttle={"network_failures": 10})
    browser = world.browser()
    page = browser.authorize("trusted")
    statuses = []
    for number in range(12):
        page = browser.submit(page, username=f"name-{number}", password="wrong")
        statuses.append(page.status)
    assert statuses == [403] * 11 + [429]
    world.close()


def test_forwarded_addresses_count_only_from_trusted_networks(tmp_path: Path) -> None:
    for trusted, expected in (([], "10.0.0.0/24"), (["10.0.0.0/24"], "198.51.100.0/24")):
        folder = tmp_path / str(len(trusted))
        folder.mkdir()
        world = World.make(folder, trusted_networks=trusted)
        browser = world.browser("10.0.0.1")
        page = browser.authorize("trusted")
        browser.step(
            page.action,
            {**page.hidden, "username": "alice", "password": "wrong"},
            headers={"X-Forwarded-For": "198.51.100.9"},
        )
        assert world.events("login_failed")[0]["network"] == expected
        world.close()


def test_when_all_slots_are_taken_the_person_is_told_to_come_back_and_nothing_is_counted(
    world: World,
) -> None:
    browser = world.browser()
    page = browser.authorize("trusted")
    factor = world.password_factor
    factor._patience_seconds = 0.01
    with factor._slot(), factor._slot():
        for _ in range(10):
            page = browser.submit(page, username="alice", password="wrong")
            assert (page.status, page.main_id) == (503, "page-login")
            assert page.response.headers["Retry-After"] == "5"
    assert browser.sign_in(page).answer["code"]


@pytest.mark.row("P-28")
def test_one_form_sent_many_times_at_once_gives_one_code(world: World) -> None:
    """However many requests carry the same interaction, it is finished once."""
    browser = world.browser()
    browser.signed_in()
    stored = browser.step(f"{ISSUER}/authorize", authorize_url("trusted").partition("?")[2])
    assert stored.location is not None
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies().items())
    answers: list[Page] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        own = world.browser()
        barrier.wait()
        answers.append(own.step(stored.location or "", headers={"Cookie": cookie}))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [303] + [400] * 7


@pytest.mark.row("P-15")
def test_nothing_secret_is_reported(world: World) -> None:
    browser = world.browser()
    page = browser.submit(browser.authorize("app"), username="alice", password="hunter2-canary")
    page = browser.submit(browser.sign_in(page), decision="allow")
    world.browser().authorize("app", redirect_uri="https://evil.test")
    log = "\n".join(world.lines)
    secrets = [*browser.cookies().values(), page.answer["code"], "hunter2-canary", "demo-alice"]
    assert not [secret for secret in secrets if secret in log]


@pytest.mark.row("P-10")
def test_a_finished_request_shows_no_form_even_after_signing_out(world: World) -> None:
    browser = world.browser()
    form = browser.authorize("trusted")
    browser.sign_in(form)
    browser.submit(browser.go(f"{ISSUER}/end_session"))
    assert browser.session_cookie is None
    assert browser.go(form.url).main_id == "page-error"


@pytest.mark.row("P-10")
def test_a_stored_request_of_one_kind_is_not_one_of_the_other(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    authorize = browser.authorize("app").hidden
    logout = browser.go(f"{ISSUER}/end_session").hidden
    assert browser.go(f"{ISSUER}/end_session?interaction={authorize['interaction']}").main_id == "page-error"
    assert browser.go(f"{ISSUER}/end_session/confirm", authorize).main_id == "page-error"
    for path in ("login", "consent", "authorize"):
        assert browser.go(f"{ISSUER}/{path}?interaction={logout['interaction']}").main_id == "page-error"
    assert [event["detail"] for event in world.events("incident")] == ["no such interaction"] * 5

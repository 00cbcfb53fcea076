"""What applications with `session_management` are told, and the cookies for frames: when each is set, and
that nothing but a silent request is answered on the strength of one.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oidcgate.protocol.session_management import build_session_state
from provider.services.browser_session import cookie_names
from provider.store.schema import browser_sessions
from tests.provider.sign_in.place import (
    BYE,
    CALLBACK,
    ISSUER,
    Browser,
    Fields,
    Page,
    World,
    authorize_url,
    claims,
    client,
    filled_in,
    settings_document,
)

SPA_TWO = "https://two.example/cb"
CLIENTS = [
    client("spa", trusted=True, session_management=True),
    client("asks", session_management=True),
    client("two", trusted=True, session_management=True, redirect_uris=[SPA_TWO]),
    client("native", auth_method="none", application_type="native", trusted=True, session_management=True,
           redirect_uris=["com.example.app:/cb"], flows=["authorization_code"]),
    client("trusted", trusted=True),
    client("app"),
]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A realm in which some applications have session management."""
    second = {"name": "second", "clients": [client("spa")], "users": settings_document()["users"]}
    made = World.make(tmp_path, clients=CLIENTS, realms=[second])
    yield made
    made.close()


@pytest.fixture
def browser(world: World) -> Browser:
    return world.browser()


def embedded(browser: Browser, url: str, data: Fields | str | None = None) -> Page:
    """One request from a frame on another site: only cookies with SameSite=None go with it, or are taken."""
    jar = browser.client._cookies
    assert jar is not None
    kept_back = {key: cookie for key, cookie in jar.items() if cookie.same_site != "None"}
    for key in kept_back:
        del jar[key]
    page = browser.step(url, data)
    for key in [key for key, cookie in jar.items() if cookie.same_site != "None"]:
        del jar[key]
    jar.update(kept_back)
    return page


def silently(browser: Browser, client_id: str = "spa", **changes: str | None) -> dict[str, str]:
    """The answer to a silent request in a frame on another site."""
    return embedded(browser, authorize_url(client_id, prompt="none", **changes)).answer


def state_of(world: World, browser: Browser) -> str | None:
    return browser.cookies().get(cookie_names(world.provider.parts.realms[0]).state)


def silent_of(world: World, browser: Browser) -> str | None:
    return browser.cookies().get(cookie_names(world.provider.parts.realms[0]).silent)


def is_unchanged(
    world: World,
    browser: Browser,
    session_state: str,
    client_id: str = "spa",
    origin: str = "https://app.example",
) -> bool:
    """What the frame finds: whether the state that the browser has gives what the client was given."""
    state, (_, salt) = state_of(world, browser), session_state.split(".")
    return state is not None and session_state == build_session_state(client_id, origin, state, salt)


def end_session(browser: Browser, **hint: str) -> Page:
    query = "&".join(f"{name}={value}" for name, value in hint.items())
    page = browser.go(f"{ISSUER}/end_session?{query}")
    return browser.submit(page) if page.main_id == "page-logout" else page


@pytest.mark.row("S-18")
def test_an_answer_carries_the_state_that_the_browser_can_compute(world: World, browser: Browser) -> None:
    page = browser.signed_in("spa")
    assert re.fullmatch(r"[0-9a-f]{64}\.[\w-]{22}", page.answer["session_state"])
    assert is_unchanged(world, browser, page.answer["session_state"])
    again = browser.authorize("spa").answer["session_state"]
    assert again != page.answer["session_state"], "salted anew each time"
    assert is_unchanged(world, browser, again)
    two = browser.authorize("two", redirect_uri=SPA_TWO).answer["session_state"]
    assert is_unchanged(world, browser, two, "two", "https://two.example")
    assert not is_unchanged(world, browser, two), "another client's is worth nothing"
    assert not is_unchanged(world, browser, again, origin="https://evil.example"), "nor from elsewhere"


@pytest.mark.row("S-18")
def test_the_two_cookies_have_exactly_these_attributes(world: World, browser: Browser) -> None:
    cookies = browser.signed_in("spa").response.headers.getlist("Set-Cookie")
    digest = r"[0-9a-f]{16}"
    for pattern in (
        rf"__Host-oidcprovider-state-{digest}=[0-9a-f]{{64}}; Path=/; Secure; SameSite=None",
        rf"__Host-oidcprovider-silent-{digest}=[\w-]{{43}}; Path=/; HttpOnly; Secure; SameSite=None",
    ):
        assert len([cookie for cookie in cookies if re.fullmatch(pattern, cookie)]) == 1, cookies
    assert len(cookies) == 2
    assert browser.authorize("spa").response.headers.getlist("Set-Cookie") == [], "once is enough"


@pytest.mark.row("S-18")
@pytest.mark.parametrize("client_id", ["trusted", "app"])
def test_other_clients_are_told_nothing_and_their_browsers_get_no_cookie(
    world: World, browser: Browser, client_id: str
) -> None:
    page = browser.signed_in(client_id)
    if page.main_id == "page-consent":
        page = browser.submit(page, decision="allow")
    assert "session_state" not in page.answer
    assert (state_of(world, browser), silent_of(world, browser)) == (None, None)
    assert silently(browser, "trusted")["error"] == "login_required"
    end_session(browser)
    assert (state_of(world, browser), silent_of(world, browser)) == (None, None)


@pytest.mark.row("S-18")
def test_a_client_without_pages_is_told_nothing(world: World, browser: Browser) -> None:
    page = browser.signed_in("native", redirect_uri="com.example.app:/cb")
    assert "code" in page.answer
    assert "session_state" not in page.answer
    assert state_of(world, browser) is None


def test_a_realm_without_such_a_client_sets_no_cookie(world: World, browser: Browser) -> None:
    query = authorize_url("spa").partition("?")[2]
    page = browser.sign_in(browser.go(f"{ISSUER}/r/second/authorize?{query}"))
    page = browser.submit(page, decision="allow")
    assert "code" in page.answer
    assert not [name for name in browser.cookies() if "silent" in name or "state" in name]
    assert browser.step(f"{ISSUER}/r/second/check_session").status == 404


@pytest.mark.row("S-18")
def test_the_state_says_nothing_of_the_session_cookie(world: World, browser: Browser) -> None:
    browser.signed_in("spa")
    values = [browser.session_cookie, silent_of(world, browser), state_of(world, browser)]
    assert len(set(values)) == 3
    before = state_of(world, browser)
    # A new session cookie for the same session: the state stays, so it does not come from the cookie.
    page = browser.sign_in(browser.authorize("spa", prompt="login"))
    assert "code" in page.answer
    assert browser.session_cookie != values[0]
    assert state_of(world, browser) == before


class TestTheStateChanges:
    """Whenever somebody else is signed in than before, and not otherwise."""

    @pytest.mark.row("S-18", "S-19")
    @pytest.mark.parametrize("hinted", [False, True], ids=["asked", "with-hint"])
    def test_at_a_sign_out(self, world: World, browser: Browser, hinted: bool) -> None:
        page = browser.signed_in("spa")
        hint = {"id_token_hint": world.tokens(page, "spa")["id_token"]} if hinted else {}
        assert end_session(browser, **hint).main_id == "page-logged-out"
        assert not is_unchanged(world, browser, page.answer["session_state"])
        assert silent_of(world, browser) is None
        answer = silently(browser)
        assert answer["error"] == "login_required"
        assert is_unchanged(world, browser, answer["session_state"]), "signed out is a state as well"

    @pytest.mark.row("S-18")
    def test_at_a_sign_out_that_another_application_asks_for(self, world: World, browser: Browser) -> None:
        page = browser.signed_in("spa")
        hint = world.tokens(browser.authorize("trusted"))["id_token"]
        ended = end_session(browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert ended.location == BYE
        assert not is_unchanged(world, browser, page.answer["session_state"])

    @pytest.mark.row("S-18")
    def test_at_a_sign_in_by_way_of_any_application(self, world: World, browser: Browser) -> None:
        browser.signed_in("spa")
        end_session(browser)
        signed_out = silently(browser)["session_state"]
        browser.signed_in("trusted")
        assert not is_unchanged(world, browser, signed_out)
        assert "code" in silently(browser)

    @pytest.mark.row("S-18")
    def test_when_another_person_signs_in(self, world: World, browser: Browser) -> None:
        page = browser.signed_in("spa")
        other = browser.sign_in(browser.authorize("trusted", prompt="login"), "Bob")
        assert "code" in other.answer
        assert not is_unchanged(world, browser, page.answer["session_state"])
        answer = silently(browser)
        tokens = world.tokens(embedded(browser, authorize_url("spa", prompt="none")), "spa")
        assert claims(tokens["id_token"])["sub"] == "sub-bob"
        assert is_unchanged(world, browser, answer["session_state"])

    def test_when_a_session_is_found_to_be_over(self, world: World, browser: Browser) -> None:
        page = browser.signed_in("spa")
        world.sleep(10 * 86_400)
        assert browser.authorize("trusted").main_id == "page-login"
        assert not is_unchanged(world, browser, page.answer["session_state"])

    def test_and_stays_while_nobody_signs_in(self, world: World, browser: Browser) -> None:
        assert browser.authorize("spa").main_id == "page-login"
        first = browser.step(authorize_url("spa", prompt="none")).answer
        assert first["error"] == "login_required"
        assert is_unchanged(world, browser, first["session_state"])
        second = silently(browser)
        assert second["session_state"] != first["session_state"]
        assert is_unchanged(world, browser, first["session_state"])

    def test_and_cannot_be_guessed_where_nobody_is_signed_in(self, world: World) -> None:
        states = set()
        for _ in range(2):
            browser = world.browser()
            browser.authorize("spa")
            browser.step(authorize_url("spa", prompt="none"))
            states.add(state_of(world, browser))
        assert len(states - {None}) == 2

    @pytest.mark.row("S-18")
    def test_and_is_not_made_in_a_frame_that_shows_no_cookie_of_ours(
        self, world: World, browser: Browser
    ) -> None:
        """Its jar may be one of that site alone, where no sign-in would ever change it."""
        assert "session_state" in silently(browser)
        assert state_of(world, browser) is None


class TestASilentRequestInAFrameOnAnotherSite:
    @pytest.mark.row("S-18")
    def test_is_answered_for_the_session_of_the_browser(self, world: World, browser: Browser) -> None:
        first = world.tokens(browser.signed_in("spa"), "spa")
        page = embedded(browser, authorize_url("spa", prompt="none"))
        assert page.status == 303
        renewed = world.tokens(page, "spa")
        same = ("sub", "sid", "auth_time")
        assert [claims(renewed["id_token"])[name] for name in same] == [
            claims(first["id_token"])[name] for name in same
        ]

    @pytest.mark.row("S-18")
    def test_leads_to_the_redirect_uri_with_an_error_when_nobody_is_signed_in(self, browser: Browser) -> None:
        page = embedded(browser, authorize_url("spa", prompt="none"))
        assert page.location is not None
        assert page.location.startswith(f"{CALLBACK}?error=login_required")

    @pytest.mark.row("S-18")
    def test_of_a_client_without_the_setting_finds_nobody(self, browser: Browser) -> None:
        browser.signed_in("spa")
        assert silently(browser, "trusted")["error"] == "login_required"

    @pytest.mark.row("S-18")
    def test_finds_nobody_where_the_browser_keeps_all_cookies_back(
        self, world: World, browser: Browser
    ) -> None:
        browser.signed_in("spa")
        bare = world.browser()
        assert bare.step(authorize_url("spa", prompt="none")).answer["error"] == "login_required"

    @pytest.mark.row("S-18")
    def test_that_needs_an_answer_of_the_person_fails(self, world: World, browser: Browser) -> None:
        browser.signed_in("spa")
        answer = silently(browser, "asks")
        assert answer["error"] == "consent_required"
        assert is_unchanged(world, browser, answer["session_state"], "asks")

    @pytest.mark.row("S-18")
    def test_that_is_posted_is_stored_first_and_answered_by_the_get_that_follows(
        self, world: World, browser: Browser
    ) -> None:
        browser.signed_in("spa")
        endpoint, _, query = authorize_url("spa", prompt="none").partition("?")
        page = embedded(browser, endpoint, query)
        assert page.location is not None
        assert page.location.startswith(f"{ISSUER}/authorize?interaction=")
        assert page.response.headers.getlist("Set-Cookie") == []
        assert "code" in embedded(browser, page.location).answer

    @pytest.mark.row("S-18")
    @pytest.mark.parametrize("changes", [{}, {"prompt": "login"}, {"prompt": "consent"}], ids=str)
    def test_is_the_only_one(self, world: World, browser: Browser, changes: dict[str, str]) -> None:
        browser.signed_in("spa")
        page = embedded(browser, authorize_url("spa", **changes))
        assert page.location is not None
        assert page.location.startswith(f"{ISSUER}/login?interaction="), "nobody is signed in here"

    def test_is_over_with_the_session(self, world: World, browser: Browser) -> None:
        browser.signed_in("spa")
        kept = browser.cookies()
        end_session(browser)
        thief = world.browser()
        names = cookie_names(world.provider.parts.realms[0])
        thief.client.set_cookie(names.silent, kept[names.silent], domain="id.example", secure=True)
        assert thief.step(authorize_url("spa", prompt="none")).answer["error"] == "login_required"

    def test_is_not_answered_for_an_older_sign_in(self, world: World, browser: Browser) -> None:
        browser.signed_in("spa")
        old = silent_of(world, browser)
        browser.sign_in(browser.authorize("trusted", prompt="login"))
        assert silent_of(world, browser) not in (None, old), "replaced together with the session cookie"
        names = cookie_names(world.provider.parts.realms[0])
        thief = world.browser()
        thief.client.set_cookie(names.silent, str(old), domain="id.example", secure=True)
        assert thief.step(authorize_url("spa", prompt="none")).answer["error"] == "login_required"

    def test_counts_for_nothing_beside_a_session_cookie(self, world: World, browser: Browser) -> None:
        browser.signed_in("spa")
        names = cookie_names(world.provider.parts.realms[0])
        browser.client.set_cookie(names.session, "A" * 43, domain="id.example", secure=True)
        assert browser.step(authorize_url("spa", prompt="none")).answer["error"] == "login_required"


class TestWhatTheSilentCookieDoesNotOpen:
    """A browser that shows this cookie and not its session is signed out, whatever it asks for."""

    @pytest.fixture
    def stranger(self, world: World, browser: Browser) -> Browser:
        """A browser that has nothing but the two cookies of somebody who is signed in."""
        browser.signed_in("spa")
        made = world.browser()
        names = cookie_names(world.provider.parts.realms[0])
        for name in (names.silent, names.state):
            made.client.set_cookie(name, browser.cookies()[name], domain="id.example", secure=True)
        return made

    @pytest.mark.row("S-18")
    def test_it_does_open_a_silent_request(self, stranger: Browser) -> None:
        assert "code" in stranger.step(authorize_url("spa", prompt="none")).answer

    @pytest.mark.row("S-18")
    def test_no_authorization_with_a_page(self, stranger: Browser) -> None:
        assert stranger.authorize("spa").main_id == "page-login"
        assert stranger.authorize("asks").main_id == "page-login"

    @pytest.mark.row("S-18")
    @pytest.mark.parametrize(
        "path", ["/login", "/login/account", "/login/organization", "/login/otp", "/login/enrol",
                 "/login/no-second-factor", "/consent"],
    )  # fmt: skip
    @pytest.mark.parametrize("prompt", [None, "none"], ids=["", "silent"])
    def test_no_page_of_a_sign_in(
        self, world: World, stranger: Browser, path: str, prompt: str | None
    ) -> None:
        """Not even with a stored request that is silent itself."""
        endpoint, _, query = authorize_url("asks", prompt=prompt).partition("?")
        stored = stranger.step(endpoint, query).location
        assert stored is not None
        identifier = stored.partition("=")[2]
        if prompt is None:
            stranger.step(stored)  # claimed for this browser, which shows the sign-in page
        for data in (None, {"interaction": identifier, "decision": "allow", "otp": "000000"}):
            page = stranger.step(f"{ISSUER}{path}?interaction={identifier}", data)
            assert page.main_id in ("page-login", "page-error", None), (page.main_id, page.text[:300])
            assert page.location in (None, f"{ISSUER}/authorize?interaction={identifier}")
            assert "alice" not in page.text

    @pytest.mark.row("S-18", "P-30")
    def test_no_sign_out(self, world: World, browser: Browser, stranger: Browser) -> None:
        page = stranger.go(f"{ISSUER}/end_session")
        assert page.main_id == "page-logged-out"
        assert "alice" not in page.text
        assert "code" in browser.step(authorize_url("trusted", prompt="none")).answer, "goes on"

    @pytest.mark.row("S-18")
    def test_no_route_at_all(self, world: World, stranger: Browser) -> None:
        """Each answers as it does a browser without a cookie: own pages lead to the sign-in, for one."""
        paths = set()
        for route in world.provider.parts.routes:
            for method in route.methods:
                data = "client_id=spa" if method == "POST" else None
                answers = [each.step(ISSUER + route.path, data) for each in (stranger, world.browser())]
                shapes = [
                    (page.status, page.main_id, re.sub("=.*", "", page.location or "")) for page in answers
                ]
                assert shapes[0] == shapes[1], (method, route.path)
                assert "alice" not in answers[0].text
                paths.add(route.path)
        assert {"/account", "/account/password", "/consent", "/end_session"} <= paths

    @pytest.mark.row("S-18")
    def test_no_device(self, stranger: Browser) -> None:
        assert stranger.go(f"{ISSUER}/device").main_id == "page-device"

    @pytest.mark.row("S-18")
    def test_it_is_no_session_cookie_and_the_session_cookie_no_silent_one(
        self, world: World, browser: Browser
    ) -> None:
        browser.signed_in("spa")
        names, kept = cookie_names(world.provider.parts.realms[0]), browser.cookies()
        swapped = world.browser()
        swapped.client.set_cookie(names.session, kept[names.silent], domain="id.example", secure=True)
        assert swapped.authorize("spa").main_id == "page-login"
        swapped = world.browser()
        swapped.client.set_cookie(names.silent, kept[names.session], domain="id.example", secure=True)
        assert swapped.step(authorize_url("spa", prompt="none")).answer["error"] == "login_required"


class TestAnotherSiteCannotMoveTheState:
    """A request that our `Lax` cookies do not come with does not show that nobody is signed in."""

    @pytest.mark.row("S-18", "P-30")
    @pytest.mark.parametrize(
        "url",
        [
            pytest.param(f"{ISSUER}/end_session", id="end_session"),
            pytest.param(authorize_url("spa"), id="authorize"),
            pytest.param(authorize_url("trusted"), id="authorize-of-another-client"),
            pytest.param(authorize_url("trusted", prompt="none"), id="silent-of-another-client"),
            pytest.param(authorize_url("spa", prompt="none"), id="silent"),
            pytest.param(authorize_url("nobody"), id="unknown-client"),
            pytest.param(f"{ISSUER}/login", id="login"),
        ],
    )
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_by_embedding(self, world: World, browser: Browser, url: str, method: str) -> None:
        page = browser.signed_in("spa")
        endpoint, _, query = url.partition("?")
        answer = embedded(browser, url) if method == "get" else embedded(browser, endpoint, query)
        while answer.location is not None and answer.location.startswith(ISSUER):
            answer = embedded(browser, answer.location)
        assert is_unchanged(world, browser, page.answer["session_state"])
        assert "code" in silently(browser)


class TestACrossSitePost:
    """Of another site to `/authorize`: stored and answered before any session is read."""

    @pytest.mark.row("S-18")
    @pytest.mark.parametrize("prompt", [None, "none", "login"], ids=["", "silent", "login"])
    @pytest.mark.parametrize("signed_in", [False, True], ids=["signed-out", "signed-in"])
    def test_is_stored_and_answered_303_before_any_session_is_read(
        self, world: World, browser: Browser, signed_in: bool, prompt: str | None
    ) -> None:
        if signed_in:
            browser.signed_in("spa")
        endpoint, _, query = authorize_url("spa", prompt=prompt).partition("?")
        before = rows_of_sessions(world)
        page = embedded(browser, endpoint, query)
        assert page.status == 303
        assert re.fullmatch(rf"{ISSUER}/authorize\?interaction=[\w-]{{43}}", page.location or "")
        assert page.response.headers.getlist("Set-Cookie") == []
        assert rows_of_sessions(world) == before

    @pytest.mark.row("S-18")
    def test_finds_the_session_on_the_way_back(self, browser: Browser) -> None:
        browser.signed_in("spa")
        endpoint, _, query = authorize_url("trusted").partition("?")
        stored = embedded(browser, endpoint, query).location
        assert stored is not None
        # The browser follows by GET, as a navigation of its own: with every cookie.
        assert "code" in browser.step(stored).answer

    @pytest.mark.row("S-18")
    def test_cannot_be_told_by_its_answer_whether_somebody_is_signed_in(
        self, world: World, browser: Browser
    ) -> None:
        browser.signed_in("spa")
        endpoint, _, query = authorize_url("spa").partition("?")
        answers = []
        for each in (browser, world.browser()):
            response = each.step(endpoint, query).response
            shape = re.sub(r"interaction=[\w-]+", "interaction=", str(response.headers))
            answers.append((response.status_code, shape))
        assert answers[0] == answers[1]


def rows_of_sessions(world: World) -> list[Any]:
    with world.provider.parts.store.read() as conn:
        return list(conn.execute(browser_sessions.select()))


class TestFraming:
    """One page may be framed, by pages of certain clients; all others by nobody."""

    @pytest.mark.row("S-18")
    def test_check_session_names_exactly_the_origins_of_its_clients(self, browser: Browser) -> None:
        response = browser.step(f"{ISSUER}/check_session").response
        policy = response.headers["Content-Security-Policy"]
        assert "frame-ancestors https://app.example https://two.example;" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "X-Frame-Options" not in response.headers
        assert response.headers.getlist("Set-Cookie") == []
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.row("S-18")
    def test_a_disabled_client_and_one_without_the_setting_frame_nothing(self, tmp_path: Path) -> None:
        world = World.make(
            tmp_path,
            clients=[
                client("spa", session_management=True),
                client("off", session_management=True, enabled=False, redirect_uris=["https://off.example/"]),
                client("plain", redirect_uris=["https://plain.example/"]),
            ],
        )
        policy = world.browser().step(f"{ISSUER}/check_session").response.headers["Content-Security-Policy"]
        world.close()
        assert re.search(r"frame-ancestors ([^;]*)", policy)[1] == "https://app.example"

    @pytest.mark.row("S-18")
    def test_no_other_answer_of_any_route_can_be_framed(self, world: World, browser: Browser) -> None:
        browser.signed_in("spa")
        seen = set()
        for route in world.provider.parts.routes:
            for method in route.methods:
                for fill in (False, True):
                    values = {"client_id": "nobody", "interaction": "x" * 43} if fill else {}
                    page = browser.step(ISSUER + route.path, values if method == "POST" else None)
                    if page.response.mimetype == "text/html" and route.path != "/check_session":
                        seen.add(route.path)
                        assert_unframeable(page)
        assert {"/", "/login", "/consent", "/authorize", "/end_session", "/device"} <= seen

    @pytest.mark.row("S-18")
    @pytest.mark.parametrize("client_id", ["spa", "asks", "app"])
    def test_no_page_of_a_sign_in_can_be_framed(self, browser: Browser, client_id: str) -> None:
        page = browser.authorize(client_id)
        assert_unframeable(page)
        page = browser.step(page.action, filled_in(page, username="alice", password="wrong"))
        assert (page.status, page.main_id) == (403, "page-login")
        assert_unframeable(page)
        page = browser.sign_in(page)
        if page.main_id == "page-consent":
            assert_unframeable(page)
        assert_unframeable(browser.go(f"{ISSUER}/end_session"))

    @pytest.mark.row("S-18")
    @pytest.mark.parametrize(
        "url",
        [
            pytest.param(
                authorize_url("spa", prompt="none", redirect_uri="https://evil.example/"), id="stray"
            ),
            pytest.param(authorize_url("nobody", prompt="none"), id="unknown-client"),
            pytest.param(authorize_url("spa", prompt="none", response_mode="form_post"), id="form-post"),
        ],
    )
    def test_what_a_silent_request_does_not_lead_away_with_cannot_be_framed(
        self, browser: Browser, url: str
    ) -> None:
        browser.signed_in("spa")
        page = embedded(browser, url)
        assert page.location is None
        assert_unframeable(page)


def assert_unframeable(page: Page) -> None:
    headers = page.response.headers
    assert headers.get("X-Frame-Options") == "DENY", (page.url, page.text[:200])
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], page.url


class TestDiscovery:
    PATH = "/.well-known/openid-configuration"

    @pytest.mark.row("S-17", "S-18")
    def test_names_the_frame_where_a_client_has_session_management(self, browser: Browser) -> None:
        document = browser.step(ISSUER + self.PATH).response.get_json()
        assert document["check_session_iframe"] == f"{ISSUER}/check_session"
        second = browser.step(f"{ISSUER}/r/second{self.PATH}").response.get_json()
        assert "check_session_iframe" not in second

    @pytest.mark.row("S-17", "S-18")
    def test_names_none_and_there_is_none_where_no_client_has(self, tmp_path: Path) -> None:
        world = World.make(tmp_path, clients=settings_document()["clients"])
        browser = world.browser()
        document = browser.step(ISSUER + self.PATH).response.get_json()
        page = browser.step(f"{ISSUER}/check_session")
        world.close()
        assert "check_session_iframe" not in document
        assert (page.status, page.main_id) == (404, "page-error")

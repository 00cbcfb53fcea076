"""A form that met no session is kept for its own browser, and sent again by a click alone."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from oidcgate import Gate
from oidcgate.directory.port import KnownUser
from oidcgate.gate.kept_forms import KEEP_SECONDS, PLACES
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import APP, NAVIGATION, SAME_ORIGIN, SCRIPT, Browser, Scene

pytestmark = pytest.mark.row("G-10")

ORDER = {"amount": "12", "note": 'two\r\nlines & <b>"more"</b>'}


class Orders:
    """An app that notes what is ordered."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, dict[str, list[str]]]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            self.orders.append((environ["REMOTE_USER"], parse_qs(body)))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ordered"]


def scene_with(orders: Orders | None = None, **settings: Any) -> Scene:
    scene = Scene.set(settings)
    scene.gate = Gate.from_parts(orders or Orders(), scene.parts)
    return scene


def link_of(page: TestResponse) -> str:
    """The sign-in that the page offers."""
    assert page.status_code == 401
    found = re.search(r'id="login" href="([^"]+)"', page.text)
    assert found
    return unescape(found[1])


def form_in(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("form", [""])[0]


def is_kept(page: TestResponse) -> bool:
    kept = bool(form_in(link_of(page)))
    assert ("It is kept for half an hour" in page.text) is kept
    assert ("It is not kept" in page.text) is not kept
    assert ("Set-Cookie" in page.headers) is kept
    return kept


def signed_in(browser: Browser, login: str) -> TestResponse:
    """Where a person stands who has signed in from that link."""
    location = browser.get(login).headers["Location"]
    answer = browser.get(browser.scene.provider.answer(location))
    assert answer.status_code == 303
    return browser.get(answer.headers["Location"])


def test_it_is_sent_again_by_a_click_and_by_nothing_else() -> None:
    orders = Orders()
    scene = scene_with(orders)
    browser = scene.browser()
    page = browser.post("/orders?of=today", ORDER)
    assert is_kept(page)
    assert orders.orders == []
    shown = signed_in(browser, link_of(page))
    assert shown.status_code == 200
    assert 'id="page-resend"' in shown.text
    assert "<bdi>Alice</bdi>" in shown.text
    assert "<script" not in shown.text
    assert 'action="/orders?of=today" enctype="application/x-www-form-urlencoded"' in shown.text
    # Looking at the page, also twice, sends nothing.
    assert browser.get(f"/.oidcgate/resend?form={form_in(link_of(page))}").text == shown.text
    assert orders.orders == []
    fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', shown.text))
    assert (
        browser.post("/orders?of=today", {name: unescape(value) for name, value in fields.items()}).text
        == "ordered"
    )
    assert orders.orders == [("Alice", {name: [value] for name, value in ORDER.items()})]


def test_a_multipart_form_stays_one() -> None:
    scene = scene_with()
    browser = scene.browser()
    page = browser.client.post(
        "/orders",
        base_url=APP,
        data=ORDER,
        content_type="multipart/form-data",
        headers={**NAVIGATION, **SAME_ORIGIN},
    )
    assert 'enctype="multipart/form-data"' in signed_in(browser, link_of(page)).text


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        pytest.param({"Origin": APP, "Sec-Fetch-Site": "same-origin"}, True, id="both"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, True, id="fetch-site"),
        pytest.param({"Origin": APP}, True, id="origin"),
        pytest.param({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, False, id="foreign"),
        pytest.param({"Origin": "https://evil.example"}, False, id="foreign-origin"),
        pytest.param({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, False, id="unlike"),
        pytest.param({"Origin": APP, "Sec-Fetch-Site": "same-site"}, False, id="sibling"),
        pytest.param({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, False, id="null"),
        pytest.param({"Sec-Fetch-Site": "none"}, False, id="none"),
        pytest.param({}, False, id="silence"),
    ],
)
def test_only_what_a_page_of_ours_sent_is_kept(headers: dict[str, str], kept: bool) -> None:
    assert is_kept(scene_with().browser().post("/orders", ORDER, headers)) is kept


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        pytest.param("/orders", {"data": "x" * 65_530, "content_type": "text/plain"}, id="text"),
        pytest.param("/orders", {"data": {"a": "x" * 65_536}}, id="too-long"),
        pytest.param(
            "/orders", {"data": b"a=%FF", "content_type": "application/x-www-form-urlencoded"}, id="utf8"
        ),
        pytest.param(
            "/orders", {"data": b"", "content_type": "application/x-www-form-urlencoded"}, id="empty"
        ),
        pytest.param(f"/orders?{'x' * 3000}", {"data": ORDER}, id="long-query"),
    ],
)
def test_what_cannot_be_sent_again_is_not_kept(path: str, sent: dict[str, Any]) -> None:
    browser = scene_with().browser()
    page = browser.client.post(path, base_url=APP, headers={**NAVIGATION, **SAME_ORIGIN}, **sent)
    assert not is_kept(page)


def test_a_body_of_unsaid_length_is_not_read() -> None:
    scene = scene_with()

    def refuse(*_: object) -> bytes:
        raise AssertionError("the body was read")

    environ = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "wsgi.input": None}
    facts = scene.parts.refusals.forms
    from oidcgate.web.facts import Facts, RequestKind

    request = Facts("POST", "/orders", "", RequestKind.NAVIGATION, "", APP, "same-origin")
    assert facts.keep(request, environ) is None
    assert facts.keep(request, {**environ, "CONTENT_LENGTH": "-1"}) is None
    assert facts.keep(request, {**environ, "CONTENT_LENGTH": "٣"}) is None


def test_a_script_is_told_in_json_and_nothing_is_kept() -> None:
    scene = scene_with()
    answer = scene.browser().client.post(
        "/orders", base_url=APP, data=ORDER, headers={**SCRIPT, **SAME_ORIGIN}
    )
    assert (answer.status_code, answer.get_json()["error"]) == (401, "login_required")
    assert "Set-Cookie" not in answer.headers


def test_it_can_be_switched_off() -> None:
    assert not is_kept(scene_with(login={"keep_form_bytes": 0}).browser().post("/orders", ORDER))


class TestWhoseItIs:
    """The browser's that sent it, and nobody else's."""

    def test_another_browser_does_not_get_it(self) -> None:
        orders = Orders()
        scene = scene_with(orders)
        page = scene.browser().post("/orders", ORDER)
        # The attacker keeps a form of their own and has a victim follow the link to it.
        victim = scene.browser()
        victim.post("/other", {"a": "1"})
        shown = signed_in(victim, link_of(page))
        assert shown.status_code == 404
        assert "Your form is not here any more" in shown.text
        assert "amount" not in shown.text
        assert orders.orders == []

    @pytest.mark.parametrize(
        ("revoked", "later"),
        [
            pytest.param(False, 200_000, id="expired"),
            pytest.param(True, 5, id="revoked"),
            pytest.param(False, 300, id="too-old-for-the-page"),
        ],
    )
    def test_where_the_session_that_ended_says_whose_it_was_another_person_does_not_get_it(
        self, revoked: bool, later: int
    ) -> None:
        scene = scene_with(rules=[{"path": "/orders", "allow": "known", "max_age_seconds": 60}])
        scene.directory.users["bob"] = KnownUser("Bob")
        browser = scene.browser()
        browser.sign_in("/")
        if revoked:
            scene.parts.sessions.revoke_user("Alice", int(scene.clock()))
        scene.clock.now += later
        login = link_of(browser.post("/orders", ORDER))
        scene.provider.claims["auth_time"] = int(scene.clock.now)
        scene.provider.claims |= {"sub": "sub-of-bob", "preferred_username": "bob"}
        shown = signed_in(browser, login)
        assert shown.status_code == 404
        assert "amount" not in shown.text
        scene.provider.claims |= {"sub": "sub-of-alice", "preferred_username": "alice"}
        assert 'id="page-resend"' in signed_in(browser, login).text

    def test_a_sign_out_leaves_nobody_one(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        login = link_of(browser.post("/orders", ORDER))
        assert 'id="page-resend"' in signed_in(browser, login).text
        gone = browser.post("/.oidcgate/logout", {})
        name = scene.parts.names.form
        assert f"{name}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" in gone.headers.getlist(
            "Set-Cookie"
        )
        shown = signed_in(browser, login)
        assert shown.status_code == 404
        assert "amount" not in shown.text

    def test_two_tabs_keep_one_each(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        first, second = browser.post("/one", {"a": "1"}), browser.post("/two", {"b": "2"})
        assert 'action="/one"' in signed_in(browser, link_of(first)).text
        assert 'action="/two"' in browser.get(f"/.oidcgate/resend?form={form_in(link_of(second))}").text

    def test_nobody_gets_it_before_they_have_signed_in(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        login = link_of(browser.post("/orders", ORDER))
        answer = browser.get(f"/.oidcgate/resend?form={form_in(login)}")
        assert answer.status_code == 303
        assert form_in(answer.headers["Location"]) == form_in(login)
        assert 'id="page-resend"' in signed_in(browser, answer.headers["Location"]).text

    def test_its_time_ends(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        login = link_of(browser.post("/orders", ORDER))
        scene.clock.now += KEEP_SECONDS
        assert signed_in(browser, login).status_code == 404

    @pytest.mark.parametrize(
        "form_id", ["", "x", "00-" + "A" * 22, "zz-" + "A" * 22, "00-" + "A" * 500, "%00"]
    )
    def test_an_id_that_nobody_gave(self, form_id: str) -> None:
        scene = scene_with()
        browser = scene.browser()
        browser.sign_in()
        browser.post("/orders", ORDER)
        assert browser.get(f"/.oidcgate/resend?form={form_id}").status_code == 404
        assert browser.get(f"/.oidcgate/login?rd=/&form={form_id}").status_code == 303

    def test_the_cookie_is_of_this_host_alone_and_no_app_sees_or_sets_it(self) -> None:
        scene = scene_with()
        page = scene.browser().post("/orders", ORDER)
        name, _, rest = page.headers["Set-Cookie"].partition("=")
        assert name == scene.parts.names.form
        assert name.startswith("__Host-")
        assert rest.partition("; ")[2] == "Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Lax"

    def test_what_lies_in_the_store_tells_nothing(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        browser.post("/orders", {"password": "a canary of gold"})
        state: Any = scene.parts.state
        values = [
            record.value
            for record in (state.get("kept-form", f"{n:02x}", now=int(scene.clock())) for n in range(PLACES))
            if record
        ]
        assert len(values) == 1
        assert b"canary" not in values[0]
        assert b"orders" not in values[0]
        assert browser.cookies()[scene.parts.names.form].encode() not in values[0]

    def test_what_another_put_in_its_place_is_not_given(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        login = link_of(browser.post("/orders", ORDER))
        place = form_in(login)[:2]
        scene.parts.state.put("kept-form", place, b"\xff\x00garbage", expires_at=int(scene.clock()) + 99)
        assert signed_in(browser, login).status_code == 404


class TestBounds:
    """Whoever looks like a browser cannot fill the store, and an outage costs the form alone."""

    def test_there_are_so_many_places_and_no_more(self) -> None:
        scene = scene_with()
        kept = sum(is_kept(scene.browser().post("/orders", ORDER)) for _ in range(2 * PLACES))
        assert PLACES * 0.8 < kept <= PLACES
        scene.clock.now += KEEP_SECONDS
        assert is_kept(scene.browser().post("/orders", ORDER))

    def test_whoever_finds_no_place_writes_nothing(self) -> None:
        scene = scene_with()
        state: Any = scene.parts.state
        for place in range(PLACES):
            state.put("kept-form", f"{place:02x}", b"taken", expires_at=int(scene.clock()) + 99)
        written: list[object] = []
        state.swap = lambda *_, **__: written.append(1)
        assert not is_kept(scene.browser().post("/orders", ORDER))
        assert written == []

    def test_a_store_that_is_away_costs_the_form_and_nothing_else(self) -> None:
        scene = scene_with()
        state: Any = scene.parts.state

        def fails(*_: object, **__: object) -> object:
            raise StoreUnavailable(StoreFailure.LOCKED, "locked")

        browser = scene.browser()
        login = link_of(browser.post("/orders", ORDER))
        kept = state.swap, state.get
        state.swap = fails
        assert not is_kept(scene.browser().post("/orders", ORDER))
        state.swap = kept[0]
        location = browser.get(login).headers["Location"]
        resend = browser.get(scene.provider.answer(location)).headers["Location"]
        state.get = fails
        answer = browser.get(resend)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        state.get = kept[1]
        assert browser.get(resend).status_code == 200

    def test_a_choice_of_provider_and_a_stronger_sign_in_keep_it(self) -> None:
        scene = scene_with(rules=[{"path": "/orders", "allow": "known", "max_age_seconds": 60}])
        browser = scene.browser()
        browser.sign_in("/")
        scene.clock.now += 300
        page = browser.post("/orders", ORDER)
        assert is_kept(page)
        scene.provider.claims["auth_time"] = int(scene.clock.now)
        assert 'id="page-resend"' in signed_in(browser, link_of(page)).text


def test_another_try_of_a_sign_in_that_failed_keeps_it() -> None:
    scene = scene_with()
    browser = scene.browser()
    login = link_of(browser.post("/orders", ORDER))
    location = browser.get(login).headers["Location"]
    page = browser.get(scene.provider.answer(location, error="access_denied"))
    assert page.status_code == 403
    found = re.search(r'id="retry" href="([^"]+)"', page.text)
    assert found
    assert 'id="page-resend"' in signed_in(browser, unescape(found[1])).text


def test_the_page_of_another_site_cannot_lead_to_it() -> None:
    scene = scene_with()
    browser = scene.browser()
    login = link_of(browser.post("/orders", ORDER))
    target = f"{APP}/.oidcgate/resend?form={form_in(login)}"
    answer = browser.get(
        f"/.oidcgate/login?{urlencode({'iss': 'https://id.example', 'target_link_uri': target})}"
    )
    assert answer.status_code == 400


class TestABodyThatNobodyExpects:
    """Whatever a stranger posts, an answer comes out of the gate and no exception."""

    def post(self, scene: Scene, body: bytes) -> TestResponse:
        return scene.browser().client.post(
            "/orders",
            base_url=APP,
            data=body,
            content_type="multipart/form-data; boundary=b",
            headers={**NAVIGATION, **SAME_ORIGIN},
        )

    def test_a_part_without_a_name(self) -> None:
        body = b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"
        assert not is_kept(self.post(scene_with(), body))

    def test_a_fault_of_ours_has_its_page(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(*_: object) -> object:
            raise TypeError("a canary of gold")

        monkeypatch.setattr("oidcgate.gate.kept_forms.posted_form", fails)
        answer = self.post(scene_with(), b"--b--")
        assert answer.status_code == 500
        assert 'id="page-error"' in answer.text
        assert "canary" not in answer.text
        assert "/orders failed" in caplog.text

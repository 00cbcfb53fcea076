"""What every front must do. A test module subclasses the suite and gives the fixture `made`.

A front is `Gate`, `AsyncGate`, `Gate(ReverseProxy(…))` or the sidecar, with our provider, a browser that
keeps cookies, and the same app behind (`tests.support.fronts`). Where a protocol makes one differ, the table
`DIFFERENCES` there says so; nothing is left out for any of them.
"""

import json
import os
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from oidcgate.gate.session import Found
from oidcgate.identity import is_reserved, normalise_name
from tests.oidcgate.test_identity import HEADERS
from tests.support.echo import FIRST, LAST, Seen
from tests.support.fronts import ATTRIBUTE_HEADER, USER_HEADER, Front, spellings
from tests.support.sites import PASSWORDS
from tests.support.user_agent import NAVIGATION, Page

BROWSER = list(NAVIGATION.items())
SCRIPT = [("Accept", "application/json"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")]
PREFLIGHT = [("Origin", "https://x.example"), ("Access-Control-Request-Method", "PUT")]
PRESET = ("x-forwarded-user", "x-forwarded-preferred-username", "x-forwarded-email", USER_HEADER.lower())
OWN_NAMES = {*map(normalise_name, (*HEADERS, USER_HEADER, ATTRIBUTE_HEADER))}
STEP_UP = 'Bearer error="insufficient_user_authentication", max_age=60, acr_values="a b"'
SPELLINGS = list(spellings("X-Y"))


def told(seen: Seen) -> list[tuple[str, bytes]]:
    """All that the app is told by headers of who it is or what to believe, in any spelling."""
    return [
        (name, value.encode("latin-1"))
        for name, value in seen.headers
        if is_reserved(normalise_name(name)) or normalise_name(name) in OWN_NAMES
    ]


def name_of(seen: Seen) -> str | None:
    """Who the app thinks it is, by headers and, where there is one, by the identity; they agree."""
    names = {value.decode() for name, value in told(seen) if name in PRESET and "email" not in name}
    if seen.user is not None:
        names.add(seen.user.user_name)
    assert len(names) <= 1, names
    return names.pop() if names else None


class FrontContract:
    """The suite; `made` may serve many tests, each of which begins afresh."""

    @pytest.fixture
    def front(self, made: Front) -> Iterator[Front]:
        made.begin()
        yield made
        made.begin()

    # -- signing in

    @pytest.mark.row("T-01", "F-01", "F-02", "F-07", "A-08")
    def test_a_known_user_signs_in_and_the_app_hears_the_directorys_name(self, front: Front) -> None:
        page = front.sign_in(front.user_agent(), "/deep/link?a=1&b=%2F")
        assert page.status == 200
        assert page.url == f"{front.origin}/deep/link?a=1&b=%2F"
        (seen,) = front.app.seen
        assert (seen.method, seen.path, seen.query) == ("GET", "/deep/link", "a=1&b=%2F")
        assert name_of(seen) == "Alice"
        if front.differences.identity:
            assert seen.user is not None
            assert seen.user.sub not in ("Alice", "alice")
        assert front.provider.asked.count("/token") == 1
        assert "login.succeeded" in front.written()

    @pytest.mark.row("T-01", "F-08")
    def test_somebody_the_directory_does_not_know_signs_in_and_does_not_reach_the_app(
        self, front: Front
    ) -> None:
        agent = front.user_agent()
        page = front.sign_in(agent, "/deep", "mallory")
        assert (page.status, page.main_id) == (403, "page-unknown-user")
        assert agent.open(f"{front.origin}/deep").status == 403
        assert front.app.seen == []
        assert '"mallory"' in front.written(), "the log says which name it was"

    @pytest.mark.row("T-01", "F-12", "F-13", "F-14", "F-17")
    def test_the_authorization_request_says_what_it_must(self, front: Front) -> None:
        asked = front.authorization_request(front.user_agent())
        assert asked.keys() == {
            *("response_type", "client_id", "scope", "redirect_uri", "state", "nonce"),
            *("code_challenge", "code_challenge_method"),
        }
        assert (asked["response_type"], asked["client_id"]) == ("code", "gate")
        assert asked["scope"] == "openid profile email"

    @pytest.mark.row("A-05", "F-11", "G-12", "G-18")
    @pytest.mark.parametrize(
        "lie",
        [
            {"Host": "evil.example"},
            {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp", "X-Forwarded-Port": "1"},
            {"Forwarded": "host=evil.example;proto=http"},
            {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Original-Host": "evil.example"},
        ],
        ids=["host", "x-forwarded", "forwarded", "all"],
    )
    def test_the_callback_is_the_configured_one_to_the_byte_whatever_is_said_of_the_host(
        self, lie: dict[str, str], front: Front
    ) -> None:
        headers = [*BROWSER, *lie.items()]
        to_login = front.ask("/deep", headers=headers)
        assert to_login.status == 302
        assert to_login.one("Location") == f"{front.origin}/.oidcgate/login?rd=%2Fdeep"
        passing = front.ask("/.oidcgate/login?rd=%2Fdeep", headers=headers)
        assert f'href="{front.origin}/.oidcgate/login?rd=%2Fdeep&amp;fragment="' in passing.body.decode()
        start = front.ask("/.oidcgate/login?rd=%2Fdeep&fragment=", headers=headers)
        assert start.status in (302, 303)
        location = start.one("Location")
        assert location.startswith(f"{front.issuer}/authorize?")
        assert f"redirect_uri={quote(front.origin + '/.oidcgate/callback', safe='')}&" in location + "&"
        assert "evil.example" not in location + repr(start.headers)
        script = front.ask("/deep", headers=[*SCRIPT, *lie.items()])
        assert json.loads(script.body)["login_url"] == f"{front.origin}/.oidcgate/login"

    @pytest.mark.row("A-08", "F-13", "G-24")
    def test_a_callback_of_another_browser_is_refused_and_its_code_is_not_redeemed(
        self, front: Front
    ) -> None:
        stolen = front.callback_url(front.user_agent())
        victim = front.user_agent()
        front.callback_url(victim)  # with a sign-in of its own under way
        for agent in (front.user_agent(), victim):
            page = agent.open(stolen)
            assert (page.status, page.main_id) == (400, "page-error")
            assert front.session_in(agent) is None
        assert "/token" not in front.provider.asked
        assert front.app.seen == []

    @pytest.mark.row("A-08", "F-13")
    def test_a_callback_works_once(self, front: Front) -> None:
        agent = front.user_agent()
        url = front.callback_url(agent, "/deep")
        assert agent.open(url).response.json()["path"] == "/deep"
        session = front.session_in(agent)
        # Back button or reload: whoever is signed in is where they wanted to be, by the session they have.
        assert agent.open(url).url == f"{front.origin}/"
        assert front.session_in(agent) == session
        front.app.clear()
        for replayed in (url, re.sub(r"state=[^&]*", "state=x", url)):
            page = front.user_agent().open(replayed)
            assert (page.status, page.main_id) == (400, "page-error")
        assert front.provider.asked.count("/token") == 1
        assert front.app.seen == []

    @pytest.mark.row("T-03", "G-23")
    def test_each_sign_in_makes_a_new_session_and_ends_the_one_before(self, front: Front) -> None:
        agent = front.user_agent()
        front.sign_in(agent)
        first = front.session_in(agent)
        agent.open(f"{front.origin}/.oidcgate/login?rd=/again")
        second = front.session_in(agent)
        assert first is not None
        assert second is not None
        assert first != second
        front.app.clear()
        name = front.parts.names.session
        assert front.ask("/", headers=[("Cookie", f"{name}={first}")]).status == 401
        assert front.ask("/", headers=[("Cookie", f"{name}={second}")]).status == 200

    @pytest.mark.row("G-01")
    def test_tabs_that_began_together_all_arrive(self, front: Front) -> None:
        agent = front.user_agent()
        tabs = [agent.open(f"{front.origin}/tab/{number}") for number in range(3)]
        assert {tab.main_id for tab in tabs} == {"page-login"}
        values = {"username": "alice", "password": "canary-password-of-alice"}
        for number, tab in enumerate(tabs):
            page = agent.press(tab, "login", values)
            if page.main_id == "page-consent":
                page = agent.press(page, "allow")
            assert page.response.json()["path"] == f"/tab/{number}"

    # -- who is not signed in

    @pytest.mark.row("G-09", "G-29")
    def test_a_script_is_told_where_to_sign_in(self, front: Front) -> None:
        for method in ("GET", "POST", "DELETE"):
            answer = front.ask("/api", method, SCRIPT)
            assert answer.status == 401
            assert json.loads(answer.body) == {
                "error": "login_required",
                "login_url": f"{front.origin}/.oidcgate/login",
            }
            assert answer.one("Cache-Control") == "no-store"
            assert answer.all("Set-Cookie") == []
        assert front.app.seen == []

    @pytest.mark.row("G-09", "G-22")
    @pytest.mark.parametrize(
        ("target", "return_path"),
        [
            ("/reports?page=2", "/reports?page=2"),
            ("/r%C3%A9sum%C3%A9/%20x", "/r%C3%A9sum%C3%A9/%20x"),
            ("/a?rd=https://evil.example/", "/a?rd=https://evil.example/"),
            ("/a?x=%5C%5Cevil.example", "/a?x=%5C%5Cevil.example"),
        ],
    )
    def test_somebody_who_navigates_is_sent_to_sign_in_and_back(
        self, target: str, return_path: str, front: Front
    ) -> None:
        for method in ("GET", "HEAD"):
            answer = front.ask(target, method, BROWSER)
            assert answer.status == 302
            login = f"{front.origin}/.oidcgate/login?rd={quote(return_path, safe='')}"
            assert answer.one("Location") == login
        assert front.app.seen == []

    @pytest.mark.row("G-29", "G-10")
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_what_is_sent_without_a_session_is_not_passed_on(self, method: str, front: Front) -> None:
        form = [*BROWSER, ("Content-Type", "application/x-www-form-urlencoded")]
        for headers in (form, SCRIPT):
            answer = front.ask("/save", method, headers, b"canary=1")
            assert answer.status == 401
            assert b"canary" not in answer.body
            assert "no-store" in answer.one("Cache-Control")
        assert front.app.seen == []

    @pytest.mark.row("G-09")
    def test_a_preflight_is_answered_without_a_grant_and_without_the_app(self, front: Front) -> None:
        for cookie in ([], [("Cookie", front.cookie())]):
            answer = front.ask("/api", "OPTIONS", [*PREFLIGHT, *cookie])
            assert (answer.status, answer.body) == (204, b"")
            assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
        assert front.app.seen == []
        assert front.ask("/public/api", "OPTIONS", PREFLIGHT).status == 200
        assert front.app.last.method == "OPTIONS"

    @pytest.mark.row("G-14", "G-29")
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE", "PATCH"])
    def test_what_is_public_is_public_and_nothing_beside_it(self, method: str, front: Front) -> None:
        for target in ("/public", "/public/", "/public/x", "/public/x?y=/private"):
            assert front.ask(target, method).status == 200
            assert name_of(front.app.last) is None
        assert len(front.app.seen) == 4
        for target in ("/publicx", "/PUBLIC/x", "/", "/x?/public", "/x/public/", "/hello"):
            assert front.ask(target, method).status == 401
        assert len(front.app.seen) == 4

    def test_in_public_the_app_hears_who_is_signed_in_and_no_stranger(self, front: Front) -> None:
        front.ask("/public/x", headers=[("Cookie", front.cookie())])
        assert name_of(front.app.last) == "Alice"
        front.ask("/public/x", headers=[("Cookie", front.cookie("Mallory"))])
        assert name_of(front.app.last) is None

    @pytest.mark.row("F-08", "G-14")
    def test_a_stranger_reaches_only_what_everybody_signed_in_may_see(self, front: Front) -> None:
        cookie = [("Cookie", front.cookie("Mallory", known_at=0))]
        assert front.ask("/", headers=[*cookie, *BROWSER]).status == 403
        assert front.app.seen == []
        assert front.ask("/hello", headers=cookie).status == 200
        assert name_of(front.app.last) == "Mallory"

    # -- the end of a session

    @pytest.mark.row("T-03", "F-06", "G-06", "G-23")
    def test_signing_out_ends_the_session_here_and_at_the_provider(self, front: Front) -> None:
        agent = front.user_agent()
        front.sign_in(agent)
        kept = f"{front.parts.names.session}={front.session_in(agent)}"
        page = agent.press(agent.open(f"{front.origin}/.oidcgate/logout"), "logout")
        assert page.main_id == "page-logged-out"
        assert page.url.startswith(front.origin)
        assert front.session_in(agent) is None
        front.app.clear()
        assert front.ask("/", headers=[("Cookie", kept)]).status == 401
        assert agent.open(f"{front.origin}/").main_id == "page-login"
        assert front.app.seen == []

    @pytest.mark.row("T-03", "G-08")
    def test_a_revocation_holds_for_the_next_request(self, front: Front) -> None:
        sessions, now = front.parts.sessions, int(front.parts.clock())
        bobs, again, alices = ([("Cookie", front.cookie(name))] for name in ("Bob", "Bob", "Alice"))
        for cookie in (bobs, again, alices):
            assert front.ask("/", headers=cookie).status == 200
        found = sessions.load(bobs[0][1], now)
        assert isinstance(found, Found)
        front.app.clear()
        sessions.revoke(found.record.session_id, now)
        assert front.ask("/", headers=bobs).status == 401
        assert front.app.seen == []
        assert front.ask("/", headers=again).status == 200
        sessions.revoke_user("Bob", now)
        assert front.ask("/", headers=again).status == 401
        assert front.ask("/", headers=alices).status == 200

    @pytest.mark.row("T-03", "G-07")
    def test_a_frame_of_the_provider_ends_the_session_that_it_names(self, front: Front) -> None:
        agent = front.user_agent()
        front.sign_in(agent)
        kept = [("Cookie", f"{front.parts.names.session}={front.session_in(agent)}")]
        found = front.parts.sessions.load(kept[0][1], int(front.parts.clock()))
        assert isinstance(found, Found)
        named = urlencode({"iss": front.issuer, "sid": found.record.sid})
        # A frame on another site: none of our cookies comes with it.
        answer = front.ask(f"/.oidcgate/frontchannel-logout?{named}", headers=BROWSER)
        assert answer.status == 200
        assert "frame-ancestors 'none'" not in answer.one("Content-Security-Policy")
        front.app.clear()
        assert front.ask("/", headers=kept).status == 401
        assert front.app.seen == []

    @pytest.mark.row("G-07")
    def test_a_logout_token_that_is_none_is_refused_by_the_gate_itself(self, front: Front) -> None:
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        answer = front.ask("/.oidcgate/backchannel-logout", "POST", form, b"logout_token=a.b.c")
        assert answer.status == 400
        assert json.loads(answer.body)["error"] == "invalid_request"
        assert answer.one("Cache-Control") == "no-store"
        assert front.app.seen == []

    @pytest.mark.row("T-03", "G-15")
    def test_somebody_who_is_removed_is_out_as_soon_as_the_directory_is_looked_at(self, front: Front) -> None:
        cookie = [("Cookie", front.cookie())]
        assert front.ask("/", headers=cookie).status == 200
        front.know("Bob")
        front.app.clear()
        assert front.ask("/", headers=[*cookie, *BROWSER]).status == 403
        assert front.app.seen == []
        front.know("ALICE")
        assert front.ask("/", headers=cookie).status == 200
        assert name_of(front.app.last) == "ALICE"

    @pytest.mark.row("T-03")
    @pytest.mark.parametrize(
        ("hours", "status"), [(7.9, 200), (8.1, 401), (13, 401)], ids=["used", "idle", "over"]
    )
    def test_a_session_ends_by_itself(self, hours: float, status: int, front: Front) -> None:
        cookie = front.cookie(age_seconds=int(hours * 3600))
        answer = front.ask("/", headers=[("Cookie", cookie)])
        assert answer.status == status
        assert len(front.app.seen) == (status == 200)

    @pytest.mark.row("T-03", "G-17", "G-05")
    def test_a_session_outlives_the_provider_and_nobody_gets_in_meanwhile(self, front: Front) -> None:
        agent = front.user_agent()
        front.sign_in(agent)
        other = front.user_agent()
        callback = front.callback_url(other)
        front.provider.down = True
        assert agent.open(f"{front.origin}/again").response.json()["path"] == "/again"
        assert front.ask("/", headers=[("Cookie", front.cookie(age_seconds=7 * 3600))]).status == 200
        front.app.clear()
        page = other.open(callback)
        assert (page.status, page.main_id) == (503, "page-unavailable")
        assert front.session_in(other) is None
        assert front.app.seen == []
        assert other.open(f"{front.origin}/public/page").response.json()["path"] == "/public/page"

    @pytest.mark.row("T-03")
    def test_a_session_in_use_is_renewed_and_its_cookie_kept_from_shared_caches(self, front: Front) -> None:
        answer = front.ask("/", headers=[("Cookie", front.cookie(age_seconds=120))])
        (renewed,) = answer.all("Set-Cookie")
        assert renewed.startswith(front.parts.names.session + "=")
        assert "private" in answer.one("Cache-Control")
        cookie = renewed.partition(";")[0]
        assert front.ask("/", headers=[("Cookie", cookie)]).all("Set-Cookie") == []

    # -- how the app hears who it is

    @pytest.mark.row("T-02")
    def test_the_app_is_told_by_exactly_the_names_of_the_preset(self, front: Front) -> None:
        claims = {"email": "alice@example.com", "groups": ["a,b", "staff"]}
        front.ask("/", headers=[("Cookie", front.cookie(claims=claims))])
        assert sorted(told(front.app.last)) == [
            ("x-forwarded-email", b"alice@example.com"),
            ("x-forwarded-groups", b"a%2Cb,staff"),
            ("x-forwarded-preferred-username", b"Alice"),
            ("x-forwarded-user", b"Alice"),
            (USER_HEADER.lower(), b"Alice"),
        ]
        assert (front.app.last.user is not None) is front.differences.identity

    @pytest.mark.row("T-02")
    def test_a_name_beyond_ascii_arrives_as_utf8(self, front: Front) -> None:
        front.ask("/", headers=[("Cookie", front.cookie("Zoë Žáková"))])
        assert dict(told(front.app.last)) == {
            "x-forwarded-preferred-username": "Zoë Žáková".encode(),
            "x-forwarded-user": "Zoë Žáková".encode(),
            USER_HEADER.lower(): "Zoë Žáková".encode(),
        }

    @pytest.mark.row("T-02")
    @pytest.mark.parametrize("name", ["Alice,Bob", "Alice\n", " Alice", "Al\x00ice", "Alice\x85"], ids=ascii)
    def test_a_name_that_a_header_would_change_is_refused(self, name: str, front: Front) -> None:
        cookie = [("Cookie", front.cookie(name, known_at=0))]
        answer = front.ask("/hello", headers=[*cookie, *SCRIPT])
        assert answer.status == 403
        assert json.loads(answer.body)["error"] == "user_name_cannot_be_forwarded"
        assert front.app.seen == []
        front.ask("/public/x", headers=cookie)
        assert told(front.app.last) == []
        assert front.app.last.user is None

    @pytest.mark.row("T-02", "A-25")
    @pytest.mark.parametrize("target", ["/", "/public/x"])
    def test_an_attribute_arrives_in_the_header_that_is_configured_for_it(
        self, target: str, front: Front
    ) -> None:
        claims = {"department": "Žilina, north", "nickname": "Al"}
        front.ask(target, headers=[("Cookie", front.cookie(claims=claims)), (ATTRIBUTE_HEADER, "Board")])
        assert [value for name, value in told(front.app.last) if name == ATTRIBUTE_HEADER.lower()] == [
            "Žilina%2C north".encode()
        ]
        assert not {"Al", "Board"} & {value for _, value in front.app.last.headers}
        front.ask(target, headers=[("Cookie", front.cookie()), (ATTRIBUTE_HEADER, "Board")])
        assert ATTRIBUTE_HEADER.lower() not in dict(told(front.app.last))

    @pytest.mark.row("T-02", "G-20")
    @pytest.mark.parametrize("spelling", SPELLINGS)
    @pytest.mark.parametrize("branch", ["signed in", "public", "preflight", "route", "refused"])
    def test_no_spelling_of_an_identity_header_passes(self, branch: str, spelling: str, front: Front) -> None:
        names = [spellings(name)[spelling] for name in (*HEADERS, USER_HEADER, ATTRIBUTE_HEADER)]
        forged = [(name, "forged") for name in names] + [(names[0], "again"), (names[-1], "again")]
        cookie = [("Cookie", front.cookie())] if branch in ("signed in", "route") else []
        target = {
            "signed in": "/",
            "public": "/public/x",
            "preflight": "/public/x",
            "route": "/.oidcgate/userinfo",
            "refused": "/x",
        }[branch]
        method, kind = ("OPTIONS", PREFLIGHT) if branch == "preflight" else ("GET", SCRIPT)
        answer = front.ask(target, method, [*kind, *forged, *cookie])
        assert answer.status == (401 if branch == "refused" else 200)
        assert b"forged" not in answer.body
        assert b"again" not in answer.body
        if branch in ("route", "refused"):
            assert front.app.seen == []
            return
        (seen,) = front.app.seen
        assert not {"forged", "again"} & {value for _, value in seen.headers}
        assert name_of(seen) == ("Alice" if branch == "signed in" else None)
        assert len(told(seen)) == (3 if branch == "signed in" else 0)

    @pytest.mark.row("T-02", "G-20")
    @pytest.mark.parametrize(
        "nominated", ["X-Forwarded-User", f"close, {USER_HEADER}", "x-forwarded-user, cookie, host"]
    )
    def test_connection_does_not_take_away_who_it_is(self, nominated: str, front: Front) -> None:
        headers = [("Connection", nominated), ("Cookie", f"{front.cookie()}; a=1")]
        assert front.ask("/", headers=headers).status == 200
        assert name_of(front.app.last) == "Alice"
        assert len(told(front.app.last)) == 3
        assert front.app.last.one("Cookie") == "a=1"

    @pytest.mark.row("G-18")
    def test_what_a_client_says_of_its_way_is_worth_what_the_table_says(self, front: Front) -> None:
        claims = {
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "ftp",
            "X-Forwarded-Port": "1",
            "X-Forwarded-For": "198.51.100.1",
            "X-Real-IP": "198.51.100.1",
            "Forwarded": "for=198.51.100.1;host=evil.example",
        }
        front.ask("/public/x", headers=[*claims.items(), ("Host", "evil.example")])
        seen = front.app.last
        arrived = {name: seen.all(name) for name in (*claims, "Host")}
        if front.differences.client_claims == "passed":
            assert arrived == {name: [value] for name, value in claims.items()} | {"Host": ["evil.example"]}
            return
        origin = urlsplit(front.origin)
        assert arrived["Host"] == arrived["X-Forwarded-Host"] == [origin.netloc]
        assert arrived["X-Forwarded-Proto"] == [origin.scheme]
        assert arrived["X-Forwarded-For"] == arrived["X-Real-IP"] == ["127.0.0.1"]
        assert "evil" not in repr(seen.headers)

    # -- cookies

    @pytest.mark.row("G-03")
    def test_the_app_sees_its_own_cookies_and_not_ours(self, front: Front) -> None:
        names, cookie = front.parts.names, front.cookie()
        for sent, left in [
            (f"theme=dark; {cookie}; lang=sk", ["theme=dark; lang=sk"]),
            (f"{cookie}; a=1; {names.transaction('x')}=1; {names.proof('x')}=1; {names.loop}=2", ["a=1"]),
            (cookie, []),
        ]:
            assert front.ask("/", headers=[("Cookie", sent)]).status == 200
            assert front.app.last.all("Cookie") == left
        # Said twice: whether that is joined by a semicolon or by a comma, none of it is ours when it arrives.
        for sent in (["a=1", cookie], [names.session, f"{cookie}; {cookie}"], [cookie, "a=1"]):
            front.ask("/public", headers=[("Cookie", value) for value in sent])
            assert "oidcgate-" not in repr(front.app.last.headers)
        front.ask("/public", headers=[("Cookie", f"a=1; {names.session}=garbage; b=\xff")])
        assert front.app.last.all("Cookie") == ["a=1; b=\xff"]
        assert front.ask("/", headers=[("Cookie", f"{cookie}; {names.session}=other")]).status == 401

    @pytest.mark.row("G-03")
    def test_the_app_sets_any_cookie_but_ours(self, front: Front) -> None:
        names = front.parts.names
        cookies = [
            "a=1; Path=/",
            f"{names.session}=stolen; Path=/",
            f"{names.session.upper()}=stolen",
            f" {names.session} =stolen",
            f"={names.session}=stolen",
            f"{names.transaction('x')}=1",
            f"{names.proof('x')}=1",
            f"{names.loop}=1",
            "b=2; HttpOnly",
            "a=3",
        ]
        query = "&".join(f"set={quote(cookie, safe='')}" for cookie in cookies)
        for path, cookie in (("/cookies", front.cookie()), ("/public/cookies", "")):
            answer = front.ask(f"{path}?{query}", headers=[("Cookie", cookie)] if cookie else [])
            assert answer.status == 200
            assert answer.all("Set-Cookie") == ["a=1; Path=/", "b=2; HttpOnly", "a=3"]

    # -- requests and answers as they are

    @pytest.mark.row("G-21")
    @pytest.mark.parametrize(
        "target",
        [
            *("/../x", "/public/../x", "/public/..;/x", "//x", "/public//x", "/a%5Cb", "/a%00", "/%ff"),
            *("/%2e%2e/x", "/public/%2fx", "/public%2fx", "/public%5cx", "/public;/x", "/public/%0d%0ax"),
            *("/public/%zz", "/public/%", "/public/%252e%252e/x", "/public/./x", "/public/%c0%af", "/a\\b"),
        ],
    )
    def test_a_path_that_readers_understand_differently_is_refused_for_everybody(
        self, target: str, front: Front
    ) -> None:
        for headers in ([], BROWSER, [("Cookie", front.cookie())]):
            assert front.ask(target, headers=headers).status == 400
        assert front.app.seen == []

    @pytest.mark.row("G-21", "T-01")
    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [
            ("/a%20b", "/a b", ""),
            ("/%C5%BE?%C5%BE=%26&x=%2F..%2F", "/ž", "%C5%BE=%26&x=%2F..%2F"),
            ("/a;v=1/b?", "/a;v=1/b", ""),
            ("/100%25", "/100%", ""),
            ("/~u/@b:c,d!$&'()*+=", "/~u/@b:c,d!$&'()*+=", ""),
            ("/a?b?c=[d]|e^{f}", "/a", "b?c=[d]|e^{f}"),
            ("/a/", "/a/", ""),
        ],
    )
    def test_path_and_query_arrive_as_they_were_sent(
        self, target: str, path: str, query: str, front: Front
    ) -> None:
        assert front.ask(target, headers=[("Cookie", front.cookie())]).status == 200
        assert (front.app.last.path, front.app.last.query) == (path, query)

    @pytest.mark.row("T-01")
    def test_headers_of_the_client_arrive_as_they_were_sent(self, front: Front) -> None:
        headers = [
            *(("Authorization", "Basic YTpi"), ("If-None-Match", '"x"'), ("Range", "bytes=0-9")),
            *(("X-Custom", "caf\xe9"), ("Accept-Language", "sk,en;q=0.5"), ("Referer", "https://x/?a=b")),
            *(("X-Many", "a"), ("X-Many", "b")),
        ]
        front.ask("/", headers=[*headers, ("Cookie", front.cookie())])
        for name, value in headers[:-2]:
            assert front.app.last.all(name) == [value]
        many = ["a,b"] if front.differences.repeated == "joined" else ["a", "b"]
        assert front.app.last.all("X-Many") == many

    @pytest.mark.row("T-01", "G-27")
    @pytest.mark.parametrize("size", [1, 65_536, 3_000_000])
    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_a_body_comes_back_byte_by_byte(self, method: str, size: int, front: Front) -> None:
        body = os.urandom(size)
        headers = [("Cookie", front.cookie()), ("Content-Type", "application/x-anything; charset=none")]
        answer = front.ask("/echo", method, headers, body)
        assert answer.status == 200
        assert answer.body == body
        assert front.app.last.method == method
        assert front.app.last.one("Content-Type") == "application/x-anything; charset=none"

    @pytest.mark.row("T-01")
    def test_an_answer_to_head_has_the_head_and_nothing_else(self, front: Front) -> None:
        cookie = [("Cookie", front.cookie())]
        whole = front.ask("/x", "GET", cookie)
        head = front.ask("/x", "HEAD", cookie)
        assert (head.status, head.body, front.app.last.method) == (200, b"", "HEAD")
        assert head.one("Content-Length") == str(len(whole.body))
        assert front.ask("/x", "HEAD", SCRIPT).body == b""

    @pytest.mark.row("T-01")
    @pytest.mark.parametrize("status", [201, 204, 304, 404, 418, 503])
    def test_the_status_of_the_app_arrives(self, status: int, front: Front) -> None:
        answer = front.ask(f"/status/{status}", headers=[("Cookie", front.cookie())])
        assert answer.status == status
        assert answer.body == (b"" if status in (204, 304) else str(status).encode())
        if status in (204, 304):
            assert answer.all("Transfer-Encoding") == answer.all("Content-Type") == []

    @pytest.mark.row("T-01", "G-10")
    def test_a_form_that_met_no_session_is_sent_again_by_a_click(self, front: Front) -> None:
        agent = front.user_agent()
        own = {"Origin": front.origin, "Sec-Fetch-Site": "same-origin"}
        form = {"amount": "12", "note": "ž & <b>"}
        page = Page(agent.session.post(f"{front.origin}/orders?x=1", data=form, headers=own, timeout=30))
        assert (page.status, page.main_id) == (401, "page-session-ended")
        assert front.app.seen == []
        (login,) = re.findall(r'id="login" href="([^"]+)"', page.text)
        page = agent.sign_in(agent.open(unescape(login)), "alice", PASSWORDS["alice"])
        assert page.main_id == "page-resend"
        assert front.app.seen == []
        agent.press(page, "send")
        assert front.app.last.method == "POST"
        assert (front.app.last.path, front.app.last.query) == ("/orders", "x=1")
        assert dict(parse_qsl(front.app.last.body.decode())) == form
        assert name_of(front.app.last) == "Alice"
        # Of a page elsewhere nothing is kept.
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        answer = front.user_agent().session.post(
            f"{front.origin}/orders", data=form, headers=foreign, timeout=30
        )
        assert answer.status_code == 401
        assert "form=" not in answer.text

    @pytest.mark.row("T-01")
    def test_an_app_asks_for_another_sign_in(self, front: Front) -> None:
        cookie = ("Cookie", front.cookie())
        path = f"/challenge?{urlencode({'with': STEP_UP})}"
        answer = front.ask(path, headers=[*BROWSER, cookie])
        assert answer.status == 302
        assert answer.all("Location") == [
            f"{front.origin}/.oidcgate/login?{urlencode({'rd': path, 'max_age': 60, 'acr_values': 'a b'})}"
        ]
        assert answer.all("WWW-Authenticate") == []
        assert answer.all("Cache-Control") == ["no-store"]
        # Nobody else can be sent, nor asks anybody else: these read the app's answer themselves.
        for method, target, headers in (
            ("GET", path, [*SCRIPT, cookie]),
            ("POST", path, [*BROWSER, cookie]),
            ("GET", "/public" + path, BROWSER),
            ("GET", f"/challenge?{urlencode({'with': 'Basic realm=x'})}", [*BROWSER, cookie]),
            ("GET", "/challenge", [*BROWSER, cookie]),
        ):
            answer = front.ask(target, method, headers)
            assert (answer.status, answer.body) == (401, b"more"), (method, target)
            assert answer.all("Location") == []
            assert answer.all("Cache-Control") == ["public"]

    @pytest.mark.row("T-01")
    def test_what_the_app_repeats_arrives_repeated_and_in_order(self, front: Front) -> None:
        answer = front.ask("/repeated", headers=[("Cookie", front.cookie())])
        assert answer.all("X-Repeated") == ["1", "2", "3"]
        assert answer.all("Link") == ["</a>", "</b>"]

    @pytest.mark.row("T-01", "G-27")
    def test_an_answer_arrives_while_the_app_still_makes_it(self, front: Front) -> None:
        with front.door.open("/stream", headers=[("Cookie", front.cookie())]) as stream:
            assert stream.head.status == 200
            assert stream.read() == FIRST
            front.app.release.set()
            rest = b""
            while part := stream.read():
                rest += part
            assert rest == LAST

    @pytest.mark.row("T-01")
    def test_a_fault_of_the_app_is_the_apps(self, front: Front) -> None:
        cookie = [("Cookie", front.cookie())]
        if front.differences.fault == "raised":
            with pytest.raises(LookupError, match="the app's own fault"):
                front.ask("/boom", headers=cookie)
        else:
            assert front.ask("/boom", headers=cookie).status == 500
        assert front.ask("/", headers=cookie).status == 200

    @pytest.mark.row("G-29")
    def test_the_routes_of_the_gate_are_never_the_apps(self, front: Front) -> None:
        cookie = [("Cookie", front.cookie())]
        assert front.ask("/.oidcgate/healthz").status == 200
        assert front.ask("/.oidcgate/readyz").status == 200
        for target in ("/.oidcgate", "/.oidcgate/", "/.oidcgate/none", "/.oidcgate/x?/public"):
            assert front.ask(target, headers=cookie).status == 404
        assert front.ask("/.oidcgate/healthz", "DELETE").status == 405
        who = front.ask("/.oidcgate/userinfo", headers=cookie)
        assert json.loads(who.body)["user_name"] == "Alice"
        assert front.app.seen == []

    # -- WebSockets

    @pytest.mark.row("G-26", "T-01")
    def test_a_websocket_is_judged_before_it_opens(self, front: Front) -> None:
        cookie, own = ("Cookie", f"{front.cookie()}; a=1"), ("Origin", front.origin)
        foreign = ("Origin", "https://evil.example")
        forged = [("X-Forwarded-User", "forged"), ("X_Remote_User", "forged")]
        assert front.door.websocket("/live", [own, *forged]) == (401, None)
        assert front.door.websocket("/live", [cookie, foreign]) == (403, None)
        assert front.door.websocket("/live", [cookie, ("Origin", "null")]) == (403, None)
        assert front.door.websocket("/public/../live", [cookie, own]) == (400, None)
        assert front.app.seen == []
        admitted = {
            "tunnel": (101, "hello"),
            "request": (200, None),
            "refused": (501, None),
        }[front.differences.websocket]
        for headers in ([cookie, own, *forged], [cookie, *forged]):
            assert front.door.websocket("/live", headers) == admitted
            if front.differences.websocket != "refused":
                assert name_of(front.app.last) == "Alice"
                assert front.app.last.one("Cookie") == "a=1"
                assert "forged" not in repr(front.app.last.headers)
        assert front.door.websocket("/public/live", [cookie, foreign]) == admitted
        if front.differences.websocket != "refused":
            assert name_of(front.app.last) is None

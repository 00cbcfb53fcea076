"""The break-glass page: who comes in with a password of the gate's own, and how all others are kept out."""

import dataclasses
import re
import threading
from html import unescape
from typing import Any

import pytest
from argon2 import PasswordHasher
from werkzeug.test import TestResponse

from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.guesses import Guesses
from oidcgate.gate.installed import uninstalled
from oidcgate.gate.local_users import Busy, LocalUsers, entries_of, line_for
from oidcgate.gate.pins import Pin
from oidcgate.settings import SettingsError
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    NAVIGATION,
    NOW,
    SAME_ORIGIN,
    SCRIPT,
    SECRET,
    Browser,
    Scene,
)

PAGE = "/.oidcgate/break-glass"
PASSWORD = "correct horse battery"
#: As cheap as is let pass.
CHEAP = PasswordHasher(time_cost=1, memory_cost=19_456, parallelism=1)


def line(name: str, password: str = PASSWORD) -> str:
    return f"{name}:{CHEAP.hash(password)}"


LINES = "\n".join(["# for the day without a provider", line("alice"), "", line("Bob", "another pass phrase")])


def scene_with(**settings: Any) -> Scene:
    return Scene.set({"break_glass": {"users": LINES}, **settings})


def hidden(page: TestResponse) -> dict[str, str]:
    fields = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', page.text)
    assert fields, page.text
    return {name: unescape(value) for name, value in fields}


def typed(browser: Browser, name: str, password: str, path: str = PAGE, **changes: str) -> TestResponse:
    """The form, filled in and sent."""
    form = {**hidden(browser.get(path)), "username": name, "password": password, **changes}
    return browser.post(PAGE, form)


def events(scene: Scene) -> list[str]:
    return [entry["event"] for entry in scene.audit]


class TestOffered:
    def test_where_it_is_not_configured_there_is_no_page_and_no_link(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        assert browser.get(PAGE).status_code == 404
        assert browser.post(PAGE, {"username": "alice", "password": PASSWORD}).status_code == 404
        scene.provider.breaks("/.well-known/openid-configuration", status_code=500)
        assert "break-glass" not in browser.get("/.oidcgate/login?rd=/private").text

    def test_when_the_provider_does_not_answer_the_page_is_a_link_away(self) -> None:
        scene = scene_with()
        scene.provider.breaks("/.well-known/openid-configuration", status_code=500)
        browser = scene.browser()
        page = browser.get("/.oidcgate/login?rd=/private?x=1")
        assert page.status_code == 503
        link = re.search(r'id="break-glass" href="([^"]+)"', page.text)
        assert link is not None
        assert unescape(link[1]) == f"{PAGE}?rd=%2Fprivate%3Fx%3D1"
        answer = typed(browser, "alice", PASSWORD, unescape(link[1]))
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{APP}/private?x=1")
        assert browser.get("/private").text == "/private Alice"

    def test_no_other_outage_offers_it(self) -> None:
        scene = scene_with()
        scene.directory.failure = DirectoryUnavailable("gone")
        answer = scene.browser().sign_in()
        assert answer.status_code == 503
        assert "break-glass" not in answer.text

    def test_a_script_is_told_in_json(self) -> None:
        browser = scene_with().browser()
        assert browser.get(PAGE, SCRIPT).status_code == 401
        assert browser.post(PAGE, {}, {**SCRIPT, **SAME_ORIGIN}).status_code == 401


class TestAdmitted:
    def test_the_session_says_how_it_began(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        typed(browser, "ALICE", PASSWORD)
        who = browser.get("/.oidcgate/userinfo", SCRIPT).get_json()
        assert (who["user_name"], who["display_name"], who["known"]) == ("Alice", "Alice Adams", True)
        assert (who["idp"], who["amr"], who["acr"]) == ("break-glass", ["pwd"], None)
        assert (who["issuer"], who["sub"], who["auth_time"]) == (APP + PAGE, "alice", NOW)
        (entry,) = scene.audit
        assert (entry["event"], entry["user_name"], entry["replaced"]) == ("break_glass.used", "Alice", False)
        assert scene.provider.adapter.request_history == []

    @pytest.mark.parametrize("minutes", [1, 60])
    def test_the_session_is_short_however_much_it_is_used(self, minutes: int) -> None:
        scene = scene_with(break_glass={"users": LINES, "session_minutes": minutes})
        browser = scene.browser()
        typed(browser, "alice", PASSWORD)
        for _ in range(minutes * 2 - 1):
            scene.clock.now += 30
            assert browser.get("/private").status_code == 200
        scene.clock.now += 30
        assert browser.get("/private").status_code == 302

    @pytest.mark.row("G-23")
    def test_the_session_of_before_ends(self) -> None:
        scene = scene_with()
        browser, thief = scene.browser(), scene.browser()
        browser.sign_in()
        stolen = browser.cookies()[scene.parts.names.session]
        typed(browser, "alice", PASSWORD)
        thief.client.set_cookie(scene.parts.names.session, stolen, domain="app.example.com")
        assert browser.has_session()
        assert not thief.has_session()
        assert scene.audit[-1]["replaced"] is True

    def test_a_sign_out_asks_no_provider(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        typed(browser, "alice", PASSWORD)
        answer = browser.post("/.oidcgate/logout", {})
        assert answer.headers["Location"].startswith(f"{APP}/.oidcgate/logged-out")
        assert not browser.has_session()
        assert scene.provider.adapter.request_history == []

    @pytest.mark.row("C-12")
    def test_whose_the_name_is_at_a_provider_does_not_matter_and_does_not_change(self) -> None:
        scene = scene_with()
        scene.browser().sign_in()
        browser = scene.browser()
        assert typed(browser, "alice", PASSWORD).status_code == 303
        assert scene.parts.pins.of("alice", NOW) == Pin("Alice", ISSUER, "sub-of-alice", NOW)
        assert scene.browser().sign_in().status_code == 303

    @pytest.mark.parametrize(
        ("rd", "target"),
        [
            ("/a/b?c=d", "/a/b?c=d"),
            ("https://evil.example/", "/"),
            ("//evil.example", "/"),
            ("/.oidcgate/logout", "/"),
            ("", "/"),
        ],
    )
    def test_it_leads_to_our_own_pages_only(self, rd: str, target: str) -> None:
        answer = typed(scene_with().browser(), "alice", PASSWORD, rd=rd)
        assert answer.headers["Location"] == APP + target


class TestRefused:
    def test_a_wrong_password_and_a_name_that_nobody_has_look_alike(self) -> None:
        scene = scene_with()
        pages = {}
        for name in ("alice", "mallory"):
            browser = scene.browser()
            answer = typed(browser, name, "not this one, no")
            assert answer.status_code == 403
            assert not browser.has_session()
            pages[name] = re.sub(r'value="[^"]{20,}"', "", answer.text).replace(name, "NAME")
        assert pages["alice"] == pages["mallory"]
        told = [(entry["event"], entry["user_name"], entry["reason"]) for entry in scene.audit]
        # A name that is none may be a password in the wrong field.
        assert told == [
            ("break_glass.refused", "alice", "wrong_password"),
            ("break_glass.refused", None, "unknown_name"),
        ]
        assert "not this one" not in str(scene.audit)

    @pytest.mark.parametrize(
        "password", ["", PASSWORD + " ", PASSWORD.upper(), "x" * 5000, "another pass phrase"]
    )
    def test_only_the_whole_password_is_one(self, password: str) -> None:
        browser = scene_with().browser()
        assert typed(browser, "alice", password).status_code == 403
        assert not browser.has_session()

    @pytest.mark.parametrize("name", ["", "alic", "alice\0", "\uff41lice", "alice:x", "a" * 20_000, "#"])
    def test_only_the_whole_name_is_one(self, name: str) -> None:
        browser = scene_with().browser()
        assert typed(browser, name, PASSWORD).status_code == 403
        assert not browser.has_session()

    @pytest.mark.row("F-08")
    def test_whom_the_directory_does_not_know_is_not_let_in(self) -> None:
        scene = scene_with()
        for user, reason in ((None, "unknown_user"), (KnownUser("Bob", active=False), "inactive")):
            if user is not None:
                scene.directory.users["bob"] = user
            browser = scene.browser()
            answer = typed(browser, "bob", "another pass phrase")
            assert answer.status_code == 403
            assert "the directory lets nobody of that name in" in answer.text
            assert scene.audit[-1]["reason"] == reason
            assert not browser.has_session()

    @pytest.mark.row("F-10")
    def test_an_ambiguous_name_is_nobody(self) -> None:
        scene = scene_with()
        scene.directory.ambiguous.add("alice")
        assert typed(scene.browser(), "alice", PASSWORD).status_code == 403
        assert scene.audit[-1]["reason"] == "ambiguous"

    def test_a_name_is_text_wherever_it_is_shown(self) -> None:
        answer = typed(scene_with().browser(), '"><script>alert(1)</script>', "x")
        assert "<script>" not in answer.text
        assert "no-store" in answer.headers["Cache-Control"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


class TestForm:
    """A form is answered only when it was shown to the same browser, by us, within the hour."""

    @pytest.fixture(autouse=True)
    def _no_password_is_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> bool:
            raise AssertionError("looked at")

        monkeypatch.setattr(LocalUsers, "admits", fail)

    def refused(self, scene: Scene, answer: TestResponse) -> None:
        assert answer.status_code == 400
        assert "The form was open for too long" in answer.text
        assert scene.parts.names.session not in " ".join(answer.headers.getlist("Set-Cookie"))
        assert scene.audit == []

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "x" * 1000, "\u00e9"])
    def test_another_token(self, token: str) -> None:
        scene = scene_with()
        self.refused(scene, typed(scene.browser(), "alice", PASSWORD, csrf=token))

    def test_the_token_of_another_browser(self) -> None:
        scene = scene_with()
        other = hidden(scene.browser().get(PAGE))
        self.refused(scene, typed(scene.browser(), "alice", PASSWORD, csrf=other["csrf"]))

    def test_without_its_cookie(self) -> None:
        scene = scene_with()
        form = {**hidden(scene.browser().get(PAGE)), "username": "alice", "password": PASSWORD}
        self.refused(scene, scene.browser().post(PAGE, form))

    def test_after_an_hour(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        form = {**hidden(browser.get(PAGE)), "username": "alice", "password": PASSWORD}
        scene.clock.now += 3601
        self.refused(scene, browser.post(PAGE, form))

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://sibling.example.com", "Sec-Fetch-Site": "same-site"},
            {"Origin": "null"},
        ],
    )
    def test_from_another_site(self, headers: dict[str, str]) -> None:
        """Even with cookie and token."""
        scene = scene_with()
        browser = scene.browser()
        form = {**hidden(browser.get(PAGE)), "username": "alice", "password": PASSWORD}
        self.refused(scene, browser.post(PAGE, form, headers))

    @pytest.mark.parametrize("body", [b"username=%ff", b"a=b&" * 60])
    def test_a_form_that_cannot_be_read(self, body: bytes) -> None:
        scene = scene_with()
        answer = scene.browser().client.post(
            PAGE,
            base_url=APP,
            data=body,
            content_type="application/x-www-form-urlencoded",
            headers={**NAVIGATION, **SAME_ORIGIN},
        )
        assert answer.status_code == 400
        assert 'id="page-error"' in answer.text

    def test_two_tabs_share_the_cookie(self) -> None:
        browser = scene_with().browser()
        first = browser.get(PAGE)
        cookie = browser.cookies()
        browser.get(PAGE)
        assert browser.cookies() == cookie
        assert all(
            word in first.headers["Set-Cookie"]
            for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/;", "__Host-")
        )

    @pytest.mark.parametrize("planted", ["xyz", "a" * 23, "a" * 25, "a" * 23 + '"', "a" * 4000])
    def test_a_cookie_that_is_none_of_ours_is_replaced(self, planted: str) -> None:
        scene = scene_with()
        header = {**NAVIGATION, "Cookie": f"{scene.parts.names.break_glass}={planted}"}
        answer = scene.browser().get(PAGE, header)
        assert answer.status_code == 200
        assert planted not in answer.headers["Set-Cookie"]


class TestSlowed:
    """Decision 0004: guesses are slowed, and nobody is locked out."""

    def test_after_five_failures_even_the_right_password_waits_its_turn(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        for _ in range(6):
            assert typed(browser, "alice", "wrong").status_code == 403
        answer = typed(browser, "alice", PASSWORD)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
        assert scene.audit[-1]["event"] == "break_glass.slowed"
        scene.clock.now += 2
        assert typed(browser, "alice", PASSWORD).status_code == 303
        # The right one has cleared it.
        for _ in range(5):
            assert typed(scene.browser(), "alice", "wrong").status_code == 403

    def test_a_name_that_nobody_has_is_slowed_alike(self) -> None:
        browser = scene_with().browser()
        answers = [typed(browser, "nobody", "wrong").status_code for _ in range(7)]
        assert answers == [403] * 6 + [429]

    def test_while_the_counters_cannot_be_read_nobody_comes_in(self) -> None:
        scene = scene_with()
        browser = scene.browser()
        form = {**hidden(browser.get(PAGE)), "username": "alice", "password": PASSWORD}

        def refuse(*_: object, **__: object) -> None:
            raise StoreUnavailable(StoreFailure.UNREACHABLE, "the test says so")

        scene.parts.state.get = refuse  # type: ignore[method-assign, assignment]  # a store that is away
        answer = browser.post(PAGE, form)
        assert answer.status_code == 503
        assert not browser.has_session()

    def test_a_directory_that_is_away_costs_nobody_a_try(self) -> None:
        scene = scene_with()
        scene.directory.failure = DirectoryUnavailable("gone")
        browser = scene.browser()
        for _ in range(10):
            assert typed(browser, "alice", PASSWORD).status_code == 503
        scene.directory.failure = None
        assert typed(browser, "alice", PASSWORD).status_code == 303

    def test_too_many_at_once_are_told_to_come_again_and_lose_no_try(self) -> None:
        scene = scene_with()
        break_glass = scene.parts.routes.break_glass
        assert break_glass is not None
        turns = break_glass.local_users._turns
        browser = scene.browser()
        with turns, turns:
            for _ in range(10):
                answer = typed(browser, "alice", PASSWORD)
                assert (answer.status_code, bool(answer.headers["Retry-After"])) == (503, True)
        assert typed(browser, "alice", PASSWORD).status_code == 303

    @pytest.mark.row("G-28")
    def test_nobody_waits_for_a_turn_in_a_thread_that_others_need(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        users = LocalUsers(entries_of(LINES)[0])
        asked: list[tuple[bool, float | None]] = []

        class Taken:
            def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
                asked.append((blocking, timeout))
                return False

        monkeypatch.setattr(users, "_turns", Taken())
        with pytest.raises(Busy):
            users.admits("alice", PASSWORD)
        assert asked == [(False, None)]

    @pytest.mark.row("G-18")
    @pytest.mark.parametrize(
        ("listed", "peer"),
        [pytest.param("127.0.0.1/32", "127.0.0.1", id="network"), pytest.param("unix", "", id="unix-socket")],
    )
    def test_the_network_is_the_clients_behind_a_trusted_proxy(self, listed: str, peer: str) -> None:
        scene = scene_with(proxy={"trusted_proxies": [listed]})
        browser = scene.browser()
        form = {**hidden(browser.get(PAGE)), "username": "alice", "password": "wrong"}
        for network in ("203.0.113", "198.51.100"):
            headers = {**NAVIGATION, **SAME_ORIGIN, "X-Forwarded-For": f"{network}.7"}
            browser.client.post(
                PAGE, base_url=APP, data=form, headers=headers, environ_base={"REMOTE_ADDR": peer}
            )
            assert scene.audit[-1]["network"] == f"{network}.0/24"


class TestGuesses:
    def test_of_many_tries_at_once_only_the_free_ones_are_made(self, shared_state: RecordStore) -> None:
        state = shared_state
        state.get("warm", "up", now=NOW)
        guesses = Guesses(state, "gate")
        ready = threading.Barrier(8)
        waits: list[int] = []

        def guess() -> None:
            ready.wait()
            waits.extend(guesses.take("alice", "203.0.113.0/24", NOW) for _ in range(4))

        threads = [threading.Thread(target=guess) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Five are free; the sixth is made and begins the wait.
        assert len(waits) == 32
        assert waits.count(0) == 6

    def test_another_network_is_not_slowed_by_the_first(self) -> None:
        guesses = Guesses(MemoryStore(clock=lambda: NOW), "gate")
        for _ in range(20):
            guesses.take("alice", "203.0.113.0/24", NOW)
        assert guesses.take("alice", "198.51.100.0/24", NOW) == 0

    def test_one_network_is_slowed_whatever_the_name(self) -> None:
        guesses = Guesses(MemoryStore(clock=lambda: NOW), "gate")
        waits = [guesses.take(f"name{number}", "203.0.113.0/24", NOW) for number in range(52)]
        assert waits == [0] * 51 + [2]

    def test_a_name_from_everywhere_waits_a_minute_at_most(self) -> None:
        guesses = Guesses(MemoryStore(clock=lambda: NOW), "gate")
        waits = []
        for number in range(200):
            wait = guesses.take("alice", f"10.0.{number}.0/24", NOW + number * 60)
            waits.append(wait)
        assert max(waits) <= 60
        assert guesses.take("bob", "10.0.0.0/24", NOW) == 0

    def test_a_quiet_hour_forgets(self) -> None:
        guesses = Guesses(MemoryStore(clock=lambda: NOW), "gate")
        for _ in range(6):
            guesses.take("alice", "unknown", NOW)
        assert guesses.take("alice", "unknown", NOW) == 2
        for _ in range(5):
            assert guesses.take("alice", "unknown", NOW + 2 + 3600) == 0

    def test_where_no_network_is_known_nobody_makes_others_wait_longer_than_a_minute(self) -> None:
        guesses, now = Guesses(MemoryStore(clock=lambda: NOW), "gate"), NOW
        waits = []
        for _ in range(40):
            waits.append(guesses.take("alice", "unknown", now))
            now += waits[-1]
        assert max(waits) == 60
        assert guesses.take("bob", "unknown", now) == 0

    def test_where_no_network_is_known_names_are_not_tried_without_end(self) -> None:
        guesses = Guesses(MemoryStore(clock=lambda: NOW), "gate")
        waits = [guesses.take(f"name{number}", "unknown", NOW) for number in range(502)]
        assert waits == [0] * 501 + [2]

    def test_gates_that_share_a_store_count_apart_and_no_name_is_in_it(self) -> None:
        state = MemoryStore(clock=lambda: NOW)
        for _ in range(6):
            Guesses(state, "one").take("alice", "203.0.113.0/24", NOW)
        assert Guesses(state, "other").take("alice", "203.0.113.0/24", NOW) == 0
        assert "alice" not in str(state._records)
        assert "203.0.113" not in str(state._records)


WRONG_LINES = [
    pytest.param("alice", "names nobody", id="no-hash"),
    pytest.param(":" + CHEAP.hash("x"), "names nobody", id="no-name"),
    pytest.param(" alice:" + CHEAP.hash("x"), "has spaces around it", id="spaces"),
    pytest.param("alice:", "no argon2id", id="empty-hash"),
    pytest.param("alice:correct horse battery", "no argon2id", id="clear-text"),
    pytest.param("alice:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "no argon2id", id="apr1"),
    pytest.param(
        "alice:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC", "no argon2id", id="bcrypt"
    ),
    pytest.param("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "no argon2id", id="sha"),
    pytest.param("alice:" + CHEAP.hash("x").replace("argon2id", "argon2i"), "no argon2id", id="argon2i"),
    pytest.param("alice:" + CHEAP.hash("x").replace("m=19456", "m=1024"), "too low", id="weak"),
    pytest.param("alice:" + CHEAP.hash("x").replace("m=19456", "m=9999999"), "too high", id="costly"),
    pytest.param(line("alice") + "\n" + line("ALICE"), "is there twice", id="twice"),
]


class TestLocalUsers:
    @pytest.mark.parametrize(("text", "message"), WRONG_LINES)
    def test_a_line_that_is_wrong_is_told_without_its_hash(self, text: str, message: str) -> None:
        _, problems = entries_of(text)
        assert len(problems) == 1
        told = str(problems[0])
        assert message in told
        assert not any(part in told for part in ("$", "{SHA}", "battery"))

    def test_lines_are_counted_and_those_that_say_nothing_are_left_out(self) -> None:
        entries, problems = entries_of(f"# people\n\n{line('alice')}\n{line('a:b')}\r\nbroken\n")
        assert [name for name, _ in entries.values()] == ["alice", "a:b"]
        assert [problem.key for problem in problems] == ["users (line 5)"]

    def test_what_is_made_is_admitted_and_costs_what_is_recommended(self) -> None:
        made = line_for("Alice", PASSWORD)
        assert re.fullmatch(r"Alice:\$argon2id\$v=19\$m=65536,t=3,p=4\$\S+", made)
        people = LocalUsers(entries_of(made)[0])
        assert people.admits("alice", PASSWORD)
        assert not people.admits("alice", PASSWORD[:-1])
        assert "argon2" not in repr(people)

    @pytest.mark.parametrize(
        ("name", "password", "message"),
        [
            ("alice", "tiny", "too short"),
            ("alice", "x" * 14, "too short"),
            ("alice", "x" * 1025, "longer than"),
            ("", PASSWORD, "is empty"),
            ("a\nb", PASSWORD, "control"),
        ],
    )
    def test_what_will_not_do(self, name: str, password: str, message: str) -> None:
        with pytest.raises(ValueError, match=message) as raised:
            line_for(name, password)
        assert password not in str(raised.value)

    @pytest.mark.parametrize("name", ["alice", "mallory", ""])
    def test_one_hash_is_computed_whoever_is_named(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        people = LocalUsers(entries_of(LINES)[0])
        computed: list[str] = []

        def verify(self: PasswordHasher, hashed: str, password: bytes) -> bool:
            computed.append(hashed)
            return True  # as if it were the password of whomever it was compared with

        monkeypatch.setattr(PasswordHasher, "verify", verify)
        assert people.admits(name, "whatever it is") == (name == "alice")
        assert len(computed) == 1


def data(**tables: Any) -> dict[str, Any]:
    return {
        "public_url": APP,
        "provider": {"issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        "users": {"source": "any"},
        "session": {"secret": SECRET},
        "state": {"store": "memory"},
        **tables,
    }


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "break_glass.users: is missing"),
            ({"users": "# nobody"}, "break_glass.users: holds nobody"),
            ({"users": "alice:x"}, "break_glass.users (line 1): the hash of 'alice' is no argon2id"),
            ({"users": LINES, "session_minutes": 0}, "break_glass.session_minutes"),
            ({"users": LINES, "session_minutes": 481}, "break_glass.session_minutes"),
        ],
    )
    def test_what_is_wrong(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingsError, match=re.escape(message)):
            config_from_mapping(data(break_glass=settings))

    def test_no_provider_can_be_taken_for_it(self) -> None:
        named = {**data()["provider"], "name": "break-glass"}
        with pytest.raises(SettingsError, match="what such sessions are marked by"):
            config_from_mapping(data(break_glass={"users": LINES}, provider=named))

    def test_a_gate_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("oidcgate.gate.installed.find_spec", lambda name: None)
        config = config_from_mapping(data(break_glass={"users": LINES}))
        told = [str(problem) for problem in uninstalled(config)]
        assert told == ["break_glass: needs argon2-cffi; pip install 'oidcgate[break-glass]'"]

    def test_no_hash_is_in_what_it_becomes(self) -> None:
        scene = scene_with()
        assert "argon2id" not in repr(scene.parts.config)
        break_glass = scene.parts.routes.break_glass
        assert break_glass is not None
        assert "argon2id" not in repr(dataclasses.replace(break_glass, clock=lambda: 0.0))

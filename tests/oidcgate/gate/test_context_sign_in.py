"""What a whole sign-in makes of claims: groups, methods, an operator's own code, and how long it serves."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from oidcgate.directory.port import KnownUser
from oidcgate.gate.session import COOKIE_BUDGET_BYTES
from oidcgate.gate.templates import TEMPLATES
from oidcgate.gate.wsgi import Gate
from oidcgate.identity import IDENTITY_ENVIRON, Identity
from oidcgate.settings import SettingsError
from tests.oidcgate.gate.parts import App
from tests.support.lying_provider import (
    APP,
    CLIENT_SECRET,
    GONE,
    ISSUER,
    NAVIGATION,
    SCRIPT,
    Browser,
    LyingProvider,
    Scene,
)

ENTRUST = TEMPLATES["entrust"].acr_to_amr
HOOK = f"{__name__}:hook"
#: What `hook` does; a test sets it.
_acts: list[Callable[[Identity], Any]] = []


def hook(who: Identity) -> Any:
    """The operator's own code."""
    return _acts[-1](who)


@pytest.fixture
def acts() -> Iterator[list[Callable[[Identity], Any]]]:
    yield _acts
    _acts.clear()


class Told:
    """A gate whose app notes everything that it is told."""

    def __init__(self, settings: Mapping[str, Any] | None = None, *providers: LyingProvider) -> None:
        self.scene = Scene.set(settings, *providers)
        self.app = App()
        self.scene.gate = Gate.from_parts(self.app, self.scene.parts)
        self.provider = self.scene.provider

    def sign_in(self) -> Browser:
        browser = self.scene.browser()
        answer = browser.sign_in()
        assert answer.status_code == 303, answer.text
        return browser

    @property
    def identity(self) -> Identity:
        """Whom the app saw, after one sign-in and one request."""
        self.sign_in().get("/private")
        found = self.app.environ[IDENTITY_ENVIRON]
        assert isinstance(found, Identity)
        return found

    def headers(self) -> dict[str, str]:
        self.sign_in().get("/private")
        return {key: value for key, value in self.app.environ.items() if key.startswith("HTTP_X_")}

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.scene.audit if line["event"] == name]


def provider(**settings: Any) -> dict[str, Any]:
    return {"provider": settings}


class TestUserInfo:
    @pytest.mark.row("A-10", "A-12")
    def test_off_it_is_not_asked_and_on_it_is_asked_once(self) -> None:
        off = Told()
        off.provider.userinfo["email"] = "alice@example.com"
        assert "email" not in off.identity.claims
        assert off.provider.calls("/userinfo") == 0
        on = Told(provider(get_user_info=True))
        on.provider.userinfo["email"] = "alice@example.com"
        on.provider.userinfo["name"] = "Somebody else"
        assert on.identity.claims["email"] == "alice@example.com"
        assert on.identity.claims["name"] == "Alice of the IdP"
        calls = on.provider.calls("/userinfo")
        on.sign_in()
        assert on.provider.calls("/userinfo") == calls + 1

    @pytest.mark.row("A-10")
    @pytest.mark.parametrize("sub", ["sub-of-bob", "", None, GONE, "SUB-OF-ALICE"])
    def test_about_somebody_else_it_is_refused(self, sub: Any) -> None:
        told = Told(provider(get_user_info=True))
        told.provider.userinfo["sub"] = sub
        browser = told.scene.browser()
        assert browser.sign_in().status_code == 400
        assert not browser.has_session()


class TestGroups:
    @pytest.mark.row("A-11", "A-12")
    def test_each_option_works_alone(self) -> None:
        for get_user_info in (False, True):
            for fetch_groups in (False, True):
                told = Told(
                    {
                        **provider(get_user_info=get_user_info, fetch_groups=fetch_groups),
                        "forward": {"preset": "oauth2-proxy"},
                    }
                )
                told.provider.claims["groups"] = ["staff", "a,b"]
                told.provider.userinfo["groups"] = ["not these"]
                claims = told.identity.claims
                header = told.headers().get("HTTP_X_FORWARDED_GROUPS")
                assert claims.get("groups") == (("staff", "a,b") if fetch_groups else None)
                assert header == ("staff,a%2Cb" if fetch_groups else None)
                assert bool(told.provider.calls("/userinfo")) is get_user_info

    @pytest.mark.row("A-11")
    def test_of_userinfo(self) -> None:
        told = Told(provider(get_user_info=True, fetch_groups=True))
        told.provider.userinfo["groups"] = ["staff"]
        assert told.identity.claims["groups"] == ("staff",)

    @pytest.mark.row("A-11", "G-13")
    def test_of_one_of_two_providers(self) -> None:
        first = LyingProvider(Scene.set().clock)
        second = LyingProvider(first.clock, issuer="https://other.example")
        entry = {"client_id": "app", "client_secret": CLIENT_SECRET}
        told = Told(
            {
                "provider": GONE,
                "providers": [
                    {"issuer": first.issuer, "name": "one", "fetch_groups": True, **entry},
                    {"issuer": second.issuer, "name": "two", **entry},
                ],
            },
            first,
            second,
        )
        told.scene.directory.users["bob"] = KnownUser("Bob")
        second.claims["preferred_username"] = "bob"
        for idp in (first, second):
            idp.claims["groups"] = ["staff"]
            browser = told.scene.browser()
            name = "one" if idp is first else "two"
            begun = browser.get(f"/.oidcgate/login?rd=/&fragment=&idp={name}")
            browser.get(idp.answer(begun.headers["Location"]))
            browser.get("/private")
            claims = told.app.environ[IDENTITY_ENVIRON].claims
            assert claims.get("groups") == (("staff",) if idp is first else None)

    @pytest.mark.row("A-11")
    def test_nobody_is_refused_for_being_in_none(self) -> None:
        told = Told(provider(fetch_groups=True))
        assert told.identity.claims["groups"] == ()
        assert told.events("login.attributes_left_out") == []

    @pytest.mark.row("A-11")
    def test_off_they_are_nowhere(self) -> None:
        told = Told({"forward": {"preset": "oauth2-proxy"}})
        told.provider.claims["groups"] = ["staff"]
        browser = told.sign_in()
        told.headers()
        assert "staff" not in repr(told.app.environ)
        assert "staff" not in browser.get("/.oidcgate/userinfo", SCRIPT).text

    @pytest.mark.row("G-03")
    @pytest.mark.parametrize("store", ["sealed", "memory"])
    def test_ten_thousand_are_a_named_error_and_no_cookie(self, store: str) -> None:
        told = Told({**provider(fetch_groups=True, get_user_info=True), "session": {"store": store}})
        told.provider.userinfo["groups"] = [f"group-{number}" for number in range(10_000)]
        browser = told.scene.browser()
        answer = browser.sign_in()
        assert answer.status_code == 500
        assert not browser.has_session()
        (line,) = told.events("login.refused")
        assert line["reason"] == "session_too_large"
        assert "groups" in line["detail"]
        assert "keep fewer claims" in line["detail"]

    @pytest.mark.row("G-03")
    def test_ten_thousand_in_an_id_token_are_an_answer_that_is_not_read(self) -> None:
        told = Told(provider(fetch_groups=True))
        told.provider.claims["groups"] = [f"group-{number}" for number in range(10_000)]
        browser = told.scene.browser()
        assert browser.sign_in().status_code == 400
        assert told.scene.reasons() == ["token_response_malformed"]
        assert not browser.has_session()

    @pytest.mark.row("G-03")
    def test_as_many_as_fit_a_cookie_are_all_there(self) -> None:
        told = Told(provider(fetch_groups=True))
        groups = [f"group-{number}" for number in range(200)]
        told.provider.claims["groups"] = groups
        assert told.identity.claims["groups"] == tuple(groups)
        cookies = told.sign_in().cookies()
        assert max(len(name) + 1 + len(value) for name, value in cookies.items()) <= COOKIE_BUDGET_BYTES


class TestMethods:
    @pytest.mark.row("A-16")
    @pytest.mark.parametrize("came", [GONE, ["pwd"], ["pwd", "otp"]], ids=["none", "one", "two"])
    def test_the_method_that_is_set_is_what_app_and_log_see(self, came: Any) -> None:
        told = Told(provider(amr=["mfa"]))
        told.provider.claims["amr"] = came
        assert told.identity.amr == ("mfa",)
        assert [line["amr"] for line in told.events("login.succeeded")] == [["mfa"]]

    @pytest.mark.row("A-17")
    @pytest.mark.parametrize(("acr", "method"), list(ENTRUST.items()), ids=str)
    def test_the_method_of_the_table(self, acr: str, method: str) -> None:
        told = Told(provider(acr_to_amr=dict(ENTRUST)))
        told.provider.claims |= {"acr": acr, "amr": ["face"]}
        assert (told.identity.acr, told.identity.amr) == (acr, (method,))

    @pytest.mark.row("A-17")
    @pytest.mark.parametrize("acr", ["urn:example:other", GONE], ids=["unknown", "none"])
    def test_another_context_leaves_the_methods_as_they_came(self, acr: Any) -> None:
        told = Told(provider(acr_to_amr=dict(ENTRUST)))
        told.provider.claims |= {"acr": acr, "amr": ["face", "pin"]}
        assert told.identity.amr == ("face", "pin")


CUSTOM: dict[str, Any] = {
    "provider": {
        "get_user_info": True,
        "attributes": [
            {"claim": r"https://example\.com/department", "display_name": "Department"},
            {"claim": "level", "type": "number"},
        ],
        "mappings": [{"source": r"https://example\.com/department", "target": "department"}],
    },
    "context": [{"name": "department"}, {"name": "level", "type": "number"}],
}


class TestAttributes:
    @pytest.mark.row("A-19", "A-22", "A-25")
    def test_an_app_gets_what_is_configured_for_it_and_nothing_else(self) -> None:
        userinfo = {"https://example.com/department": "Sales", "level": 3, "salary": 90_000}
        nothing = Told(CUSTOM)
        nothing.provider.userinfo |= userinfo
        assert set(nothing.identity.claims) == {"preferred_username", "name"}

        in_session = Told({**CUSTOM, "session": {"claims": ["department"]}})
        in_session.provider.userinfo |= userinfo
        assert dict(in_session.identity.claims) == {"department": "Sales"}

        in_header = Told(
            {**CUSTOM, "forward": {"headers": [{"name": "X-Department", "attribute": "department"}]}}
        )
        in_header.provider.userinfo |= userinfo
        assert in_header.headers() == {"HTTP_X_DEPARTMENT": "Sales"}
        assert "90000" not in repr(in_header.app.environ)

    @pytest.mark.row("A-25", "G-29")
    def test_what_goes_into_a_header_alone_is_not_shown_to_scripts(self) -> None:
        told = Told({**CUSTOM, "forward": {"headers": [{"name": "X-Department", "attribute": "department"}]}})
        told.provider.userinfo |= {"https://example.com/department": "Sales"}
        browser = told.sign_in()
        browser.get("/private")
        assert told.app.environ["HTTP_X_DEPARTMENT"] == "Sales"
        shown = browser.get("/.oidcgate/userinfo", SCRIPT).get_json()["claims"]
        assert set(shown) == {"preferred_username", "name"}

    @pytest.mark.row("A-19")
    def test_one_of_a_wrong_type_is_told_and_left_out_and_the_person_comes_in(self) -> None:
        told = Told({**CUSTOM, "session": {"claims": ["department", "level"]}})
        told.provider.userinfo |= {"https://example.com/department": "Sales", "level": "hunter2"}
        assert dict(told.identity.claims) == {"department": "Sales"}
        (line,) = told.events("login.attributes_left_out")
        assert line["faults"] == ["level: string where number is declared"]
        assert (line["user_name"], line["issuer"]) == ("Alice", ISSUER)
        assert "hunter2" not in repr(told.scene.audit)

    @pytest.mark.row("A-25")
    def test_headers_of_the_sign_in_itself(self) -> None:
        names = ("sub", "iss", "idp", "acr", "amr", "auth_time")
        headers = [{"name": f"X-{name.replace('_', '-')}", "attribute": name} for name in names]
        told = Told({"provider": {"name": "The IdP"}, "forward": {"headers": headers}})
        told.provider.claims |= {"acr": "high", "amr": ["pwd", "o,tp"], "auth_time": 1_899_999_990}
        assert told.headers() == {
            "HTTP_X_SUB": "sub-of-alice",
            "HTTP_X_ISS": ISSUER,
            "HTTP_X_IDP": "The IdP",
            "HTTP_X_ACR": "high",
            "HTTP_X_AMR": "pwd,o%2Ctp",
            "HTTP_X_AUTH_TIME": "1899999990",
        }
        assert set(told.identity.claims) == {"preferred_username", "name"}

    @pytest.mark.row("T-02", "G-20")
    @pytest.mark.parametrize("name", ["X-Department", "x_department", "X-DEPARTMENT", "X.Department"])
    @pytest.mark.parametrize("path", ["/private", "/public/x"])
    def test_no_client_can_send_such_a_header(self, name: str, path: str) -> None:
        told = Told(
            {
                **CUSTOM,
                "forward": {"headers": [{"name": "X-Department", "attribute": "department"}]},
                "rules": [{"path": "/public/**", "allow": "anyone"}],
            }
        )
        stranger, person = told.scene.browser(), told.sign_in()
        for browser in (stranger, person):
            browser.get(path, {**NAVIGATION, name: "Board"})
            assert "Board" not in told.app.environ.values()

    @pytest.mark.row("A-21")
    def test_a_hundred_claims_that_nobody_asked_for_cost_no_byte_of_the_cookie(self) -> None:
        plain, much = Told(), Told()
        much.provider.claims |= {f"claim-{number}": "x" * 50 for number in range(100)}
        sizes = [
            max(len(value) for value in told.sign_in().cookies().values() if len(value) > 20)
            for told in (plain, much)
        ]
        assert sizes[0] == sizes[1]


LEVEL = {"context": [{"name": "level", "type": "number"}], "session": {"claims": ["name", "email", "level"]}}


class TestTheHook:
    @pytest.mark.row("A-24")
    def test_it_adds_replaces_and_takes_away_and_that_is_seen_downstream(self, acts: list[Any]) -> None:
        seen: list[Identity] = []

        def act(who: Identity) -> Any:
            seen.append(who)
            return {"level": 7, "name": who.claims["name"].upper(), "email": None}

        acts.append(act)
        told = Told(
            {
                **LEVEL,
                **provider(hook=HOOK, amr=["mfa"]),
                "forward": {"headers": [{"name": "X-Level", "attribute": "level"}]},
            }
        )
        told.provider.claims |= {"email": "alice@example.com", "given_name": "Alice", "acr": "high"}
        assert dict(told.identity.claims) == {"level": 7, "name": "ALICE OF THE IDP"}
        assert told.headers() == {"HTTP_X_LEVEL": "7"}
        # It sees the whole context, kept or not, and who it is about.
        who = seen[0]
        assert (who.user_name, who.sub, who.issuer, who.known) == ("Alice", "sub-of-alice", ISSUER, True)
        assert (who.acr, who.amr) == ("high", ("mfa",))
        assert who.claims["given_name"] == "Alice"
        with pytest.raises(TypeError):
            who.claims["given_name"] = "Mallory"  # type: ignore[index]  # which is what is tested

    @pytest.mark.row("A-24")
    def test_what_it_returns_has_to_be_declared(self, acts: list[Any]) -> None:
        acts.append(lambda who: {"salary": 1})
        told = Told({**LEVEL, **provider(hook=HOOK)})
        browser = told.scene.browser()
        assert browser.sign_in().status_code == 500
        (line,) = told.events("login.refused")
        assert line["reason"] == "hook_failed"
        assert "'salary', which [[context]] does not declare" in line["detail"]

    @pytest.mark.row("A-24")
    @pytest.mark.parametrize("required", [True, False])
    @pytest.mark.parametrize(
        ("act", "told_of"),
        [
            pytest.param(lambda who: 1 / 0, "it raised ZeroDivisionError", id="exception"),
            pytest.param(lambda who: {"level": "hunter2"}, "string as level", id="wrong type"),
            pytest.param(lambda who: {"sub": "hunter2"}, "'sub'", id="another person"),
            pytest.param(lambda who: ["hunter2"], "not a mapping", id="no mapping"),
            pytest.param(lambda who: {"name": "\ud800"}, "string as name", id="no text"),
        ],
    )
    def test_one_that_fails_stops_the_sign_in_unless_it_may_fail(
        self, acts: list[Any], act: Any, told_of: str, required: bool
    ) -> None:
        acts.append(act)
        told = Told({**LEVEL, **provider(hook=HOOK, hook_required=required)})
        browser = told.scene.browser()
        answer = browser.sign_in()
        name = "login.refused" if required else "login.hook_passed_over"
        (line,) = told.events(name)
        assert told_of in line["detail"]
        assert "hunter2" not in repr(told.scene.audit) + answer.text
        assert browser.has_session() is not required
        if not required:
            browser.get("/private")
            assert dict(told.app.environ[IDENTITY_ENVIRON].claims) == {"name": "Alice of the IdP"}

    @pytest.mark.row("A-24")
    def test_one_that_hangs_is_not_waited_for(self, acts: list[Any]) -> None:
        go_on = threading.Event()
        acts.append(lambda who: {"level": 7} if go_on.wait() else None)
        told = Told({**LEVEL, **provider(hook=HOOK, hook_seconds=0.01)})
        try:
            browser = told.scene.browser()
            assert browser.sign_in().status_code == 500
            assert not browser.has_session()
        finally:
            go_on.set()
        (line,) = told.events("login.refused")
        assert "no answer within 0.01 seconds" in line["detail"]

    @pytest.mark.row("A-24")
    def test_nothing_returned_is_nothing_changed(self, acts: list[Any]) -> None:
        acts.append(lambda who: None)
        told = Told({**LEVEL, **provider(hook=HOOK)})
        assert dict(told.identity.claims) == {"name": "Alice of the IdP"}

    @pytest.mark.row("A-24")
    def test_it_is_not_asked_about_whom_the_directory_does_not_know(self, acts: list[Any]) -> None:
        acts.append(lambda who: pytest.fail("asked"))
        told = Told(provider(hook=HOOK))
        told.provider.claims["preferred_username"] = "mallory"
        assert told.scene.browser().sign_in().status_code == 403

    @pytest.mark.row("A-24")
    @pytest.mark.parametrize("name", ["no_such_module_anywhere:f", f"{__name__}:no_such_hook"])
    def test_one_that_is_not_there_is_told_at_start(self, name: str) -> None:
        with pytest.raises(SettingsError, match=r"provider\.hook: .* is not there"):
            Told(provider(hook=name))

    def test_what_it_did_wrong_is_logged_by_place_and_kind(
        self, acts: list[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        def act(who: Identity) -> Any:
            raise ValueError(f"hunter2 and {who.claims}")

        acts.append(act)
        Told({**LEVEL, **provider(hook=HOOK)}).scene.browser().sign_in()
        assert f"ValueError in {__file__}, line" in caplog.text
        assert "hunter2" not in caplog.text


def goes_to_the_idp(browser: Browser, path: str = "/.oidcgate/login?rd=/there") -> bool:
    answer = browser.get(path)
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location == f"{APP}/there" or location.startswith(f"{ISSUER}/authorize")
    return location.startswith(ISSUER)


class TestTheCache:
    @pytest.mark.row("A-15")
    def test_off_every_sign_in_goes_to_the_idp(self) -> None:
        browser = Told().sign_in()
        assert goes_to_the_idp(browser)

    @pytest.mark.row("A-15")
    def test_while_it_lasts_nothing_needs_the_idp_and_then_everything_does(self) -> None:
        told = Told(provider(context_cache_seconds=900))
        browser = told.sign_in()
        calls = len(told.provider.adapter.request_history)
        told.scene.clock.now += 899
        # A request, another upstream of the gate, whoever asks the gate for a sign-in.
        assert browser.get("/private").status_code == 200
        assert browser.get("/another/upstream").status_code == 200
        assert not goes_to_the_idp(browser)
        assert len(told.provider.adapter.request_history) == calls
        told.scene.clock.now += 1
        answer = browser.get("/private")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"{APP}/.oidcgate/login")
        assert goes_to_the_idp(browser)
        assert browser.get("/private", SCRIPT).status_code == 401

    @pytest.mark.row("A-15")
    def test_a_sign_in_out_of_the_cache_makes_it_no_longer(self) -> None:
        told = Told(provider(context_cache_seconds=900))
        browser = told.sign_in()
        for _ in range(2):
            told.scene.clock.now += 440
            assert not goes_to_the_idp(browser)
            assert browser.get("/private").status_code == 200
        told.scene.clock.now += 30
        assert browser.get("/private").status_code == 302

    @pytest.mark.row("A-15")
    def test_a_session_lasts_no_longer_than_it_would_have(self) -> None:
        told = Told(
            {
                **provider(context_cache_seconds=1_000_000),
                "session": {"idle_minutes": 10, "absolute_minutes": 20},
            }
        )
        browser = told.sign_in()
        told.scene.clock.now += 599
        assert not goes_to_the_idp(browser)
        told.scene.clock.now += 601
        assert goes_to_the_idp(browser)

    @pytest.mark.row("A-15")
    def test_a_sign_out_clears_it(self) -> None:
        told = Told(provider(context_cache_seconds=900))
        browser, other = told.sign_in(), told.sign_in()
        assert browser.post("/.oidcgate/logout", {}).status_code in (302, 303)
        assert goes_to_the_idp(browser)
        assert not goes_to_the_idp(other)

    @pytest.mark.row("A-15")
    def test_a_kept_cookie_is_worth_nothing_after_the_sign_out(self) -> None:
        told = Told(provider(context_cache_seconds=900))
        browser = told.sign_in()
        thief = told.scene.browser()
        for name, value in browser.cookies().items():
            thief.client.set_cookie(name, value, domain="app.example.com", secure=True)
        assert not goes_to_the_idp(thief)
        browser.post("/.oidcgate/logout", {})
        assert goes_to_the_idp(thief)

    @pytest.mark.row("A-15")
    @pytest.mark.parametrize(
        "asked", ["prompt=login", "prompt=select_account", "max_age=60", "acr_values=high", "max_age="]
    )
    def test_whoever_asks_for_more_is_sent_there(self, asked: str) -> None:
        browser = Told(provider(context_cache_seconds=900)).sign_in()
        answer = browser.get(f"/.oidcgate/login?rd=/there&{asked}")
        assert answer.headers.get("Location", ISSUER).startswith(ISSUER)

    @pytest.mark.row("A-15", "G-13")
    def test_each_provider_has_its_own(self) -> None:
        first = LyingProvider(Scene.set().clock)
        second = LyingProvider(first.clock, issuer="https://other.example")
        entry = {"client_id": "app", "client_secret": CLIENT_SECRET}
        told = Told(
            {
                "provider": GONE,
                "providers": [
                    {"issuer": first.issuer, "name": "one", "context_cache_seconds": 900, **entry},
                    {"issuer": second.issuer, "name": "two", **entry},
                ],
            },
            first,
            second,
        )
        told.scene.directory.users["bob"] = KnownUser("Bob")
        second.claims["preferred_username"] = "bob"
        browser = told.scene.browser()
        begin = browser.get("/.oidcgate/login?rd=/there&idp=one").headers["Location"]
        browser.get(first.answer(begin))
        assert not goes_to_the_idp(browser, "/.oidcgate/login?rd=/there&idp=one")
        other = browser.get("/.oidcgate/login?rd=/there&idp=two").headers["Location"]
        assert other.startswith(second.issuer)
        # Signed in there, the other one's setting holds: off.
        browser.get(second.answer(other))
        assert browser.get("/private").status_code == 200
        assert browser.get("/.oidcgate/login?rd=/there&idp=two").headers["Location"].startswith(second.issuer)
        assert browser.get("/.oidcgate/login?rd=/there&idp=one").headers["Location"].startswith(first.issuer)


class TestPublicPaths:
    RULES: Mapping[str, Any] = {"rules": [{"path": "/public/**", "allow": "anyone"}]}

    @pytest.mark.row("G-20")
    def test_whoever_is_signed_in_is_known_there_too_and_nobody_is_sent_away(self) -> None:
        told = Told({**self.RULES, "forward": {"headers": [{"name": "X-Name", "attribute": "name"}]}})
        stranger = told.scene.browser()
        assert stranger.get("/public/x").status_code == 200
        assert IDENTITY_ENVIRON not in told.app.environ
        assert "REMOTE_USER" not in told.app.environ
        told.sign_in().get("/public/x")
        assert told.app.environ[IDENTITY_ENVIRON].user_name == "Alice"
        assert told.app.environ["HTTP_X_NAME"] == "Alice of the IdP"

    @pytest.mark.row("G-20")
    def test_nothing_that_a_stranger_sends_is_an_identity_there(self) -> None:
        told = Told({**self.RULES, "forward": {"headers": [{"name": "X-Name", "attribute": "name"}]}})
        forged = {"X-Name": "Mallory", "Remote-User": "Mallory", "X-Forwarded-User": "Mallory"}
        told.scene.browser().get("/public/x", {**NAVIGATION, **forged})
        assert told.app.calls == 1
        assert "Mallory" not in told.app.environ.values()

    def test_a_session_that_has_ended_is_nobody_there(self) -> None:
        told = Told({**self.RULES, **provider(context_cache_seconds=60)})
        browser = told.sign_in()
        told.scene.clock.now += 60
        assert browser.get("/public/x").status_code == 200
        assert IDENTITY_ENVIRON not in told.app.environ

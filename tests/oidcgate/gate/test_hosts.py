"""One gate at several hosts: which is meant, what each has to itself, and what all have in common."""

import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from oidcgate.gate.build import build
from oidcgate.gate.config import GateConfig, config_from_mapping
from oidcgate.gate.hosts import Hosts
from oidcgate.gate.local_users import line_for
from oidcgate.gate.session import Absent, Found
from oidcgate.jose.jwt import sign
from oidcgate.protocol.logout_token import EVENT
from oidcgate.settings import SettingsError
from tests.oidcgate.gate.parts import cookie_of, record
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    GONE,
    ISSUER,
    NAVIGATION,
    NOW,
    Browser,
    LyingProvider,
    Scene,
)

WIKI = "https://wiki.example.com"
OTHER_ISSUER = "https://other.example"
SID = "session-of-alice"

GATE = {
    "public_urls": ["https://a.example.com", "https://b.example.com:8443"],
    "provider": {"issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": "s"},
    "users": {"source": "any"},
    "session": {"secret": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"},
    "state": {"store": "memory"},
}


def config(**more: Any) -> GateConfig:
    return config_from_mapping({key: value for key, value in {**GATE, **more}.items() if value is not None})


def scene(settings: dict[str, Any] | None = None, *providers: LyingProvider) -> Scene:
    """A gate at two hosts, where the provider names its session."""
    made = Scene.set({"public_url": GONE, "public_urls": [APP, WIKI], **(settings or {})}, *providers)
    made.provider.claims["sid"] = SID
    return made


def test_all_hosts_together_compare_as_many_passwords_at_once_as_one() -> None:
    parts = build(config(break_glass={"users": line_for("alice", "0123456789abcdef")})).at_each_host
    compared = {id(each.routes.break_glass.local_users) for each in parts if each.routes.break_glass}
    assert (len(parts), len(compared)) == (2, 1)


def signed_in(at: Scene, origin: str) -> Browser:
    browser = at.browser(origin)
    browser.sign_in()
    assert browser.has_session()
    return browser


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param("a.example.com", "a", id="as-configured"),
        pytest.param("A.Example.COM", "a", id="upper-case"),
        pytest.param("a.example.com:443", "a", id="default-port"),
        pytest.param("b.example.com:8443", "b", id="own-port"),
        pytest.param("B.example.com:8443", "b", id="own-port-upper-case"),
        pytest.param("a.example.com:80", None, id="port-of-http"),
        pytest.param("a.example.com:0443", None, id="port-written-otherwise"),
        pytest.param("a.example.com:", None, id="port-empty"),
        pytest.param("a.example.com:8443", None, id="port-of-the-other"),
        pytest.param("b.example.com", None, id="own-port-left-out"),
        pytest.param("a.example.com.", None, id="dot-at-the-end"),
        pytest.param("evil.a.example.com", None, id="below"),
        pytest.param("example.com", None, id="above"),
        pytest.param("", None, id="none"),
    ],
)
def test_the_host_field_chooses(host: str, found: str | None) -> None:
    hosts = Hosts({"https://a.example.com": "a", "https://b.example.com:8443": "b"})
    assert hosts.find(host) == found


def test_the_port_of_http_may_be_there_on_loopback() -> None:
    hosts = Hosts({"http://one.localhost": 1, "http://two.localhost:8000": 2})
    assert [hosts.find(host) for host in ("one.localhost:80", "one.localhost:443", "two.localhost:80")] == [
        1,
        None,
        None,
    ]


class TestSettings:
    """`public_urls`, and `hosts` of rules and providers."""

    @pytest.mark.parametrize(
        ("more", "key", "says"),
        [
            pytest.param({"public_url": "https://a.example.com"}, "public_urls", "beside", id="both"),
            pytest.param({"public_urls": []}, "public_url", "is missing", id="neither"),
            pytest.param(
                {"public_urls": ["https://a.example.com", "https://b.example.com/"]},
                "public_urls[1]",
                "'https://b.example.com/' has a path",
                id="one-is-wrong",
            ),
            pytest.param(
                {"public_urls": ["https://a.example.com", "https://a.example.com:8443"]},
                "public_urls",
                "'a.example.com' twice",
                id="one-host-two-ports",
            ),
            pytest.param(
                {"public_urls": ["https://a.example.com", "http://localhost"]},
                "public_urls",
                "mixes",
                id="two-schemes",
            ),
            pytest.param(
                {"rules": [{"path": "/**", "allow": "known", "hosts": ["c.example.com"]}]},
                "rules[0].hosts",
                "there is 'a.example.com', 'b.example.com:8443'",
                id="unknown-host-of-a-rule",
            ),
            pytest.param(
                {"provider": {**GATE["provider"], "hosts": ["https://a.example.com"]}},  # type: ignore[dict-item]  # a table
                "provider.hosts",
                "without the scheme",
                id="host-of-a-provider-with-scheme",
            ),
            pytest.param(
                {"rules": [{"path": "/**", "allow": "anyone", "hosts": []}]},
                "rules[0].hosts",
                "is empty, which could mean all hosts or none; leave it out for all",
                id="no-host-of-a-rule",
            ),
            pytest.param(
                {
                    "public_urls": None,
                    "public_url": "https://a.example.com",
                    "rules": [{"path": "/**", "allow": "anyone", "hosts": []}],
                },
                "rules[0].hosts",
                "is empty",
                id="no-host-of-a-rule-where-there-is-one",
            ),
            pytest.param(
                {"provider": {**GATE["provider"], "hosts": []}},  # type: ignore[dict-item]  # a table
                "provider.hosts",
                "is empty",
                id="no-host-of-a-provider",
            ),
            pytest.param(
                {"provider": {**GATE["provider"], "hosts": ["a.example.com"]}},  # type: ignore[dict-item]  # a table
                "providers",
                "'b.example.com:8443' without any",
                id="host-without-provider",
            ),
            pytest.param(
                {"proxy": {"upstreams": [{"upstream": "http://127.0.0.1:1", "host": "c.example.com"}]}},
                "proxy.upstreams[0].host",
                "is no host of this gate",
                id="upstream-for-nobody",
            ),
        ],
    )
    def test_what_is_wrong(self, more: dict[str, Any], key: str, says: str) -> None:
        with pytest.raises(SettingsError) as caught:
            config(**more)
        assert key in {problem.key for problem in caught.value.problems}
        assert says in str(caught.value)

    def test_each_wrong_url_is_told_and_that_http_is_for_loopback(self) -> None:
        urls = ["http://app.example.com", "https://b.example.com", "http://app.localhost:8000"]
        with pytest.raises(SettingsError) as caught:
            config(public_urls=urls)
        loopback = "http is for localhost, 127.0.0.1 and [::1] only"
        assert str(caught.value).splitlines() == [
            f"public_urls[{index}]: {urls[index]!r} has to start with https://; {loopback}; "
            "write it like https://app.example.com"
            for index in (0, 2)
        ]

    def test_a_rule_names_a_provider_of_its_hosts(self) -> None:
        one = {"name": "One", "issuer": ISSUER, "client_id": "a", "client_secret": "s"}
        two = {**one, "name": "Two", "issuer": OTHER_ISSUER, "hosts": ["b.example.com:8443"]}
        rule = {"path": "/**", "allow": "known", "provider": "Two"}
        providers = {"provider": None, "providers": [one, two]}
        assert config(**providers, rules=[{**rule, "hosts": ["b.example.com:8443"]}])
        with pytest.raises(SettingsError) as caught:
            config(**providers, rules=[rule])
        (problem,) = caught.value.problems
        assert problem.key == "rules[0].provider"
        assert "'a.example.com'" in problem.message

    def test_each_host_has_its_urls_rules_and_providers(self) -> None:
        rules = [
            {"path": "/x", "allow": "anyone", "hosts": ["b.example.com:8443"]},
            {"path": "/y", "allow": "anyone"},
        ]
        first, second = config(rules=rules).at_each_host
        assert first.callback_url(first.identity_providers[0]) == "https://a.example.com/.oidcgate/callback"
        assert (
            second.callback_url(second.identity_providers[0])
            == "https://b.example.com:8443/.oidcgate/callback"
        )
        assert [rule.path for rule in first.rules] == ["/y"]
        assert [rule.path for rule in second.rules] == ["/x", "/y"]

    def test_another_host_before_or_behind_ends_no_session(self) -> None:
        one = build(config(public_urls=None, public_url="https://a.example.com"))
        cookie = cookie_of(one.sessions.create(record(iss=ISSUER), NOW))
        for urls in (GATE["public_urls"], ["https://b.example.com:8443", "https://a.example.com"]):
            at = {parts.config.public_url: parts for parts in build(config(public_urls=urls)).at_each_host}
            assert isinstance(at["https://a.example.com"].sessions.load(cookie, NOW), Found)
            assert isinstance(at["https://b.example.com:8443"].sessions.load(cookie, NOW), Absent)


class TestSessions:
    """Of one host alone, and ended together."""

    @pytest.mark.parametrize("store", ["sealed", "memory"])
    def test_a_cookie_of_one_host_is_worth_nothing_at_the_other(self, store: str) -> None:
        at = scene({"session": {"store": store}})
        here, there = at.parts.names.session, at.parts.elsewhere[0].names.session
        value = signed_in(at, APP).cookies()[here]
        assert here != there
        for name in (here, there):
            stranger = at.browser(WIKI)
            headers = {**NAVIGATION, "Cookie": f"{name}={value}"}
            answer = stranger.get("/private", headers)
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith(f"{WIKI}/.oidcgate/login")
        # The other way round as well: the first host is not above the others.
        value = signed_in(at, WIKI).cookies()[there]
        stranger = at.browser(APP)
        assert stranger.get("/private", {**NAVIGATION, "Cookie": f"{here}={value}"}).status_code == 302
        assert at.visitors == []

    def test_an_attempt_of_one_host_ends_at_no_other(self) -> None:
        at = scene()
        here = at.browser(APP)
        answer = at.provider.answer(here.start())
        (name, value) = next((n, v) for n, v in here.cookies().items() if "oidcgate-tx-" in n)
        state = name.removeprefix(at.parts.names.transaction_prefix)
        renamed = at.parts.elsewhere[0].names.transaction(state)
        callback = answer.replace(APP, WIKI)
        refused = at.browser(WIKI).get(callback, {**NAVIGATION, "Cookie": f"{renamed}={value}"})
        assert refused.status_code == 400
        assert at.reasons() == ["state_unknown"]
        # The code was not spent on it.
        assert here.get(answer).status_code == 303
        assert here.has_session()

    def test_a_form_of_one_host_waits_at_no_other(self) -> None:
        at = scene()
        here = at.browser(APP)
        login = here.post("/private", {"text": "mine"}).text
        (form_id,) = re.findall(r"form=([\w-]+)", login)
        cookie = here.cookies()[at.parts.names.form]
        here.sign_in()
        resend = f"/.oidcgate/resend?form={form_id}"
        assert "mine" in here.get(resend).text
        other = signed_in(at, WIKI)
        cookies = "; ".join(f"{name}={value}" for name, value in other.cookies().items())
        renamed = f"{cookies}; {at.parts.elsewhere[0].names.form}={cookie}"
        assert other.get(resend, {**NAVIGATION, "Cookie": renamed}).status_code == 404

    @pytest.mark.row("G-07")
    @pytest.mark.parametrize("told", [APP, WIKI])
    @pytest.mark.parametrize("store", ["sealed", "memory"])
    def test_the_idp_ends_those_of_every_host_at_any(self, told: str, store: str) -> None:
        at = scene({"session": {"store": store}})
        browsers = [signed_in(at, origin) for origin in (APP, WIKI)]
        assert logout_token_to(at, told).status_code == 200
        assert [browser.has_session() for browser in browsers] == [False, False]
        assert at.audit[-1]["sessions"] == 2
        # What came at one host came at all.
        other = WIKI if told == APP else APP
        assert logout_token_to(at, other).status_code == 400

    def test_a_frame_of_the_idp_ends_those_of_every_host(self) -> None:
        at = scene()
        browsers = [signed_in(at, origin) for origin in (APP, WIKI)]
        url = f"/.oidcgate/frontchannel-logout?iss={ISSUER}&sid={SID}"
        assert at.browser(WIKI).get(url).status_code == 200
        assert [browser.has_session() for browser in browsers] == [False, False]

    def test_signing_out_at_one_host_is_about_that_host(self) -> None:
        at = scene()
        here, there = (signed_in(at, origin) for origin in (APP, WIKI))
        here.post("/.oidcgate/logout", {})
        assert (here.has_session(), there.has_session()) == (False, True)

    def test_how_many_one_may_have_counts_for_each_host(self) -> None:
        at = scene({"session": {"max_per_user": 1}})
        first, there, second = (signed_in(at, origin) for origin in (APP, WIKI, APP))
        assert (first.has_session(), there.has_session(), second.has_session()) == (False, True, True)

    def test_what_lists_sessions_sees_those_of_every_host(self) -> None:
        at = scene({"session": {"store": "memory"}})
        for origin in (APP, WIKI):
            signed_in(at, origin)
        sessions = at.parts.sessions
        listed = list(sessions.index.everybody(NOW))
        assert len(listed) == 2
        assert [sessions.seen_at(record, NOW) for record in listed] == [NOW, NOW]


class TestRequests:
    """At which host a request is, and what holds there."""

    def test_each_host_sends_people_to_its_own_redirect_uri(self) -> None:
        at = scene()
        for origin in (APP, WIKI):
            browser = at.browser(origin)
            browser.sign_in()
            (asked,) = [
                code for code in at.provider.codes.values() if code["redirect_uri"].startswith(origin)
            ]
            assert asked["redirect_uri"] == f"{origin}/.oidcgate/callback"

    def test_rules_of_a_host_hold_there_alone(self) -> None:
        at = scene({"rules": [{"path": "/open", "allow": "anyone", "hosts": ["wiki.example.com"]}]})
        assert at.browser(WIKI).get("/open").status_code == 200
        assert at.browser(APP).get("/open").status_code == 302

    @pytest.mark.row("F-03")
    def test_a_provider_of_a_host_is_chosen_there_alone(self) -> None:
        one, two = LyingProvider(clock := Scene.set().clock), LyingProvider(clock, issuer=OTHER_ISSUER)
        entry = {"client_id": CLIENT_ID, "client_secret": "client-secret"}
        providers = [
            {**entry, "name": "One", "issuer": ISSUER, "hosts": [APP.removeprefix("https://")]},
            {**entry, "name": "Two", "issuer": OTHER_ISSUER, "hosts": ["wiki.example.com"]},
        ]
        at = scene({"provider": GONE, "providers": providers}, one, two)
        # No page asks for a choice: each host has one.
        assert at.browser(APP).start().startswith(f"{ISSUER}/authorize")
        assert at.browser(WIKI).start().startswith(f"{OTHER_ISSUER}/authorize")
        refused = at.browser(WIKI).get("/.oidcgate/login?idp=One")
        assert refused.status_code == 400

    def test_health_is_told_at_any_host(self) -> None:
        at = scene()
        for path in ("/.oidcgate/healthz", "/.oidcgate/readyz"):
            assert at.browser("https://10.0.0.5:8080").get(path).status_code == 200
        assert at.browser("https://10.0.0.5:8080").get("/.oidcgate/userinfo").status_code == 421

    def test_a_target_with_a_host_of_its_own_is_refused(self) -> None:
        at = scene({"rules": [{"path": "/open", "allow": "anyone"}]})
        for target, status in (("/open", 200), (f"{WIKI}/open", 400), (f"{APP}/open", 400)):
            environ = {"RAW_URI": target}
            answer = at.browser(APP).client.get("/open", base_url=APP, environ_overrides=environ)
            assert answer.status_code == status, target

    def test_with_one_host_any_is_answered_as_ever(self) -> None:
        at = Scene.set()
        answer = at.browser("https://10.0.0.5:8080").get("/private")
        assert answer.headers["Location"].startswith(f"{APP}/.oidcgate/login")

    def test_the_page_says_that_the_address_is_not_here(self) -> None:
        answer = scene().browser("https://elsewhere.example").get("/")
        assert answer.status_code == 421
        assert "No application at this address" in answer.text
        script = scene().browser("https://elsewhere.example").get("/", {"Accept": "*/*"})
        assert script.get_json() == {"error": "host_is_not_served_here"}


def logout_token_to(at: Scene, origin: str) -> TestResponse:
    claims = {
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "jti-1",
        "events": {EVENT: {}},
        "sub": "sub-of-alice",
        "sid": SID,
    }
    token = sign(claims, at.provider.key, "ES256", kid="one", typ="logout+jwt")
    return at.browser(origin).client.post(
        "/.oidcgate/backchannel-logout", base_url=origin, data={"logout_token": token}
    )

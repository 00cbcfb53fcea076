"""The gate as a client: what it asks, what it believes, and an IdP that is slow, huge, malformed or gone."""

import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from oidcgate.gate.discovery import Discovery, ProviderUnavailable
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    GONE,
    ISSUER,
    SCRIPT,
    Clock,
    LyingProvider,
    Scene,
)


class TestTheRequest:
    """The authorization request."""

    @pytest.mark.row("F-17", "F-02", "F-11", "F-12", "A-08")
    def test_it_has_exactly_these_parameters(self) -> None:
        location = Scene.set().browser().start()
        url = urlsplit(location)
        asked = parse_qs(url.query)
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/authorize"
        assert set(asked) == {
            "client_id",
            "redirect_uri",
            "response_type",
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method",
        }
        assert asked["client_id"] == [CLIENT_ID]
        assert asked["redirect_uri"] == [f"{APP}/.oidcgate/callback"]
        assert asked["response_type"] == ["code"]
        assert asked["scope"] == ["openid profile email"]
        assert asked["code_challenge_method"] == ["S256"]
        assert len(asked["state"][0]) == len(asked["nonce"][0]) == 43

    @pytest.mark.row("F-13", "F-14")
    def test_no_two_are_alike(self) -> None:
        browser = Scene.set().browser()
        first, second = (parse_qs(urlsplit(browser.start()).query) for _ in range(2))
        assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))

    @pytest.mark.row("F-15")
    def test_a_login_hint_is_never_taken_from_a_request(self) -> None:
        browser = Scene.set().browser()
        answer = browser.get("/.oidcgate/login?rd=/&login_hint=mallory&username=mallory")
        assert "login_hint" not in answer.headers["Location"]
        assert "mallory" not in answer.headers["Location"]

    @pytest.mark.row("F-15")
    def test_a_name_that_we_verified_is_hinted(self) -> None:
        browser = Scene.set().browser()
        browser.sign_in()
        asked = parse_qs(urlsplit(browser.get("/.oidcgate/login?rd=/").headers["Location"]).query)
        assert asked["login_hint"] == ["Alice"]
        # Whoever wants to be somebody else is not held to the name.
        asked = parse_qs(urlsplit(browser.get("/.oidcgate/login?prompt=login").headers["Location"]).query)
        assert "login_hint" not in asked
        assert asked["prompt"] == ["login"]

    def test_no_link_can_skip_the_sign_in_page_or_add_a_parameter(self) -> None:
        answer = (
            Scene.set()
            .browser()
            .get("/.oidcgate/login?prompt=none&scope=admin&redirect_uri=https://evil.example")
        )
        assert "prompt" not in answer.headers["Location"]
        assert "evil.example" not in answer.headers["Location"]
        assert "admin" not in answer.headers["Location"]

    def test_a_query_of_the_endpoint_stays(self) -> None:
        scene = Scene.set()
        scene.provider.metadata["authorization_endpoint"] = f"{ISSUER}/authorize?tenant=7"
        assert parse_qs(urlsplit(scene.browser().start()).query)["tenant"] == ["7"]


class TestTheTokenRequest:
    """How the code is redeemed."""

    @pytest.mark.row("A-08", "F-05")
    def test_basic_with_odd_characters(self) -> None:
        scene = Scene.set()
        assert scene.browser().sign_in().status_code == 303
        (sent,) = scene.provider.sent
        assert sent["authorization"].startswith("Basic ")
        assert "client_secret" not in sent
        assert sent["grant_type"] == "authorization_code"
        assert sent["redirect_uri"] == f"{APP}/.oidcgate/callback"
        assert len(sent["code_verifier"]) == 43

    @pytest.mark.parametrize(
        ("configured", "offered"),
        [
            pytest.param(
                "client_secret_post", ["client_secret_basic", "client_secret_post"], id="configured"
            ),
            pytest.param(None, ["client_secret_post"], id="all-the-idp-takes"),
        ],
    )
    def test_post(self, configured: str | None, offered: list[str]) -> None:
        scene = Scene.set({"provider": {"token_endpoint_auth_method": configured}})
        scene.provider.metadata["token_endpoint_auth_methods_supported"] = offered
        assert scene.browser().sign_in().status_code == 303
        (sent,) = scene.provider.sent
        assert sent["authorization"] == ""
        assert sent["client_id"] == CLIENT_ID

    def test_a_wrong_secret_is_refused_and_named_in_the_log_only(self) -> None:
        scene = Scene.set({"provider": {"client_secret": "wrong"}})
        answer = scene.browser().sign_in()
        assert answer.status_code == 400
        assert scene.audit[-1]["reason"] == "provider_error"
        assert scene.audit[-1]["detail"].startswith("invalid_client")
        assert "invalid_client" not in answer.text


@pytest.mark.row("F-09", "F-07")
class TestTheUserName:
    """preferred_username: from the ID token, else from userinfo, and once."""

    @pytest.mark.row("A-10")
    def test_only_in_the_id_token(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        assert browser.get("/private").text == "/private Alice"
        assert scene.provider.calls("/userinfo") == 0

    @pytest.mark.parametrize("absent", [GONE, "", None], ids=["missing", "empty", "null"])
    def test_only_in_userinfo(self, absent: Any) -> None:
        scene = Scene.set()
        scene.provider.claims["preferred_username"] = absent
        scene.provider.userinfo["preferred_username"] = "ALICE"
        browser = scene.browser()
        browser.sign_in()
        assert browser.get("/private").text == "/private Alice"
        assert scene.provider.calls("/userinfo") == 1

    @pytest.mark.parametrize(
        "absent", [GONE, "", None, 7, ["alice"]], ids=["missing", "empty", "null", "number", "list"]
    )
    def test_in_neither(self, absent: Any) -> None:
        scene = Scene.set()
        scene.provider.claims["preferred_username"] = GONE
        scene.provider.userinfo["preferred_username"] = absent
        browser = scene.browser()
        assert browser.sign_in().status_code == 400
        assert scene.reasons() == ["username_missing"]
        assert not browser.has_session()

    @pytest.mark.row("A-10")
    def test_in_both_and_different(self) -> None:
        scene = Scene.set({"provider": {"get_user_info": True}})
        scene.provider.userinfo["preferred_username"] = "somebody-else"
        browser = scene.browser()
        browser.sign_in()
        assert browser.get("/private").text == "/private Alice"
        assert scene.provider.calls("/userinfo") == 1

    @pytest.mark.row("G-15")
    def test_by_another_claim(self) -> None:
        scene = Scene.set({"users": {"match": "upn"}})
        scene.provider.claims |= {"upn": "alice", "preferred_username": "unknown"}
        browser = scene.browser()
        browser.sign_in()
        assert browser.get("/private").text == "/private Alice"

    @pytest.mark.parametrize("verified", [False, "false", "no"])
    def test_an_address_that_is_not_verified_names_nobody(self, verified: Any) -> None:
        scene = Scene.set({"users": {"match": "email"}})
        scene.provider.claims |= {"email": "alice", "email_verified": verified}
        browser = scene.browser()
        assert browser.sign_in().status_code == 400
        assert scene.reasons() == ["email_unverified"]
        assert not browser.has_session()

    @pytest.mark.parametrize(
        ("provider", "verified"),
        [({}, True), ({}, "true"), ({}, GONE), ({"insecure_unverified_email": True}, False)],
        ids=["verified", "as-text", "nothing-said", "switched"],
    )
    def test_by_an_address(self, provider: dict[str, Any], verified: Any) -> None:
        scene = Scene.set({"users": {"match": "email"}, "provider": provider})
        scene.provider.claims |= {"email": "alice", "email_verified": verified}
        browser = scene.browser()
        browser.sign_in()
        assert browser.get("/private").text == "/private Alice"

    @pytest.mark.row("A-10", "G-15")
    @pytest.mark.parametrize(
        ("token", "userinfo"),
        [
            pytest.param(
                {"email": "alice"}, {"email": "mallory", "email_verified": True}, id="a yes about another"
            ),
            pytest.param(
                {"email_verified": True}, {"email": "alice", "email_verified": False}, id="a yes about none"
            ),
            pytest.param(
                {"email": "", "email_verified": True},
                {"email": "alice", "email_verified": False},
                id="a yes about an empty one",
            ),
            pytest.param(
                {"email": "alice", "email_verified": True},
                {"email": "alice", "email_verified": False},
                id="a no about the same",
            ),
        ],
    )
    def test_of_two_sources_each_vouches_for_its_own_address(
        self, token: dict[str, Any], userinfo: dict[str, Any]
    ) -> None:
        scene = Scene.set({"users": {"match": "email"}, "provider": {"get_user_info": True}})
        scene.provider.claims |= token
        scene.provider.userinfo |= userinfo
        browser = scene.browser()
        assert browser.sign_in().status_code == 400
        assert scene.reasons() == ["email_unverified"]
        assert not browser.has_session()


class TestUserinfo:
    """The option get_user_info, and whose claims they are."""

    @pytest.mark.row("A-10", "G-29")
    def test_attributes_are_merged_and_only_those_kept_that_are_configured(self) -> None:
        scene = Scene.set({"provider": {"get_user_info": True}})
        scene.provider.userinfo |= {"email": "alice@id.example", "name": "From userinfo", "salary": 1}
        browser = scene.browser()
        browser.sign_in()
        claims = browser.get("/.oidcgate/userinfo", SCRIPT).get_json()["claims"]
        assert claims == {
            "preferred_username": "alice",
            "name": "Alice of the IdP",
            "email": "alice@id.example",
        }

    @pytest.mark.row("A-10")
    @pytest.mark.parametrize(
        ("sub", "reason"),
        [
            pytest.param("sub-of-bob", "userinfo_sub", id="another"),
            pytest.param("SUB-OF-ALICE", "userinfo_sub", id="other-case"),
            pytest.param(GONE, "userinfo_malformed", id="missing"),
            pytest.param(["sub-of-alice"], "userinfo_malformed", id="list"),
        ],
    )
    def test_of_another_sub_is_refused(self, sub: Any, reason: str) -> None:
        scene = Scene.set({"provider": {"get_user_info": True}})
        scene.provider.userinfo["sub"] = sub
        browser = scene.browser()
        assert browser.sign_in().status_code == 400
        assert scene.reasons() == [reason]
        assert not browser.has_session()

    @pytest.mark.parametrize("answer", [{"status_code": 500}, {"status_code": 401}, {"text": "<html>"}])
    def test_that_fails_lets_nobody_in(self, answer: dict[str, Any]) -> None:
        scene = Scene.set({"provider": {"get_user_info": True}})
        scene.provider.breaks("/userinfo", **answer)
        browser = scene.browser()
        assert browser.sign_in().status_code == 503
        assert not browser.has_session()

    def test_asked_for_and_not_offered(self) -> None:
        scene = Scene.set({"provider": {"get_user_info": True}})
        scene.provider.metadata["userinfo_endpoint"] = GONE
        assert scene.browser().sign_in().status_code == 400
        assert scene.reasons() == ["metadata_invalid"]


@pytest.mark.row("F-04", "G-17")
class TestDiscovery:
    """Asked late, seldom, and believed only when it speaks for the issuer."""

    def discovery(self, provider: LyingProvider, clock: Clock) -> Discovery:
        scene = Scene.set({}, provider)
        return next(iter(scene.parts.relying_parties.values())).discovery

    def test_nobody_is_asked_at_start(self) -> None:
        scene = Scene.set({"rules": [{"path": "/public/**", "allow": "anyone"}]})
        scene.provider.breaks("/.well-known/openid-configuration", status_code=500)
        assert scene.browser().get("/public/x").status_code == 200
        assert scene.provider.adapter.call_count == 0

    def test_once_for_many_logins(self) -> None:
        scene = Scene.set()
        for _ in range(3):
            scene.browser().sign_in()
        assert scene.provider.calls("/.well-known/openid-configuration") == 1
        assert scene.provider.calls("/jwks") == 1

    def test_again_after_an_hour_and_the_old_is_kept_when_that_fails(self) -> None:
        scene = Scene.set()
        scene.browser().sign_in()
        scene.clock.now += 3600
        scene.provider.breaks("/.well-known/openid-configuration", status_code=500)
        assert scene.browser().sign_in().status_code == 303
        assert scene.provider.calls("/.well-known/openid-configuration") == 2

    def test_a_failing_one_is_left_alone_for_longer_and_longer(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        discovery = self.discovery(provider, clock)
        provider.breaks("/.well-known/openid-configuration", status_code=500)
        asked: list[int] = []
        for second in range(200):
            clock.now = 1_900_000_000 + second
            with pytest.raises(ProviderUnavailable) as caught:
                discovery.metadata()
            assert 1 <= caught.value.retry_after_seconds <= 60
            if provider.calls("/.well-known/openid-configuration") > len(asked):
                asked.append(second)
        assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]

    def test_it_recovers(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        discovery = self.discovery(provider, clock)
        provider.metadata["issuer"] = "https://other.example"
        with pytest.raises(ProviderUnavailable):
            discovery.metadata()
        provider.metadata.clear()
        clock.now += 1
        assert discovery.metadata().issuer == ISSUER

    @pytest.mark.parametrize(
        ("answer", "answered"),
        [
            pytest.param({"json": {"issuer": f"{ISSUER}/"}}, True, id="another-issuer"),
            pytest.param({"status_code": 404}, True, id="not-found"),
            pytest.param({"text": "<html>"}, True, id="no-json"),
            pytest.param({"status_code": 503}, False, id="server-error"),
            pytest.param({"exc": requests.ConnectionError}, False, id="gone"),
        ],
    )
    def test_a_wrong_address_is_told_from_an_outage(self, answer: dict[str, Any], answered: bool) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        discovery = self.discovery(provider, clock)
        provider.breaks("/.well-known/openid-configuration", **answer)
        with pytest.raises(ProviderUnavailable) as caught:
            discovery.metadata()
        assert caught.value.answered is answered

    def test_the_log_has_both_issuers(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        discovery = self.discovery(provider, clock)
        provider.metadata["issuer"] = f"{ISSUER}/"
        with pytest.raises(ProviderUnavailable) as caught:
            discovery.metadata()
        assert f"is '{ISSUER}/', the configured one '{ISSUER}'" in caught.value.detail

    def test_one_asks_while_the_others_wait(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        discovery = self.discovery(provider, clock)
        barrier = threading.Barrier(8)

        def ask() -> None:
            barrier.wait()
            discovery.metadata()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert provider.calls("/.well-known/openid-configuration") == 1

    def test_with_old_metadata_nobody_waits_for_the_one_who_asks(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        discovery = self.discovery(provider, clock)
        known = discovery.metadata()
        clock.now += 3600
        asked, answered = threading.Event(), threading.Event()

        def slow(request: Any, context: Any) -> dict[str, Any]:
            asked.set()
            assert answered.wait(30)
            return {}

        provider.breaks("/.well-known/openid-configuration", json=slow)
        asker = threading.Thread(target=discovery.metadata)
        asker.start()
        assert asked.wait(30)
        assert discovery.metadata() is known
        answered.set()
        asker.join()

    @pytest.mark.parametrize(
        "lie",
        [
            pytest.param({"issuer": "https://evil.example"}, id="foreign-issuer"),
            pytest.param({"issuer": ISSUER + "/"}, id="slash"),
            pytest.param({"issuer": ISSUER.upper()}, id="case"),
            pytest.param({"issuer": GONE}, id="no-issuer"),
            pytest.param({"token_endpoint": GONE}, id="no-token-endpoint"),
            pytest.param({"token_endpoint": "http://id.example/token"}, id="http-token-endpoint"),
            pytest.param({"jwks_uri": GONE}, id="no-keys"),
            pytest.param({"authorization_endpoint": "javascript:alert(1)"}, id="script-as-endpoint"),
            pytest.param({"response_types_supported": ["id_token"]}, id="no-code-flow"),
            pytest.param({"id_token_signing_alg_values_supported": ["none"]}, id="alg-none-only"),
        ],
    )
    def test_metadata_that_lies_sends_nobody_anywhere(self, lie: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.metadata |= lie
        answer = scene.browser().get("/.oidcgate/login?rd=/")
        assert answer.status_code == 503
        assert "page-unavailable" in answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        assert "Set-Cookie" not in answer.headers

    def test_a_provider_without_the_code_flow_is_told_of_as_such(self) -> None:
        scene = Scene.set()
        scene.provider.metadata |= {"response_types_supported": ["id_token", "id_token token"]}
        scene.browser().get("/.oidcgate/login?rd=/")
        (line,) = scene.audit
        assert "response_types_supported: 'code' is not among them" in line["detail"]
        assert "switch that flow on at the provider" in line["detail"]


BROKEN = [
    pytest.param({"exc": requests.ConnectTimeout}, id="slow"),
    pytest.param({"exc": requests.ConnectionError}, id="gone"),
    pytest.param({"content": b" " * 1_000_001}, id="huge"),
    pytest.param({"text": "<html>busy</html>"}, id="html"),
    pytest.param({"text": "[]"}, id="no-object"),
    pytest.param({"text": ""}, id="empty"),
    pytest.param({"status_code": 500, "text": "{}"}, id="500"),
    pytest.param({"status_code": 302, "headers": {"Location": "https://evil.example/"}}, id="redirect"),
]


@pytest.mark.row("G-17", "G-28")
class TestAnIdpThatIsNotWell:
    """Nobody is let in, nobody signed out, and each failure is answered, not raised."""

    @pytest.mark.parametrize("answer", BROKEN)
    def test_its_discovery(self, answer: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.breaks("/.well-known/openid-configuration", **answer)
        page = scene.browser().get("/.oidcgate/login?rd=/")
        assert page.status_code == 503
        assert page.headers["Retry-After"] == "1"

    @pytest.mark.parametrize("answer", BROKEN)
    def test_its_keys(self, answer: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.breaks("/jwks", **answer)
        browser = scene.browser()
        assert browser.sign_in().status_code == 503
        assert not browser.has_session()

    @pytest.mark.parametrize("answer", BROKEN)
    def test_its_token_endpoint(self, answer: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.breaks("/token", **answer)
        browser = scene.browser()
        page = browser.sign_in()
        # What is no answer at all may work later; what is an answer and no token response will not.
        assert page.status_code in (400, 503)
        assert len(scene.audit) == 1
        assert not browser.has_session()
        assert scene.provider.calls("/token") == 1

    def test_those_who_are_signed_in_notice_nothing(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        for path in ("/.well-known/openid-configuration", "/jwks", "/token"):
            scene.provider.breaks(path, exc=requests.ConnectionError)
        scene.clock.now += 3600
        assert browser.get("/private").text == "/private Alice"

    def test_the_same_attempt_works_once_the_idp_is_back(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        scene = Scene.set({}, provider)
        browser = scene.browser()
        callback = provider.answer(browser.start())
        # Another worker, which has not seen the IdP yet, gets the callback while the IdP is away.
        other = Scene.set({}, provider)
        provider.metadata["issuer"] = GONE
        browser.client.application = other.gate
        assert browser.get(callback).status_code == 503
        assert provider.calls("/token") == 0
        provider.metadata.clear()
        clock.now += 2
        assert browser.get(callback).status_code == 303


def test_keys_that_were_rolled_are_fetched_once_more() -> None:
    scene = Scene.set()
    browser = scene.browser()
    browser.sign_in()
    scene.provider.header["kid"] = "two"
    assert scene.browser().sign_in().status_code == 400
    assert scene.reasons() == ["id_token_kid_unknown"]
    # The cool-down: a stream of invented kids costs the IdP nothing.
    asked = scene.provider.calls("/jwks")
    for _ in range(3):
        scene.browser().sign_in()
    assert scene.provider.calls("/jwks") == asked

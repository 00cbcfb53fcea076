"""Back-channel logout: what an IdP says by itself, when it is believed, and what it ends."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from oidcgate.jose.jwe import EncryptionKey, encrypt, import_encryption_keys
from oidcgate.jose.jwt import sign
from oidcgate.jose.keys import generate_key
from oidcgate.jose.shared_secret import sign_hmac
from oidcgate.protocol.logout_token import EVENT
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    GONE,
    ISSUER,
    NOW,
    Browser,
    Clock,
    LyingProvider,
    Scene,
    changed,
)

BACK_CHANNEL = "/.oidcgate/backchannel-logout"
SID = "session-of-alice"
# Long enough for HS256, so that only configuration keeps it from counting.
SHARED = "a-client-secret-that-is-long-enough-for-hs256"
OTHER_KEY = generate_key("ES256")
PEM = generate_key("ES256").as_pem(private=True).decode()


def claims(**lies: Any) -> dict[str, Any]:
    truth = {
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "jti-1",
        "events": {EVENT: {}},
        "sub": "sub-of-alice",
        "sid": SID,
    }
    return changed(truth, lies)


def token(scene: Scene, typ: str | None = "logout+jwt", key: Any = None, **lies: Any) -> str:
    return sign(claims(**lies), key or scene.provider.key, "ES256", kid="one", typ=typ)


def post(scene: Scene, *tokens: str, **options: Any) -> TestResponse:
    """As an IdP does: no cookie, no Origin."""
    data = {"logout_token": list(tokens)} if tokens else {}
    return scene.browser().client.post(BACK_CHANNEL, base_url=APP, **{"data": data, **options})


def signed_in(settings: Mapping[str, Any] | None = None, **lies: Any) -> tuple[Scene, Browser]:
    scene = Scene.set(settings)
    scene.provider.claims |= {"sid": SID, **lies}
    browser = scene.browser()
    browser.sign_in()
    assert browser.has_session()
    return scene, browser


def last_refusal(scene: Scene) -> str:
    line = scene.audit[-1]
    assert line["event"] == "logout.refused"
    assert line["channel"] == "back"
    return str(line["detail"])


@pytest.mark.row("G-07")
class TestWhatItEnds:
    @pytest.mark.parametrize(
        "lies",
        [
            pytest.param({}, id="sid-and-sub"),
            pytest.param({"sub": GONE}, id="sid-alone"),
            pytest.param({"sid": GONE}, id="sub-alone"),
        ],
    )
    @pytest.mark.parametrize("store", ["sealed", "memory"])
    def test_the_session(self, lies: dict[str, Any], store: str) -> None:
        scene, browser = signed_in({"session": {"store": store}})
        answer = post(scene, token(scene, **lies))
        assert (answer.status_code, answer.data) == (200, b"")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
        assert not browser.has_session()
        assert scene.audit[-1] | {"at": ""} == {
            "event": "logout.by_provider",
            "at": "",
            "channel": "back",
            "issuer": ISSUER,
            "sub": claims(**lies).get("sub"),
            "sessions": 1,
        }

    @pytest.mark.row("T-03")
    def test_at_another_worker_on_its_next_request(self, tmp_path: Path) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        provider.claims["sid"] = SID
        settings = {"state": {"store": f"sqlite:///{tmp_path / 'state.db'}"}}
        here, there = (Scene.set(settings, provider) for _ in range(2))
        browser = there.browser()
        browser.sign_in()
        assert browser.has_session()
        assert post(here, token(here)).status_code == 200
        assert not browser.has_session()

    def test_no_session_of_another_sid(self) -> None:
        scene, browser = signed_in(sid="another")
        assert post(scene, token(scene)).status_code == 200
        assert scene.audit[-1]["sessions"] == 0
        assert browser.has_session()

    def test_nobody_elses(self) -> None:
        scene, browser = signed_in(sub="sub-of-bob")
        assert post(scene, token(scene, sid=GONE)).status_code == 200
        assert browser.has_session()

    def test_a_session_of_that_person_that_has_no_sid(self) -> None:
        # Which of them is meant cannot be told.
        scene, browser = signed_in(sid=GONE)
        assert post(scene, token(scene)).status_code == 200
        assert not browser.has_session()

    def test_all_sessions_of_a_person(self) -> None:
        scene, first = signed_in()
        scene.provider.claims["sid"] = "another"
        second = scene.browser()
        second.sign_in()
        post(scene, token(scene, sid=GONE))
        assert scene.audit[-1]["sessions"] == 2
        assert not first.has_session()
        assert not second.has_session()

    def test_not_what_the_same_person_has_at_another_provider(self) -> None:
        clock = Clock()
        one, other = LyingProvider(clock), LyingProvider(clock, issuer="https://other.example")
        table = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        settings = {
            "provider": GONE,
            "providers": [
                {"name": "one", "issuer": one.issuer, **table},
                {"name": "other", "issuer": other.issuer, **table},
            ],
        }
        scene = Scene.set(settings, one, other)
        other.claims["sid"] = SID
        browser = scene.browser()
        browser.get(other.answer(browser.get("/.oidcgate/login?idp=other").headers["Location"]))
        assert browser.has_session()
        assert post(scene, token(scene)).status_code == 200
        assert post(scene, token(scene, sid=GONE, jti="jti-2")).status_code == 200
        assert browser.has_session()

    def test_what_is_gone_already_is_no_failure(self) -> None:
        scene, browser = signed_in()
        browser.post("/.oidcgate/logout", {})
        assert post(scene, token(scene)).status_code == 200
        assert scene.audit[-1]["sessions"] == 0

    def test_its_kept_tokens_go_with_it(self) -> None:
        scene, browser = signed_in()
        name = scene.parts.names.session
        thief = scene.browser()
        thief.client.set_cookie(name, browser.cookies()[name], domain="app.example.com", secure=True)
        post(scene, token(scene))
        state: Any = scene.parts.state
        assert "tokens" not in {kind for kind, _ in state._records}
        assert "id_token_hint" not in thief.post("/.oidcgate/logout", {}).headers["Location"]

    def test_signing_in_again_works_at_once(self) -> None:
        scene, browser = signed_in()
        post(scene, token(scene))
        scene.clock.now += 1
        browser.sign_in()
        assert browser.has_session()


def refused(scene: Scene, answer: TestResponse) -> str:
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    said = answer.get_json()
    assert said["error"] == "invalid_request"
    assert said["incident"] == scene.audit[-1]["incident"]
    return last_refusal(scene)


@pytest.mark.row("G-07")
class TestWhatIsNotBelieved:
    """One thing is wrong, and the session goes on."""

    @pytest.mark.parametrize(
        ("lies", "detail"),
        [
            pytest.param({"iss": "https://evil.example"}, "iss is none of", id="iss-foreign"),
            pytest.param({"iss": ISSUER + "/"}, "iss is none of", id="iss-with-a-slash"),
            pytest.param({"iss": GONE}, "iss is none of", id="iss-missing"),
            pytest.param({"iss": [ISSUER]}, "iss is none of", id="iss-a-list"),
            pytest.param({"aud": "other"}, "aud does not name", id="aud-foreign"),
            pytest.param({"aud": GONE}, "aud does not name", id="aud-missing"),
            pytest.param({"iat": GONE}, "iat is missing", id="iat-missing"),
            pytest.param({"iat": NOW + 61}, "iat is missing, in the future", id="iat-ahead"),
            pytest.param({"iat": NOW - 3661}, "or too long ago", id="iat-old"),
            pytest.param({"iat": "now"}, "iat", id="iat-no-number"),
            pytest.param({"exp": GONE}, "it has expired, or does not say", id="exp-missing"),
            pytest.param({"exp": NOW - 60}, "it has expired", id="exp-past"),
            pytest.param({"exp": NOW + 86_400}, "exp is more than", id="exp-far"),
            pytest.param({"jti": GONE}, "jti is missing", id="jti-missing"),
            pytest.param({"jti": 1}, "jti is not", id="jti-a-number"),
            pytest.param({"jti": "j" * 256}, "jti is not", id="jti-long"),
            pytest.param({"events": GONE}, "events does not say", id="no-event"),
            pytest.param({"events": {}}, "events does not say", id="events-empty"),
            pytest.param({"events": [EVENT]}, "events does not say", id="events-a-list"),
            pytest.param({"events": {EVENT + "d": {}}}, "events does not say", id="wrong-event"),
            pytest.param({"events": {EVENT: True}}, "events does not say", id="event-no-object"),
            pytest.param({"nonce": "n"}, "it has a nonce", id="with-nonce"),
            pytest.param({"sub": GONE, "sid": GONE}, "neither a person nor", id="nobody"),
            pytest.param({"sub": ["sub-of-alice"]}, "sub is not", id="sub-a-list"),
            pytest.param({"sid": ""}, "sid is not", id="sid-empty"),
            pytest.param({"sid": "s" * 256}, "sid is not", id="sid-long"),
        ],
    )
    def test_a_claim(self, lies: dict[str, Any], detail: str) -> None:
        scene, browser = signed_in()
        assert detail in refused(scene, post(scene, token(scene, **lies)))
        assert browser.has_session()

    @pytest.mark.parametrize("typ", ["at+jwt", "secevent+jwt", ""])
    def test_a_type(self, typ: str) -> None:
        scene, browser = signed_in()
        assert "another kind" in refused(scene, post(scene, token(scene, typ=typ)))
        assert browser.has_session()

    def test_another_key_under_the_same_name(self) -> None:
        scene, browser = signed_in()
        assert "signature" in refused(scene, post(scene, token(scene, key=OTHER_KEY)))
        assert browser.has_session()

    def test_a_key_that_the_provider_does_not_publish(self) -> None:
        scene, browser = signed_in()
        forged = sign(claims(), OTHER_KEY, "ES256", kid="two", typ="logout+jwt")
        assert "no known key" in refused(scene, post(scene, forged))
        assert browser.has_session()

    @pytest.mark.row("S-29", "G-24")
    def test_the_client_secret_as_key_when_nobody_configured_that(self) -> None:
        scene = Scene.set({"provider": {"client_secret": SHARED}})
        forged = sign_hmac(claims(), SHARED, "HS256", typ="logout+jwt")
        assert "not accepted" in refused(scene, post(scene, forged))

    @pytest.mark.row("G-24")
    def test_alg_none(self) -> None:
        scene, browser = signed_in()
        parts = ({"alg": "none", "typ": "logout+jwt"}, claims())
        head, body = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
        )
        assert "not accepted" in refused(scene, post(scene, f"{head}.{body}."))
        assert browser.has_session()

    def test_an_algorithm_that_is_not_configured(self) -> None:
        scene, browser = signed_in({"provider": {"id_token_algorithms": ["ES256"]}})
        key = generate_key("ES384")
        forged = sign(claims(), key, "ES384", kid="one", typ="logout+jwt")
        assert "not accepted" in refused(scene, post(scene, forged))
        assert browser.has_session()

    def test_an_id_token(self) -> None:
        scene, browser = signed_in()
        kept = browser.post("/.oidcgate/logout", {}).headers["Location"]
        hint = kept.partition("id_token_hint=")[2].partition("&")[0]
        browser.sign_in()
        assert "events does not say" in refused(scene, post(scene, hint))
        assert browser.has_session()

    @pytest.mark.parametrize("junk", ["", "x", "a.b.c", "...", "é.é.é", "A" * 30_000])
    def test_what_is_no_token(self, junk: str) -> None:
        scene, browser = signed_in()
        assert refused(scene, post(scene, junk)).startswith("logout token: the ")
        assert browser.has_session()

    def test_the_second_time(self) -> None:
        scene, browser = signed_in()
        sent = token(scene, sid=GONE)
        assert post(scene, sent).status_code == 200
        scene.clock.now += 1
        browser.sign_in()
        assert refused(scene, post(scene, sent)) == "logout token: it came before"
        # To the last second in which it would be believed.
        scene.clock.now = NOW + 120 + 59
        assert refused(scene, post(scene, sent)) == "logout token: it came before"
        assert browser.has_session()
        scene.clock.now += 1
        assert "expired" in refused(scene, post(scene, sent))

    def test_the_second_time_at_another_worker(self, tmp_path: Path) -> None:
        provider = LyingProvider(Clock())
        settings = {"state": {"store": f"sqlite:///{tmp_path / 'state.db'}"}}
        here, there = (Scene.set(settings, provider) for _ in range(2))
        sent = token(here)
        assert post(here, sent).status_code == 200
        assert "came before" in refused(there, post(there, sent))

    def test_nothing_of_the_token_is_logged(self) -> None:
        scene, _ = signed_in()
        sent = token(scene, aud="canary-audience", sid="canary-sid", jti="canary-jti")
        answer = post(scene, sent)
        for text in (answer.text, json.dumps(scene.audit)):
            assert "canary" not in text
            assert sent.rpartition(".")[2] not in text


@pytest.mark.row("S-48", "G-07")
class TestEncrypted:
    """As ID tokens are, for a key of ours."""

    @staticmethod
    def signed_in() -> tuple[Scene, Browser, EncryptionKey]:
        scene, browser = signed_in({"provider": {"client_decryption_keys": PEM}})
        document = browser.get("/.oidcgate/jwks.json").get_json()
        return scene, browser, import_encryption_keys(document)[0]

    def test_for_our_key(self) -> None:
        scene, browser, reader = self.signed_in()
        assert post(scene, encrypt(token(scene), reader, "ECDH-ES", "A128GCM")).status_code == 200
        assert not browser.has_session()

    def test_what_is_inside_is_judged_all_the_same(self) -> None:
        scene, browser, reader = self.signed_in()
        for made in (token(scene, nonce="n"), token(scene, key=OTHER_KEY), token(scene, iss="https://x")):
            refused(scene, post(scene, encrypt(made, reader, "ECDH-ES", "A128GCM")))
        assert browser.has_session()

    def test_for_another_key(self) -> None:
        scene, browser, reader = self.signed_in()
        stranger = reader._replace(key=OTHER_KEY)
        refused(scene, post(scene, encrypt(token(scene), stranger, "ECDH-ES", "A128GCM")))
        assert browser.has_session()

    def test_where_no_key_is_configured(self) -> None:
        _, _, reader = self.signed_in()
        scene, browser = signed_in()
        answer = post(scene, encrypt(token(scene), reader, "ECDH-ES", "A128GCM"))
        assert "client_decryption_keys" in refused(scene, answer)
        assert browser.has_session()


@pytest.mark.row("S-29")
def test_under_the_client_secret_where_that_is_configured() -> None:
    scene = Scene.set({"provider": {"id_token_algorithms": ["HS256"]}})
    scene.provider.metadata["id_token_signing_alg_values_supported"] = ["RS256", "HS256"]
    assert post(scene, sign_hmac(claims(), CLIENT_SECRET, "HS256", typ="logout+jwt")).status_code == 200
    forged = sign_hmac(claims(jti="jti-2"), SHARED, "HS256", typ="logout+jwt")
    assert "signature" in refused(scene, post(scene, forged))
    assert "not accepted" in refused(scene, post(scene, token(scene, jti="jti-3")))


class TestTheRequest:
    """A form, by POST, with the one field."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
    def test_another_method(self, method: str) -> None:
        scene, browser = signed_in()
        answer = scene.browser().client.open(
            BACK_CHANNEL, base_url=APP, method=method, query_string={"logout_token": token(scene)}
        )
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "POST"
        assert browser.has_session()

    @pytest.mark.parametrize(
        ("options", "detail"),
        [
            pytest.param({"data": {}}, "no form", id="empty"),
            pytest.param({"data": {"token": "x"}}, "0 tokens", id="another-field"),
            pytest.param({"data": {"logout_token": ["a", "b"]}}, "2 tokens", id="two"),
            pytest.param(
                {"data": '{"logout_token": "x"}', "content_type": "application/json"}, "no form", id="json"
            ),
            pytest.param({"data": "x", "content_type": "application/jwt"}, "no form", id="bare"),
            pytest.param({"data": {"logout_token": "A" * 40_000}}, "too long", id="huge"),
            pytest.param(
                {"data": b"logout_token=%ff", "content_type": "application/x-www-form-urlencoded"},
                "malformed",
                id="not-utf-8",
            ),
        ],
    )
    def test_a_body_that_is_none(self, options: dict[str, Any], detail: str) -> None:
        scene, browser = signed_in()
        assert detail in refused(scene, post(scene, **options))
        assert browser.has_session()

    def test_a_token_in_the_query_does_not_count(self) -> None:
        scene, browser = signed_in()
        answer = post(scene, query_string={"logout_token": token(scene)}, data={"x": "1"})
        assert "0 tokens" in refused(scene, answer)
        assert browser.has_session()

    def test_further_fields_are_ignored(self) -> None:
        scene, browser = signed_in()
        assert post(scene, data={"logout_token": token(scene), "x": "1"}).status_code == 200
        assert not browser.has_session()

    def test_a_page_of_a_stranger_cannot_send_what_it_does_not_have(self) -> None:
        _, browser = signed_in()
        assert browser.post(BACK_CHANNEL, {"logout_token": "x"}).status_code == 400
        assert browser.has_session()


@pytest.mark.row("G-05", "G-07")
class TestOutages:
    """Nobody is told yes about what has not happened; the IdP sends the token again, and then it counts."""

    @pytest.mark.parametrize("verb", ["get", "put", "find", "delete"])
    def test_of_the_state_store(self, verb: str) -> None:
        scene, browser = signed_in()
        state: Any = scene.parts.state

        def fails(*_: object, **__: object) -> object:
            raise StoreUnavailable(StoreFailure.LOCKED, "locked")

        works = getattr(state, verb)
        setattr(state, verb, fails)
        answer = post(scene, token(scene))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.headers["Cache-Control"] == "no-store"
        setattr(state, verb, works)
        assert post(scene, token(scene)).status_code == 200
        assert not browser.has_session()

    def test_in_the_last_moment(self) -> None:
        scene, browser = signed_in()
        state: Any = scene.parts.state
        put = state.put

        def fails_for_the_jti(kind: str, *arguments: Any, **named: Any) -> None:
            if kind == "logout-token":
                raise StoreUnavailable(StoreFailure.LOCKED, "locked")
            put(kind, *arguments, **named)

        state.put = fails_for_the_jti
        assert post(scene, token(scene)).status_code == 503
        state.put = put
        assert post(scene, token(scene)).status_code == 200
        assert not browser.has_session()

    def test_of_the_providers_keys(self) -> None:
        clock = Clock()
        provider = LyingProvider(clock)
        scene = Scene.set(None, provider)
        provider.breaks("/jwks", exc=requests.ConnectionError)
        answer = post(scene, token(scene))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        assert scene.audit[-1]["what"] == "provider"


@pytest.mark.row("T-03", "G-07")
class TestAgainstASignInUnderWay:
    """A sign-out at the IdP that comes before a callback has finished wins."""

    @staticmethod
    def begun(scene: Scene, **lies: Any) -> tuple[Browser, str]:
        scene.provider.claims |= {"sid": SID, **lies}
        browser = scene.browser()
        return browser, scene.provider.answer(browser.start())

    @pytest.mark.parametrize("lies", [{}, {"sub": GONE}, {"sid": GONE}], ids=["both", "sid", "sub"])
    def test_while_the_code_is_redeemed(self, lies: dict[str, Any]) -> None:
        scene = Scene.set()
        browser, callback = self.begun(scene)
        scene.clock.now += 5
        sent = token(scene, **lies)
        scene.provider.while_redeeming = lambda: post(scene, sent)
        answer = browser.get(callback)
        assert answer.headers["Location"] == f"{APP}/.oidcgate/logged-out"
        assert scene.reasons() == ["signed_out_meanwhile"]
        assert not browser.has_session()
        state: Any = scene.parts.state
        assert not {kind for kind, _ in state._records} & {"tokens", "signed-in"}

    @pytest.mark.parametrize("lies", [{}, {"sub": GONE}, {"sid": GONE}], ids=["both", "sid", "sub"])
    def test_before_the_browser_comes_back(self, lies: dict[str, Any]) -> None:
        scene = Scene.set()
        browser, callback = self.begun(scene)
        scene.clock.now += 5
        post(scene, token(scene, **lies))
        # An IdP that gives an ID token for a session that has ended.
        scene.clock.now += 5
        browser.get(callback)
        assert scene.reasons() == ["signed_out_meanwhile"]
        assert not browser.has_session()

    @pytest.mark.parametrize("step", ["create", "was_overtaken"])
    @pytest.mark.parametrize("lies", [{}, {"sub": GONE}, {"sid": GONE}], ids=["both", "sid", "sub"])
    def test_just_before_and_just_after_it_is_asked(self, step: str, lies: dict[str, Any]) -> None:
        scene = Scene.set()
        browser, callback = self.begun(scene)
        sessions: Any = scene.parts.sessions
        done = getattr(sessions, step)

        def done_then_overtaken(*arguments: Any, **named: Any) -> Any:
            answer = done(*arguments, **named)
            assert post(scene, token(scene, **lies)).status_code == 200
            return answer

        setattr(sessions, step, done_then_overtaken)
        browser.get(callback)
        assert not browser.has_session()
        scene.clock.now += 7 * 3600
        assert not browser.has_session()

    def test_what_began_afterwards_goes_on(self) -> None:
        # Whatever the IdP ended, it has signed this person in since; its sid may even be the same.
        scene = Scene.set()
        post(scene, token(scene, sid=GONE))
        post(scene, token(scene, jti="jti-2"))
        scene.clock.now += 1
        browser, callback = self.begun(scene)
        browser.get(callback)
        assert browser.has_session()

    def test_of_somebody_else_does_not_matter(self) -> None:
        scene = Scene.set()
        browser, callback = self.begun(scene, sub="sub-of-bob", sid="another")
        scene.provider.while_redeeming = lambda: post(scene, token(scene))
        browser.get(callback)
        assert browser.has_session()


@pytest.mark.row("A-10")
def test_what_ends_is_written_at_the_time_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys may be waited for, and other workers look for what was written since they last looked."""
    scene, browser = signed_in()
    keys = scene.provider._keys

    def slow(*asked: Any) -> Any:
        scene.clock.wait(15)
        return keys(*asked)

    scene.provider.breaks("/jwks", json=slow)
    written: list[int] = []
    revoke = type(scene.parts.sessions).revoke_sid

    def noted(self: Any, issuer: str, sid: str, now: int, **more: Any) -> Any:
        written.append(now)
        return revoke(self, issuer, sid, now, **more)

    monkeypatch.setattr(type(scene.parts.sessions), "revoke_sid", noted)
    scene.clock.wait(7200)
    assert post(scene, token(scene, iat=NOW + 7200, exp=NOW + 7320)).status_code == 200
    assert written == [NOW + 7215]
    assert not browser.has_session()

"""Requests that are pushed, and parameters of one's own beside the gate's."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from oidcgate.gate.config import config_from_mapping
from oidcgate.jose.keys import generate_key, import_public_keys
from oidcgate.settings import SettingsError
from tests.support.lying_provider import CLIENT_ID, ISSUER, SCRIPT, SECRET, Scene

KEY = generate_key("ES256").as_pem(private=True).decode()
OFFER = {"pushed_authorization_request_endpoint": f"{ISSUER}/par"}
DEMAND = {**OFFER, "require_pushed_authorization_requests": True}


def scene(metadata: dict[str, Any], **provider: Any) -> Scene:
    made = Scene.set({"provider": provider})
    made.provider.metadata |= metadata
    document = made.browser().get("/.oidcgate/jwks.json", SCRIPT).get_json()
    made.provider.client_keys = import_public_keys(document)
    return made


def asked(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


class TestPushed:
    """RFC 9126."""

    @pytest.mark.row("A-08")
    @pytest.mark.parametrize(
        ("metadata", "setting", "pushed"),
        [
            pytest.param({}, None, False, id="not-offered"),
            pytest.param(OFFER, None, True, id="offered"),
            pytest.param(DEMAND, None, True, id="demanded"),
            pytest.param(OFFER, "demanded", False, id="offered-and-not-wanted"),
            pytest.param(DEMAND, "demanded", True, id="demanded-and-only-then-wanted"),
            pytest.param(OFFER, "always", True, id="always"),
        ],
    )
    def test_when(self, metadata: dict[str, Any], setting: str | None, pushed: bool) -> None:
        made = scene(metadata, pushed_authorization_requests=setting)
        browser = made.browser()
        location = browser.start()
        assert ("request_uri" in asked(location)) is pushed
        assert made.provider.calls("/par") == pushed
        assert browser.get(made.provider.answer(location)).status_code == 303
        assert browser.has_session()

    @pytest.mark.parametrize(
        "settings",
        [
            pytest.param({}, id="basic"),
            pytest.param({"token_endpoint_auth_method": "client_secret_post"}, id="post"),
            pytest.param({"token_endpoint_auth_method": "client_secret_jwt"}, id="secret-jwt"),
            pytest.param({"client_secret": None, "client_signing_keys": KEY}, id="key-jwt"),
            pytest.param({"client_secret": None, "token_endpoint_auth_method": "none"}, id="none"),
        ],
    )
    def test_by_each_proof_and_without_a_parameter_twice(self, settings: dict[str, Any]) -> None:
        made = scene(OFFER, **settings)
        made.provider.public_client = settings.get("token_endpoint_auth_method") == "none"
        browser = made.browser()
        location = browser.start()
        (request,) = made.provider.pushed.values()
        assert request["client_id"] == CLIENT_ID
        assert request["code_challenge_method"] == "S256"
        assert browser.get(made.provider.answer(location)).status_code == 303

    def test_the_browser_carries_nothing_of_it(self) -> None:
        location = scene(OFFER, authorization_parameters={"audience": "https://api"}).browser().start()
        assert asked(location).keys() == {"client_id", "request_uri"}

    @pytest.mark.row("G-28")
    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            pytest.param({"status_code": 400, "json": {"error": "invalid_request"}}, 400, id="refused"),
            pytest.param({"status_code": 201, "json": {"expires_in": 60}}, 400, id="no-request-uri"),
            pytest.param({"status_code": 201, "json": {"request_uri": 7}}, 400, id="number"),
            pytest.param({"status_code": 201, "json": {"request_uri": "a\nb"}}, 400, id="line-break"),
            pytest.param({"status_code": 201, "json": {"request_uri": "x" * 3000}}, 400, id="long"),
            pytest.param({"status_code": 403, "json": {"request_uri": "urn:x"}}, 400, id="good-with-403"),
            pytest.param({"status_code": 201, "text": ""}, 400, id="empty"),
            pytest.param({"status_code": 201, "text": "<html>"}, 503, id="html"),
            pytest.param({"status_code": 503}, 503, id="503"),
            pytest.param({"exc": requests.ConnectTimeout}, 503, id="slow"),
            pytest.param({"content": b" " * 1_000_001}, 503, id="huge"),
        ],
    )
    def test_an_answer_that_is_none_sends_nobody_anywhere(self, answer: dict[str, Any], status: int) -> None:
        made = scene(OFFER)
        made.provider.breaks("/par", **answer)
        page = made.browser().get("/.oidcgate/login?rd=/")
        assert page.status_code == status
        assert "Location" not in page.headers
        assert "Set-Cookie" not in page.headers

    def test_an_idp_that_cannot_is_refused_when_it_has_to(self) -> None:
        made = scene({}, pushed_authorization_requests="always")
        assert made.browser().get("/.oidcgate/login?rd=/").status_code == 400
        assert made.reasons() == ["metadata_invalid"]


class TestParameters:
    """`authorization_parameters` and `token_parameters`."""

    def test_they_are_sent_beside_ours(self) -> None:
        made = scene({}, authorization_parameters={"kc_idp_hint": "a b&c", "audience": "https://api"})
        sent = asked(made.browser().start())
        assert sent["kc_idp_hint"] == "a b&c"
        assert sent["audience"] == "https://api"
        assert sent["response_type"] == "code"

    def test_the_token_endpoint_gets_its_own(self) -> None:
        # Names that Authlib's session takes for itself are parameters like others here.
        parameters = {"resource": "https://api", "verify": "x", "state": "y", "timeout": "1"}
        made = scene({}, token_parameters=parameters)
        assert made.browser().sign_in().status_code == 303
        (sent,) = made.provider.sent
        assert {name: sent[name] for name in parameters} == parameters
        (party,) = made.parts.relying_parties.values()
        made.provider.breaks("/token", json={"access_token": "a", "token_type": "Bearer"})
        party.token_endpoint.refresh("kept")
        form = parse_qs(made.provider.adapter.request_history[-1].text)
        assert form["resource"] == ["https://api"]
        assert form["grant_type"] == ["refresh_token"]

    @pytest.mark.parametrize(
        ("table", "entry", "said"),
        [
            *[
                pytest.param("authorization_parameters", {name: "x"}, f"names {name}, which", id=name)
                for name in ("state", "nonce", "redirect_uri", "client_id", "scope", "prompt", "request_uri")
            ],
            *[
                pytest.param("token_parameters", {name: "x"}, f"names {name}, which", id=f"token-{name}")
                for name in ("code", "code_verifier", "grant_type", "client_secret", "client_assertion")
            ],
            pytest.param("authorization_parameters", {"a b": "x"}, "is no parameter: 'a b'", id="name"),
            pytest.param("authorization_parameters", {"a": 7}, "is no parameter: 'a'", id="number"),
            pytest.param("token_parameters", {"a": ""}, "is no parameter: 'a'", id="empty"),
            pytest.param("token_parameters", {"a": "x\ny"}, "is no parameter: 'a'", id="line-break"),
        ],
    )
    def test_none_overrides_ours(self, table: str, entry: dict[str, Any], said: str) -> None:
        with pytest.raises(SettingsError) as caught:
            config_from_mapping(
                {
                    "public_url": "https://app.example.com",
                    "provider": {
                        "issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": "x", table: entry,
                    },
                    "users": {"source": "any"},
                    "session": {"secret": SECRET},
                }
            )  # fmt: skip
        (problem,) = caught.value.problems
        assert problem.key == f"provider.{table}"
        assert said in str(problem)

"""Refresh and revocation: what the gate sends, and which answers it takes."""

from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.token_endpoint import TokenEndpoint
from oidcgate.protocol.errors import Reason, Refused
from tests.support.lying_provider import GONE, ISSUER, Scene

REFRESHED = {"access_token": "new-access-token", "token_type": "Bearer", "expires_in": 300}

BROKEN = [
    pytest.param({"exc": requests.ConnectTimeout}, id="slow"),
    pytest.param({"exc": requests.ConnectionError}, id="gone"),
    pytest.param({"content": b" " * 1_000_001}, id="huge"),
    pytest.param({"status_code": 503}, id="503"),
    pytest.param({"status_code": 429, "text": "<html>"}, id="429"),
    pytest.param({"status_code": 302, "headers": {"Location": "https://evil.example/"}}, id="redirect"),
]


def of(scene: Scene) -> TokenEndpoint:
    return next(iter(scene.parts.relying_parties.values())).token_endpoint


def sent(scene: Scene) -> dict[str, str]:
    """The form of the last request."""
    text = scene.provider.adapter.request_history[-1].text
    return {name: values[0] for name, values in parse_qs(text, strict_parsing=True).items()}


@pytest.mark.row("G-04")
class TestRefresh:
    def test_what_is_sent_and_what_comes_back(self) -> None:
        scene = Scene.set()
        scene.provider.breaks("/token", json={**REFRESHED, "refresh_token": "next", "scope": "openid email"})
        tokens = of(scene).refresh("kept")
        assert sent(scene) == {"grant_type": "refresh_token", "refresh_token": "kept"}
        assert scene.provider.adapter.request_history[-1].headers["Authorization"].startswith("Basic ")
        assert (tokens.access_token, tokens.refresh_token) == ("new-access-token", "next")
        assert (tokens.id_token, tokens.expires_in, tokens.scope) == (None, 300, ("openid", "email"))
        assert "next" not in repr(tokens)

    @pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "temporarily_unavailable"])
    def test_a_refusal_has_its_code(self, error: str) -> None:
        scene = Scene.set()
        scene.provider.breaks("/token", status_code=400, json={"error": error})
        with pytest.raises(Refused) as caught:
            of(scene).refresh("kept")
        assert (caught.value.reason, caught.value.error) == (Reason.PROVIDER_ERROR, error)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param({"json": {"token_type": "Bearer"}}, id="no-access-token"),
            pytest.param({"json": {**REFRESHED, "token_type": "mac"}}, id="other-type"),
            pytest.param({"json": {**REFRESHED, "refresh_token": 7}}, id="refresh-token-no-string"),
            pytest.param({"json": REFRESHED, "status_code": 401}, id="tokens-with-401"),
            pytest.param({"text": ""}, id="empty"),
        ],
    )
    def test_an_answer_that_is_none(self, answer: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.breaks("/token", **answer)
        with pytest.raises(Refused) as caught:
            of(scene).refresh("kept")
        assert caught.value.reason is Reason.TOKEN_RESPONSE_MALFORMED
        assert "kept" not in str(caught.value)

    @pytest.mark.row("G-28")
    @pytest.mark.parametrize("answer", BROKEN)
    def test_an_outage_is_told_from_a_refusal(self, answer: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.breaks("/token", **answer)
        with pytest.raises(ProviderUnavailable):
            of(scene).refresh("kept")


class TestRevoke:
    @pytest.fixture
    def scene(self) -> Scene:
        scene = Scene.set()
        scene.provider.metadata["revocation_endpoint"] = f"{ISSUER}/revoke"
        return scene

    @pytest.mark.parametrize("body", ["", "OK", "{}"])
    def test_what_is_sent(self, scene: Scene, body: str) -> None:
        scene.provider.breaks("/revoke", text=body)
        assert of(scene).revoke("kept", "refresh_token")
        assert sent(scene) == {"token": "kept", "token_type_hint": "refresh_token"}
        assert scene.provider.adapter.request_history[-1].headers["Authorization"].startswith("Basic ")

    def test_an_idp_without_the_endpoint(self, scene: Scene) -> None:
        scene.provider.metadata["revocation_endpoint"] = GONE
        assert not of(scene).revoke("kept", "refresh_token")

    def test_a_refusal(self, scene: Scene) -> None:
        scene.provider.breaks("/revoke", status_code=400, json={"error": "unsupported_token_type"})
        with pytest.raises(Refused) as caught:
            of(scene).revoke("kept", "refresh_token")
        assert caught.value.reason is Reason.PROVIDER_ERROR

    @pytest.mark.parametrize("answer", [one for one in BROKEN if one.id != "429"])
    def test_an_outage(self, scene: Scene, answer: dict[str, Any]) -> None:
        scene.provider.breaks("/revoke", **answer)
        with pytest.raises(ProviderUnavailable):
            of(scene).revoke("kept", "refresh_token")

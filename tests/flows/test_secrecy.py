"""Nothing secret is written down: sign-ins, refusals and a sign-out, with every log line read afterwards."""

import logging
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.support.sites import (
    APP,
    CLIENT_SECRET,
    GATE_SECRET,
    ISSUER,
    PASSWORDS,
    PROVIDER_SECRET,
    make_sites,
)

SECRET_PARAMETERS = {"code", "state", "nonce", "id_token_hint", "interaction", "csrf", "code_challenge"}


class Witness:
    """Remembers every secret that went over the wire in either direction."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()

    def see(self, response: requests.Response, *_: object, **__: object) -> None:
        for url in (response.request.url or "", response.headers.get("Location", "")):
            self._pairs(parse_qsl(urlsplit(url).query))
        body = response.request.body
        if body and b"grant_type" in (body if isinstance(body, bytes) else body.encode()):
            self._pairs(parse_qsl(body if isinstance(body, str) else body.decode()))
        for cookie in response.cookies:
            if cookie.value and len(cookie.value) > 8:
                self.secrets.add(cookie.value)

    def _pairs(self, pairs: list[tuple[str, str]]) -> None:
        self.secrets.update(value for name, value in pairs if name in SECRET_PARAMETERS and len(value) > 8)


@pytest.mark.row("A-04", "P-15")
def test_no_secret_reaches_a_log_an_event_a_page_or_a_repr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness()
    tokens: list[str] = []
    sites = make_sites(tmp_path)
    real = sites.provider

    def listening(environ, start_response):  # type: ignore[no-untyped-def]  # a WSGI app
        answer = b"".join(real(environ, start_response))
        if environ["PATH_INFO"] == "/token":
            tokens.append(answer.decode())
        return [answer]

    sites.provider = listening
    agent = sites.user_agent()
    agent.session.hooks["response"].append(witness.see)

    pages = [agent.open(f"{APP}/")]
    pages.append(agent.press(pages[-1], "login", {"username": "alice", "password": "canary-wrong-password"}))
    pages.append(agent.sign_in(pages[-1], "alice", PASSWORDS["alice"]))
    callback = f"{APP}/.oidcgate/callback"
    pages.append(agent.open(f"{callback}?code=canary-code-1234567&state=canary-state-1234567"))
    pages.append(agent.open(f"{ISSUER}/authorize?client_id=gate&redirect_uri=https://canary.example/"))
    pages.append(agent.press(agent.open(f"{APP}/.oidcgate/logout"), "logout"))
    mallory = sites.user_agent()
    mallory.session.hooks["response"].append(witness.see)
    pages.append(mallory.sign_in(mallory.open(f"{APP}/"), "mallory", PASSWORDS["mallory"]))

    assert tokens, "tokens were issued"
    assert len(witness.secrets) > 15
    secrets = {
        *witness.secrets,
        *(value for text in tokens for value in text.split('"') if len(value) > 30),
        *PASSWORDS.values(),
        "canary-wrong-password",
        "canary-code-1234567",
        CLIENT_SECRET,
        GATE_SECRET,
        PROVIDER_SECRET,
    }
    written = "\n".join(
        [
            *(record.getMessage() + str(record.exc_text or "") for record in caplog.records),
            *sites.events,
            repr(sites.gate.parts),
            repr(real.parts),
        ]
    )
    assert len(sites.events) >= 6
    assert sorted(secret for secret in secrets if secret in written) == []
    shown = "\n".join(page.text for page in pages)
    for secret in (*PASSWORDS.values(), "canary-wrong-password", CLIENT_SECRET, GATE_SECRET, PROVIDER_SECRET):
        assert secret not in shown

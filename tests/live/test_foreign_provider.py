"""The gate signs in against a provider nobody here wrote: the certified npm package `oidc-provider`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from oidcgate.jose.jwe import encryption_jwk
from oidcgate.jose.keys import generate_key, public_jwk, thumbprint_kid
from tests.live import peers
from tests.support.servers import ROOT, free_port, gunicorn, running
from tests.support.user_agent import Page, UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

USERS = ROOT / "examples" / "directory" / "users.toml"


SECRET = 'client_secret = "a-secret-that-only-the-test-and-the-peer-know"'


@contextmanager
def gate_and_foreign_provider(
    folder: Path,
    peer_folder: Path,
    place: str,
    *,
    proof: str = SECRET,
    options: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Run both; yields the app's URL.

    Args:
        proof: further lines of the gate's `[provider]`.
        options: those of the peer.
    """
    app_port, provider_port = free_port(), free_port()
    app_url = f"http://localhost:{app_port}"
    secret = folder / "gate-secret"
    secret.touch(mode=0o600)
    secret.write_text("bm8tcmVhbC1zZWNyZXQtYnV0LWxvbmctZW5vdWdoLTAxMjM0NTY3ODk\n")
    config = folder / "oidcgate.toml"
    config.write_text(
        f"""
public_url = "{app_url}"
[provider]
issuer = "http://localhost:{provider_port}"
client_id = "gate"
{proof}
[users]
source = "file:{USERS}"
[session]
secret_file = "{secret}"
"""
    )
    node = [
        peers.NODE,
        "foreign_provider.mjs",
        str(provider_port),
        f"{app_url}/.oidcgate/callback",
        f"{app_url}/.oidcgate/logged-out",
        place,
        f"{app_url}/.oidcgate/backchannel-logout",
        json.dumps(options or {}),
    ]
    env = {"GATE_CONFIG": str(config), "DIRECTORY_USERS": str(USERS)}
    with (
        running(node, port=provider_port, log=folder / "provider.log", cwd=peer_folder),
        gunicorn("tests.live.sites.app_site:application", port=app_port, log=folder / "app.log", env=env),
    ):
        yield app_url


def through_the_foreign_pages(agent: UserAgent, page: Page, login: str) -> Page:
    """The peer's own development pages: a login form, then a consent form, each with one submit button."""
    while page.forms and "/interaction/" in page.url:
        form = page.forms[0]
        sent = {**form.fields, **({"login": login, "password": "any"} if "login" in form.fields else {})}
        page = Page(agent.session.post(urljoin(page.url, form.action), data=sent, timeout=30))
    return page


@pytest.mark.row("F-01", "F-02", "F-07", "F-09", "F-13", "F-14", "A-08")
@pytest.mark.parametrize("place", ["id_token", "userinfo"])
def test_alice_signs_in_at_a_foreign_provider(tmp_path: Path, peer_folder: Path, place: str) -> None:
    with gate_and_foreign_provider(tmp_path, peer_folder, place) as app_url:
        agent = UserAgent()
        page = through_the_foreign_pages(agent, agent.open(f"{app_url}/me"), "alice")

        assert page.status == 200, page.text
        assert page.url == f"{app_url}/me"
        assert page.response.json()["userName"] == "Alice"


SIGNER, READER = generate_key("ES256"), generate_key("ES256")
JWKS = {
    "keys": [
        public_jwk(SIGNER, thumbprint_kid(SIGNER), "ES256"),
        encryption_jwk(READER, thumbprint_kid(READER), None),
    ]
}
WITH_SECRETS = {
    "idTokenSigningAlgValues": ["RS256", "HS256"],
    "clientAuthSigningAlgValues": ["HS256", "ES256"],
}
#: What the gate's `[provider]` has, and what the peer knows of it.
CONNECTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "client_secret_post": (f'{SECRET}\ntoken_endpoint_auth_method = "client_secret_post"', {}),
    "client_secret_jwt": (
        f'{SECRET}\ntoken_endpoint_auth_method = "client_secret_jwt"\nid_token_algorithms = ["HS256"]',
        {"client": {"id_token_signed_response_alg": "HS256"}, "enabledJWA": WITH_SECRETS},
    ),
    "private_key_jwt": (
        'client_signing_keys_file = "signer.pem"',
        {
            "client": {"client_secret": None, "jwks": JWKS, "token_endpoint_auth_signing_alg": "ES256"},
            "features": {
                "pushedAuthorizationRequests": {"enabled": True, "requirePushedAuthorizationRequests": True}
            },
        },
    ),
    "none": ('token_endpoint_auth_method = "none"', {"client": {"client_secret": None}}),
    "client_secret_basic": (
        f'{SECRET}\nclient_decryption_keys_file = "reader.pem"\nget_user_info = true',
        {
            "client": {
                "jwks": JWKS,
                "id_token_encrypted_response_alg": "ECDH-ES",
                "id_token_encrypted_response_enc": "A128GCM",
                "userinfo_signed_response_alg": "RS256",
            },
            "features": {"encryption": {"enabled": True}, "jwtUserinfo": {"enabled": True}},
        },
    ),
}


@pytest.mark.row("A-08", "A-10", "S-29", "S-48")
@pytest.mark.parametrize("method", CONNECTIONS)
def test_each_proof_requests_that_are_pushed_and_tokens_that_are_encrypted(
    tmp_path: Path, peer_folder: Path, method: str
) -> None:
    proof, options = CONNECTIONS[method]
    for name, key in (("signer.pem", SIGNER), ("reader.pem", READER)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(key.as_pem(private=True))
    options = {**options, "client": {"token_endpoint_auth_method": method, **options.get("client", {})}}
    running_both = gate_and_foreign_provider(tmp_path, peer_folder, "userinfo", proof=proof, options=options)
    with running_both as app_url:
        agent = UserAgent()
        page = through_the_foreign_pages(agent, agent.open(f"{app_url}/me"), "alice")

        assert page.status == 200, page.text
        assert page.response.json()["userName"] == "Alice"


@pytest.mark.row("F-08")
def test_a_name_that_the_directory_does_not_know_stays_out(tmp_path: Path, peer_folder: Path) -> None:
    with gate_and_foreign_provider(tmp_path, peer_folder, "id_token") as app_url:
        agent = UserAgent()
        page = through_the_foreign_pages(agent, agent.open(f"{app_url}/"), "mallory")

        assert page.status == 403
        assert page.main_id == "page-unknown-user"
        assert not [cookie for cookie in agent.session.cookies if cookie.name.startswith("oidcgate-")]


@pytest.mark.row("F-06", "G-06")
def test_sign_out_reaches_the_foreign_provider(tmp_path: Path, peer_folder: Path) -> None:
    with gate_and_foreign_provider(tmp_path, peer_folder, "id_token") as app_url:
        agent = UserAgent()
        through_the_foreign_pages(agent, agent.open(f"{app_url}/"), "alice")

        page = agent.press(agent.open(f"{app_url}/.oidcgate/logout"), "logout")

        assert "/session/end" in page.url
        assert not page.text.count("invalid_request"), page.text


@pytest.mark.row("G-07")
def test_the_foreign_provider_ends_the_session_by_the_back_channel(tmp_path: Path, peer_folder: Path) -> None:
    with gate_and_foreign_provider(tmp_path, peer_folder, "id_token") as app_url:
        agent = UserAgent()
        through_the_foreign_pages(agent, agent.open(f"{app_url}/"), "alice")
        assert agent.open(f"{app_url}/me").url == f"{app_url}/me"
        metadata = tmp_path / "oidcgate.toml"
        issuer = metadata.read_text().partition('issuer = "')[2].partition('"')[0]

        # Another tab: the gate is not asked, and hears of it from the provider alone.
        page = agent.open(f"{issuer}/session/end")
        [form] = page.forms
        agent.session.post(urljoin(page.url, form.action), data={**form.fields, "logout": "yes"}, timeout=30)

        assert "/interaction/" in agent.open(f"{app_url}/me").url
        assert '"event":"logout.by_provider"' in (tmp_path / "app.log").read_text()

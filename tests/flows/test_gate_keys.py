"""The gate's keys, known to the provider by `jwks_uri` alone: it proves itself, and opens what it gets."""

from pathlib import Path
from typing import Any

import pytest

from oidcgate.jose.keys import generate_key
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from tests.support.sites import APP, ISSUER, PASSWORDS, App, Clock, make_gate, make_provider
from tests.support.user_agent import UserAgent

SIGNER = generate_key("EdDSA").as_pem(private=True).decode()
READER = generate_key("ES384").as_pem(private=True).decode()
CLIENT = {
    "client_id": "gate",
    "name": "The app",
    "auth_method": "private_key_jwt",
    "token_endpoint_auth_signing_alg": "EdDSA",
    "jwks_uri": f"{APP}/.oidcgate/jwks.json",
    "redirect_uris": [f"{APP}/.oidcgate/callback"],
    "id_token_encrypted_response_alg": "ECDH-ES",
    "userinfo_signed_response_alg": "RS256",
    "userinfo_encrypted_response_alg": "ECDH-ES",
}


@pytest.mark.row("S-48", "A-08", "A-10")
def test_a_sign_in_with_nothing_shared_but_an_address(tmp_path: Path) -> None:
    clock, events, app = Clock(), list[str](), App()
    gates: list[Any] = []
    fetcher = Fetcher(AddressRules(), adapter=WSGIAdapter(lambda e, s: gates[0](e, s)))

    provider = make_provider(tmp_path, clock, events, fetcher=fetcher, clients=[CLIENT])
    connection = {
        "client_secret": None,
        "client_signing_keys": SIGNER,
        "client_decryption_keys": READER,
        "get_user_info": True,
    }
    gates.append(make_gate(app, provider, tmp_path, clock, events, provider=connection))
    agent = UserAgent({APP: WSGIAdapter(gates[0]), ISSUER: WSGIAdapter(provider)})

    page = agent.sign_in(agent.open(f"{APP}/deep"), "alice", PASSWORDS["alice"])

    assert page.status == 200, page.text
    told = page.response.json()
    assert told["user_name"] == "Alice"
    assert told["claims"]["email"] == "alice@id.example"

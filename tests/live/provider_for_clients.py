"""One served provider, with a client for each thing that libraries nobody here wrote are asked to do.

The libraries are in `peers` (npm), `test_authlib_client` and `test_idpyoidc_client`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from click.testing import CliRunner
from joserfc.jwk import ECKey, OKPKey, RSAKey
from werkzeug import Request, Response
from werkzeug.serving import make_server

from provider.cli.main import main
from provider.services.passwords import Passwords
from tests.support.servers import free_port, gunicorn
from tests.support.user_agent import UserAgent

Key = RSAKey | ECKey | OKPKey

USER, PASSWORD = "alice", "demo-alice"
SECRET = "a-client-secret-for-the-foreign-client-of-43-characters"
REDIRECT = "https://client.example/callback"
LOGGED_OUT = "https://client.example/bye"
#: An API whose tokens are JWTs, and the scope that means something there.
API, SCOPE_OF_API = "https://api.client.example", "orders:read"
#: What the provider signs ID tokens with beside RS256; each has a client of that name.
FURTHER_ALGORITHMS = ("ES256", "PS256", "Ed25519", "HS256")
#: How it encrypts what clients of these names get, the content too.
ENCRYPTION = {
    "RSA-OAEP": "A128CBC-HS256",
    "RSA-OAEP-256": "A256GCM",
    "ECDH-ES": "A128GCM",
    "ECDH-ES+A256KW": "A256CBC-HS512",
}


@dataclass(frozen=True)
class ClientKeys:
    """The private keys of those clients that have some.

    Attributes:
        signing: by the algorithm of the assertions that they sign; each has a client of that name.
        encryption: by the type of key.
    """

    signing: Mapping[str, Key]
    encryption: Mapping[str, Key]

    @classmethod
    def generated(cls) -> "ClientKeys":
        """New ones."""
        signs, opens = {"use": "sig"}, {"use": "enc"}
        return cls(
            signing={
                "RS256": RSAKey.generate_key(2048, {**signs, "kid": "rs", "alg": "RS256"}),
                "PS256": RSAKey.generate_key(2048, {**signs, "kid": "ps", "alg": "PS256"}),
                "ES256": ECKey.generate_key("P-256", {**signs, "kid": "es", "alg": "ES256"}),
                "Ed25519": OKPKey.generate_key("Ed25519", {**signs, "kid": "ed", "alg": "Ed25519"}),
            },
            encryption={
                "RSA": RSAKey.generate_key(2048, {**opens, "kid": "rsa"}),
                "EC": ECKey.generate_key("P-256", {**opens, "kid": "ec"}),
            },
        )

    @property
    def public(self) -> dict[str, Any]:
        """What the clients publish."""
        every = (*self.signing.values(), *self.encryption.values())
        return {"keys": [key.as_dict(private=False) for key in every]}

    def opening(self, algorithm: str) -> dict[str, Any]:
        """The private key that opens what is encrypted so, as a JWK."""
        key = self.encryption["RSA" if algorithm.startswith("RSA") else "EC"]
        return {**key.as_dict(private=True), "alg": algorithm}


@dataclass(frozen=True)
class ProviderForClients:
    """The provider's issuer, the keys of its clients, and a browser that stays signed in there.

    Attributes:
        registration_token: with which clients register themselves.
    """

    issuer: str
    keys: ClientKeys
    registration_token: str
    browser: UserAgent = field(default_factory=UserAgent)

    def answer(self, url: str) -> str:
        """The address that the browser is sent to in the end, which is not opened."""
        return answer_of(self.browser, url)


def answer_of(agent: UserAgent, url: str) -> str:
    """Go to ``url``, sign in and agree where asked; where the client has the browser sent to then."""
    return agent.answer_address(url, REDIRECT, USER, PASSWORD)


@contextmanager
def provider_for_clients(folder: Path) -> Iterator[ProviderForClients]:
    """Serve it, over http on this machine, until the block ends."""
    keys = ClientKeys.generated()
    port = free_port()
    issuer = f"http://localhost:{port}"
    with _published(keys.public) as keys_uri:
        config = folder / "provider.toml"
        config.write_text(_configuration(issuer, folder, keys, keys_uri))
        env = {"PROVIDER_CONFIG": str(config)}
        log = folder / "provider.log"
        with gunicorn("tests.live.sites.provider_site:application", port=port, log=log, env=env):
            yield ProviderForClients(issuer, keys, _registration_token(config))


def _registration_token(config: Path) -> str:
    command = ["--config", str(config), "client", "registration-token", "add", "--uses", "1000"]
    said = CliRunner().invoke(main, command)
    assert said.exit_code == 0, said.output
    return said.stdout.partition("token: ")[2].strip()


@contextmanager
def _published(document: Mapping[str, Any]) -> Iterator[str]:
    """Serve one JSON document; gives its address."""

    @Request.application
    def application(_request: Request) -> Response:
        return Response(json.dumps(document), mimetype="application/json")

    server = make_server("localhost", 0, application, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/jwks"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _configuration(issuer: str, folder: Path, keys: ClientKeys, keys_uri: str) -> str:
    clients = "".join(
        f"[[clients]]\n{_toml({'client_id': name, **settings})}"
        for name, settings in _clients(keys, keys_uri).items()
    )
    return f"""
issuer = "{issuer}"
insecure_allow_http_loopback = true
database = "sqlite:///{folder / "provider.db"}"
secret = "n0-real-secret-but-long-enough-for-the-provider-0123456789"
further_signing_algorithms = {json.dumps(FURTHER_ALGORITHMS)}

[registration]
enabled = true

[request_objects]
by_value = true

[lifetimes]
device_interval_seconds = 1

[[scopes]]
value = "{SCOPE_OF_API}"

[[resources]]
audience = "{API}"
scopes = ["{SCOPE_OF_API}"]

[[users]]
user_name = "{USER}"
name = "Alice Example"
email = "alice@id.example"
password_hash = "{Passwords().hash(PASSWORD)}"

{clients}
"""


def _clients(keys: ClientKeys, keys_uri: str) -> dict[str, dict[str, Any]]:
    """The clients by their `client_id`."""
    pages = {
        "name": "A foreign client",
        "redirect_uris": [REDIRECT],
        "post_logout_redirect_uris": [LOGGED_OUT],
        "trusted": True,
    }
    code = {**pages, "flows": ["authorization_code", "refresh_token", "revocation"]}
    secret = {"client_secret": SECRET}
    confidential = {**code, **secret}
    by_key = {**code, "auth_method": "private_key_jwt"}
    lenient = {"insecure_token_endpoint_audience": True}
    scopes = ["openid", "profile", "email", "offline_access", SCOPE_OF_API]
    return {
        "client_secret_basic": {**confidential, "auth_method": "client_secret_basic", "scopes": scopes},
        "client_secret_post": {**confidential, "auth_method": "client_secret_post"},
        "client_secret_jwt": {**confidential, "auth_method": "client_secret_jwt"},
        "none": {**code, "auth_method": "none"},
        **{
            f"private_key_jwt-{algorithm}": {
                **by_key, "jwks": keys.public, "token_endpoint_auth_signing_alg": algorithm,
            }
            for algorithm in keys.signing
        },
        "published_keys": {**by_key, "jwks_uri": keys_uri},
        "lenient_private_key_jwt": {**by_key, "jwks": keys.public, **lenient},
        "lenient_client_secret_jwt": {**confidential, "auth_method": "client_secret_jwt", **lenient},
        "hybrid": {**pages, **secret, "flows": ["hybrid", "refresh_token"]},
        "implicit": {**pages, "auth_method": "none", "flows": ["implicit"]},
        "signed_userinfo": {**confidential, "userinfo_signed_response_alg": "RS256"},
        **{
            f"signs_requests-{algorithm}": {
                **confidential,
                "jwks": keys.public,
                "request_object_signing_alg": algorithm,
                "require_signed_request_object": True,
            }
            for algorithm in keys.signing
        },
        "robot": {**secret, "flows": ["client_credentials", "revocation"], "scopes": [SCOPE_OF_API]},
        "api": {**secret, "flows": ["introspection"]},
        "password": {**secret, "flows": ["password", "refresh_token"], "trusted": True},
        "television": {"auth_method": "none", "flows": ["device_code", "refresh_token"], "trusted": True},
        **{
            algorithm: {**confidential, "id_token_signed_response_alg": algorithm}
            for algorithm in FURTHER_ALGORITHMS
        },
        **{
            algorithm: {
                **confidential,
                "flows": [*confidential["flows"], "hybrid"],
                "jwks_uri": keys_uri,
                "id_token_encrypted_response_alg": algorithm,
                "id_token_encrypted_response_enc": content,
                "userinfo_signed_response_alg": "RS256",
                "userinfo_encrypted_response_alg": algorithm,
                "userinfo_encrypted_response_enc": content,
            }
            for algorithm, content in ENCRYPTION.items()
        },
    }  # fmt: skip


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)

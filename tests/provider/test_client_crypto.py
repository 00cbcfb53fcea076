"""Keys and algorithms of clients in `provider.toml`: what is refused, with key, value and fix."""

import json
from typing import Any

import pytest

from oidcgate.settings import SettingsError, parse
from provider.client_crypto import assertion_algorithm, client_secret_problem
from provider.client_settings import ClientSettings
from provider.config import ProviderSettings
from provider.store.clients import Client
from tests.provider.asserting import KEYS_URI, client, key, public
from tests.provider.test_config import problems
from tests.provider.world import APP_SECRET, config

KEYED = {"auth_method": "private_key_jwt", "client_secret": None, "jwks_uri": KEYS_URI}
ENCRYPTED = {"id_token_encrypted_response_alg": "RSA-OAEP-256"}
PRIVATE = {"keys": [json.loads(key("RSA").export_private())]}


def wrong(**changes: Any) -> list[str]:
    """What is wrong with the one client of a realm that offers RS256, ES256 and HS256."""
    found = problems(further_signing_algorithms=["ES256", "HS256", "HS512"], clients=[client(**changes)])
    return [problem.removeprefix("clients[0].") for problem in found]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(KEYED, id="keys-fetched"),
        pytest.param({**KEYED, "jwks_uri": None, "jwks": public(key("RSA"))}, id="keys-written"),
        pytest.param({**KEYED, "token_endpoint_auth_signing_alg": "EdDSA"}, id="pinned"),
        pytest.param({"auth_method": "client_secret_jwt"}, id="secret-signs"),
        pytest.param({"id_token_signed_response_alg": "HS256"}, id="secret-signs-tokens"),
        pytest.param(
            {**KEYED, "client_secret": APP_SECRET, "id_token_signed_response_alg": "HS256"}, id="both"
        ),
        pytest.param({**ENCRYPTED, "jwks_uri": KEYS_URI}, id="encrypted"),
        pytest.param(
            {
                "userinfo_signed_response_alg": "ES256",
                "userinfo_encrypted_response_alg": "ECDH-ES",
                "userinfo_encrypted_response_enc": "A256GCM",
                "jwks_uri": KEYS_URI,
            },
            id="userinfo",
        ),
    ],
)
def test_what_is_right(changes: dict[str, Any]) -> None:
    assert wrong(**changes) == []


@pytest.mark.row("P-14", "S-29", "S-49", "P-08", "C-10")
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"id_token_signed_response_alg": "RS265"},
            "id_token_signed_response_alg: 'RS265' is no algorithm that can be used here; did you mean RS256",
            id="mistyped",
        ),
        pytest.param(
            {"id_token_signed_response_alg": "hs256"},
            "id_token_signed_response_alg: 'hs256' is no algorithm that can be used here; did you mean HS256",
            id="small-letters",
        ),
        pytest.param(
            {"id_token_signed_response_alg": "none"},
            "id_token_signed_response_alg: 'none' is no algorithm that can be used here; use one of",
            id="none",
        ),
        pytest.param(
            {"id_token_signed_response_alg": "PS256"},
            "id_token_signed_response_alg: 'PS256' is not offered by this realm; use one of RS256, ES256",
            id="not-offered",
        ),
        pytest.param(
            {"userinfo_signed_response_alg": "PS256"},
            "userinfo_signed_response_alg: 'PS256' is not offered by this realm",
            id="not-offered-for-userinfo",
        ),
        pytest.param(
            {
                "client_secret": None,
                "client_secret_sha256": "ab" * 32,
                "id_token_signed_response_alg": "HS256",
            },
            "client_secret_sha256: is not enough to make or check signatures with",
            id="only-a-hash",
        ),
        pytest.param(
            {"id_token_signed_response_alg": "HS512"},
            "client_secret: is shorter than the 64 characters that id_token_signed_response_alg needs",
            id="too-short-for-the-hash",
        ),
        pytest.param(
            {"auth_method": "none", "id_token_signed_response_alg": "HS256"},
            "id_token_signed_response_alg: 'HS256' signs with a secret, and a client with auth_method none",
            id="public",
        ),
        pytest.param(ENCRYPTED, "jwks_uri: is missing: id_token_encrypted_response_alg needs", id="no-key"),
        pytest.param(
            {**ENCRYPTED, "jwks": public(key("RSA"))},
            "jwks_uri: is missing: id_token_",
            id="key-not-published",
        ),
        pytest.param(
            {"jwks_uri": KEYS_URI, "id_token_encrypted_response_alg": "RSA1_5"},
            "id_token_encrypted_response_alg: 'RSA1_5' is no algorithm that can be used here",
            id="unsafe",
        ),
        pytest.param(
            {**ENCRYPTED, "jwks_uri": KEYS_URI, "id_token_encrypted_response_enc": "A128CBC-HS265"},
            "id_token_encrypted_response_enc: 'A128CBC-HS265' is no algorithm that can be used here; did you",
            id="enc-mistyped",
        ),
        pytest.param(
            {"id_token_encrypted_response_enc": "A128GCM"},
            "id_token_encrypted_response_enc: 'A128GCM' is set, but id_token_encrypted_response_alg is not",
            id="enc-alone",
        ),
        pytest.param(
            {"jwks_uri": KEYS_URI, "userinfo_encrypted_response_alg": "RSA-OAEP"},
            "userinfo_signed_response_alg: is not set: what is encrypted is always signed first",
            id="encrypted-unsigned",
        ),
        pytest.param(
            {**KEYED, "jwks_uri": "http://app.example/keys"},
            "jwks_uri: 'http://app.example/keys' is never fetched",
            id="http",
        ),
        pytest.param(
            {**KEYED, "jwks_uri": "http://127.0.0.1/keys"}, "jwks_uri: 'http://127.0.0.1/keys'", id="loopback"
        ),
        pytest.param({**KEYED, "jwks_uri": "file:///etc/passwd"}, "jwks_uri: 'file:///etc/", id="file"),
        pytest.param({**KEYED, "jwks_uri": None}, "jwks_uri: is missing, and so is jwks", id="no-keys"),
        pytest.param(
            {**KEYED, "jwks": public(key("RSA"))}, "jwks: is set beside jwks_uri; keep one", id="two-places"
        ),
        pytest.param(
            {**KEYED, "jwks_uri": None, "jwks": PRIVATE},
            "jwks: cannot be used: the key set publishes private or symmetric keys; give the public",
            id="private",
        ),
        pytest.param(
            {**KEYED, "jwks_uri": None, "jwks": public(key("P-256"))},
            "jwks: has no key for RS256",
            id="no-fit",
        ),
        pytest.param(
            {"token_endpoint_auth_signing_alg": "RS256"},
            "token_endpoint_auth_signing_alg: 'RS256' is set, but auth_method is client_secret_basic",
            id="signs-nothing",
        ),
        pytest.param(
            {**KEYED, "token_endpoint_auth_signing_alg": "HS256"},
            "token_endpoint_auth_signing_alg: 'HS256' is no algorithm that can be used here",
            id="a-key-does-not-hash",
        ),
        pytest.param(
            {"auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256"},
            "token_endpoint_auth_signing_alg: 'RS256' is no algorithm",
            id="a-secret-is-no-key",
        ),
        pytest.param(
            {**KEYED, "client_secret": APP_SECRET},
            "client_secret: is set, but auth_method is",
            id="unused-secret",
        ),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], problem: str) -> None:
    said = wrong(**{"client_secret": None, **changes} if changes.get("auth_method") == "none" else changes)
    assert any(one.startswith(problem) for one in said), said
    assert APP_SECRET not in "".join(said)
    assert PRIVATE["keys"][0]["d"] not in "".join(said)


NO_SECRET = {"client_secret": None}
HASHED = {**NO_SECRET, "client_secret_sha256": "ab" * 32}
ONE_OF_THREE = "set one of client_secret, client_secret_file and client_secret_sha256"
NOT_ENOUGH = (
    "client_secret_sha256: is not enough to make or check signatures with; "
    "give client_secret or client_secret_file instead"
)


@pytest.mark.row("S-47", "C-10")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(HASHED, [], id="a-hash-will-do"),
        pytest.param({**HASHED, "auth_method": "client_secret_post"}, [], id="also-in-a-form"),
        pytest.param(
            {**KEYED, "client_secret": APP_SECRET},
            ["client_secret: is set, but auth_method is private_key_jwt; remove one of the two"],
            id="unused",
        ),
        pytest.param(
            {**KEYED, **HASHED},
            ["client_secret_sha256: is set, but auth_method is private_key_jwt; remove one of the two"],
            id="unused-hash",
        ),
        pytest.param(
            NO_SECRET,
            [f"client_secret: is missing; {ONE_OF_THREE}"],
            id="missing",
        ),
        pytest.param(
            {**HASHED, "client_secret": APP_SECRET},
            [f"client_secret: is set beside client_secret_sha256; {ONE_OF_THREE}"],
            id="both",
        ),
        pytest.param({**HASHED, "auth_method": "client_secret_jwt"}, [NOT_ENOUGH], id="assertions"),
        pytest.param({**HASHED, "id_token_signed_response_alg": "HS256"}, [NOT_ENOUGH], id="id-tokens"),
        pytest.param({**HASHED, "userinfo_signed_response_alg": "HS256"}, [NOT_ENOUGH], id="userinfo"),
        pytest.param(
            {"client_secret": "short"},
            ["client_secret: is too weak: it needs 256 bits; let `oidcgate-provider client add` make one"],
            id="weak",
        ),
        *(
            pytest.param(
                {**NO_SECRET, "client_secret_sha256": digest},
                [
                    "client_secret_sha256: is not 64 small hexadecimal digits; compute it with sha256sum",
                ],
                id=name,
            )
            for digest, name in (("ab" * 31, "short-hash"), ("AB" * 32, "capitals"), ("ab" * 33, "long-hash"))
        ),
    ],
)
def test_a_secret_is_there_in_the_form_that_is_needed(changes: dict[str, Any], said: list[str]) -> None:
    assert wrong(**changes) == said


def test_keys_on_this_machine_by_the_named_switch_only() -> None:
    said = [client(**{**KEYED, "jwks_uri": "http://127.0.0.1:9/keys"})]
    assert problems(clients=said) != []
    assert problems(clients=said, insecure_allow_http_loopback=True) == []


@pytest.mark.row("C-4", "E-24")
def test_nothing_is_encrypted_unless_it_is_asked_for() -> None:
    plain = parse(ClientSettings, client())
    assert (plain.id_token_encrypted_response_alg, plain.userinfo_encrypted_response_alg) == ("", "")


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("outbound", "problem"),
    [
        ({"allow_networks": ["10.0.0.0/33"]}, "outbound.allow_networks[0]: '10.0.0.0/33' is no network"),
        (
            {"allow_networks": ["127.0.0.1/8"]},
            "outbound.allow_networks[0]: '127.0.0.1/8' is no network: 127.0.0.1/8 has host bits set; "
            "write it as 127.0.0.0/8",
        ),
        ({"ca_file": "/nowhere/ca.pem"}, "outbound.ca_file: '/nowhere/ca.pem' is not a file"),
        ({"timeout_seconds": 0}, "outbound.timeout_seconds: 0.0 is less than 0.1"),
    ],
)
def test_outbound_calls_that_cannot_be(outbound: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(ProviderSettings, {**config("sqlite:///x.db"), "outbound": outbound})
    assert [str(one).startswith(problem) for one in caught.value.problems] == [True], caught.value


@pytest.mark.row("S-47")
@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        pytest.param(APP_SECRET, None, id="made-by-us"),
        pytest.param(APP_SECRET[:43], None, id="43-characters"),
        pytest.param(APP_SECRET[:42], "is too weak: it needs 256 bits", id="42-characters"),
        pytest.param("abcdefghijkl" * 4, None, id="12-different-ones"),
        pytest.param("abcdefghijk" * 4, "is too weak: it needs 256 bits", id="11-different-ones"),
        pytest.param((APP_SECRET * 3)[:100], None, id="100-characters"),
        pytest.param((APP_SECRET * 3)[:101], "is longer than 100 characters", id="101-characters"),
        pytest.param(APP_SECRET + "!~", None, id="the-outermost-ones"),
        pytest.param(APP_SECRET + "é", "has characters outside visible ASCII", id="not-ascii"),
        pytest.param(APP_SECRET + " ", "has characters outside visible ASCII", id="space"),
        pytest.param(APP_SECRET + "\x7f", "has characters outside visible ASCII", id="delete"),
    ],
)
def test_client_secrets_that_people_choose(secret: str, problem: str | None) -> None:
    assert client_secret_problem(secret) == problem


@pytest.mark.row("S-49")
@pytest.mark.parametrize(
    ("method", "pinned", "alg"),
    [
        pytest.param("client_secret_jwt", "", "HS256", id="secret"),
        pytest.param("client_secret_jwt", "HS512", "HS512", id="secret-pinned"),
        pytest.param("private_key_jwt", "", "RS256", id="key"),
        pytest.param("private_key_jwt", "ES256", "ES256", id="key-pinned"),
    ],
)
def test_assertions_are_signed_in_one_algorithm(method: str, pinned: str, alg: str) -> None:
    said = Client("app", True, 0, "", method, (), (), (), (), False, token_endpoint_auth_signing_alg=pinned)
    assert assertion_algorithm(said) == alg


@pytest.mark.row("P-14")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {**KEYED, "token_endpoint_auth_signing_alg": "rs265"},
            [
                "token_endpoint_auth_signing_alg: 'rs265' is no algorithm that can be used here; "
                "did you mean RS256"
            ],
            id="a-near-one",
        ),
        pytest.param(
            {"auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "none"},
            [
                "token_endpoint_auth_signing_alg: 'none' is no algorithm that can be used here; "
                "use one of HS256, HS384, HS512"
            ],
            id="all-there-are",
        ),
        pytest.param(
            {"userinfo_signed_response_alg": "PS256"},
            [
                "userinfo_signed_response_alg: 'PS256' is not offered by this realm; "
                "use one of RS256, ES256, HS256, HS512, or let the realm offer it"
            ],
            id="all-that-are-offered",
        ),
        pytest.param(
            {**KEYED, "jwks_uri": "http://app.example/keys"},
            [
                "jwks_uri: 'http://app.example/keys' is never fetched: "
                "http is never used for a host other than loopback; use https; give an https URL"
            ],
            id="an-address",
        ),
    ],
)
def test_what_would_be_right_is_told(changes: dict[str, Any], told: list[str]) -> None:
    assert wrong(**changes) == told

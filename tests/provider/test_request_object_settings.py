"""Request objects in `provider.toml`: what is refused, with key, value and fix."""

from typing import Any

import pytest

from oidcgate.settings import SettingsError, parse
from provider.client_request_objects import object_algorithm
from provider.client_settings import ClientSettings
from provider.config import ProviderSettings
from provider.request_object_settings import RequestObjectSettings
from tests.provider.asserting import KEYS_URI, client, key, public
from tests.provider.test_config import problems
from tests.provider.world import config

ALL = {
    "by_value": True,
    "by_reference": True,
    "encryption_algorithms": ["RSA-OAEP-256"],
    "insecure_allow_unsigned": True,
}
KEYS = {"jwks_uri": KEYS_URI}
PUBLIC = {"auth_method": "none", "client_secret": None}


def wrong(realm: dict[str, Any], **changes: Any) -> list[str]:
    """What is wrong with the one client of such a realm."""
    found = problems(request_objects=realm, clients=[client(**changes)])
    return [problem.removeprefix("clients[0].") for problem in found]


def test_they_are_off_unless_a_realm_asks_for_them() -> None:
    off = parse(ProviderSettings, config("sqlite:///x.db")).request_objects
    assert off == RequestObjectSettings()
    assert not off.enabled
    assert RequestObjectSettings(by_value=True).enabled
    assert RequestObjectSettings(by_reference=True).enabled


@pytest.mark.parametrize(
    ("realm", "problem"),
    [
        pytest.param({"require_signed": True}, "request_objects.require_signed: is set, but", id="required"),
        pytest.param(
            {"encryption_algorithms": ["ECDH-ES"]},
            "request_objects.encryption_algorithms: are set, but request objects are taken in no way",
            id="encrypted",
        ),
        pytest.param(
            {"by_value": True, "encryption_algorithms": ["RSA1_5"]},
            "request_objects.encryption_algorithms",
            id="unsafe",
        ),
        pytest.param(
            {"by_value": True, "encryption_algorithms": ["PBES2-HS256+A128KW"]},
            "request_objects.encryption_algorithms",
            id="password",
        ),
    ],
)
def test_a_realm_that_contradicts_itself(realm: dict[str, Any], problem: str) -> None:
    found = problems(request_objects=realm)
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("realm", "changes"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({}, {"request_object_signing_alg": "ES256", **KEYS}, id="not-taken-yet"),
        pytest.param(ALL, {"request_object_signing_alg": "HS256"}, id="secret"),
        pytest.param(ALL, {"request_object_signing_alg": "RS256", "jwks": public(key("RSA"))}, id="written"),
        pytest.param(ALL, {"request_object_signing_alg": "PS256", "jwks": public(key("RSA"))}, id="same-key"),
        pytest.param(ALL, {**PUBLIC, "request_object_signing_alg": "ES256", **KEYS}, id="public"),
        pytest.param(ALL, {"request_object_signing_alg": "none"}, id="unsigned"),
        pytest.param(ALL, {"request_object_encryption_alg": "RSA-OAEP-256"}, id="encrypted"),
        pytest.param(
            ALL,
            {"request_object_encryption_alg": "RSA-OAEP-256", "request_object_encryption_enc": "A256GCM"},
            id="encrypted-otherwise",
        ),
        pytest.param(ALL, {"require_signed_request_object": True, **KEYS}, id="required"),
        pytest.param(
            {"by_reference": True}, {"require_signed_request_object": True, **KEYS}, id="required-by-uri"
        ),
        pytest.param(ALL, {"request_uris": ["https://app.example/r", "https://app.example/s"]}, id="uris"),
    ],
)
def test_what_is_right(realm: dict[str, Any], changes: dict[str, Any]) -> None:
    assert wrong(realm, **changes) == []


@pytest.mark.row("P-14", "P-08")
@pytest.mark.parametrize(
    ("realm", "changes", "expected"),
    [
        pytest.param(
            ALL,
            {"request_object_signing_alg": "rs256", **KEYS},
            ["request_object_signing_alg: 'rs256' is no algorithm that can be used here; did you mean RS256"],
            id="mistyped",
        ),
        pytest.param(
            ALL,
            {"request_object_signing_alg": "None"},
            ["request_object_signing_alg: 'None' is no algorithm that can be used here; did you mean none"],
            id="none-in-capitals",
        ),
        pytest.param(
            {"by_value": True},
            {"request_object_signing_alg": "none"},
            [
                "request_object_signing_alg: 'none' is not taken in this realm; let the client sign, or set "
                "request_objects.insecure_allow_unsigned = true"
            ],
            id="unsigned",
        ),
        pytest.param(
            ALL,
            {"request_object_signing_alg": "none", "require_signed_request_object": True},
            ["request_object_signing_alg: 'none' is set beside require_signed_request_object"],
            id="unsigned-and-signed",
        ),
        pytest.param(
            {**ALL, "require_signed": True},
            {"request_object_signing_alg": "none"},
            ["request_object_signing_alg: 'none' is set, but the realm has require_signed"],
            id="unsigned-where-signed-is-a-must",
        ),
        pytest.param(
            ALL,
            {"request_object_signing_alg": "RS256"},
            ["jwks_uri: is missing, and so is jwks; set one of them: request objects signed with RS256 need"],
            id="no-key",
        ),
        pytest.param(
            ALL,
            {"require_signed_request_object": True},
            ["jwks_uri: is missing, and so is jwks; set one of them: request objects signed with RS256 need"],
            id="required-without-key",
        ),
        pytest.param(
            ALL,
            {"request_object_signing_alg": "ES256", "jwks": public(key("RSA"))},
            ["jwks: has no key for ES256; add one, or name the algorithm of its keys as request_object_"],
            id="another-kind-of-key",
        ),
        pytest.param(
            ALL,
            {"request_object_signing_alg": "ES256", "jwks": {"keys": 1}},
            ["jwks: cannot be used"],
            id="no-keys-at-all",
        ),
        pytest.param(
            ALL,
            {"auth_method": "none", "request_object_signing_alg": "HS256"},
            ["request_object_signing_alg: 'HS256' signs with a secret, and a client with auth_method none"],
            id="public-with-secret",
        ),
        pytest.param(
            ALL,
            {"client_secret": None, "client_secret_sha256": "ab" * 32, "request_object_signing_alg": "HS256"},
            ["client_secret_sha256: is not enough to make or check signatures with"],
            id="only-a-hash",
        ),
        pytest.param(
            ALL,
            {"request_object_signing_alg": "HS512"},
            ["client_secret: is shorter than the 64 characters that request_object_signing_alg needs"],
            id="too-short-for-the-hash",
        ),
        pytest.param(
            ALL,
            {"request_object_encryption_alg": "ECDH-ES"},
            ["request_object_encryption_alg: 'ECDH-ES' has no key in this realm; add it to request_objects."],
            id="encryption-not-offered",
        ),
        pytest.param(
            ALL,
            {"request_object_encryption_alg": "RSA1_5"},
            [
                "request_object_encryption_alg: 'RSA1_5' has no key",
                "request_object_encryption_alg: 'RSA1_5' is no algorithm",
            ],
            id="encryption-unsafe",
        ),
        pytest.param(
            ALL,
            {"request_object_encryption_enc": "A128GCM"},
            ["request_object_encryption_enc: 'A128GCM' is set, but request_object_encryption_alg is not"],
            id="enc-alone",
        ),
        pytest.param(
            ALL,
            {"request_object_encryption_alg": "RSA-OAEP-256", "request_object_encryption_enc": "A128GMC"},
            ["request_object_encryption_enc: 'A128GMC' is no algorithm that can be used here; did you mean"],
            id="enc-mistyped",
        ),
        pytest.param(
            {},
            {"require_signed_request_object": True, **KEYS},
            ["require_signed_request_object: is set, but the realm takes no request objects"],
            id="required-where-off",
        ),
        pytest.param(
            ALL,
            {"request_uris": ["https://app.example/r", "http://app.example/r"]},
            ["request_uris[1]: 'http://app.example/r' has to start with https://; give the https URL of"],
            id="http",
        ),
        pytest.param(
            ALL,
            {"request_uris": ["https://app.example/r#here"]},
            ["request_uris[0]: 'https://app.example/r#here' has a fragment that is no SHA-256"],
            id="fragment",
        ),
    ],
)
def test_what_is_wrong(realm: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    found = sorted(wrong(realm, **changes))
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


def test_the_usual_algorithm_is_rs256() -> None:
    assert object_algorithm(ClientSettings(client_id="app")) == "RS256"
    assert object_algorithm(ClientSettings(client_id="app", request_object_signing_alg="HS256")) == "HS256"


def test_a_secret_that_objects_are_signed_with_is_kept_as_it_is() -> None:
    assert ClientSettings(client_id="app", request_object_signing_alg="HS256").needs_secret_text
    assert not ClientSettings(client_id="app", request_object_signing_alg="none").needs_secret_text


def test_http_on_this_machine_needs_the_switch() -> None:
    document = config(
        "sqlite:///x.db",
        clients=[client(request_uris=["http://127.0.0.1/r"])],
        insecure_allow_http_loopback=True,
    )
    assert parse(ProviderSettings, document).clients[0].request_uris == ("http://127.0.0.1/r",)
    with pytest.raises(SettingsError):
        parse(ProviderSettings, {**document, "insecure_allow_http_loopback": False})

"""How the gate proves who it is: five methods, the keys it publishes, and settings that contradict."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey

from oidcgate.gate.config import config_from_mapping
from oidcgate.jose.certificates import self_signed
from oidcgate.jose.jwt import unverified_claims, unverified_header
from oidcgate.jose.keys import Key, generate_key, import_public_keys, private_jwk
from oidcgate.settings import SettingsError
from tests.support.lying_provider import CLIENT_ID, CLIENT_SECRET, GONE, ISSUER, NOW, SCRIPT, SECRET, Scene

KEYS = {alg: generate_key(alg) for alg in ("RS256", "ES256", "ES384", "ES512", "EdDSA")}
OTHER = generate_key("ES256")


def pem(*keys: Key) -> str:
    return "".join(key.as_pem(private=True).decode() for key in keys)


def scene(**provider: Any) -> Scene:
    """A gate with these settings of its provider, which knows the gate's published keys."""
    made = Scene.set({"provider": provider})
    made.provider.metadata["token_endpoint_auth_methods_supported"] = [
        "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none",
    ]  # fmt: skip
    document = made.browser().get("/.oidcgate/jwks.json", SCRIPT).get_json()
    made.provider.client_keys = import_public_keys(document)
    return made


def problems(**provider: Any) -> list[str]:
    data = {"issuer": ISSUER, "client_id": CLIENT_ID, **provider}
    with pytest.raises(SettingsError) as caught:
        config_from_mapping(
            {
                "public_url": "https://app.example.com",
                "provider": {name: value for name, value in data.items() if value is not GONE},
                "users": {"source": "any"},
                "session": {"secret": SECRET},
            }
        )
    return [str(problem) for problem in caught.value.problems]


class TestAssertions:
    """client_secret_jwt and private_key_jwt."""

    @pytest.mark.row("A-08")
    @pytest.mark.parametrize(
        ("settings", "alg"),
        [
            pytest.param({"token_endpoint_auth_method": "client_secret_jwt"}, "HS256", id="secret"),
            pytest.param(
                {"client_secret": None, "client_signing_keys": pem(KEYS["RS256"])}, "RS256", id="rsa"
            ),
            pytest.param(
                {
                    "client_secret": None,
                    "client_signing_keys": pem(KEYS["RS256"]),
                    "token_endpoint_auth_signing_alg": "PS384",
                },
                "PS384",
                id="rsa-pss",
            ),
            pytest.param(
                {"client_secret": None, "client_signing_keys": pem(KEYS["ES256"])}, "ES256", id="p-256"
            ),
            pytest.param(
                {"client_secret": None, "client_signing_keys": pem(KEYS["ES384"])}, "ES384", id="p-384"
            ),
            pytest.param(
                {"client_secret": None, "client_signing_keys": pem(KEYS["ES512"])}, "ES512", id="p-521"
            ),
            pytest.param(
                {"client_secret": None, "client_signing_keys": pem(KEYS["EdDSA"])}, "EdDSA", id="ed25519"
            ),
            pytest.param(
                {
                    "client_secret": None,
                    "client_signing_keys": json.dumps({**private_jwk(KEYS["EdDSA"]), "alg": "Ed25519"}),
                },
                "Ed25519",
                id="jwk",
            ),
            pytest.param(
                {
                    "client_signing_keys": pem(KEYS["ES256"]),
                    "token_endpoint_auth_method": "private_key_jwt",
                },
                "ES256",
                id="beside-a-secret",
            ),
        ],
    )
    def test_the_idp_believes_it(self, settings: dict[str, Any], alg: str) -> None:
        made = scene(**settings)
        assert made.browser().sign_in().status_code == 303
        (sent,) = made.provider.sent
        assert "client_secret" not in sent
        assert sent["authorization"] == ""
        token = sent["client_assertion"]
        assert unverified_header(token)["alg"] == alg
        assert unverified_claims(token)["exp"] == NOW + 60

    def test_each_has_a_jti_of_its_own(self) -> None:
        made = scene(client_secret=None, client_signing_keys=pem(KEYS["ES256"]))
        for _ in range(2):
            made.browser().sign_in()
        first, second = (unverified_claims(token)["jti"] for token in made.provider.seen_assertions)
        assert first != second
        assert len(first) >= 32

    @pytest.mark.parametrize(
        ("setting", "audience"), [(None, ISSUER), ("issuer", ISSUER), ("token_endpoint", f"{ISSUER}/token")]
    )
    def test_its_audience_is_the_issuer_unless_the_token_endpoint_is_asked_for(
        self, setting: str | None, audience: str
    ) -> None:
        made = scene(
            client_secret=None, client_signing_keys=pem(KEYS["ES256"]), client_assertion_audience=setting
        )
        made.provider.audience = audience
        assert made.browser().sign_in().status_code == 303

    def test_a_certificate_is_named_by_its_thumbprint(self) -> None:
        key = KEYS["RS256"]
        der = self_signed(key, "gate", NOW - 60, NOW + 86_400, 7)
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        certificate = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
        made = scene(client_secret=None, client_signing_keys=pem(key), client_certificate=certificate)
        assert made.browser().sign_in().status_code == 303
        header = unverified_header(made.provider.seen_assertions[0])
        (published,) = made.browser().get("/.oidcgate/jwks.json", SCRIPT).get_json()["keys"]
        assert header["x5t#S256"] == published["x5t#S256"]
        assert header["x5t"] == published["x5t"]
        assert header["typ"] == "JWT"

    def test_at_the_revocation_endpoint_too(self) -> None:
        made = scene(client_secret=None, client_signing_keys=pem(KEYS["ES256"]))
        made.provider.metadata["revocation_endpoint"] = f"{ISSUER}/revoke"
        made.provider.breaks("/revoke", text="")
        (party,) = made.parts.relying_parties.values()
        assert party.token_endpoint.revoke("kept", "refresh_token")
        assert "client_assertion=" in made.provider.adapter.request_history[-1].text


def test_a_public_client_says_who_it_is_and_proves_it_with_pkce() -> None:
    made = scene(client_secret=None, token_endpoint_auth_method="none")
    made.provider.public_client = True
    assert made.browser().sign_in().status_code == 303
    (sent,) = made.provider.sent
    assert sent["client_id"] == CLIENT_ID
    assert len(sent["code_verifier"]) == 43
    assert not {"client_secret", "client_assertion"} & sent.keys()
    assert sent["authorization"] == ""


class TestPublishedKeys:
    """`/.oidcgate/jwks.json`."""

    def test_a_gate_without_keys_publishes_none(self) -> None:
        assert Scene.set().browser().get("/.oidcgate/jwks.json", SCRIPT).get_json() == {"keys": []}

    def test_public_members_only(self) -> None:
        made = scene(
            client_secret=None,
            client_signing_keys=pem(KEYS["ES256"], KEYS["RS256"]),
            client_decryption_keys=pem(OTHER),
        )
        entries = made.browser().get("/.oidcgate/jwks.json", SCRIPT).get_json()["keys"]
        assert [(entry["kty"], entry["use"], entry.get("alg")) for entry in entries] == [
            ("EC", "sig", "ES256"),
            ("RSA", "sig", "RS256"),
            ("EC", "enc", None),
        ]
        assert not any({"d", "p", "q", "k"} & entry.keys() for entry in entries)

    def test_the_first_signs_and_the_kid_is_kept(self) -> None:
        jwks = {"keys": [{**private_jwk(KEYS["ES256"]), "kid": "new"}, {**private_jwk(OTHER), "kid": "old"}]}
        made = scene(client_secret=None, client_signing_keys=json.dumps(jwks))
        made.browser().sign_in()
        assert unverified_header(made.provider.seen_assertions[0])["kid"] == "new"
        entries = made.browser().get("/.oidcgate/jwks.json", SCRIPT).get_json()["keys"]
        assert [entry["kid"] for entry in entries] == ["new", "old"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({}, "provider.client_secret: is missing", id="nothing"),
        pytest.param(
            {"token_endpoint_auth_method": "private_key_jwt"},
            "provider.client_signing_keys: is missing",
            id="no-key",
        ),
        pytest.param(
            {"client_secret": CLIENT_SECRET, "client_signing_keys": pem(OTHER)},
            "provider.token_endpoint_auth_method: is missing",
            id="both-and-no-method",
        ),
        pytest.param(
            {
                "client_secret": CLIENT_SECRET,
                "client_signing_keys": pem(OTHER),
                "token_endpoint_auth_method": "client_secret_post",
            },
            "provider.client_signing_keys: is given, and client_secret_post never signs",
            id="key-never-used",
        ),
        pytest.param(
            {"client_secret": CLIENT_SECRET, "token_endpoint_auth_method": "none"},
            "provider.client_secret: is given, and the method none",
            id="secret-never-used",
        ),
        pytest.param(
            {"client_secret": "x" * 31, "token_endpoint_auth_method": "client_secret_jwt"},
            "provider.client_secret: is too short to sign with HS256",
            id="short-secret",
        ),
        pytest.param(
            {
                "client_secret": "x" * 40,
                "token_endpoint_auth_method": "client_secret_jwt",
                "token_endpoint_auth_signing_alg": "HS512",
            },
            "provider.client_secret: is too short to sign with HS512",
            id="short-for-hs512",
        ),
        pytest.param(
            {
                "client_secret": CLIENT_SECRET * 2,
                "token_endpoint_auth_method": "client_secret_jwt",
                "token_endpoint_auth_signing_alg": "RS256",
            },
            "provider.token_endpoint_auth_signing_alg: 'RS256' needs a key",
            id="alg-of-keys",
        ),
        pytest.param(
            {"client_signing_keys": pem(OTHER), "token_endpoint_auth_signing_alg": "HS256"},
            "provider.token_endpoint_auth_signing_alg: 'HS256' does not go with",
            id="alg-of-secrets",
        ),
        pytest.param(
            {"client_signing_keys": pem(OTHER), "token_endpoint_auth_signing_alg": "RS256"},
            "'RS256' does not go with the first of client_signing_keys; use ES256",
            id="alg-of-other-keys",
        ),
        pytest.param(
            {"client_secret": CLIENT_SECRET, "token_endpoint_auth_signing_alg": "HS256"},
            "'HS256' says how assertions are signed, and none is; remove it",
            id="alg-of-nothing",
        ),
        pytest.param(
            {"client_signing_keys": "x"}, "provider.client_signing_keys: cannot be used", id="garbage"
        ),
        pytest.param(
            {"client_signing_keys": json.dumps(OctKey.generate_key(256).as_dict())},
            "neither RSA nor EC nor OKP",
            id="symmetric",
        ),
        pytest.param(
            {"client_signing_keys": json.dumps(OTHER.as_dict(private=False))},
            "has no private part",
            id="public",
        ),
        pytest.param(
            {"client_signing_keys": json.dumps({**private_jwk(OTHER), "use": "enc"})},
            "use is not sig",
            id="use",
        ),
        pytest.param(
            {"client_signing_keys": json.dumps({**private_jwk(OTHER), "alg": "RS256"})},
            "not with the alg that it names",
            id="jwk-alg",
        ),
        pytest.param({"client_signing_keys": pem(OTHER, OTHER)}, "there twice", id="twice"),
        pytest.param(
            {"client_secret": CLIENT_SECRET, "client_decryption_keys": pem(KEYS["EdDSA"])},
            "provider.client_decryption_keys: cannot be used: nothing can be encrypted",
            id="signs-only",
        ),
        pytest.param(
            {"client_secret": CLIENT_SECRET, "client_certificate": "x"},
            "provider.client_certificate: is given without client_signing_keys",
            id="certificate-of-nothing",
        ),
        pytest.param(
            {"client_signing_keys": pem(OTHER), "client_certificate": "x"},
            "provider.client_certificate: cannot be used",
            id="certificate-garbage",
        ),
    ],
)
def test_settings_that_contradict(settings: dict[str, Any], said: str) -> None:
    (problem,) = problems(**settings)
    assert said in problem
    assert "PRIVATE" not in problem.replace("-----BEGIN PRIVATE KEY-----", "")


@pytest.mark.row("A-04")
def test_keys_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    file.write_text(pem(OTHER))
    made = scene(client_secret=None, client_signing_keys_file=str(file))
    made.browser().sign_in()
    body = pem(OTHER).splitlines()[1]
    assert body not in repr(made.parts.config)
    assert body not in json.dumps(made.audit)
    assert private_jwk(OTHER)["d"] not in repr(made.parts)

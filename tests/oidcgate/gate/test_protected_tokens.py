"""Secrets as keys, encrypted ID tokens, signed and encrypted userinfo: what is believed, and nothing else."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from oidcgate.gate.config import config_from_mapping
from oidcgate.jose.jwe import EncryptionKey, encrypt, import_encryption_keys
from oidcgate.jose.jwt import JWTError, serialize, sign, unverified_claims
from oidcgate.jose.keys import SIGNING_ALGORITHMS, generate_key, private_jwk
from oidcgate.jose.shared_secret import sign_hmac
from oidcgate.settings import SettingsError
from tests.support.lying_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    GONE,
    ISSUER,
    NOW,
    SCRIPT,
    SECRET,
    Scene,
    changed,
    signing_key,
)

OURS, OTHER = generate_key("ES256"), generate_key("ES256")
OUR_RSA = generate_key("RS256")
PEM = OURS.as_pem(private=True).decode()


def scene(**provider: Any) -> Scene:
    made = Scene.set({"provider": provider})
    made.provider.metadata["id_token_signing_alg_values_supported"] = [*SIGNING_ALGORITHMS, "HS256", "HS512"]
    return made


def published(made: Scene, kid: str | None = None) -> EncryptionKey:
    """The key that the gate publishes for whoever encrypts for it."""
    document = made.browser().get("/.oidcgate/jwks.json", SCRIPT).get_json()
    keys = import_encryption_keys(document)
    return next(key for key in keys if kid in (None, key.kid))


def signs_with(made: Scene, secret: str, alg: str = "HS256") -> None:
    made.provider.altered = lambda token: sign_hmac(unverified_claims(token), secret, alg)


@pytest.mark.row("S-29", "P-14")
class TestASecretAsKey:
    """HS256: only when configured, and with exactly that secret."""

    def test_when_configured(self) -> None:
        made = scene(id_token_algorithms=["HS256"])
        signs_with(made, CLIENT_SECRET)
        browser = made.browser()
        assert browser.sign_in().status_code == 303
        assert browser.has_session()

    def test_never_because_the_token_says_so(self) -> None:
        made = scene()
        signs_with(made, CLIENT_SECRET)
        assert made.browser().sign_in().status_code == 400
        assert made.reasons() == ["id_token_alg"]

    def test_never_because_the_idp_announces_nothing_else(self) -> None:
        made = scene()
        made.provider.metadata["id_token_signing_alg_values_supported"] = ["HS256"]
        signs_with(made, CLIENT_SECRET)
        assert made.browser().sign_in().status_code == 400
        assert made.reasons() == ["id_token_alg"]

    @pytest.mark.parametrize(
        ("alter", "reason"),
        [
            pytest.param(
                lambda token: sign_hmac(unverified_claims(token), CLIENT_SECRET + "x", "HS256"),
                "id_token_signature",
                id="another-secret",
            ),
            pytest.param(
                lambda token: sign_hmac(unverified_claims(token), CLIENT_SECRET * 2, "HS384"),
                "id_token_alg",
                id="hs384",
            ),
            pytest.param(
                lambda token: serialize(
                    {"alg": "HS256", "kid": "one"},
                    unverified_claims(token),
                    # What anybody can read, taken for a secret: the classic confusion of algorithms.
                    OctKey.import_key(json.dumps(signing_key().as_dict(private=False))),
                    None,
                ),
                "id_token_signature",
                id="public-jwk-as-secret",
            ),
            pytest.param(lambda token: token.rpartition(".")[0] + ".", "id_token_signature", id="unsigned"),
        ],
    )
    def test_with_exactly_that_secret(self, alter: Callable[[str], str], reason: str) -> None:
        made = scene(id_token_algorithms=["HS256", "ES256"])
        made.provider.altered = alter
        browser = made.browser()
        assert browser.sign_in().status_code == 400
        assert made.reasons() == [reason]
        assert not browser.has_session()

    def test_its_key_set_is_not_fetched(self) -> None:
        made = scene(id_token_algorithms=["HS256"])
        made.provider.breaks("/jwks", status_code=500)
        signs_with(made, CLIENT_SECRET)
        assert made.browser().sign_in().status_code == 303

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            pytest.param({"client_secret": "x" * 31}, "client_secret: is too short", id="short"),
            pytest.param(
                {"token_endpoint_auth_method": "none"},
                "id_token_algorithms: 'HS256' needs",
                id="public",
            ),
            pytest.param({"client_signing_keys": PEM}, "id_token_algorithms: 'HS256' needs", id="key-alone"),
        ],
    )
    def test_a_client_without_a_long_secret_cannot(self, settings: dict[str, Any], said: str) -> None:
        provider = {"issuer": ISSUER, "client_id": CLIENT_ID, "id_token_algorithms": ["HS256"], **settings}
        with pytest.raises(SettingsError) as caught:
            config_from_mapping(
                {
                    "public_url": "https://app.example.com",
                    "provider": provider,
                    "users": {"source": "any"},
                    "session": {"secret": SECRET},
                }
            )
        (problem,) = caught.value.problems
        assert said in str(problem)


@pytest.mark.row("S-48")
class TestEncryptedIdTokens:
    """A JWE with a signed token inside opens with the gate's key; anything else does not count."""

    @pytest.mark.parametrize(
        ("key", "alg", "enc"),
        [
            pytest.param(OURS, "ECDH-ES", "A128CBC-HS256", id="ecdh"),
            pytest.param(OURS, "ECDH-ES+A256KW", "A256GCM", id="ecdh-kw"),
            pytest.param(OUR_RSA, "RSA-OAEP", "A128GCM", id="rsa-oaep"),
            pytest.param(OUR_RSA, "RSA-OAEP-256", "A256CBC-HS512", id="rsa-oaep-256"),
        ],
    )
    def test_opens(self, key: Any, alg: str, enc: str) -> None:
        made = scene(client_decryption_keys=key.as_pem(private=True).decode())
        reader = published(made)
        made.provider.altered = lambda token: encrypt(token, reader, alg, enc)
        browser = made.browser()
        assert browser.sign_in().status_code == 303
        assert browser.has_session()

    def test_with_an_old_key_while_it_is_replaced(self) -> None:
        jwks = {"keys": [{**private_jwk(OURS), "kid": "new"}, {**private_jwk(OTHER), "kid": "old"}]}
        made = scene(client_decryption_keys=json.dumps(jwks))
        reader = published(made, "old")
        made.provider.altered = lambda token: encrypt(token, reader, "ECDH-ES", "A128GCM")
        assert made.browser().sign_in().status_code == 303

    def test_one_in_the_clear_is_still_believed(self) -> None:
        assert scene(client_decryption_keys=PEM).browser().sign_in().status_code == 303

    def test_the_hint_at_sign_out_is_the_signed_token(self) -> None:
        made = scene(client_decryption_keys=PEM)
        reader = published(made)
        made.provider.altered = lambda token: encrypt(token, reader, "ECDH-ES", "A128GCM")
        browser = made.browser()
        browser.sign_in()
        location = browser.post("/.oidcgate/logout", {}).headers["Location"]
        assert location.partition("id_token_hint=")[2].partition("&")[0].count(".") == 2

    @pytest.mark.parametrize(
        ("alter", "reason"),
        [
            pytest.param(
                lambda token, reader: jwe.encrypt_compact(
                    {"alg": "ECDH-ES", "enc": "A128GCM", "kid": reader.kid},
                    json.dumps(unverified_claims(token)),
                    reader.key,
                ),
                "id_token_encryption",
                id="raw-json",
            ),
            pytest.param(
                lambda token, reader: encrypt(
                    token, EncryptionKey(OTHER, reader.kid, None), "ECDH-ES", "A128GCM"
                ),
                "id_token_encryption",
                id="to-another-key",
            ),
            pytest.param(
                lambda token, reader: encrypt(
                    token, EncryptionKey(reader.key, "foreign", None), "ECDH-ES", "A128GCM"
                ),
                "id_token_encryption",
                id="kid-unknown",
            ),
            pytest.param(
                lambda token, reader: encrypt(token, reader, "ECDH-ES", "A128GCM")[:-4] + "AAAA",
                "id_token_encryption",
                id="altered",
            ),
            pytest.param(
                lambda token, reader: encrypt(
                    sign(unverified_claims(token), OTHER, "ES256", kid="one"), reader, "ECDH-ES", "A128GCM"
                ),
                "id_token_signature",
                id="signed-by-another",
            ),
            pytest.param(
                lambda token, reader: encrypt(
                    sign_hmac(unverified_claims(token), CLIENT_SECRET, "HS256"), reader, "ECDH-ES", "A128GCM"
                ),
                "id_token_alg",
                id="signed-with-the-secret",
            ),
            pytest.param(lambda token, reader: "a.b.c.d.e", "id_token_encryption", id="garbage"),
            pytest.param(lambda token, reader: "....", "id_token_encryption", id="empty"),
        ],
    )
    def test_what_is_not_believed(self, alter: Callable[[str, EncryptionKey], str], reason: str) -> None:
        made = scene(client_decryption_keys=PEM)
        reader = published(made)
        made.provider.altered = lambda token: alter(token, reader)
        browser = made.browser()
        assert browser.sign_in().status_code == 400
        assert made.reasons() == [reason]
        assert not browser.has_session()

    def test_other_tokens_of_the_idp_open_likewise(self) -> None:
        made = scene(client_decryption_keys=PEM)
        (party,) = made.parts.relying_parties.values()
        signed = sign({"sub": "x"}, signing_key(), "ES256", kid="one", typ="logout+jwt")
        token = encrypt(signed, published(made), "ECDH-ES", "A128GCM")
        assert party.signed_tokens.verified(token).claims == {"sub": "x"}
        raw = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A128GCM"}, '{"sub": "x"}', OURS)
        with pytest.raises(JWTError):
            party.signed_tokens.verified(raw)

    def test_without_a_key_the_log_says_what_is_missing(self) -> None:
        made = scene()
        made.provider.altered = lambda token: encrypt(
            token, EncryptionKey(OTHER, "x", None), "ECDH-ES", "A128GCM"
        )
        assert made.browser().sign_in().status_code == 400
        assert "client_decryption_keys" in made.audit[-1]["detail"]


@pytest.mark.row("A-10")
class TestSignedUserinfo:
    """application/jwt: verified like an ID token, and about the same person."""

    def scene(self, token: Callable[[Mapping[str, Any]], str], **lies: Any) -> Scene:
        made = scene(get_user_info=True, client_decryption_keys=PEM)
        truth = {"iss": ISSUER, "aud": CLIENT_ID, "sub": "sub-of-alice", "email": "alice@id.example"}
        made.provider.breaks(
            "/userinfo",
            text=token(changed(truth, lies)),
            headers={"Content-Type": "application/jwt; charset=utf-8"},
        )
        return made

    @staticmethod
    def signed(claims: Mapping[str, Any]) -> str:
        return sign(claims, signing_key(), "ES256", kid="one")

    def encrypted(self, claims: Mapping[str, Any]) -> str:
        kid = published(scene(client_decryption_keys=PEM)).kid
        return encrypt(self.signed(claims), EncryptionKey(OURS, kid, None), "ECDH-ES", "A128GCM")

    @pytest.mark.parametrize("form", ["signed", "encrypted"])
    @pytest.mark.parametrize("audience", [CLIENT_ID, ["other", CLIENT_ID]], ids=["one", "list"])
    def test_is_merged(self, form: str, audience: Any) -> None:
        made = self.scene(getattr(self, form), aud=audience)
        browser = made.browser()
        assert browser.sign_in().status_code == 303
        assert browser.get("/.oidcgate/userinfo", SCRIPT).get_json()["claims"]["email"] == "alice@id.example"

    @pytest.mark.parametrize(
        ("lies", "reason"),
        [
            pytest.param({"iss": "https://evil.example"}, "userinfo_iss", id="iss"),
            pytest.param({"iss": GONE}, "userinfo_iss", id="no-iss"),
            pytest.param({"aud": "other"}, "userinfo_aud", id="aud"),
            pytest.param({"aud": GONE}, "userinfo_aud", id="no-aud"),
            pytest.param({"aud": {"app": 1}}, "userinfo_aud", id="aud-object"),
            pytest.param({"sub": "sub-of-bob"}, "userinfo_sub", id="sub"),
            pytest.param({"sub": GONE}, "userinfo_malformed", id="no-sub"),
            pytest.param({"exp": NOW - 60}, "userinfo_exp", id="ended"),
            pytest.param({"exp": "soon"}, "userinfo_malformed", id="exp-text"),
        ],
    )
    def test_each_claim_is_necessary(self, lies: dict[str, Any], reason: str) -> None:
        made = self.scene(self.signed, **lies)
        browser = made.browser()
        assert browser.sign_in().status_code == 400
        assert made.reasons() == [reason]
        assert not browser.has_session()

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            pytest.param(
                lambda claims: sign(claims, OTHER, "ES256", kid="one"), "userinfo_signature", id="other-key"
            ),
            pytest.param(
                lambda claims: sign_hmac(claims, CLIENT_SECRET, "HS256"), "userinfo_signature", id="secret"
            ),
            pytest.param(
                lambda claims: jwe.encrypt_compact(
                    {"alg": "ECDH-ES", "enc": "A128GCM"}, json.dumps(dict(claims)), OURS
                ),
                "userinfo_encryption",
                id="raw-json-encrypted",
            ),
            pytest.param(json.dumps, "userinfo_signature", id="json-called-jwt"),
            pytest.param(lambda claims: "ä.b.c", "userinfo_signature", id="no-token"),
            pytest.param(lambda claims: "", "userinfo_signature", id="empty"),
        ],
    )
    def test_so_is_the_signature(self, token: Callable[[Mapping[str, Any]], str], reason: str) -> None:
        made = self.scene(token)
        assert made.browser().sign_in().status_code == 400
        assert made.reasons() == [reason]

    def test_a_token_that_is_called_json_is_no_answer(self) -> None:
        made = scene(get_user_info=True)
        made.provider.breaks("/userinfo", text=self.signed({"sub": "sub-of-alice"}))
        assert made.browser().sign_in().status_code == 503

"""Keys: what is made, published, and taken from others."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWK

from oidcgate.jose.keys import (
    SIGNING_ALGORITHMS,
    UnusableKey,
    choose,
    generate_key,
    import_key,
    import_public_keys,
    private_jwk,
    public_jwk,
    thumbprint_kid,
)
from tests.oidcgate.jose.vectors import (
    RFC7515_A2_KEY,
    RFC7515_A3_KEY,
    RFC7517_A1_SET,
    RFC7638_THUMBPRINT,
    RFC8037_A2_KEY,
    RFC8037_A3_THUMBPRINT,
)

EC = generate_key("ES256")
ED = generate_key("Ed25519")


@pytest.mark.parametrize(
    ("jwk", "thumbprint"),
    [
        pytest.param(RFC7517_A1_SET["keys"][1], RFC7638_THUMBPRINT, id="rfc7638-3.1"),
        pytest.param(RFC8037_A2_KEY, RFC8037_A3_THUMBPRINT, id="rfc8037-a3"),
    ],
)
def test_the_kid_is_the_rfc_7638_thumbprint(jwk: dict[str, Any], thumbprint: str) -> None:
    assert thumbprint_kid(import_key(jwk)) == thumbprint


@pytest.mark.parametrize("alg", SIGNING_ALGORITHMS)
def test_a_key_survives_storage_and_another_library_reads_what_is_published(alg: str) -> None:
    key = generate_key(alg)
    stored = json.loads(json.dumps(private_jwk(key)))
    assert thumbprint_kid(import_key(stored)) == thumbprint_kid(key)
    published = public_jwk(import_key(stored), "k1", alg)
    # PyJWT knows the curve's signature by its older name only.
    assert PyJWK(published, algorithm="EdDSA" if alg == "Ed25519" else alg).key_id == "k1"
    assert {"kid": "k1", "use": "sig", "alg": alg}.items() <= published.items()
    assert published.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi", "k"})


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256K", "RSA-OAEP", "", "rs256"])
@pytest.mark.row("P-14")
def test_no_key_is_made_for_other_algorithms(alg: str) -> None:
    with pytest.raises(UnusableKey, match="not a signing algorithm"):
        generate_key(alg)


def test_a_public_key_has_no_private_part_to_store() -> None:
    with pytest.raises(UnusableKey, match="no private part"):
        private_jwk(import_key(RFC7515_A3_KEY))


def test_a_key_is_not_published_under_an_algorithm_it_cannot_do() -> None:
    with pytest.raises(UnusableKey, match="does not go with this key"):
        public_jwk(EC, "k1", "RS256")


def test_the_published_example_set_yields_its_signing_key_only() -> None:
    (key,) = import_public_keys(RFC7517_A1_SET)
    assert (key.kid, key.alg) == ("2011-04-29", "RS256")


def short_rsa() -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505
    modulus = key.public_key().public_numbers().n
    return {"kty": "RSA", "n": urlsafe_b64encode(modulus.to_bytes(128)).rstrip(b"=").decode(), "e": "AQAB"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("key", id="not-an-object"),
        pytest.param({}, id="empty"),
        pytest.param({**RFC7515_A3_KEY, "kty": "AKP"}, id="unknown-kty"),
        pytest.param({**RFC7515_A3_KEY, "kty": ["EC"]}, id="kty-not-a-string"),
        pytest.param({**RFC7515_A3_KEY, "use": "enc"}, id="for-encryption"),
        pytest.param({**RFC7515_A3_KEY, "key_ops": ["deriveKey"]}, id="key-ops-without-verify"),
        pytest.param({**RFC7515_A3_KEY, "key_ops": "verify"}, id="key-ops-not-a-list"),
        pytest.param({**RFC7515_A3_KEY, "alg": "ECDH-ES"}, id="encryption-algorithm"),
        pytest.param({**RFC7515_A3_KEY, "alg": ["ES256"]}, id="alg-not-a-string"),
        pytest.param({**RFC7515_A3_KEY, "kid": 1}, id="kid-not-a-string"),
        pytest.param({**RFC7515_A3_KEY, "x": "f83OJ3D2"}, id="x-too-short"),
        pytest.param({**RFC7515_A3_KEY, "x": "!!!"}, id="x-not-base64url"),
        pytest.param({**RFC7515_A3_KEY, "x": 5}, id="x-not-a-string"),
        pytest.param({**RFC7515_A3_KEY, "y": RFC7515_A3_KEY["x"]}, id="point-off-the-curve"),
        pytest.param({**RFC7515_A3_KEY, "crv": "secp256k1"}, id="foreign-curve"),
        pytest.param({**RFC8037_A2_KEY, "crv": "X25519"}, id="key-agreement-curve"),
        pytest.param({"kty": "RSA", "e": "AQAB"}, id="n-missing"),
        pytest.param(short_rsa(), id="rsa-too-short"),
        pytest.param({**RFC7515_A2_KEY, "n": "_" * 4000}, id="rsa-too-long"),
        pytest.param({**RFC7515_A2_KEY, "e": "AQ"}, id="rsa-exponent-one"),
    ],
)
def test_an_odd_key_is_left_out_and_the_others_stay(entry: Any) -> None:
    good = public_jwk(EC, "good", "ES256")
    assert [key.kid for key in import_public_keys({"keys": [entry, good]})] == ["good"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param({}, "no list of keys", id="no-keys"),
        pytest.param({"keys": {}}, "no list of keys", id="keys-not-a-list"),
        pytest.param({"keys": [{}] * 101}, "more than 100", id="too-many"),
        pytest.param({"keys": [private_jwk(ED)]}, "private or symmetric", id="private-key"),
        pytest.param({"keys": [{"kty": "oct", "k": "AAAA"}]}, "private or symmetric", id="symmetric-key"),
    ],
)
def test_a_set_that_proves_nothing_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableKey, match=message):
        import_public_keys(document)


def test_choice_goes_by_kid_and_by_what_the_key_can_do() -> None:
    signer = generate_key("RS256")
    keys = import_public_keys(
        {
            "keys": [
                {**public_jwk(signer, "r", "RS256"), "alg": "RS256"},
                {name: value for name, value in public_jwk(signer, "p", "PS256").items() if name != "alg"},
                public_jwk(EC, "e", "ES256"),
                public_jwk(ED, "d", "EdDSA"),
            ]
        }
    )

    def kids(kid: str | None, alg: str) -> list[str | None]:
        return [key.kid for key in choose(keys, kid, alg)]

    assert kids("r", "RS256") == ["r"]
    assert kids("r", "PS256") == []
    assert kids(None, "RS256") == ["r", "p"]
    assert kids("e", "RS256") == []
    assert kids("e", "ES384") == []
    assert kids("d", "Ed25519") == ["d"]
    assert kids("x", "RS256") == []
    assert kids(None, "none") == []
    assert kids(None, "HS256") == []


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["RSA", "EC", "OKP", "AQAB"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["keys", "kty"]), anything))
def test_any_document_is_keys_or_the_declared_refusal(document: dict[str, Any]) -> None:
    try:
        keys = import_public_keys(document)
    except UnusableKey:
        return
    assert isinstance(keys, tuple)

"""Private keys out of files: every form in which tools write them, and what is refused by what is wrong."""

import json
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.jose.keys import Key, UnusableKey, generate_key, private_jwk, thumbprint_kid
from oidcgate.jose.private_keys import private_keys

EC, RSA = generate_key("ES256"), generate_key("RS256")
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


def pem(key: Key) -> str:
    return key.as_pem(private=True).decode()


def test_several_pem_blocks_with_text_between_them() -> None:
    found = private_keys(f"# new\n{pem(EC)}\n# old\n{pem(RSA)}", "sig")
    assert [entry.kid for entry in found] == [thumbprint_kid(EC), thumbprint_kid(RSA)]
    assert [entry.alg for entry in found] == [None, None]


def test_the_older_form_of_openssl() -> None:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    text = RSA.private_key.private_bytes(serialization.Encoding.PEM, form, PLAIN).decode()
    assert private_keys(text, "sig")[0].kid == thumbprint_kid(RSA)


def test_the_curve_that_openssl_writes_beside_a_key() -> None:
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert len(private_keys(parameters + pem(EC), "sig")) == 1


def test_a_key_to_agree_with() -> None:
    native = x25519.X25519PrivateKey.generate()
    text = native.private_bytes(serialization.Encoding.PEM, PKCS8, PLAIN).decode()
    (entry,) = private_keys(text, "enc")
    assert entry.key.curve_name == "X25519"  # type: ignore[union-attr]


def test_a_jwk_and_a_jwk_set() -> None:
    jwk = {**private_jwk(EC), "kid": "mine", "alg": "ES256", "use": "sig"}
    assert private_keys(json.dumps(jwk), "sig")[0][1:] == ("mine", "ES256")
    both = private_keys(json.dumps({"keys": [jwk, private_jwk(RSA)]}), "sig")
    assert [entry.kid for entry in both] == ["mine", thumbprint_kid(RSA)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "the key is missing", id="empty"),
        pytest.param("hello", "the key is missing", id="text"),
        pytest.param("{", "cannot be read", id="no-json"),
        pytest.param('{"kty":"EC","kty":"RSA"}', "cannot be read", id="member-twice"),
        pytest.param('{"keys": []}', "the key is missing", id="empty-set"),
        pytest.param('{"keys": {}}', "no list of keys", id="no-list"),
        pytest.param('{"keys": ["x"]}', "no list of keys", id="no-key"),
        pytest.param('{"kty": "oct", "k": "AAAA"}', "neither RSA nor EC nor OKP", id="secret"),
        pytest.param(json.dumps(EC.as_dict(private=False)), "no private part", id="public-jwk"),
        pytest.param(json.dumps({**private_jwk(EC), "use": "enc"}), "use is not sig", id="other-use"),
        pytest.param(json.dumps({**private_jwk(EC), "kid": 7}), "not a string", id="kid-number"),
        pytest.param(EC.as_pem(private=False).decode(), "the key is missing", id="public-pem"),
        pytest.param(
            EC.private_key.private_bytes(
                serialization.Encoding.PEM, PKCS8, serialization.BestAvailableEncryption(b"x")
            ).decode(),
            "the key is encrypted",
            id="encrypted",
        ),
        pytest.param(pem(EC).replace("MIG", "AAA"), "cannot be read", id="broken"),
        pytest.param(
            ec.generate_private_key(ec.BrainpoolP256R1())
            .private_bytes(serialization.Encoding.PEM, PKCS8, PLAIN)
            .decode(),
            "curve that is not known",
            id="curve",
        ),
        pytest.param(pem(EC) * 2, "there twice", id="twice"),
        pytest.param(
            json.dumps({"keys": [{**private_jwk(key), "kid": "one"} for key in (EC, RSA)]}),
            "the same kid",
            id="same-kid",
        ),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnusableKey, match=message) as caught:
        private_keys(text, "sig")
    assert private_jwk(EC)["d"] not in str(caught.value)


@given(
    st.text(max_size=200)
    | st.tuples(st.integers(0, 200), st.characters()).map(
        lambda change: pem(EC)[: change[0]] + change[1] + pem(EC)[change[0] + 1 :]
    )
)
@example('{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}')
def test_whatever_a_file_holds_is_a_key_or_is_refused_as_one(text: str) -> None:
    with suppress(UnusableKey):
        assert private_keys(text, "sig")

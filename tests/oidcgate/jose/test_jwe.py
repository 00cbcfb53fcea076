"""Encrypted tokens: read by other libraries, opened only as configured, never holding less than a token."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from jwcrypto import jwe as their_jwe
from jwcrypto import jwk as their_jwk

from oidcgate.jose import jwe
from oidcgate.jose.jwe import (
    CONTENT_ALGORITHMS,
    KEY_ALGORITHMS,
    MAX_ENCRYPTED_TOKEN_BYTES,
    EncryptionKey,
    JWEError,
    JWEFailure,
    choose_encryption_key,
    decrypt,
    encrypt,
    encryption_jwk,
    generate_encryption_key,
    import_encryption_keys,
)
from oidcgate.jose.jwt import MAX_TOKEN_BYTES, sign
from oidcgate.jose.keys import (
    Key,
    UnusableKey,
    generate_key,
    import_public_keys,
    private_jwk,
    public_jwk,
    read_key,
)
from tests.oidcgate.jose import encrypted_vectors as vectors
from tests.oidcgate.jose.test_jwt import segment
from tests.oidcgate.jose.test_keys import short_rsa
from tests.oidcgate.jose.vectors import RFC7517_A1_SET

RSA = generate_key("RS256")
EC = generate_key("ES256")
X25519 = OKPKey.generate_key("X25519")
KEYS: dict[str, Key] = {
    "rsa": RSA,
    "P-256": EC,
    "P-384": generate_key("ES384"),
    "P-521": generate_key("ES512"),
    "X25519": X25519,
}
SIGNED = sign({"sub": "canary-sub"}, EC, "ES256", kid="k")


def published(key: Key, **members: Any) -> dict[str, Any]:
    """The public key, with whatever else its owner says of it."""
    return {**dict(key.as_dict(private=False)), **members}


def theirs(plaintext: str, key: Key, header: dict[str, Any]) -> str:
    """A JWE of the other library, which encrypts whatever it is asked to."""
    token = their_jwe.JWE(plaintext.encode(), json.dumps(header), algs=[header["alg"], header["enc"]])
    token.add_recipient(their_jwk.JWK(**published(key)))
    return str(token.serialize(compact=True))


def opened(token: str, keys: dict[str, Key] | None = None) -> str:
    return decrypt(token, {"k": RSA} if keys is None else keys, KEY_ALGORITHMS, CONTENT_ALGORITHMS)


def refusal(token: str, keys: dict[str, Key] | None = None) -> JWEFailure:
    with pytest.raises(JWEError) as caught:
        opened(token, keys)
    assert caught.value.detail
    assert str(caught.value) == f"{caught.value.reason}: {caught.value.detail}"
    return caught.value.reason


GOOD = encrypt(SIGNED, EncryptionKey(RSA, "k", None), "RSA-OAEP-256", "A128GCM")
HEADER, ENCRYPTED_KEY, IV, CIPHERTEXT, TAG = GOOD.split(".")
AGREED = encrypt(SIGNED, EncryptionKey(EC, "k", None), "ECDH-ES", "A128GCM")
EPK = json.loads(their_jwk.base64url_decode(AGREED.partition(".")[0]))["epk"]


def headed(**changes: Any) -> str:
    """The good token under another header: whatever else is refused, it does not open."""
    return headed_of(GOOD, {"alg": "RSA-OAEP-256", "enc": "A128GCM", "kid": "k"} | changes)


def headed_of(token: str, header: dict[str, Any]) -> str:
    return ".".join((segment(header), *token.split(".")[1:]))


@pytest.mark.row("S-48")
def test_the_nested_token_of_rfc_7520_opens() -> None:
    key = read_key(vectors.RFC7520_6_KEY)
    assert opened(vectors.RFC7520_6_TOKEN, {"any": key}) == vectors.RFC7520_6_SIGNED


@pytest.mark.row("P-08")
@pytest.mark.parametrize(
    ("jwk", "token"),
    [
        pytest.param(vectors.RFC7520_5_4_KEY, vectors.RFC7520_5_4_TOKEN, id="rfc7520-5.4"),
        pytest.param(vectors.RFC7520_5_5_KEY, vectors.RFC7520_5_5_TOKEN, id="rfc7520-5.5"),
        pytest.param(vectors.X25519_KEY, vectors.X25519_TOKEN, id="x25519"),
    ],
)
def test_published_examples_open_and_are_refused_for_what_is_inside(jwk: dict[str, Any], token: str) -> None:
    keys = {jwk["kid"]: read_key(jwk)}
    assert refusal(token, keys) is JWEFailure.NOT_NESTED
    assert refusal(token[:-4] + "AAAA", keys) is JWEFailure.DECRYPTION


def ways() -> list[Any]:
    fitting = [
        (name, alg) for name in KEYS for alg in KEY_ALGORITHMS if (name == "rsa") == alg.startswith("RSA")
    ]
    # Every key management with one content encryption, and every content encryption with one management.
    plans = [(name, alg, "A256GCM") for name, alg in fitting]
    plans += [
        (name, alg, enc) for name, alg in fitting if name in ("rsa", "P-256") for enc in CONTENT_ALGORITHMS
    ]
    return [pytest.param(*plan, id="-".join(plan)) for plan in dict.fromkeys(plans)]


@pytest.mark.row("S-48")
@pytest.mark.parametrize(("name", "alg", "enc"), ways())
def test_another_library_opens_ours_and_we_open_its(name: str, alg: str, enc: str) -> None:
    key = KEYS[name]
    ours = encrypt(SIGNED, EncryptionKey(key, "k", None), alg, enc)
    reader = their_jwe.JWE(algs=[alg, enc])
    reader.deserialize(ours, their_jwk.JWK(**dict(key.as_dict(private=True))))
    assert reader.payload.decode() == SIGNED
    header = json.loads(reader.objects["protected"])
    header.pop("epk", None)
    assert header == {"alg": alg, "enc": enc, "cty": "JWT", "kid": "k"}
    assert opened(ours, {"k": key}) == SIGNED
    assert opened(theirs(SIGNED, key, {"alg": alg, "enc": enc, "kid": "k"}), {"k": key}) == SIGNED


@pytest.mark.row("S-48")
def test_two_tokens_of_the_same_content_have_nothing_in_common() -> None:
    again = encrypt(SIGNED, EncryptionKey(RSA, "k", None), "RSA-OAEP-256", "A128GCM").split(".")
    assert [a for a, b in zip(again[1:], (ENCRYPTED_KEY, IV, CIPHERTEXT, TAG), strict=True) if a == b] == []


@pytest.mark.row("P-08")
@pytest.mark.parametrize(
    "inner",
    [
        pytest.param(json.dumps({"sub": "x", "iss": "https://id.example"}), id="raw-json"),
        pytest.param("", id="nothing"),
        pytest.param("a sentence. with two. stops", id="text"),
        pytest.param(f"{segment({'typ': 'JWT'})}.{segment({})}.AA", id="no-alg"),
        pytest.param(f"{segment({'alg': 'none'})}.{segment({})}", id="two-parts"),
        pytest.param(GOOD, id="another-jwe"),
        pytest.param(SIGNED + "ä", id="not-ascii"),
    ],
)
def test_what_holds_no_signed_token_is_refused(inner: str) -> None:
    token = theirs(inner, RSA, {"alg": "RSA-OAEP-256", "enc": "A128GCM", "cty": "JWT", "kid": "k"})
    assert refusal(token) is JWEFailure.NOT_NESTED
    with pytest.raises(ValueError, match="only a signed token is encrypted"):
        encrypt(inner, EncryptionKey(RSA, "k", None), "RSA-OAEP-256", "A128GCM")


def flipped(segment_: str) -> str:
    return ("A" if segment_[0] != "A" else "B") + segment_[1:]


@pytest.mark.row("P-14")
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(headed(alg="RSA1_5"), JWEFailure.ALGORITHM, id="rsa1_5"),
        pytest.param(headed(alg="dir"), JWEFailure.ALGORITHM, id="dir"),
        pytest.param(headed(alg="none"), JWEFailure.ALGORITHM, id="alg-none"),
        pytest.param(
            headed(alg="PBES2-HS256+A128KW", p2c=10**9, p2s="AA"), JWEFailure.ALGORITHM, id="pbes2-bomb"
        ),
        pytest.param(headed(alg="ECDH-ES", epk=EPK), JWEFailure.UNKNOWN_KEY, id="agreement-with-an-rsa-key"),
        pytest.param(headed(enc="A128KW"), JWEFailure.ALGORITHM, id="enc-foreign"),
        pytest.param(headed(enc="none"), JWEFailure.ALGORITHM, id="enc-none"),
        pytest.param(headed(zip="DEF"), JWEFailure.ALGORITHM, id="compressed"),
        pytest.param(headed(crit=["exp"], exp=1), JWEFailure.CRIT, id="crit"),
        pytest.param(headed(kid="other"), JWEFailure.UNKNOWN_KEY, id="kid-unknown"),
        pytest.param(headed(kid=1), JWEFailure.MALFORMED, id="kid-not-a-string"),
        pytest.param(headed(alg=None), JWEFailure.MALFORMED, id="alg-null"),
        pytest.param(headed(enc=["A128GCM"]), JWEFailure.MALFORMED, id="enc-a-list"),
        pytest.param(
            headed_of(GOOD, {"alg": "RSA-OAEP-256", "kid": "k"}), JWEFailure.MALFORMED, id="enc-missing"
        ),
        pytest.param(headed(x="y"), JWEFailure.DECRYPTION, id="header-altered"),
        pytest.param(headed(enc="A256GCM"), JWEFailure.DECRYPTION, id="enc-altered"),
        pytest.param(headed(enc="A128CBC-HS256"), JWEFailure.DECRYPTION, id="enc-of-another-family"),
        pytest.param(headed(alg="RSA-OAEP"), JWEFailure.DECRYPTION, id="alg-altered"),
        pytest.param(
            f"{HEADER}.{flipped(ENCRYPTED_KEY)}.{IV}.{CIPHERTEXT}.{TAG}",
            JWEFailure.DECRYPTION,
            id="key-altered",
        ),
        pytest.param(f"{HEADER}..{IV}.{CIPHERTEXT}.{TAG}", JWEFailure.DECRYPTION, id="key-missing"),
        pytest.param(
            f"{HEADER}.{ENCRYPTED_KEY}.{flipped(IV)}.{CIPHERTEXT}.{TAG}",
            JWEFailure.DECRYPTION,
            id="iv-altered",
        ),
        pytest.param(f"{HEADER}.{ENCRYPTED_KEY}..{CIPHERTEXT}.{TAG}", JWEFailure.DECRYPTION, id="iv-missing"),
        pytest.param(
            f"{HEADER}.{ENCRYPTED_KEY}.{IV}.{flipped(CIPHERTEXT)}.{TAG}",
            JWEFailure.DECRYPTION,
            id="text-altered",
        ),
        pytest.param(
            f"{HEADER}.{ENCRYPTED_KEY}.{IV}.{CIPHERTEXT}.{flipped(TAG)}",
            JWEFailure.DECRYPTION,
            id="tag-altered",
        ),
        pytest.param(
            f"{HEADER}.{ENCRYPTED_KEY}.{IV}.{CIPHERTEXT}.{TAG[:6]}", JWEFailure.DECRYPTION, id="tag-short"
        ),
        pytest.param(f"{HEADER}.{ENCRYPTED_KEY}.{IV}.{CIPHERTEXT}.", JWEFailure.DECRYPTION, id="tag-missing"),
        pytest.param(f"{HEADER}.{ENCRYPTED_KEY}.{IV}.!.{TAG}", JWEFailure.DECRYPTION, id="not-base64url"),
        pytest.param(SIGNED, JWEFailure.MALFORMED, id="a-signed-token"),
        pytest.param("", JWEFailure.MALFORMED, id="empty"),
        pytest.param(f"{GOOD}.x", JWEFailure.MALFORMED, id="six-parts"),
        pytest.param(f"{GOOD}ä", JWEFailure.MALFORMED, id="not-ascii"),
        pytest.param(f"{HEADER}=.{ENCRYPTED_KEY}.{IV}.{CIPHERTEXT}.{TAG}", JWEFailure.MALFORMED, id="padded"),
        pytest.param(headed_of(GOOD, {"x": "y" * 9000}), JWEFailure.MALFORMED, id="header-too-long"),
        pytest.param(
            "eyJhbGciOiJkaXIiLCJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhHQ00ifQ....",
            JWEFailure.MALFORMED,
            id="alg-twice",
        ),
        pytest.param(
            f"{HEADER}.{ENCRYPTED_KEY}.{IV}.{'A' * MAX_ENCRYPTED_TOKEN_BYTES}.{TAG}",
            JWEFailure.MALFORMED,
            id="too-long",
        ),
    ],
)
def test_a_token_with_one_thing_wrong_is_refused_by_name(token: str, reason: JWEFailure) -> None:
    assert refusal(token) is reason


def test_lengths_are_those_that_are_named() -> None:
    for token, why in (
        ("A" * MAX_ENCRYPTED_TOKEN_BYTES, "five parts"),
        ("A" * (MAX_ENCRYPTED_TOKEN_BYTES + 1), "too long or not ASCII"),
        ("A" * 8192 + "....", "header cannot be read"),
        ("A" * 8193 + "....", "five parts"),
    ):
        with pytest.raises(JWEError, match=why):
            decrypt(token, {"k": RSA}, KEY_ALGORITHMS, CONTENT_ALGORITHMS)


@pytest.mark.row("P-14")
def test_only_what_the_caller_accepts_is_opened() -> None:
    with pytest.raises(JWEError) as caught:
        decrypt(GOOD, {"k": RSA}, ("RSA-OAEP",), CONTENT_ALGORITHMS)
    assert caught.value.reason is JWEFailure.ALGORITHM
    with pytest.raises(JWEError) as caught:
        decrypt(GOOD, {"k": RSA}, KEY_ALGORITHMS, ("A256GCM",))
    assert caught.value.reason is JWEFailure.ALGORITHM
    # What this package does not do stays undone when somebody configures it.
    direct = joserfc_jwe.encrypt_compact({"alg": "dir", "enc": "A128GCM"}, SIGNED, OctKey.generate_key(128))
    with pytest.raises(JWEError) as caught:
        decrypt(direct, {"k": RSA}, ("dir",), CONTENT_ALGORITHMS)
    assert caught.value.reason is JWEFailure.UNKNOWN_KEY


@pytest.mark.parametrize(
    "epk",
    [
        pytest.param(None, id="missing"),
        pytest.param("x", id="not-an-object"),
        pytest.param({}, id="empty"),
        pytest.param({**EPK, "kty": "OKP"}, id="other-kty"),
        pytest.param({**EPK, "crv": "P-384"}, id="other-curve"),
        pytest.param({**EPK, "x": 1}, id="x-not-a-string"),
        pytest.param({**EPK, "x": ""}, id="x-empty"),
        pytest.param({**EPK, "x": "!"}, id="x-not-base64url"),
        pytest.param({**EPK, "y": EPK["x"]}, id="off-the-curve"),
        pytest.param({**EPK, "d": EPK["x"]}, id="private"),
        pytest.param({**EPK, "use": 5}, id="odd-use"),
        pytest.param({**EPK, "x": "A" * 5000}, id="huge"),
        pytest.param({"kty": "oct", "k": "AAAA"}, id="symmetric"),
    ],
)
def test_a_hostile_one_time_key_opens_nothing(epk: Any) -> None:
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": "k", "epk": epk}
    assert refusal(headed_of(AGREED, header), {"k": EC}) is JWEFailure.DECRYPTION


def agreed(epk: dict[str, Any], one_time: Any) -> str:
    """A token for the key `k`, made by hand with whatever the header is to say. Spec: RFC 7518 4.6."""
    head = segment({"alg": "ECDH-ES", "enc": "A128GCM", "kid": "k", "epk": epk, "unknown": "member"})
    secret = one_time.private_key.exchange(ec.ECDH(), EC.public_key)

    def sized(data: bytes) -> bytes:
        return len(data).to_bytes(4) + data

    info = sized(b"A128GCM") + sized(b"") + sized(b"") + (128).to_bytes(4)
    key = ConcatKDFHash(hashes.SHA256(), 16, info).derive(secret)
    sealed = AESGCM(key).encrypt(b"i" * 12, SIGNED.encode(), head.encode())
    return f"{head}..{segment(b'i' * 12)}.{segment(sealed[:-16])}.{segment(sealed[-16:])}"


def test_a_token_made_by_hand_opens_and_its_unknown_members_do_not_matter() -> None:
    one_time = ECKey.generate_key("P-256")
    assert opened(agreed(published(one_time), one_time), {"k": EC}) == SIGNED


def test_a_one_time_key_that_comes_with_its_private_part_opens_nothing() -> None:
    one_time = ECKey.generate_key("P-256")
    assert refusal(agreed(private_jwk(one_time), one_time), {"k": EC}) is JWEFailure.DECRYPTION


@pytest.mark.parametrize(
    "changes",
    [{"apu": 5}, {"apu": "!"}, {"apv": ["x"]}, {"jku": 1}, {"x5c": "x"}, {"typ": None}, {"cty": 7}],
    ids=str,
)
def test_a_header_member_of_the_wrong_kind_opens_nothing(changes: dict[str, Any]) -> None:
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": "k", "epk": EPK} | changes
    assert refusal(headed_of(AGREED, header), {"k": EC}) is JWEFailure.DECRYPTION


def test_a_token_without_kid_needs_exactly_one_fitting_key() -> None:
    token = encrypt(SIGNED, EncryptionKey(RSA, None, None), "RSA-OAEP-256", "A128GCM")
    assert opened(token, {"rsa": RSA, "ec": EC}) == SIGNED
    assert refusal(token, {"rsa": RSA, "other": generate_key("RS256")}) is JWEFailure.MISSING_KID
    assert refusal(token, {"ec": EC}) is JWEFailure.UNKNOWN_KEY
    assert refusal(token, {}) is JWEFailure.UNKNOWN_KEY


def test_the_longest_token_that_can_be_signed_can_be_encrypted() -> None:
    empty = len(sign({"x": ""}, EC, "ES256", kid="k"))
    room = (MAX_TOKEN_BYTES - empty) * 3 // 4 - 3
    long = sign({"x": "a" * room}, EC, "ES256", kid="k")
    assert MAX_TOKEN_BYTES - 8 < len(long) <= MAX_TOKEN_BYTES
    big = read_key(dict(RSAKey.generate_key(2048).as_dict(private=True)))
    for enc in CONTENT_ALGORITHMS:
        assert opened(encrypt(long, EncryptionKey(big, "k", None), "RSA-OAEP", enc), {"k": big}) == long
    with pytest.raises(ValueError, match="too long"):
        encrypt(long + "A" * 8, EncryptionKey(big, "k", None), "RSA-OAEP", "A128GCM")


@pytest.mark.parametrize(
    ("key", "alg", "enc"),
    [
        pytest.param(EncryptionKey(RSA, "k", None), "RSA1_5", "A128GCM", id="rsa1_5"),
        pytest.param(EncryptionKey(RSA, "k", None), "RSA-OAEP", "none", id="enc-none"),
        pytest.param(EncryptionKey(RSA, "k", None), "ECDH-ES", "A128GCM", id="agreement-with-rsa"),
        pytest.param(EncryptionKey(EC, "k", None), "RSA-OAEP", "A128GCM", id="oaep-with-ec"),
        pytest.param(EncryptionKey(RSA, "k", "RSA-OAEP"), "RSA-OAEP-256", "A128GCM", id="pinned-to-another"),
        pytest.param(EncryptionKey(generate_key("EdDSA"), "k", None), "ECDH-ES", "A128GCM", id="ed25519"),
    ],
)
def test_what_does_not_go_together_is_not_encrypted(key: EncryptionKey, alg: str, enc: str) -> None:
    with pytest.raises(ValueError, match=r"does not go with this key|is no way to encrypt"):
        encrypt(SIGNED, key, alg, enc)


@pytest.mark.row("P-15")
def test_refusals_hold_nothing_of_the_token() -> None:
    raw = theirs("canary-text", RSA, {"alg": "RSA-OAEP", "enc": "A128GCM", "kid": "k"})
    for token in (GOOD[:-4], GOOD + ".x", raw, SIGNED, headed(kid="canary-kid"), headed(alg="canary-alg")):
        with pytest.raises(JWEError) as caught:
            opened(token)
        shown = repr(caught.value) + str(caught.value.__cause__)
        assert not any(part in shown for part in (HEADER, IV, "canary"))


@pytest.mark.row("S-49")
def test_the_published_example_set_yields_its_encryption_key() -> None:
    keys = import_encryption_keys({"keys": [RFC7517_A1_SET["keys"][0]]})
    assert [(key.kid, key.alg, key.use) for key in keys] == [("1", None, "enc")]


@pytest.mark.row("S-49")
@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("key", id="not-an-object"),
        pytest.param({}, id="empty"),
        pytest.param(public_jwk(EC, "e", "ES256"), id="for-signatures"),
        pytest.param(published(EC, use=["enc"]), id="use-not-a-string"),
        pytest.param(published(EC, key_ops=["verify"]), id="key-ops-to-verify"),
        pytest.param(published(EC, key_ops="encrypt"), id="key-ops-not-a-list"),
        pytest.param(published(EC, key_ops=[["encrypt"]]), id="key-ops-nested"),
        pytest.param(published(EC, alg="ES256"), id="signature-algorithm"),
        pytest.param(published(RSA, alg="RSA1_5"), id="rsa1_5"),
        pytest.param(published(EC, alg="RSA-OAEP"), id="algorithm-of-another-kind"),
        pytest.param(published(EC, alg=["ECDH-ES"]), id="alg-not-a-string"),
        pytest.param(published(EC, kid=1), id="kid-not-a-string"),
        pytest.param(published(EC, y="AAAA"), id="off-the-curve"),
        pytest.param(published(EC, crv="secp256k1"), id="foreign-curve"),
        pytest.param(published(generate_key("EdDSA")), id="signature-curve"),
        pytest.param(short_rsa(), id="rsa-too-short"),
    ],
)
def test_an_odd_key_is_left_out_and_the_others_stay(entry: Any) -> None:
    good = published(EC, kid="good")
    assert [key.kid for key in import_encryption_keys({"keys": [entry, good]})] == ["good"]


@pytest.mark.parametrize("operation", ["encrypt", "wrapKey", "deriveKey", "deriveBits"])
def test_a_key_for_any_side_of_encryption_is_taken(operation: str) -> None:
    assert len(import_encryption_keys({"keys": [published(EC, key_ops=["sign", operation])]})) == 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param({}, "no list of keys", id="no-keys"),
        pytest.param({"keys": [{}] * 101}, "more than 100", id="too-many"),
        pytest.param({"keys": [private_jwk(RSA)]}, "private or symmetric", id="private-key"),
        pytest.param({"keys": [{"kty": "oct", "k": "AA"}]}, "private or symmetric", id="symmetric-key"),
    ],
)
def test_a_set_that_keeps_no_secret_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableKey, match=message):
        import_encryption_keys(document)


@pytest.mark.row("S-49")
@pytest.mark.parametrize(
    ("entries", "alg", "chosen"),
    [
        pytest.param(
            [published(RSA, kid="a"), published(RSA, kid="b", use="enc")], "RSA-OAEP", "b", id="use-enc-first"
        ),
        pytest.param(
            [published(RSA, kid="a", use="enc"), published(RSA, kid="b", use="enc", alg="RSA-OAEP")],
            "RSA-OAEP",
            "b",
            id="alg-named-first",
        ),
        pytest.param(
            [published(RSA, kid="a", alg="RSA-OAEP"), published(RSA, kid="b", use="enc")],
            "RSA-OAEP",
            "b",
            id="use-before-alg",
        ),
        pytest.param(
            [published(RSA, kid="a", use="enc"), published(RSA, kid="b", use="enc")],
            "RSA-OAEP",
            "a",
            id="published-first",
        ),
        pytest.param(
            [published(RSA, kid="a", use="enc", alg="RSA-OAEP-256"), published(RSA, kid="b")],
            "RSA-OAEP",
            "b",
            id="another-alg-is-out",
        ),
        pytest.param(
            [published(RSA, kid="a", use="enc"), published(EC, kid="b")], "ECDH-ES+A256KW", "b", id="by-kind"
        ),
        pytest.param([published(X25519, kid="x")], "ECDH-ES", "x", id="x25519"),
        pytest.param([published(EC, kid="b")], "RSA-OAEP", None, id="none-fits"),
        pytest.param([published(RSA, kid="b")], "RSA1_5", None, id="never-rsa1_5"),
        pytest.param([], "RSA-OAEP", None, id="no-keys"),
    ],
)
def test_the_key_is_chosen_by_use_alg_and_order(
    entries: list[dict[str, Any]], alg: str, chosen: str | None
) -> None:
    key = choose_encryption_key(import_encryption_keys({"keys": entries}), alg)
    assert (key and key.kid) == chosen


def test_nothing_of_the_lists_is_weak() -> None:
    assert not {"RSA1_5", "dir"} & set(KEY_ALGORITHMS)
    assert not any(alg.startswith("PBES2") for alg in KEY_ALGORITHMS)
    assert set(KEY_ALGORITHMS) <= joserfc_jwe.JWERegistry.algorithms["alg"].keys()
    assert set(CONTENT_ALGORITHMS) <= joserfc_jwe.JWERegistry.algorithms["enc"].keys()


@given(
    st.text(max_size=100) | st.from_regex(r"([A-Za-z0-9_-]{0,30}\.){4}[A-Za-z0-9_-]{0,30}", fullmatch=True)
)
def test_any_text_is_refused_by_the_declared_error(token: str) -> None:
    with pytest.raises(JWEError):
        opened(token)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["P-256", "EC", EPK["x"]]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["epk", "apu", "apv", "typ", "x5c", "jwk", "b64", "cty", "p2c"]), values)
)
def test_any_header_is_refused_by_the_declared_error(header: dict[str, Any]) -> None:
    base = {"alg": "ECDH-ES+A128KW", "enc": "A128CBC-HS256", "kid": "k", "epk": EPK}
    assert refusal(headed_of(AGREED, base | header), {"k": EC}) is JWEFailure.DECRYPTION


@given(st.dictionaries(st.sampled_from(["keys", "kty"]), values | st.lists(values)))
def test_any_document_is_keys_or_the_declared_refusal(document: dict[str, Any]) -> None:
    try:
        assert isinstance(import_encryption_keys(document), tuple)
    except UnusableKey:
        return


def test_ephemeral_keys_are_judged_for_each_curve() -> None:
    assert isinstance(EC, ECKey)
    for name in ("P-384", "P-521", "X25519"):
        token = encrypt(SIGNED, EncryptionKey(KEYS[name], "k", None), "ECDH-ES", "A128GCM")
        assert refusal(token, {"k": EC}) is JWEFailure.DECRYPTION
    assert jwe.MAX_ENCRYPTED_TOKEN_BYTES < 2 * MAX_TOKEN_BYTES


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_a_key_of_our_own_is_published_to_encrypt_to(alg: str) -> None:
    key = generate_encryption_key(alg)
    document = encryption_jwk(key, "ours", alg)
    assert (document["kid"], document["use"], document["alg"]) == ("ours", "enc", alg)
    assert encryption_jwk(key, "ours", None) == {name: document[name] for name in document if name != "alg"}
    assert not {"d", "p", "q"} & document.keys()
    (found,) = import_encryption_keys({"keys": [document]})
    assert (found.kid, found.alg, found.use) == ("ours", alg, "enc")
    assert decrypt(encrypt(SIGNED, found, alg, "A128GCM"), {"ours": key}, (alg,), ("A128GCM",)) == SIGNED
    assert import_public_keys({"keys": [document]}) == ()

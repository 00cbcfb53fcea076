"""Tokens: made so that another library reads them, believed only under the caller's algorithms and keys."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.jose.jwt import (
    MAX_TOKEN_BYTES,
    JWTError,
    JWTFailure,
    opened,
    sign,
    unverified_claims,
    unverified_header,
    verify,
)
from oidcgate.jose.keys import SIGNING_ALGORITHMS, VerificationKey, generate_key, import_key, public_jwk
from tests.oidcgate.jose import vectors

KEYS = {alg: generate_key(alg) for alg in SIGNING_ALGORITHMS}
EC = KEYS["ES256"]


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def known(alg: str = "ES256", kid: str | None = "k") -> list[VerificationKey]:
    return [VerificationKey(KEYS[alg], kid, None)]


def refusal(token: str, keys: list[VerificationKey], algorithms: tuple[str, ...]) -> JWTFailure:
    with pytest.raises(JWTError) as caught:
        verify(token, keys, algorithms)
    error = caught.value
    assert error.detail
    assert "None" not in error.detail
    assert str(error) == f"{error.reason}: {error.detail}"
    return error.reason


GOOD = sign({"sub": "canary-sub"}, EC, "ES256", kid="k")
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    ("jwk", "token", "alg"),
    [
        pytest.param(vectors.RFC7515_A2_KEY, vectors.RFC7515_A2_TOKEN, "RS256", id="rfc7515-a2"),
        pytest.param(vectors.RFC7515_A3_KEY, vectors.RFC7515_A3_TOKEN, "ES256", id="rfc7515-a3"),
    ],
)
def test_published_tokens_are_believed(jwk: dict[str, Any], token: str, alg: str) -> None:
    verified = verify(token, [VerificationKey(import_key(jwk), None, None)], (alg,))
    assert verified == ({"alg": alg}, vectors.JOE)


def test_a_published_signature_over_a_text_is_no_token() -> None:
    key = VerificationKey(import_key(vectors.RFC8037_A2_KEY), None, None)
    assert refusal(vectors.RFC8037_A4_TOKEN, [key], ("EdDSA",)) is JWTFailure.NOT_AN_OBJECT


def test_what_a_token_holds() -> None:
    header, payload, _ = sign({"sub": "jürgen", "n": [1, 2]}, EC, "ES256", kid="k").split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "ES256", "kid": "k"}
    assert payload == segment('{"sub":"jürgen","n":[1,2]}'.encode())


@pytest.mark.row("P-14")
def test_a_signature_is_verified_under_the_algorithm_that_was_accepted() -> None:
    assert opened(GOOD, {"alg": "ES256"}, [EC]).claims == {"sub": "canary-sub"}
    with pytest.raises(JWTError):
        opened(GOOD, {"alg": "ES384"}, [EC])


@pytest.mark.parametrize("alg", SIGNING_ALGORITHMS)
def test_another_library_reads_ours_and_we_read_its(alg: str) -> None:
    claims = {"sub": "jürgen", "n": 1, "list": ["a", None, 1.5]}
    # PyJWT knows the curve's signature by its older name only.
    name = "EdDSA" if alg == "Ed25519" else alg
    their_key = pyjwt.PyJWK(public_jwk(KEYS[alg], "k", name))
    ours = sign(claims, KEYS[alg], name, kid="k", typ="at+jwt")
    assert pyjwt.decode(ours, their_key, algorithms=[name]) == claims
    assert pyjwt.get_unverified_header(ours) == {"alg": name, "kid": "k", "typ": "at+jwt"}
    theirs = pyjwt.encode(claims, KEYS[alg].private_key, algorithm=name, headers={"kid": "k", "x-extra": "1"})
    assert verify(theirs, known(alg), (name,)).claims == claims


@pytest.mark.row("P-14", "G-24")
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(vectors.RFC7515_A1_TOKEN, JWTFailure.ALGORITHM, id="hs256-rfc7515-a1"),
        pytest.param(vectors.RFC7515_A5_TOKEN, JWTFailure.ALGORITHM, id="none-rfc7515-a5"),
        pytest.param(f"{segment({'alg': 'None'})}.{PAYLOAD}.", JWTFailure.ALGORITHM, id="none-in-other-case"),
        pytest.param(
            f"{segment({'alg': 'RS256', 'kid': 'k'})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.ALGORITHM,
            id="alg-not-pinned",
        ),
        pytest.param(
            f"{segment({'alg': 'ES256', 'kid': 'x'})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.UNKNOWN_KEY,
            id="kid-unknown",
        ),
        pytest.param(
            f"{segment({'alg': 'ES256', 'kid': ''})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.UNKNOWN_KEY,
            id="kid-empty",
        ),
        pytest.param(
            f"{segment({'alg': 'ES256', 'kid': 1})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.MALFORMED,
            id="kid-not-a-string",
        ),
        pytest.param(
            f"{segment({'alg': ['ES256'], 'kid': 'k'})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.MALFORMED,
            id="alg-not-a-string",
        ),
        pytest.param(
            f"{segment({'kid': 'k'})}.{PAYLOAD}.{SIGNATURE}", JWTFailure.MALFORMED, id="alg-missing"
        ),
        pytest.param("eyJhbGciOiJub25lIiwiYWxnIjoiRVMyNTYifQ.e30.AA", JWTFailure.MALFORMED, id="alg-twice"),
        pytest.param(
            f"{segment({'alg': 'ES256', 'kid': 'k', 'crit': ['exp'], 'exp': 1})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.CRIT,
            id="crit",
        ),
        pytest.param(
            f"{segment({'alg': 'ES256', 'kid': 'k', 'crit': ['b64'], 'b64': False})}.{PAYLOAD}.{SIGNATURE}",
            JWTFailure.CRIT,
            id="crit-b64",
        ),
        pytest.param(f"{HEADER}.{PAYLOAD}.", JWTFailure.SIGNATURE, id="signature-missing"),
        pytest.param(f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-4]}", JWTFailure.SIGNATURE, id="signature-short"),
        pytest.param(f"{HEADER}.{PAYLOAD}.{'A' * len(SIGNATURE)}", JWTFailure.SIGNATURE, id="signature-zero"),
        pytest.param(
            f"{HEADER}.{segment({'sub': 'x'})}.{SIGNATURE}", JWTFailure.SIGNATURE, id="claims-altered"
        ),
        pytest.param(f"{HEADER}.{PAYLOAD}=.{SIGNATURE}", JWTFailure.MALFORMED, id="payload-padded"),
        pytest.param(f"{HEADER}.!.{SIGNATURE}", JWTFailure.MALFORMED, id="payload-not-base64url"),
        pytest.param(f"{HEADER}=.{PAYLOAD}.{SIGNATURE}", JWTFailure.MALFORMED, id="header-padded"),
        pytest.param(
            f"{segment([1])}.{PAYLOAD}.{SIGNATURE}", JWTFailure.MALFORMED, id="header-not-an-object"
        ),
        pytest.param(f"{segment(b'{' * 9000)}.{PAYLOAD}.{SIGNATURE}", JWTFailure.MALFORMED, id="header-bomb"),
        pytest.param("", JWTFailure.MALFORMED, id="empty"),
        pytest.param("a.b", JWTFailure.MALFORMED, id="two-parts"),
        pytest.param(f"{GOOD}.x.y", JWTFailure.MALFORMED, id="five-parts"),
        pytest.param(f"{GOOD}ä", JWTFailure.MALFORMED, id="not-ascii"),
        pytest.param(f"{HEADER}.{'A' * MAX_TOKEN_BYTES}.{SIGNATURE}", JWTFailure.MALFORMED, id="too-long"),
    ],
)
def test_a_token_with_one_thing_wrong_is_refused_by_name(token: str, reason: JWTFailure) -> None:
    assert refusal(token, known(), ("ES256",)) is reason


def test_what_nothing_proves_can_be_read_from_a_token_of_bounded_length() -> None:
    longest = GOOD.ljust(MAX_TOKEN_BYTES, "A")
    assert unverified_header(longest) == {"alg": "ES256", "kid": "k"}
    assert unverified_claims(longest) == {"sub": "canary-sub"}
    for token in (
        f"{longest}A",
        f"{HEADER}.{PAYLOAD}",
        f"{HEADER}.!.{SIGNATURE}",
        f"{HEADER}.W10.{SIGNATURE}",
    ):
        with pytest.raises(JWTError) as caught:
            unverified_claims(token)
        assert caught.value.reason is JWTFailure.MALFORMED
        assert caught.value.detail


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"[]", id="array"),
        pytest.param(b'{"sub":"a","sub":"b"}', id="member-twice"),
        pytest.param(b'{"exp":NaN}', id="nan"),
        pytest.param(b'{"exp":1e400}', id="overflow"),
        pytest.param(b'{"a":' * 7000 + b"1" + b"}" * 7000, id="bomb"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_good_signature_over_an_ambiguous_payload_is_refused(payload: bytes) -> None:
    token = pyjwt.api_jws.encode(payload, EC.private_key, algorithm="ES256", headers={"kid": "k"})
    assert refusal(token, known(), ("ES256",)) is JWTFailure.NOT_AN_OBJECT


def test_a_key_inside_the_token_is_not_looked_at() -> None:
    stranger = generate_key("ES256")
    token = pyjwt.encode(
        {"sub": "x"},
        stranger.private_key,
        algorithm="ES256",
        headers={"kid": "k", "jwk": public_jwk(stranger, "k", "ES256"), "jku": "https://evil.example/jwks"},
    )
    assert refusal(token, known(), ("ES256",)) is JWTFailure.SIGNATURE


def test_an_rsa_public_key_is_no_hmac_secret() -> None:
    rsa = KEYS["RS256"]
    # Signed by hand: PyJWT refuses to do it.
    signing_input = f"{segment({'alg': 'HS256', 'kid': 'k'})}.{segment({'sub': 'x'})}"
    digest = hmac.new(rsa.as_pem(private=False), signing_input.encode(), hashlib.sha256).digest()
    forged = f"{signing_input}.{segment(digest)}"
    assert refusal(forged, known("RS256"), ("RS256",)) is JWTFailure.ALGORITHM
    # Not even when somebody configures it: no key fits.
    assert refusal(forged, known("RS256"), ("RS256", "HS256")) is JWTFailure.UNKNOWN_KEY


def test_a_token_without_kid_needs_exactly_one_fitting_key() -> None:
    token = pyjwt.encode({"sub": "x"}, EC.private_key, algorithm="ES256")
    other = VerificationKey(generate_key("ES256"), "other", None)
    rsa = VerificationKey(KEYS["RS256"], "rsa", None)
    assert verify(token, [*known(), rsa], ("ES256",)).claims == {"sub": "x"}
    assert refusal(token, [*known(), other], ("ES256",)) is JWTFailure.MISSING_KID
    assert refusal(token, [rsa], ("ES256",)) is JWTFailure.UNKNOWN_KEY


def test_two_keys_with_one_kid_are_both_tried() -> None:
    other = VerificationKey(generate_key("ES256"), "k", None)
    assert verify(GOOD, [other, *known()], ("ES256",)).claims == {"sub": "canary-sub"}


@pytest.mark.row("P-15")
def test_refusals_hold_nothing_of_the_token() -> None:
    for token in (f"{HEADER}.{PAYLOAD}.AAAA", f"{HEADER}.{PAYLOAD}", f"{HEADER}x.{PAYLOAD}.{SIGNATURE}"):
        with pytest.raises(JWTError) as caught:
            verify(token, known(), ("ES256",))
        shown = repr(caught.value) + caught.value.detail
        assert not any(part in shown for part in (HEADER, PAYLOAD, "canary"))


@pytest.mark.parametrize(
    ("key", "alg", "claims"),
    [
        pytest.param(EC, "RS256", {}, id="foreign-algorithm"),
        pytest.param(EC, "none", {}, id="none"),
        pytest.param(import_key(vectors.RFC7515_A3_KEY), "ES256", {}, id="public-key"),
        pytest.param(EC, "ES256", {"exp": float("nan")}, id="nan"),
    ],
)
def test_what_cannot_be_a_token_is_not_signed(key: Any, alg: str, claims: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"private key of its own kind|not JSON compliant"):
        sign(claims, key, alg, kid="k")


@given(
    st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}")
)
def test_any_text_is_refused_by_the_declared_error(token: str) -> None:
    with pytest.raises(JWTError):
        verify(token, known(), ("ES256",))


@given(st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=10) | st.none(), max_size=6))
def test_any_header_is_read_or_refused_as_malformed(header: dict[str, Any]) -> None:
    token = f"{segment({'alg': 'ES256', 'kid': 'k'} | header)}.{PAYLOAD}.{SIGNATURE}"
    well_formed = isinstance(header.get("alg", ""), str) and isinstance(header.get("kid"), str | None)
    if well_formed:
        assert unverified_header(token) == {"alg": "ES256", "kid": "k"} | header
    else:
        assert refusal(token, known(), ("ES256",)) is JWTFailure.MALFORMED


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
        st.integers() | st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    )
)
def test_what_is_signed_is_read_back(claims: dict[str, Any]) -> None:
    assert verify(sign(claims, EC, "ES256", kid="k"), known(), ("ES256",)).claims == claims

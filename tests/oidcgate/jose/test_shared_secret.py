"""Tokens under a shared secret: another library reads them, and nothing but the two lists decides."""

import json
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.jose import jwt
from oidcgate.jose.jwt import JWTError, JWTFailure
from oidcgate.jose.keys import VerificationKey, generate_key, import_public_keys
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, sign_hmac, verify_hmac
from tests.oidcgate.jose import vectors
from tests.oidcgate.jose.test_jwt import segment

SECRET = "canary-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4Exä-and-more-than-64"
OTHER = "other-9wLpGdHs5JfCe2AuKo8TiZq4Ex3kQzX7VbN1mRtY-and-more-than-64"
GOOD = sign_hmac({"sub": "canary-sub"}, SECRET, "HS256")
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


def refusal(token: str, secrets: tuple[str, ...], algorithms: tuple[str, ...]) -> JWTFailure:
    with pytest.raises(JWTError) as caught:
        verify_hmac(token, secrets, algorithms)
    return caught.value.reason


@pytest.mark.row("S-29")
@pytest.mark.parametrize("alg", HMAC_ALGORITHMS)
def test_another_library_reads_ours_and_we_read_its(alg: str) -> None:
    claims = {"sub": "jürgen", "n": 1, "list": ["a", None, 1.5]}
    ours = sign_hmac(claims, SECRET, alg, typ="JWT")
    assert pyjwt.decode(ours, SECRET, algorithms=[alg]) == claims
    assert pyjwt.get_unverified_header(ours) == {"alg": alg, "typ": "JWT"}
    # A key name does not matter: there is only the one secret.
    theirs = pyjwt.encode(claims, SECRET, algorithm=alg, headers={"kid": "whatever"})
    assert verify_hmac(theirs, (SECRET,), (alg,)).claims == claims


@pytest.mark.row("S-29")
def test_any_of_the_secrets_opens_while_one_is_replaced() -> None:
    assert verify_hmac(GOOD, (OTHER, SECRET), ("HS256",)).claims == {"sub": "canary-sub"}
    assert refusal(GOOD, (OTHER,), ("HS256",)) is JWTFailure.SIGNATURE
    assert refusal(GOOD, (), ("HS256",)) is JWTFailure.UNKNOWN_KEY


@pytest.mark.row("S-29", "P-14")
@pytest.mark.parametrize(
    ("token", "algorithms", "reason"),
    [
        pytest.param(GOOD, ("HS384",), JWTFailure.ALGORITHM, id="alg-not-pinned"),
        pytest.param(GOOD, (), JWTFailure.ALGORITHM, id="nothing-accepted"),
        pytest.param(f"{segment({'alg': 'none'})}.{PAYLOAD}.", ("HS256",), JWTFailure.ALGORITHM, id="none"),
        pytest.param(
            f"{segment({'alg': 'none'})}.{PAYLOAD}.", ("none",), JWTFailure.UNKNOWN_KEY, id="none-configured"
        ),
        pytest.param(
            vectors.RFC7515_A2_TOKEN, ("HS256", "RS256"), JWTFailure.UNKNOWN_KEY, id="rs256-configured"
        ),
        pytest.param(
            f"{segment({'alg': 'HS256', 'crit': ['exp'], 'exp': 1})}.{PAYLOAD}.{SIGNATURE}",
            ("HS256",),
            JWTFailure.CRIT,
            id="crit",
        ),
        pytest.param(f"{HEADER}.{PAYLOAD}.", ("HS256",), JWTFailure.SIGNATURE, id="signature-missing"),
        pytest.param(
            f"{HEADER}.{segment({'sub': 'x'})}.{SIGNATURE}",
            ("HS256",),
            JWTFailure.SIGNATURE,
            id="claims-altered",
        ),
        pytest.param(f"{HEADER}.{PAYLOAD}", ("HS256",), JWTFailure.MALFORMED, id="two-parts"),
        pytest.param(f"{HEADER}.!.{SIGNATURE}", ("HS256",), JWTFailure.MALFORMED, id="not-base64url"),
    ],
)
def test_a_token_with_one_thing_wrong_is_refused_by_name(
    token: str, algorithms: tuple[str, ...], reason: JWTFailure
) -> None:
    assert refusal(token, (SECRET,), algorithms) is reason


@pytest.mark.row("S-29", "P-14")
def test_keys_of_the_other_kind_never_take_such_a_token() -> None:
    rsa = VerificationKey(generate_key("RS256"), "k", None)
    for algorithms in (("RS256",), ("RS256", "HS256")):
        with pytest.raises(JWTError):
            jwt.verify(GOOD, [rsa], algorithms)
    pem = rsa.key.as_pem(private=False).decode()
    with pytest.raises(ValueError, match="public keys must not be used"):
        sign_hmac({}, pem, "HS256")


def test_a_good_signature_over_no_object_is_refused() -> None:
    token = pyjwt.api_jws.encode(b"[]", SECRET.encode(), algorithm="HS256")
    assert refusal(token, (SECRET,), ("HS256",)) is JWTFailure.NOT_AN_OBJECT


@pytest.mark.row("S-29", "C-10")
@pytest.mark.parametrize(("alg", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_shorter_than_the_hash_neither_signs_nor_verifies(alg: str, least: int) -> None:
    enough = ("ä" * least)[: least // 2]
    assert len(enough.encode()) == least, "bytes count, not characters"
    token = sign_hmac({}, enough, alg)
    assert verify_hmac(token, (enough,), (alg,)).claims == {}
    short = "s" * (least - 1)
    with pytest.raises(ValueError, match=f"{alg} needs a secret of at least {least} bytes"):
        sign_hmac({}, short, alg)
    forged = pyjwt.api_jws.encode(b"{}", enough.encode(), algorithm=alg)
    assert refusal(forged, (short,), (alg,)) is JWTFailure.UNKNOWN_KEY


@pytest.mark.parametrize("alg", ["none", "RS256", "hs256", ""])
def test_no_other_algorithm_signs(alg: str) -> None:
    with pytest.raises(ValueError, match="is not one of HS256, HS384, HS512"):
        sign_hmac({}, SECRET, alg)


def test_what_is_no_json_is_not_signed() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        sign_hmac({"exp": float("inf")}, SECRET, "HS256")


def test_the_secret_is_in_no_key_set_we_would_take() -> None:
    with pytest.raises(ValueError, match="private or symmetric"):
        import_public_keys({"keys": [{"kty": "oct", "k": segment(SECRET.encode())}]})


@pytest.mark.row("P-15")
def test_refusals_hold_nothing_of_token_or_secret() -> None:
    for token in (f"{HEADER}.{PAYLOAD}.AAAA", f"{HEADER}.{PAYLOAD}"):
        with pytest.raises(JWTError) as caught:
            verify_hmac(token, (SECRET,), ("HS256",))
        assert not any(part in repr(caught.value) for part in (HEADER, PAYLOAD, "canary"))
    with pytest.raises(ValueError, match="at least") as short:
        sign_hmac({}, "canary-short", "HS256")
    assert "canary" not in str(short.value)


@given(
    st.text(max_size=100) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}")
)
def test_any_text_is_refused_by_the_declared_error(token: str) -> None:
    with pytest.raises(JWTError):
        verify_hmac(token, (SECRET,), HMAC_ALGORITHMS)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "b64", "jwk", "zip"]),
        st.none()
        | st.integers()
        | st.sampled_from(["HS256", "HS512", "none"])
        | st.lists(st.text(max_size=3)),
    )
)
def test_any_header_over_a_foreign_signature_is_refused(header: dict[str, Any]) -> None:
    token = f"{segment(json.dumps(header).encode())}.{PAYLOAD}.{'A' * 43}"
    with pytest.raises(JWTError):
        verify_hmac(token, (SECRET,), HMAC_ALGORITHMS)

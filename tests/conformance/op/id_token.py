"""Key sets and ID tokens, judged with a JOSE library that the provider does not use.

Spec: OIDC Core 2, 3.1.3.7, 3.2.2.11, 3.3.2.11, 10.1; RFC 7517; RFC 7518 6.3.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from tests.conformance.op.outcome import Failure, need

Claims = dict[str, Any]
_SKEW_SECONDS = 300
_VERIFIED_ELSEWHERE = (
    "verify_aud",
    "verify_exp",
    "verify_iat",
    "verify_nbf",
    "verify_iss",
    "verify_sub",
    "verify_jti",
)
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_SMALLEST_RSA_BITS = 2048


def check_key_set(document: Any) -> list[dict[str, Any]]:
    """The keys of a JWKS document, each public, complete and named apart.

    Raises:
        Failure: they are not.
    """
    need(
        isinstance(document, dict) and isinstance(document.get("keys"), list),
        "the JWKS has no keys",
        "RFC 7517 5",
    )
    keys: list[dict[str, Any]] = document["keys"]
    need(bool(keys), "the JWKS has no key", "RFC 7517 5")
    for key in keys:
        kind = str(key.get("kty"))
        need(kind in _MEMBERS, f"the JWKS has a key of type {kind!r}", "RFC 7518 6.1")
        need(
            not _PRIVATE & key.keys(),
            f"the JWKS gives private members {sorted(_PRIVATE & key.keys())}",
            "RFC 7517 9.2",
        )
        for member in _MEMBERS[kind]:
            need(isinstance(key.get(member), str), f"a key of the JWKS lacks {member!r}", "RFC 7518 6")
            if member != "crv":
                need("=" not in key[member], f"{member!r} of a key of the JWKS is padded", "RFC 7515 2")
        if kind == "RSA":
            bits = int.from_bytes(_decoded(key["n"])).bit_length()
            need(bits >= _SMALLEST_RSA_BITS, f"the JWKS has an RSA key of {bits} bits", "RFC 7518 3.3")
        need(
            key.get("use") in (None, "sig", "enc"),
            f"a key of the JWKS has use {key.get('use')!r}",
            "RFC 7517 4.2",
        )
    names = [key.get("kid") for key in keys]
    need(
        len(keys) == 1 or None not in names,
        "the JWKS has several keys, and one without kid",
        "OIDC Core 10.1",
    )
    apart = {(key.get("kid"), key.get("alg"), key["kty"]) for key in keys}
    need(len(apart) == len(keys), f"the JWKS names two keys alike: {names}", "RFC 7517 4.5")
    return keys


def header(token: str, what: str = "the ID token") -> dict[str, Any]:
    """The header of a JWT, unverified.

    Args:
        what: how a failure speaks of it.

    Raises:
        Failure: it is no JWT.
    """
    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise Failure(f"{what} cannot be read: {error}", "RFC 7519 7.2") from None


def verified(
    token: str, keys: Sequence[Mapping[str, Any]], algorithm: str = "RS256", what: str = "the ID token"
) -> Claims:
    """The claims of a JWT that a key of the set signed with the algorithm.

    Args:
        what: how a failure speaks of it.

    Raises:
        Failure: another algorithm, no such key, or another signature.
    """
    named = header(token, what)
    alg, kid = named.get("alg"), named.get("kid")
    need(alg == algorithm, f"{what} is signed with {alg!r}, not {algorithm}", "OIDC Registration 2")
    if algorithm == "none":
        return _unsigned(token)
    need(
        kid is not None or len(keys) == 1,
        f"{what} has no kid, and the JWKS several keys",
        "OIDC Core 10.1",
    )
    fitting = [
        key
        for key in keys
        if kid in (None, key.get("kid")) and key.get("use") != "enc" and key.get("alg") in (None, algorithm)
    ]
    need(bool(fitting), f"the JWKS has no key {kid!r} for {what}", "OIDC Core 10.1")
    problem: Exception | None = None
    for key in fitting:
        try:
            # The claims are judged one by one, below.
            options: Any = dict.fromkeys(_VERIFIED_ELSEWHERE, False)
            claims: Claims = jwt.decode(
                token, jwt.PyJWK(dict(key)).key, algorithms=[algorithm], options=options
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            problem = error
        else:
            return claims
    raise Failure(f"the signature of {what} does not verify: {problem}", "OIDC Core 3.1.3.7")


def _unsigned(token: str) -> Claims:
    need(token.endswith("."), "the unsigned ID token has a signature", "RFC 7515 A.5")
    claims: Claims = jwt.decode(token, options={"verify_signature": False})
    return claims


@dataclass(frozen=True)
class Expected:
    """What the request fixes of its ID token."""

    issuer: str
    client_id: str
    nonce: str | None
    now: float


def check_claims(claims: Claims, expected: Expected) -> None:
    """What holds for every ID token.

    Raises:
        Failure: naming the claim.
    """
    issuer, audience, now = claims.get("iss"), claims.get("aud"), expected.now
    need(issuer == expected.issuer, f"iss is {issuer!r}, not {expected.issuer!r}", "OIDC Core 3.1.3.7")
    named = audience if isinstance(audience, list) else [audience]
    need(expected.client_id in named, f"aud is {audience!r}, without the client", "OIDC Core 3.1.3.7")
    need(len(named) == 1, f"aud has somebody else too: {audience!r}", "OIDC Core 3.1.3.7")
    need(
        claims.get("azp") in (None, expected.client_id), f"azp is {claims.get('azp')!r}", "OIDC Core 3.1.3.7"
    )
    subject = claims.get("sub")
    need(isinstance(subject, str) and bool(subject), f"sub is {subject!r}", "OIDC Core 2")
    need(
        len(str(subject)) <= 255 and str(subject).isascii(),
        f"sub is {subject!r}: too long or not ASCII",
        "OIDC Core 2",
    )
    for name in ("exp", "iat"):
        value = claims.get(name)
        need(
            isinstance(value, int | float) and not isinstance(value, bool),
            f"{name} is {value!r}",
            "OIDC Core 2",
        )
    need(claims["exp"] > now, f"exp is {now - claims['exp']:.0f} s ago", "OIDC Core 3.1.3.7")
    age = now - claims["iat"]
    need(abs(age) <= _SKEW_SECONDS, f"iat is {age:.0f} s from now", "OIDC Core 3.1.3.7")
    later = claims.get("nbf", now)
    need(later <= now + _SKEW_SECONDS, f"nbf is {later - now:.0f} s ahead", "RFC 7519 4.1.5")
    absent = sorted(name for name, value in claims.items() if value is None)
    need(not absent, f"the ID token has null for {absent}", "OIDC Core 5.3.2")
    nonce = claims.get("nonce")
    need(nonce == expected.nonce, f"nonce is {nonce!r}, not {expected.nonce!r}", "OIDC Core 3.1.3.7")
    time = claims.get("auth_time")
    if time is not None:
        need(isinstance(time, int) and time <= now + _SKEW_SECONDS, f"auth_time is {time!r}", "OIDC Core 2")
    acr, amr = claims.get("acr", ""), claims.get("amr", [])
    need(isinstance(acr, str), f"acr is {acr!r}", "OIDC Core 2")
    need(isinstance(amr, list) and all(isinstance(m, str) for m in amr), f"amr is {amr!r}", "OIDC Core 2")


def check_hash(claims: Claims, name: str, value: str, *, required: bool) -> None:
    """That `at_hash` or `c_hash` is the left half of the hash of what was given with it.

    Raises:
        Failure: it is another, or missing though required.
    """
    given = claims.get(name)
    clause = "OIDC Core 3.3.2.11"
    if given is None:
        need(not required, f"{name} is missing", clause)
        return
    digest = hashlib.sha256(value.encode("ascii")).digest()
    right = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    need(given == right, f"{name} is {given!r}, not {right!r}", clause)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

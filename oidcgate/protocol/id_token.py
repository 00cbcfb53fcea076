"""The ID token: every claim checked by the relying party, and built by the provider.

No check can be switched off (G-24). Signatures are `oidcgate.jose.jwt`; `verify_id_token` does both, so that
no caller can take claims and forget the signature.
"""

import base64
import hashlib
import hmac
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from oidcgate.jose.jwt import JWTError, JWTFailure, VerifiedJWT
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.numeric_date import numeric_date
from oidcgate.protocol.tenants import issuer_in

_MAX_SUB: Final = 255
# A token from the code flow was made seconds ago. A day bears a provider that keeps one for its session.
_MAX_AGE_SECONDS: Final = 86_400
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_REFUSALS: Final = {
    JWTFailure.MALFORMED: Reason.ID_TOKEN_MALFORMED,
    JWTFailure.CRIT: Reason.ID_TOKEN_MALFORMED,
    JWTFailure.NOT_AN_OBJECT: Reason.ID_TOKEN_MALFORMED,
    JWTFailure.ALGORITHM: Reason.ID_TOKEN_ALG,
    JWTFailure.UNKNOWN_KEY: Reason.ID_TOKEN_KID_UNKNOWN,
    JWTFailure.MISSING_KID: Reason.ID_TOKEN_KID_UNKNOWN,
    JWTFailure.SIGNATURE: Reason.ID_TOKEN_SIGNATURE,
}


@dataclass(frozen=True)
class IdTokenRules:
    """What an ID token has to say to be believed.

    Attributes:
        issuer: The issuer the person was sent to, byte for byte.
        client_id: Our own.
        algorithms: Accepted from this issuer.
        nonce: Sent with the authorization request of this browser.
        max_age: Sent with it too, in seconds; None if it was not.
        clock_skew_seconds: How far the two clocks may differ.
        access_token: Came with the ID token; None if none did.
        trusted_audiences: Others that may be named beside us. Some providers add their project's id to every
            token.
        tenants: Whose people may come, where `issuer` has a place for a tenant.
        code: Came with the ID token; None if none did.
        nonce_may_be_missing: The ID token came for a refresh token. It need not repeat the nonce, and may
            repeat no other. Spec: OIDC Core 12.2.
        from_authorization_endpoint: The ID token came through the browser, where somebody could have put
            another code or access token beside it: those that came have to be named in it by their hash.
    """

    issuer: str
    client_id: str
    algorithms: tuple[str, ...]
    nonce: str = field(repr=False)
    max_age: int | None
    clock_skew_seconds: int
    access_token: str | None = field(repr=False)
    trusted_audiences: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    code: str | None = field(default=None, repr=False)
    nonce_may_be_missing: bool = False
    from_authorization_endpoint: bool = False


@dataclass(frozen=True)
class IdTokenClaims:
    """Claims of an ID token that was believed.

    Attributes:
        auth_time: Epoch seconds of the login at the provider, None if it did not say.
        all: Every claim, read-only.
    """

    sub: str
    sid: str | None
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    all: Mapping[str, Any] = field(repr=False)


#: Returns what a token says if it was made under one of these algorithms by whom it has to come from.
Reader = Callable[[str, Collection[str]], VerifiedJWT]


def verify_id_token(token: str, read: Reader, rules: IdTokenRules, now: int) -> IdTokenClaims:
    """Return the claims of a token that the issuer signed and that says what `rules` ask.

    Args:
        read: Finds the issuer's keys and verifies the signature; raises `JWTError`.

    Raises:
        Refused: ID_TOKEN_ and the faulty thing.

    Spec: OIDC Core 3.1.3.7.
    """
    try:
        header, claims = read(token, rules.algorithms)
    except JWTError as error:
        raise Refused(_REFUSALS[error.reason], error.detail) from None
    return check_id_token_claims(header, claims, rules, now)


def check_id_token_claims(
    header: Mapping[str, Any], claims: Mapping[str, Any], rules: IdTokenRules, now: int
) -> IdTokenClaims:
    """Check header and claims of a token whose signature is good.

    A claim that is not of its type refuses the token as malformed; a claim that is missing or says the wrong
    thing refuses it under its own name.

    Args:
        header: As verified.
        claims: As verified.
        rules: What they have to say.
        now: Epoch seconds.

    Raises:
        Refused: ID_TOKEN_ and the faulty thing.

    Spec: OIDC Core 2, 3.1.3.7, 3.1.3.8, 3.2.2.9, 3.2.2.11, 3.3.2.10, 3.3.2.11.
    """
    if header.get("alg") not in rules.algorithms:
        raise Refused(Reason.ID_TOKEN_ALG)
    # RFC 8725 3.11: an access token or a logout token of the same issuer carries a type of its own.
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() != "jwt":
        raise Refused(Reason.ID_TOKEN_TYPE)
    if claims.get("iss") != issuer_in(rules.issuer, claims, rules.tenants):
        raise Refused(Reason.ID_TOKEN_ISS)
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= _MAX_SUB or not sub.isascii() or not sub.isprintable():
        raise Refused(Reason.ID_TOKEN_SUB)
    _check_audience(claims, rules)
    _check_times(claims, rules, now)
    nonce = _text(claims, "nonce")
    missing = nonce is None and rules.nonce_may_be_missing
    if not missing and (nonce is None or not _equal(nonce, rules.nonce)):
        raise Refused(Reason.ID_TOKEN_NONCE)
    auth_time = _check_auth_time(claims, rules, now)
    _check_hashes(claims, rules, str(header["alg"]))
    return IdTokenClaims(
        sub=sub,
        sid=_text(claims, "sid"),
        auth_time=auth_time,
        acr=_text(claims, "acr"),
        amr=_texts(claims, "amr"),
        all=MappingProxyType(dict(claims)),
    )


def id_token_claims(
    *,
    issuer: str,
    sub: str,
    client_id: str,
    now: int,
    lifetime_seconds: int,
    nonce: str | None,
    auth_time: int | None,
    acr: str | None,
    amr: Sequence[str],
    sid: str | None,
    extra: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the claims of a new ID token; those that are None or empty are left out.

    Args:
        extra: Claims about the person, and `at_hash` or `c_hash`. Never replaces a claim named by an
            argument.

    Spec: OIDC Core 2.
    """
    optional = {"nonce": nonce, "auth_time": auth_time, "acr": acr, "amr": list(amr) or None, "sid": sid}
    own = {"iss": issuer, "sub": sub, "aud": client_id, "iat": now, "exp": now + lifetime_seconds, **optional}
    return {
        **{name: value for name, value in extra.items() if name not in own and name not in ("azp", "nbf")},
        **{name: value for name, value in own.items() if value is not None},
    }


def half_hash(value: str, alg: str) -> str:
    """Return the left half of the hash of an ASCII token or code, as `at_hash` and `c_hash` carry it.

    Raises:
        ValueError: `alg` names no hash we know.

    Spec: OIDC Core 3.1.3.6.
    """
    # EdDSA over Curve25519 hashes with SHA-512 inside.
    chosen = hashlib.sha512 if alg in ("EdDSA", "Ed25519") else _HASHES.get(alg[2:])
    if chosen is None:
        raise ValueError(f"no hash is known for {alg!r}")
    digest = chosen(value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")


def _check_audience(claims: Mapping[str, Any], rules: IdTokenRules) -> None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if audience is None:
        raise Refused(Reason.ID_TOKEN_AUD)
    if not isinstance(audiences, list) or not all(isinstance(entry, str) for entry in audiences):
        raise _malformed("aud")
    if rules.client_id not in audiences or not rules.trusted_audiences.issuperset(
        entry for entry in audiences if entry != rules.client_id
    ):
        raise Refused(Reason.ID_TOKEN_AUD)
    azp = _text(claims, "azp")
    if (azp is None and len(audiences) > 1) or (azp is not None and azp != rules.client_id):
        raise Refused(Reason.ID_TOKEN_AZP)


def _check_times(claims: Mapping[str, Any], rules: IdTokenRules, now: int) -> None:
    skew = rules.clock_skew_seconds
    expires_at, issued_at, not_before = (_instant(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_at is None or now >= expires_at + skew:
        raise Refused(Reason.ID_TOKEN_EXP)
    if issued_at is None or not now - _MAX_AGE_SECONDS - skew <= issued_at <= now + skew:
        raise Refused(Reason.ID_TOKEN_IAT)
    if not_before is not None and now + skew < not_before:
        raise Refused(Reason.ID_TOKEN_NBF)


def _check_auth_time(claims: Mapping[str, Any], rules: IdTokenRules, now: int) -> int | None:
    auth_time = _instant(claims, "auth_time")
    if auth_time is None:
        if rules.max_age is not None:
            raise Refused(Reason.ID_TOKEN_AUTH_TIME, "max_age was asked for and auth_time is missing")
        return None
    if auth_time > now + rules.clock_skew_seconds:
        raise Refused(Reason.ID_TOKEN_AUTH_TIME, "auth_time is in the future")
    if rules.max_age is not None and now - auth_time > rules.max_age + rules.clock_skew_seconds:
        raise Refused(Reason.ID_TOKEN_AUTH_TIME, "the login is older than max_age")
    return math.floor(auth_time)


def _check_hashes(claims: Mapping[str, Any], rules: IdTokenRules, alg: str) -> None:
    for name, beside, reason in (
        ("at_hash", rules.access_token, Reason.ID_TOKEN_AT_HASH),
        ("c_hash", rules.code, Reason.ID_TOKEN_C_HASH),
    ):
        claimed = _text(claims, name)
        if beside is None or (claimed is None and not rules.from_authorization_endpoint):
            continue
        if claimed is None:
            raise Refused(reason, f"{name} is missing")
        try:
            expected = half_hash(beside, alg)
        except ValueError:
            # P-14: an unknown hash is no reason to believe it.
            raise Refused(reason) from None
        if not _equal(claimed, expected):
            raise Refused(reason)


def _instant(claims: Mapping[str, Any], name: str) -> int | float | None:
    try:
        return numeric_date(claims, name)
    except ValueError:
        raise _malformed(name) from None


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if not isinstance(value, str | None):
        raise _malformed(name)
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _malformed(name)
    return tuple(value)


def _equal(claimed: str, ours: str) -> bool:
    # What is claimed may be any text, half a character included; that is no reason to fail.
    return hmac.compare_digest(claimed.encode("utf-8", "surrogatepass"), ours.encode())


def _malformed(name: str) -> Refused:
    return Refused(Reason.ID_TOKEN_MALFORMED, f"{name} is not of its type")

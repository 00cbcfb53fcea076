"""Access tokens that say for themselves what they are: built by the provider, checked by whom they reach.

Signatures are `oidcgate.jose.jwt`; how a token is presented is `oidcgate.protocol.bearer`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from oidcgate.protocol.errors import InvalidToken
from oidcgate.protocol.numeric_date import numeric_date

#: What `typ` is in the header of such a token.
ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 (a type, no secret)

# Never taken from `extra`, whether the token has them or not.
_RESERVED: Final = frozenset(
    {"iss", "aud", "sub", "client_id", "iat", "nbf", "exp", "jti", "scope", "auth_time", "acr", "amr"}
)


@dataclass(frozen=True)
class AccessTokenRules:
    """What an access token has to say to be accepted.

    Attributes:
        issuer: Who has to have issued it, byte for byte.
        audience: Our own name, which has to be among those it is for.
        clock_skew_seconds: How far the two clocks may differ.
    """

    issuer: str
    audience: str
    clock_skew_seconds: int


@dataclass(frozen=True)
class AccessTokenClaims:
    """Claims of an access token that was accepted.

    Attributes:
        expires_at: Epoch seconds.
        auth_time: Epoch seconds of the login, None if there was none or it is not said.
        all: Every claim, read-only.
    """

    sub: str
    client_id: str
    jti: str
    scope: tuple[str, ...]
    expires_at: int
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    all: Mapping[str, Any] = field(repr=False)


def access_token_claims(
    *,
    issuer: str,
    audience: str | Sequence[str],
    sub: str,
    client_id: str,
    scope: Sequence[str],
    jti: str,
    now: int,
    lifetime_seconds: int,
    auth_time: int | None = None,
    acr: str | None = None,
    amr: Sequence[str] = (),
    extra: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the claims of a new access token; those that are None or empty are left out.

    Args:
        audience: The API it is for.
        sub: The person; the client itself where no person is involved.
        extra: Further claims. Never replaces one that this function knows.

    Spec: RFC 9068 2.2.
    """
    own = {
        "iss": issuer,
        "aud": audience if isinstance(audience, str) else list(audience),
        "sub": sub,
        "client_id": client_id,
        "iat": now,
        "exp": now + lifetime_seconds,
        "jti": jti,
        "scope": " ".join(scope) or None,
        "auth_time": auth_time,
        "acr": acr,
        "amr": list(amr) or None,
    }
    return {
        **{name: value for name, value in extra.items() if name not in _RESERVED},
        **{name: value for name, value in own.items() if value is not None},
    }


def check_access_token_claims(
    header: Mapping[str, Any], claims: Mapping[str, Any], rules: AccessTokenRules, now: int
) -> AccessTokenClaims:
    """Check header and claims of an access token whose signature is good. Whether it was revoked is not.

    Args:
        header: As verified.
        claims: As verified.
        rules: What they have to say.
        now: Epoch seconds.

    Raises:
        InvalidToken: What is wrong is in `detail`.

    Spec: RFC 9068 4; RFC 8725 3.11.
    """
    typ = header.get("typ")
    # An ID token of the same issuer has the same keys, and the client as its audience.
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != ACCESS_TOKEN_TYPE:
        raise _refused("it is another kind of token")
    if claims.get("iss") != rules.issuer:
        raise _refused("iss is another issuer")
    audience = claims.get("aud")
    if rules.audience not in (audience if isinstance(audience, list) else [audience]):
        raise _refused("aud names somebody else")
    try:
        expires_at, issued_at, not_before, auth_time = (
            numeric_date(claims, name) for name in ("exp", "iat", "nbf", "auth_time")
        )
    except ValueError as error:
        raise _refused(str(error)) from None
    skew = rules.clock_skew_seconds
    if expires_at is None or now >= expires_at + skew:
        raise _refused("it has expired")
    if issued_at is None:
        raise _refused("iat is missing")
    if not_before is not None and now + skew < not_before:
        raise _refused("nbf is in the future")
    return AccessTokenClaims(
        sub=_needed(claims, "sub"),
        client_id=_needed(claims, "client_id"),
        jti=_needed(claims, "jti"),
        scope=tuple((_text(claims, "scope") or "").split()),
        expires_at=math.floor(expires_at),
        auth_time=None if auth_time is None else math.floor(auth_time),
        acr=_text(claims, "acr"),
        amr=_texts(claims, "amr"),
        all=MappingProxyType(dict(claims)),
    )


def _needed(claims: Mapping[str, Any], name: str) -> str:
    value = _text(claims, name)
    if not value:
        raise _refused(f"{name} is missing")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if not isinstance(value, str | None):
        raise _refused(f"{name} is not of its type")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = claims.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _refused(f"{name} is not of its type")
    return tuple(values)


def _refused(detail: str) -> InvalidToken:
    return InvalidToken("the access token is not good", detail=f"access token: {detail}")

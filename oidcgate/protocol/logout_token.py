"""The logout token: what a provider posts when a session ends, and what a client believes of it.

Signatures are `oidcgate.jose`; that a `jti` is taken once is whoever keeps them until the token ends. A
sign-out that a client begins is next door in `oidcgate.protocol.logout`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.numeric_date import numeric_date

#: What the provider writes into `typ`. Spec: OIDC Back-Channel Logout 2.4.
TYPE: Final = "logout+jwt"
#: The one member of `events` that says what happened.
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"

_MAX_ID: Final = 255
# 2.4: the type is recommended, so a token without one, or with that of any JWT, is judged by its claims.
_TYPES: Final = frozenset({"jwt", TYPE})


@dataclass(frozen=True)
class LogoutTokenRules:
    """What a logout token has to say to be believed.

    Attributes:
        issuer: The provider whose key signed it, byte for byte.
        client_id: Our own.
        clock_skew_seconds: How far the two clocks may differ.
        sid_required: One without `sid` is refused.
        longest_seconds: How old it may be, and how far ahead its end, so that its `jti` need not be kept for
            long.
    """

    issuer: str
    client_id: str
    clock_skew_seconds: int
    sid_required: bool = False
    longest_seconds: int = 3600


@dataclass(frozen=True)
class LogoutTokenClaims:
    """What a believed logout token says.

    Attributes:
        sub: Whose session ended; None if only `sid` says which.
        sid: Which one; None for all of that person.
        jti: To refuse it the second time.
        expires_at: Epoch seconds; from then on (and the clock skew) it is refused without being known.
    """

    sub: str | None
    sid: str | None
    jti: str
    expires_at: int


def logout_token_claims(
    *, issuer: str, client_id: str, sub: str | None, sid: str, jti: str, now: int, lifetime_seconds: int = 120
) -> dict[str, Any]:
    """Return the claims of a new logout token about one session of one person.

    Args:
        sub: As the client knows the person; None leaves it to `sid`.
        jti: The same each time the same notice is sent.
        lifetime_seconds: From `now`, which is when it is sent; two minutes, as the specification advises.

    Spec: OIDC Back-Channel Logout 2.4, 2.5.
    """
    return {
        "iss": issuer,
        **({} if sub is None else {"sub": sub}),
        "aud": client_id,
        "iat": now,
        "exp": now + lifetime_seconds,
        "jti": jti,
        "events": {EVENT: {}},
        "sid": sid,
    }


def check_logout_token(
    header: Mapping[str, Any], claims: Mapping[str, Any], rules: LogoutTokenRules, now: int
) -> LogoutTokenClaims:
    """Check header and claims of a logout token whose signature is good. Whether it came before is not.

    Args:
        header: As verified, with an algorithm that ID tokens of this provider may have.
        claims: As verified.
        now: Epoch seconds.

    Raises:
        InvalidRequest: To be answered 400; what is wrong is in `detail`.

    Spec: OIDC Back-Channel Logout 2.6; RFC 8725 3.11.
    """
    typ = header.get("typ", TYPE)
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _TYPES:
        raise _refused("it is another kind of token")
    if claims.get("iss") != rules.issuer:
        raise _refused("iss is not the provider")
    audience = claims.get("aud")
    if rules.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise _refused("aud does not name this client")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise _refused("events does not say that a session ended")
    if "nonce" in claims:
        # An ID token has one, and must never pass for this.
        raise _refused("it has a nonce")
    sub, sid = _identifier(claims, "sub"), _identifier(claims, "sid")
    if sub is None and sid is None:
        raise _refused("it names neither a person nor a session")
    if sid is None and rules.sid_required:
        raise _refused("sid is missing")
    jti = _identifier(claims, "jti")
    if jti is None:
        raise _refused("jti is missing")
    return LogoutTokenClaims(sub, sid, jti, _check_times(claims, rules, now))


def _check_times(claims: Mapping[str, Any], rules: LogoutTokenRules, now: int) -> int:
    skew = rules.clock_skew_seconds
    try:
        expires_at, issued_at = numeric_date(claims, "exp"), numeric_date(claims, "iat")
    except ValueError as error:
        raise _refused(str(error)) from None
    if issued_at is None or not now - rules.longest_seconds - skew <= issued_at <= now + skew:
        raise _refused("iat is missing, in the future or too long ago")
    if expires_at is None or now >= expires_at + skew:
        raise _refused("it has expired, or does not say when it does")
    if expires_at > now + rules.longest_seconds + skew:
        raise _refused(f"exp is more than {rules.longest_seconds} seconds ahead")
    return math.ceil(expires_at)


def _identifier(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID or not value.isprintable():
        raise _refused(f"{name} is not 1 to {_MAX_ID} printable characters")
    return value


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest("the logout token is not good", detail=f"logout token: {detail}")

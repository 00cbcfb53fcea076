"""Client assertions: a client proves who it is with a token that it signed itself.

How one is presented is `oidcgate.protocol.client_auth`; its signature is judged by `oidcgate.jose`, and
whether its `jti` was seen before by whoever keeps them until they expire (P-07).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from oidcgate.jose.jwt import JWTError, unverified_claims, unverified_header
from oidcgate.protocol.errors import InvalidClient
from oidcgate.protocol.numeric_date import numeric_date

#: What `client_assertion_type` has to be.
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_MAX_JTI: Final = 255
# RFC 8725 3.11: an ID token or an access token carries a type of its own, and is no assertion.
_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})


@dataclass(frozen=True)
class AssertionRules:
    """What a client assertion has to say to be believed.

    Attributes:
        client_id: The client whose key signed it.
        audiences: What we may be called in it, byte for byte; it has to name one of them, and nobody else.
        clock_skew_seconds: How far the two clocks may differ.
        longest_seconds: How far ahead its end may be, so that its `jti` need not be kept for long. Authlib's
            client asks for an hour.

    Spec: RFC 7523 3; OIDC Core 9.
    """

    client_id: str
    audiences: frozenset[str]
    clock_skew_seconds: int
    longest_seconds: int = 3600


@dataclass(frozen=True)
class Assertion:
    """What is kept of an assertion that was believed, to refuse it the second time.

    Attributes:
        expires_at: Epoch seconds; from then on (and the clock skew) it is refused without being known.
    """

    jti: str
    expires_at: int


@dataclass(frozen=True)
class UnverifiedAssertion:
    """What an assertion says before anybody looked at its signature: where to look for its key."""

    alg: str
    client_id: str


def unverified_assertion(token: str) -> UnverifiedAssertion:
    """Return who an assertion claims to come from; anybody may have written it.

    Raises:
        InvalidClient: It is no signed token of a client about itself.

    Spec: RFC 7523 3; OIDC Core 9.
    """
    try:
        header, claims = unverified_header(token), unverified_claims(token)
    except JWTError:
        raise InvalidClient("the client assertion cannot be read") from None
    client_id = claims.get("sub")
    # It is looked up before the signature is, so it has to be what a client_id in a form has to be.
    if not isinstance(client_id, str) or not client_id or any(c < " " or c == "\x7f" for c in client_id):
        raise InvalidClient("the client assertion has no sub")
    if claims.get("iss") != client_id:
        raise InvalidClient("iss and sub of a client assertion have to be the same")
    return UnverifiedAssertion(header["alg"], client_id)


def check_assertion_claims(
    header: Mapping[str, Any], claims: Mapping[str, Any], rules: AssertionRules, now: int
) -> Assertion:
    """Check header and claims of an assertion whose signature is good. Whether it was used before is not.

    Args:
        header: As verified.
        claims: As verified.
        rules: What they have to say.
        now: Epoch seconds.

    Raises:
        InvalidClient: What is wrong is in `detail`.

    Spec: RFC 7523 3; RFC 7521 5.2; OIDC Core 9; RFC 8725 3.11.
    """
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _TYPES:
        raise _refused("it is another kind of token")
    if claims.get("iss") != rules.client_id or claims.get("sub") != rules.client_id:
        raise _refused("iss and sub are not the client's id")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    # A list that names another server too would be good there as well, for whoever sees it here.
    if not audiences or not all(isinstance(entry, str) and entry in rules.audiences for entry in audiences):
        raise _refused(f"aud has to be one of {', '.join(sorted(rules.audiences))}, and name nobody else")
    expires_at = _check_times(claims, rules, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or not jti.isprintable():
        raise _refused(f"jti is not 1 to {_MAX_JTI} printable characters")
    return Assertion(jti, expires_at)


def client_assertion_claims(
    *, client_id: str, audience: str, jti: str, now: int, lifetime_seconds: int
) -> dict[str, Any]:
    """Return the claims of a new assertion.

    Args:
        audience: The provider's issuer.
        jti: Never used before.

    Spec: RFC 7523 3; OIDC Core 9.
    """
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": jti,
        "iat": now,
        "exp": now + lifetime_seconds,
    }


def _check_times(claims: Mapping[str, Any], rules: AssertionRules, now: int) -> int:
    skew = rules.clock_skew_seconds
    try:
        expires_at, issued_at, not_before = (numeric_date(claims, name) for name in ("exp", "iat", "nbf"))
    except ValueError as error:
        raise _refused(str(error)) from None
    if expires_at is None:
        raise _refused("exp is missing")
    if now >= expires_at + skew:
        raise _refused("it has expired")
    if expires_at > now + rules.longest_seconds + skew:
        raise _refused(f"exp is more than {rules.longest_seconds} seconds ahead")
    if issued_at is not None and not now - rules.longest_seconds - skew <= issued_at <= now + skew:
        raise _refused("iat is in the future or too long ago")
    if not_before is not None and now + skew < not_before:
        raise _refused("nbf is in the future")
    return math.ceil(expires_at)


def _refused(detail: str) -> InvalidClient:
    return InvalidClient("the client assertion is not good", detail=f"client assertion: {detail}")

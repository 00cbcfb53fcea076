"""What the userinfo endpoint said, checked against the ID token of the same login."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.numeric_date import numeric_date
from oidcgate.protocol.tenants import issuer_in


@dataclass(frozen=True)
class SignedUserinfoRules:
    """What claims that came as a signed token have to say of themselves.

    Attributes:
        issuer, tenants: As for the ID token.
        client_id: Our own.
        clock_skew_seconds: How far the two clocks may differ.
    """

    issuer: str
    client_id: str
    clock_skew_seconds: int
    tenants: frozenset[str] = frozenset()


def check_userinfo(document: Mapping[str, Any], sub: str) -> Mapping[str, Any]:
    """Return the claims if they are about `sub`.

    Args:
        document: The JSON object of the answer.
        sub: That of the ID token.

    Raises:
        Refused: USERINFO_MALFORMED: no `sub`, or not a string; USERINFO_SUB: about somebody else, so not to
            be used.

    Spec: OIDC Core 5.3.2, 5.3.4.
    """
    claimed = document.get("sub")
    if not isinstance(claimed, str):
        raise Refused(Reason.USERINFO_MALFORMED, "sub is missing or not a string")
    if claimed != sub:
        raise Refused(Reason.USERINFO_SUB)
    return document


def check_signed_userinfo(
    claims: Mapping[str, Any], rules: SignedUserinfoRules, sub: str, now: int
) -> Mapping[str, Any]:
    """Return the claims of a token, whose signature is good, if it was made for us and is about `sub`.

    Raises:
        Refused: USERINFO_ISS, USERINFO_AUD: another's, or not said; USERINFO_EXP: it has ended; else as
            `check_userinfo`.

    Spec: OIDC Core 5.3.2, 5.3.4; RFC 7519 4.1.
    """
    if claims.get("iss") != issuer_in(rules.issuer, claims, rules.tenants):
        raise Refused(Reason.USERINFO_ISS)
    audience = claims.get("aud")
    if rules.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise Refused(Reason.USERINFO_AUD)
    try:
        expires_at = numeric_date(claims, "exp")
    except ValueError as error:
        raise Refused(Reason.USERINFO_MALFORMED, str(error)) from None
    if expires_at is not None and now >= expires_at + rules.clock_skew_seconds:
        raise Refused(Reason.USERINFO_EXP)
    return check_userinfo(claims, sub)

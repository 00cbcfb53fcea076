"""What introspection says of a token. The question is `oidcgate.protocol.token_query`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: All that is said of a token that is expired, revoked, another's or none. Spec: RFC 7662 2.2.
INACTIVE: Final[Mapping[str, Any]] = {"active": False}


def introspection_document(
    *,
    client_id: str,
    iss: str,
    exp: int,
    iat: int,
    scope: Sequence[str] = (),
    sub: str | None = None,
    username: str | None = None,
    token_type: str | None = None,
    aud: str | None = None,
    auth_time: int | None = None,
    acr: str | None = None,
    amr: Sequence[str] = (),
    org_id: str | None = None,
) -> dict[str, Any]:
    """Return the answer for a token that is good; what is None or empty is left out.

    Args:
        token_type: `Bearer` for an access token; None for a refresh token, which has no such type.

    Spec: RFC 7662 2.2.
    """
    document = {
        "active": True,
        "scope": " ".join(scope) or None,
        "client_id": client_id,
        "username": username,
        "token_type": token_type,
        "exp": exp,
        "iat": iat,
        "sub": sub,
        "aud": aud,
        "iss": iss,
        "auth_time": auth_time,
        "acr": acr,
        "amr": list(amr) or None,
        "org_id": org_id,
    }
    return {name: value for name, value in document.items() if value is not None}

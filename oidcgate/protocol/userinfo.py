"""What the userinfo endpoint said, checked against the ID token of the same login."""

from collections.abc import Mapping
from typing import Any

from oidcgate.protocol.errors import Reason, Refused


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

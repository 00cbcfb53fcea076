"""The answer to a pushed authorization request, as the relying party reads it (RFC 9126).

What is pushed is `oidcgate.protocol.authorization`'s request; sending it is the gate's token endpoint room.
"""

from collections.abc import Mapping
from typing import Any, Final

from oidcgate.protocol.errors import Reason, Refused

_MAX_REQUEST_URI: Final = 2048


def check_pushed_response(document: Mapping[str, Any]) -> str:
    """Return the `request_uri` under which the provider keeps the request.

    How long it does is not looked at: the browser is sent there at once.

    Raises:
        Refused: PUSHED_RESPONSE_MALFORMED.

    Spec: RFC 9126 2.2.
    """
    request_uri = document.get("request_uri")
    if (
        not isinstance(request_uri, str)
        or not 0 < len(request_uri) <= _MAX_REQUEST_URI
        or not (request_uri.isascii() and request_uri.isprintable())
    ):
        raise Refused(Reason.PUSHED_RESPONSE_MALFORMED, "request_uri is missing or malformed")
    return request_uri

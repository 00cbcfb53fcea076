"""Which API an access token is asked for: `resource` of RFC 8707, or `audience` as other providers call it.

Both mean the same, and one token is for one API. Whether there is such an API, and for whom, is the
provider's to decide.
"""

import re
from typing import Final

from oidcgate.protocol.errors import InvalidRequest, InvalidTarget
from oidcgate.protocol.parameters import Parameters

_MAX_LENGTH: Final = 2048
_ABSOLUTE_URI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"
)
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")


def api_of(parameters: Parameters) -> str | None:
    """Return the API that the request names, or None.

    Raises:
        OAuthError: InvalidRequest: it names two; InvalidTarget: `resource` is no absolute URI without
            fragment, or `audience` not 1 to 2048 visible ASCII characters.

    Spec: RFC 8707 2.
    """
    resources, audiences = parameters.all("resource"), parameters.all("audience")
    named = {*resources, *audiences}
    if not named:
        return None
    if len(named) > 1:
        raise InvalidRequest("resource and audience name more than one API")
    api = named.pop()
    if len(api) > _MAX_LENGTH:
        raise InvalidTarget("the name of the API is too long")
    if resources and not _ABSOLUTE_URI.fullmatch(api):
        raise InvalidTarget("resource has to be an absolute URI without fragment")
    if not _VISIBLE.fullmatch(api):
        raise InvalidTarget("audience has to be visible ASCII characters")
    return api


def parameter_for(api: str) -> str:
    """Return the name of the parameter that can carry `api`: only a URI may be a `resource`."""
    return "resource" if _ABSOLUTE_URI.fullmatch(api) else "audience"

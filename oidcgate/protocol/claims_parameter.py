"""The `claims` parameter of an authorization request, as far as it asks for an `acr`.

Other members are well formed or refused with the whole, and otherwise ignored: what an ID token and UserInfo
hold is decided by the scopes.
"""

from dataclasses import dataclass
from typing import Any

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.strict_json import NotStrictJSON, parse_object


@dataclass(frozen=True)
class AcrRequest:
    """What `claims` says of `acr` in the ID token.

    Attributes:
        values: In the order of preference; empty: none in particular.
        essential: Without one of them the request fails.
    """

    values: tuple[str, ...] = ()
    essential: bool = False


def acr_request(claims: str | None) -> AcrRequest:
    """Read `claims`.

    Raises:
        InvalidRequest: it is no JSON object, or a member on the way to `acr` is not of its type.

    Spec: OIDC Core 5.5, 5.5.1, 5.5.1.1.
    """
    if claims is None:
        return AcrRequest()
    try:
        document = parse_object(claims)
    except NotStrictJSON as error:
        raise InvalidRequest(f"claims is {error}") from None
    _member(document, "userinfo")  # nothing of it is used, but it has to be what it should be
    acr = _member(_member(document, "id_token"), "acr")
    essential = acr.get("essential", False)
    if not isinstance(essential, bool):
        raise InvalidRequest("claims: essential is neither true nor false")
    values = acr.get("values", [])
    if not isinstance(values, list):
        raise InvalidRequest("claims: values is no list")
    if "value" in acr:
        values = [acr["value"], *values]
    if not all(isinstance(value, str) and value for value in values):
        raise InvalidRequest("claims: an acr is no text")
    return AcrRequest(tuple(dict.fromkeys(values)), essential)


def _member(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; absent and null are empty."""
    found = document.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidRequest(f"claims: {name} is no object")
    return found

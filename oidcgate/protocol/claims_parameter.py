"""The `claims` parameter of an authorization request: single claims that it asks for, and how strongly.

Read whole or refused whole. Which claims exist and who may have them is the provider's to decide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.strict_json import NotStrictJSON, parse_object

_MAX_NAMES: Final = 100
_MAX_NAME_LENGTH: Final = 200
_MAX_SUB: Final = 255


@dataclass(frozen=True)
class ClaimRequest:
    """What is said of one claim.

    Attributes:
        essential: The application cannot do without it.
        values: What it should be, in the order of preference; any JSON values. Empty: whatever it is.

    Spec: OIDC Core 5.5.1.
    """

    essential: bool = False
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class AcrRequest:
    """What is said of `acr` in the ID token.

    Attributes:
        values: In the order of preference, each once; empty: none in particular.
        essential: Without one of them the request fails.

    Spec: OIDC Core 5.5.1.1.
    """

    values: tuple[str, ...] = ()
    essential: bool = False


@dataclass(frozen=True)
class AmrRequest:
    """What is said of `amr` in the ID token. No standard asks for methods so; Microsoft's applications do.

    Attributes:
        values: Methods in the order of preference, each once; empty: none in particular.
        essential: Without one of them the request fails.
    """

    values: tuple[str, ...] = ()
    essential: bool = False


@dataclass(frozen=True)
class ClaimsRequest:
    """The whole parameter.

    Attributes:
        id_token: The claims asked for in the ID token, by name; `acr`, `amr` and `sub` too.
        userinfo: Those asked for from the userinfo endpoint.
        sub: Nobody else may be signed in; None: whoever it is.

    Spec: OIDC Core 5.5.
    """

    acr: AcrRequest = AcrRequest()
    amr: AmrRequest = AmrRequest()
    id_token: Mapping[str, ClaimRequest] = field(default_factory=lambda: MappingProxyType({}))
    userinfo: Mapping[str, ClaimRequest] = field(default_factory=lambda: MappingProxyType({}))
    sub: str | None = None


def parse_claims(text: str | None) -> ClaimsRequest:
    """Read the parameter; when it is absent, nothing is asked for.

    Members that are not known, at the top or of a claim, are ignored.

    Raises:
        InvalidRequest: It is no JSON object; a member is not of its type; it names more than 100 claims, or
            one of more than 200 characters; or two different `sub`.

    Spec: OIDC Core 5.5, 5.5.1, 5.5.1.1.
    """
    if text is None:
        return ClaimsRequest()
    try:
        document = parse_object(text)
    except NotStrictJSON as error:
        raise InvalidRequest(f"claims is {error}") from None
    id_token, userinfo = _member(document, "id_token"), _member(document, "userinfo")
    if len(id_token) + len(userinfo) > _MAX_NAMES:
        raise InvalidRequest(f"claims names more than {_MAX_NAMES} claims")
    asked, asked_of_userinfo = _requests(id_token), _requests(userinfo)
    acr, amr = asked.get("acr", ClaimRequest()), asked.get("amr", ClaimRequest())
    return ClaimsRequest(
        acr=AcrRequest(_texts("acr", acr.values), acr.essential),
        amr=AmrRequest(_texts("amr", amr.values), amr.essential),
        id_token=MappingProxyType(asked),
        userinfo=MappingProxyType(asked_of_userinfo),
        sub=_sub(request.get("sub", ClaimRequest()) for request in (asked, asked_of_userinfo)),
    )


def _member(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; absent and null are empty."""
    found = document.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidRequest(f"claims: {name} is no object")
    return found


def _requests(member: dict[str, Any]) -> dict[str, ClaimRequest]:
    if not all(0 < len(name) <= _MAX_NAME_LENGTH for name in member):
        raise InvalidRequest(f"claims: the name of a claim has 1 to {_MAX_NAME_LENGTH} characters")
    return {name: _request(value) for name, value in member.items()}


def _request(value: Any) -> ClaimRequest:
    if value is None:
        return ClaimRequest()
    if not isinstance(value, dict):
        raise InvalidRequest("claims: what is said of a claim is neither an object nor null")
    essential, values = value.get("essential", False), value.get("values", [])
    if not isinstance(essential, bool):
        raise InvalidRequest("claims: essential is neither true nor false")
    if not isinstance(values, list):
        raise InvalidRequest("claims: values is no list")
    return ClaimRequest(essential, (*([value["value"]] if "value" in value else ()), *values))


def _texts(name: str, values: tuple[Any, ...]) -> tuple[str, ...]:
    if not all(isinstance(value, str) and value for value in values):
        raise InvalidRequest(f"claims: a value of {name} is no text")
    return tuple(dict.fromkeys(values))


def _sub(requests: Iterable[ClaimRequest]) -> str | None:
    subs = _texts("sub", tuple(value for request in requests for value in request.values))
    if len(subs) > 1:
        raise InvalidRequest("claims asks for two different sub")
    # What no ID token can carry is nobody's; it is refused here, before somebody is looked up by it.
    if not all(len(sub) <= _MAX_SUB and sub.isascii() and sub.isprintable() for sub in subs):
        raise InvalidRequest("claims: a sub is at most 255 printable ASCII characters")
    return next(iter(subs), None)

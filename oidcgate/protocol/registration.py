"""What a client says of itself when it registers: the document, and what its grant and response types mean.

Which members a server keeps, and what of them it allows, is the server's business.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from authlib.oauth2.rfc7591 import ClientMetadataClaims as OAuthMetadata
from authlib.oidc.registration import ClientMetadataClaims as OpenIDMetadata
from joserfc.errors import InvalidClaimError

from oidcgate.protocol.errors import InvalidClientMetadata, InvalidRequest, UnsupportedResponseType
from oidcgate.protocol.response_type import ResponseType, parse_response_type
from oidcgate.strict_json import NotStrictJSON, parse_object

#: What a server says and a client that changes its registration must not. Spec: RFC 7592 2.2.
SAID_BY_THE_SERVER: Final = (
    "registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at",
)  # fmt: skip
# Authlib takes a scheme of an app's own for no URL, nor one that leads to a part of a page; `urls` judges all
# of them more strictly.
_NOT_FOR_AUTHLIB: Final = frozenset({"redirect_uris", "client_uri", "policy_uri", "tos_uri"})
#: As many types as there are, twice over.
_MOST_TYPES: Final = 20


def read_client_metadata(body: bytes) -> dict[str, Any]:
    """Return the members of a registration. One that is null counts as left out.

    Args:
        body: Its size is the caller's to bound.

    Raises:
        InvalidRequest: not one unambiguous JSON object.

    Spec: RFC 7591 2, 3.1; RFC 7592 2.2.
    """
    try:
        document = parse_object(body)
    except NotStrictJSON as error:
        raise InvalidRequest(f"The body cannot be read: {error}.") from None
    return {name: value for name, value in document.items() if value is not None}


def requested_types(metadata: Mapping[str, Any]) -> tuple[tuple[ResponseType, ...], tuple[str, ...]]:
    """Return the response types and the grant types that a client wants.

    Where one of the two is left out it follows the other, where both are it is the code flow. A grant type
    that no response type needs, and that is none of the token endpoint alone, is left out.

    Raises:
        InvalidClientMetadata: malformed, unknown response types, or a response type without its grant type.

    Spec: RFC 7591 2, 2.1; OIDC Registration 2.
    """
    grants = _words(metadata, "grant_types")
    said = _words(metadata, "response_types")
    if said is None:
        said = ("code",) if grants is None or "authorization_code" in grants else ()
    try:
        responses = tuple(dict.fromkeys(parse_response_type(text) for text in said))
    except UnsupportedResponseType:
        raise InvalidClientMetadata("response_types: one of them is not supported") from None
    needed = tuple(dict.fromkeys(grant for one in responses for grant in needed_grant_types(one)))
    if grants is None:
        return responses, needed
    for grant in needed:
        if grant not in grants:
            raise InvalidClientMetadata(f"grant_types: lacks {grant}, which response_types needs")
    front = ("authorization_code", "implicit")
    return responses, tuple(dict.fromkeys(one for one in grants if one in needed or one not in front))


def needed_grant_types(response_type: ResponseType) -> tuple[str, ...]:
    """Return the grant types that go with a response type. Spec: RFC 7591 2.1; OIDC Registration 2."""
    code = ("authorization_code",) if response_type.gives_code else ()
    return (*code, "implicit") if response_type.front_channel_tokens else code


def check_with_authlib(metadata: Mapping[str, Any]) -> None:
    """Ask another reader of the same specifications about what is going to be registered.

    Args:
        metadata: Of the types that its members have to have, for Authlib's own checks break on others.

    Raises:
        InvalidClientMetadata: it finds something.
    """
    judged = {name: value for name, value in metadata.items() if name not in _NOT_FOR_AUTHLIB}
    for kind in (OAuthMetadata, OpenIDMetadata):
        try:
            kind(dict(judged), {}).validate()
        except InvalidClaimError as error:
            raise InvalidClientMetadata(f"{error.claim}: is not valid") from None


def _words(metadata: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = metadata.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _MOST_TYPES:
        raise InvalidClientMetadata(f"{name}: is not an array, or too long")
    return tuple(_each_a_string(name, value))


def _each_a_string(name: str, values: Sequence[Any]) -> Iterable[str]:
    for value in values:
        if not isinstance(value, str):
            raise InvalidClientMetadata(f"{name}: holds something that is no string")
        yield value
